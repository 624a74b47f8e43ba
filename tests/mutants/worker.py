"""A worker process of a mutant: `python -m tests.mutants.worker NAME CONCURRENCY`."""

from __future__ import annotations

import sys

from tenure.check.worker import main
from tests.mutants.mutants import MUTANTS

if __name__ == "__main__":
    MUTANTS[sys.argv[1]].apply()
    main(int(sys.argv[2]))
