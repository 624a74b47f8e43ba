"""One run of the checker on a mutant: `python -m tests.mutants NAME --seed N`; prints the report as JSON."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from tenure.check.plan import Plan
from tenure.check.run import run_check
from tenure.check.stage import servers
from tests.mutants.mutants import MUTANTS


async def main() -> None:
    """Break it here, and in every worker process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=MUTANTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres")
    given = parser.parse_args()
    mutant = MUTANTS[given.name]
    mutant.apply()
    command = (sys.executable, "-m", "tests.mutants.worker", given.name)
    plan = Plan(seed=given.seed, nemeses=mutant.nemeses, worker_command=command, **mutant.plan)
    with tempfile.TemporaryDirectory() as directory:
        async with servers(given.postgres, None) as urls:
            report = await run_check(plan, *urls, Path(directory))
    sys.stdout.buffer.write(msgspec.json.encode(report))


asyncio.run(main())
