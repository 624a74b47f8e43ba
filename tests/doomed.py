"""An app whose processes end as soon as they are started for the second time: the first is the supervisor's trial."""

from __future__ import annotations

import os
from pathlib import Path

from tenure import Tenure

app = Tenure()
_mark = Path(os.environ["TENURE_TEST_DOOM"])
if _mark.exists():
    os._exit(7)
_mark.touch()
