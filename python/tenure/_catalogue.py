"""What is in a schema, object by object, and what the migrations would put there."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tenure._database import run_script, run_statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._database import Connection

# The names by which `verify` counts; columns and constraints are compared, not counted.
COUNTED: Final = {"table": "tables", "index": "indexes", "function": "functions", "trigger": "triggers"}


class Item(NamedTuple):
    """One object. A column's or constraint's name is `table.name`, a function's has its argument types."""

    kind: str
    name: str
    definition: str


async def read(connection: Connection, schema: str, like: Iterable[Item] | None = None) -> list[Item]:
    """The objects of a schema.

    Args:
        connection: inside a transaction, for the length of which it gets a plain search path.
        schema: whose objects.
        like: only tables and functions that these have. Defaults to all.
    """
    await run_statement(connection, "plain_search_path", schema)
    tables = functions = None
    if like is not None:
        like = list(like)
        tables = [item.name for item in like if item.kind == "table"]
        functions = [item.name.partition("(")[0] for item in like if item.kind == "function"]
    rows = await run_statement(connection, "catalogue", schema, schema, tables, functions)
    return [Item(row["kind"], row["name"], row["definition"]) for row in rows]


async def build(connection: Connection, schema: str, scripts: Iterable[str]) -> list[Item]:
    """What these scripts, with `{schema}` in them, would make in this schema.

    They run in a schema of another name that nobody else ever sees, for the transaction is rolled back. So the same
    server writes both sets of definitions, and no version's way of printing them matters.
    """
    scratch = f"tenure_verify_{uuid.uuid4().hex}"
    transaction = connection.transaction()
    await transaction.start()
    try:
        await run_statement(connection, "create_schema", scratch)
        for script in scripts:
            await run_script(connection, script.replace("{schema}", scratch), scratch)
        items = await read(connection, scratch)
    finally:
        await transaction.rollback()
    return [item._replace(definition=item.definition.replace(scratch, schema)) for item in items]


def count(items: Iterable[Item]) -> dict[str, int]:
    """How many tables, indexes, functions and triggers there are."""
    found = Counter(item.kind for item in items)
    return {plural: found[kind] for kind, plural in COUNTED.items()}


def compare(wanted: Iterable[Item], found: Iterable[Item]) -> list[str]:
    """The differences, one sentence each."""
    want = {(item.kind, item.name): item.definition for item in wanted}
    have = {(item.kind, item.name): item.definition for item in found}
    problems = [f"missing {kind}: {name}" for kind, name in want if (kind, name) not in have]
    problems += [f"unexpected {kind}: {name}" for kind, name in have if (kind, name) not in want]
    changed = (key for key, text in want.items() if have.get(key, text) != text)
    return [*problems, *(f"changed {kind}: {name}" for kind, name in changed)]
