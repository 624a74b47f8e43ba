"""Two types whose jobs run until a file is there, for worker processes: `tests.integration.gated_member:app`."""

from __future__ import annotations

from tenure import Tenure
from tests import handlers

app = Tenure()
mail = app.job(name="mail")(handlers.until.handler)
video = app.job(name="video")(handlers.until.handler)
