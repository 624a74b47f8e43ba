"""Every word of the registry about a worker, also one that is taken back at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.stage import Stage

_LISTEN = (
    "CREATE TABLE {s}.words AS SELECT pid, status FROM {s}.workers WHERE false",
    (
        "CREATE FUNCTION {s}.heard() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO {s}.words VALUES (NEW.pid, NEW.status); RETURN NULL; END'"
    ),
    (
        "CREATE TRIGGER heard AFTER UPDATE ON {s}.workers FOR EACH ROW WHEN (OLD.status <> NEW.status) "
        "EXECUTE FUNCTION {s}.heard()"
    ),
)


async def listen(stage: Stage) -> None:
    """From now on."""
    for statement in _LISTEN:
        await stage.sql.execute(statement.format(s=stage.direct.schema))


async def said(stage: Stage, status: str) -> Counter[int]:
    """How often this was said, by process."""
    rows = await stage.sql.fetch(f"SELECT pid FROM {stage.direct.schema}.words WHERE status = $1", status)
    return Counter(row["pid"] for row in rows)
