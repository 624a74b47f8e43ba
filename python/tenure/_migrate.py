"""Bringing a schema up or down, and saying whether it is what the migrations say."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tenure import _catalogue, _validate
from tenure._database import connect, run_script, run_statement
from tenure._engine import migrations
from tenure._statement import check_schema, statement
from tenure.errors import ConfigurationError, InvalidInput, MigrationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenure._database import Connection

_LOCK_PAUSE: Final = 0.05
_LEAST_LOCK_TIMEOUT: Final = 0.001  # PostgreSQL takes 0 for "wait for ever"
_MOST_LOCK_TIMEOUT: Final = 86_400.0


class Migration(NamedTuple):
    """One step: its texts for one schema, and the checksum of the way up as it was released."""

    number: int
    name: str
    up: str
    down: str
    checksum: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `list`."""

    name: str
    applied_at: datetime | None
    checksum_ok: bool


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found.

    Attributes:
        expected: how many tables, indexes, functions and triggers all migrations of this version make.
        found: how many of them there are; the runner's own table is not counted.
        problems: every difference, one sentence each; empty where the schema is as it should be.
        not_compared: why only checksums were compared and nothing was counted against; None where everything was.
    """

    expected: dict[str, int]
    found: dict[str, int]
    problems: list[str]
    not_compared: str | None = None


def known(schema: str) -> list[Migration]:
    """Every migration of this version, in order."""
    check_schema(schema)
    return [
        Migration(
            int(name[:3]),
            name,
            up.replace("{schema}", schema),
            down.replace("{schema}", schema),
            hashlib.sha256(up.encode()).hexdigest(),
        )
        for name, up, down in migrations()
    ]


def offline_sql(schema: str) -> str:
    """What `up` would run on an empty database, bookkeeping included, for whoever applies it by hand."""
    parts = [statement("create_schema", schema).strip() + ";", statement("migrations_table", schema).strip() + ";"]
    for step in known(schema):
        entry = f"INSERT INTO {schema}.schema_migrations (name, checksum) VALUES ('{step.name}', '{step.checksum}');"  # noqa: S608 - our own names
        parts.append(f"-- {step.name}\nBEGIN;\n{step.up.strip()}\n{entry}\nCOMMIT;")
    return "\n\n".join(parts) + "\n"


async def up(url: str, schema: str, *, to: int | None = None, lock_timeout: float = 10.0) -> list[str]:
    """Apply what is missing, each migration in a transaction of its own; the names of those applied.

    Args:
        url: `postgresql://…`.
        schema: is created if it is missing.
        to: the last number to apply. Defaults to the newest.
        lock_timeout: seconds to wait for another migrator, and for each table's lock.

    Raises:
        MigrationError: an applied migration has another checksum, the database is newer than this version, a name is
            taken, or another migrator holds the lock for too long.
        Backpressure: a table's lock was not to be had in time.
        ConfigurationError: the role may not do it.
    """
    steps = _up_to(known(schema), to)
    async with _locked(url, schema, lock_timeout) as connection:
        await _prepare(connection, schema)
        done = await _applied(connection, schema)
        _refuse_drift(done, schema)
        fresh = [step for step in steps if step.name not in done]
        for step in fresh:
            async with connection.transaction():
                await run_script(connection, step.up, schema)
                await run_statement(connection, "record_migration", schema, step.name, step.checksum)
        return [step.name for step in fresh]


async def down(url: str, schema: str, *, to: int, lock_timeout: float = 10.0) -> list[str]:
    """Undo every migration above number `to`, newest first; the names of those undone.

    Going back to 0 takes the bookkeeping along, and the schema if `up` made it and nothing else is in it. What tenure
    did not make stays.
    """
    _validate_number(to)
    steps = {step.name: step for step in known(schema)}
    async with _locked(url, schema, lock_timeout) as connection:
        done = await _applied(connection, schema)
        _refuse_drift(done, schema)
        undone = [steps[name] for name in sorted(done, reverse=True) if steps[name].number > to]
        for step in undone:
            async with connection.transaction():
                await run_script(connection, step.down, schema)
                await run_statement(connection, "forget_migration", schema, step.name)
        if to == 0:
            await _leave(connection, schema)
        return [step.name for step in undone]


async def status(url: str, schema: str) -> list[Applied]:
    """Every known migration, and when it was applied."""
    connection = await connect(url, schema=schema)
    try:
        done = await _applied(connection, schema)
    finally:
        await connection.close()
    return [
        Applied(
            name=step.name,
            applied_at=done[step.name][1] if step.name in done else None,
            checksum_ok=step.name not in done or done[step.name][0] == step.checksum,
        )
        for step in known(schema)
    ]


async def verify(url: str, schema: str) -> Verification:
    """Compare a schema with what the migrations say: objects counted, definitions and checksums compared.

    The expected definitions come from a build that is rolled back. A role that may not create a schema, as an
    operator's should not, has the checksums compared, and is told that the rest was not.
    """
    steps = {step.name: step for step in known(schema)}
    connection = await connect(url, schema=schema)
    wanted, not_compared = None, None
    try:
        try:
            wanted = await _catalogue.build(connection, schema, [up for _, up, _ in migrations()])
        except ConfigurationError:
            not_compared = "definitions were not compared: that takes a role that may create a schema"
        async with connection.transaction(readonly=True):
            found = await _catalogue.read(connection, schema, like=wanted)
        done = await _applied(connection, schema)
    finally:
        await connection.close()
    counts = _catalogue.count(found)
    expected = {} if wanted is None else _catalogue.count(wanted)
    problems = [f"{kind}: expected {n}, found {counts[kind]}" for kind, n in expected.items() if counts[kind] != n]
    problems += [f"not applied: {name}" for name in steps if name not in done]
    problems += [f"unknown to this version: {name}" for name in done if name not in steps]
    problems += [
        f"changed since it was applied: {name}"
        for name, step in steps.items()
        if name in done and done[name][0] != step.checksum
    ]
    if done and wanted is not None:
        problems += _catalogue.compare(wanted, found)
    return Verification(expected=expected, found=counts, problems=problems, not_compared=not_compared)


async def _prepare(connection: Connection, schema: str) -> None:
    """Make the schema, marked as ours, and the bookkeeping where they are missing."""
    async with connection.transaction():
        # Asked first: even IF NOT EXISTS wants the right to create one.
        if not await run_statement(connection, "schema_state", schema, schema):
            await run_statement(connection, "create_schema", schema)
            await run_statement(connection, "mark_schema", schema)
        if not (await run_statement(connection, "migrations_table_exists", schema))[0]["present"]:
            await run_statement(connection, "migrations_table", schema)


async def _leave(connection: Connection, schema: str) -> None:
    """Drop the bookkeeping, and the schema if it is ours and empty."""
    async with connection.transaction():
        if (await run_statement(connection, "migrations_table_exists", schema))[0]["present"]:
            await run_statement(connection, "drop_migrations_table", schema)
        state = await run_statement(connection, "schema_state", schema, schema)
        if state and state[0]["ours"] and state[0]["empty"]:
            await run_statement(connection, "drop_schema", schema)


def _up_to(steps: list[Migration], to: int | None) -> list[Migration]:
    if to is None:
        return steps
    _validate_number(to)
    return [step for step in steps if step.number <= to]


def _validate_number(to: int) -> None:
    newest = int(migrations()[-1][0][:3])
    if isinstance(to, bool) or not 0 <= to <= newest:
        raise InvalidInput("to", f"a migration's number from 0 to {newest}", to)


async def _applied(connection: Connection, schema: str) -> dict[str, tuple[str, datetime]]:
    """Checksum and time of each applied migration; none where nothing was ever applied."""
    table = (await run_statement(connection, "migrations_table_exists", schema))[0]
    if not table["present"]:
        return {}
    if not table["ours"]:
        raise MigrationError(f"another tool keeps its own schema_migrations there, choose another schema: {schema}")
    rows = await run_statement(connection, "applied_migrations", schema)
    return {row["name"]: (row["checksum"], row["applied_at"]) for row in rows}


def _refuse_drift(done: dict[str, tuple[str, datetime]], schema: str) -> None:
    steps = {step.name: step for step in known(schema)}
    for name, (checksum, _) in done.items():
        if name not in steps:
            raise MigrationError(f"the database is newer than this version of tenure, it has: {name}")
        if steps[name].checksum != checksum:
            raise MigrationError(f"an applied migration was changed: {name}")


@asynccontextmanager
async def _locked(url: str, schema: str, lock_timeout: float) -> AsyncIterator[Connection]:
    """A connection that holds the migrators' lock.

    The lock is tried, not waited for: a waiting statement would hold a snapshot.
    """
    _validate.seconds("lock_timeout", lock_timeout, least=_LEAST_LOCK_TIMEOUT, most=_MOST_LOCK_TIMEOUT)
    connection = await connect(url, schema=schema, lock_timeout=lock_timeout)
    try:
        give_up = time.monotonic() + lock_timeout
        while not (await run_statement(connection, "try_migration_lock", schema, schema))[0]["held"]:
            if time.monotonic() > give_up:
                raise MigrationError(f"another migration holds the lock for more than {lock_timeout:g} s: {schema}")
            await asyncio.sleep(_LOCK_PAUSE)
        yield connection
        await run_statement(connection, "migration_unlock", schema, schema)
    finally:
        # Closing the session gives the lock back in every other case.
        await connection.close()
