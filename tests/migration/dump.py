"""The migrated schema as text, for review: `python -m tests.migration.dump > migrations/schema.sql`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tenure import _catalogue
from tenure._database import connect
from tenure._engine import migrations
from tests.servers import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterable

SNAPSHOT = Path(__file__).parents[2] / "migrations" / "schema.sql"
_PLACE = "gap006"
_HEADER = """\
-- What all migrations together make, read back from a server's catalogues: to be reviewed and compared, not to be run.
-- Written by `python -m tests.migration.dump > migrations/schema.sql`. The index of a key stands beside its constraint.
"""


async def dump(url: str) -> str:
    """The definitions of everything the migrations make, the same text from every supported version of PostgreSQL."""
    connection = await connect(url)
    try:
        items = await _catalogue.build(connection, _PLACE, [up for _, up, _ in migrations()])
    finally:
        await connection.close()
    return "\n".join([_HEADER, *(_block(kind, group) for kind, group in groupby(items, lambda item: item.kind))])


def _block(kind: str, items: Iterable[_catalogue.Item]) -> str:
    match kind:
        case "table":
            return "\n".join(f"-- TABLE {item.name} {item.definition}".rstrip() for item in items) + "\n"
        case "column" | "constraint":
            return "\n".join(f"{kind} {item.name} {item.definition}" for item in items) + "\n"
        case _:
            return "\n".join(f"{item.definition.strip()};" for item in items) + "\n"


def _main() -> None:
    if url := os.environ.get("TENURE_TEST_POSTGRES_URL"):
        sys.stdout.write(asyncio.run(dump(url)))
        return
    with tempfile.TemporaryDirectory(prefix="tn", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)  # PostgreSQL does not run as root, so another user must get in
        server = Postgres(Path(directory) / "pg")
        server.start()
        try:
            sys.stdout.write(asyncio.run(dump(server.url)))
        finally:
            server.stop("fast")


if __name__ == "__main__":
    _main()
