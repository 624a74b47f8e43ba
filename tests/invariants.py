"""What must be true of every schema when the work is over, asked of PostgreSQL alone; the checker's own invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure._database import Database
from tenure.check.evidence import read_rows
from tenure.check.invariants import judge

if TYPE_CHECKING:
    import asyncpg


async def assert_invariants(connection: asyncpg.Connection, schema: str, *, jobs: int | None = None) -> None:
    """Fail with the invariants that do not hold and some jobs that break them."""
    evidence = await read_rows(Database("postgresql://", schema=schema), connection)
    if jobs is not None:
        assert len(evidence.jobs) == jobs
    broken = {name: [f"{one.job}: {one.text}" for one in breaches[:5]] for name, breaches in judge(evidence).items()}
    assert not broken, str(broken)
