"""PostgreSQL: the statements, and what its errors mean. No other module but `_lender` imports asyncpg."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from tenure._lender import Lender
from tenure._statement import check_schema, statement
from tenure.errors import (
    Backpressure,
    ConfigurationError,
    DependencyCycle,
    MigrationError,
    StoreUnavailable,
    TenureError,
    Untrusted,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")
Row = asyncpg.Record
Connection = asyncpg.Connection

# The server broke a deadlock or a serialization conflict: the same statement may well succeed now.
_CONFLICT: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_FULL: Final = (
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.LockNotAvailableError,
)
_TRIES: Final = 3
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # a demoted primary: the new one is not known yet
)
_UNMIGRATED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)
_TAKEN: Final = (
    asyncpg.DuplicateTableError,
    asyncpg.DuplicateObjectError,
    asyncpg.DuplicateFunctionError,
)
_CONFLICT_TRIES: Final = 5
# The statements of every attempt. To plan one takes longer than to run it on few jobs, and the planner would rather
# plan each time: a small batch looks cheaper than the average one. So their sessions plan once, and what the planner
# may choose from is narrowed to looking up each job by its key: a plan that was made while the tables were empty must
# still be right when they are not.
_PINNED: Final = frozenset({"start", "complete", "record", "settle"})
_PINNED_PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
# What a process asks first, and may ask twice: one connection that is cut then must not keep it from starting.
_AT_START: Final = frozenset({"server", "applied_migrations", "register_workers"})
# Seconds for statements that look at everything there is; all others look at a batch.
_TIMEOUTS: Final = {"stats": 60.0}


@contextmanager
def _translated(schema: str) -> Iterator[None]:
    """Turn what asyncpg raises into tenure's errors; a bug in a statement stays what it is."""
    try:
        yield
    except TenureError:
        raise
    except _FULL as error:
        raise Backpressure(f"postgresql refuses more work: {error}") from error
    except _UNMIGRATED as error:
        raise MigrationError(f"schema {schema} is not migrated, run `tenure migrate up`: {error}") from error
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError) as error:
        raise _refusal(error) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(f"postgresql refuses what the role may not do: {error}") from error
    except ssl.SSLError as error:
        raise Untrusted(f"postgresql is not trusted: {error}") from error
    except _AWAY as error:
        if "rejected SSL upgrade" in str(error):
            raise Untrusted(f"postgresql is not trusted: {error}") from error
        reason = str(error) or type(error).__name__
        raise StoreUnavailable(f"postgresql cannot be asked: {reason}") from error


def _refusal(error: asyncpg.IntegrityConstraintViolationError) -> Exception:
    """What a constraint means to callers, where it is one that they can run into."""
    if error.constraint_name == "idx_jobs_unique_key":
        return KeyTakenError("a job that came back found its unique key taken")
    if error.constraint_name == "job_dependencies_no_cycle":
        return DependencyCycle("depends_on", "free of cycles", error.args[0])
    return error


async def _keep_session(connection: Any) -> None:
    """Reset a returned connection only if a transaction was left open.

    asyncpg's own reset costs a round trip for every statement; no statement of ours changes the session.
    """
    if connection.is_in_transaction():
        await connection.reset()


async def connect(url: str, *, schema: str = "gap006", lock_timeout: float = 10.0) -> asyncpg.Connection:
    """One connection outside any pool, for migrations and checks; no statement on it waits for a lock longer than
    that (s).
    """
    with _translated(schema), _valid_url():
        return await asyncpg.connect(url, timeout=10.0, server_settings=_session(lock_timeout))


async def run_statement(connection: asyncpg.Connection, name: str, schema: str, *args: object) -> list[asyncpg.Record]:
    """Run the statement called `name` on a connection of one's own."""
    with _translated(schema):
        return await connection.fetch(statement(name, schema), *args)


async def run_script(connection: asyncpg.Connection, text: str, schema: str) -> None:
    """Run the statements of a migration."""
    with _translated(schema):
        try:
            await connection.execute(text)
        except _TAKEN as error:
            raise MigrationError(f"schema {schema} has something of this name that is not tenure's: {error}") from error


def _session(lock_timeout: float) -> dict[str, str]:
    return {"application_name": "tenure", "lock_timeout": f"{round(lock_timeout * 1000)}ms"}


@contextmanager
def _valid_url() -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise  # one of them is a ValueError too
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        # The text of the driver's error may repeat the URL and with it the password.
        raise ConfigurationError("postgres_url must be a postgresql:// URL") from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidPasswordError,
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise ConfigurationError(f"postgresql refuses the login: {error}") from error


class KeyTakenError(TenureError):
    """A job cannot come back: its unique key has another holder. Callers are told of that one, by `DuplicateJob`."""


class Database:
    """The connections and the statements of one schema.

    Each call borrows a connection for one statement; nothing holds a transaction while a job runs. The statements that
    every attempt needs have connections of their own, on which their plans are made once (see `_PINNED`).
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "gap006",
        max_connections: int = 10,
        command_timeout: float = 12.0,
        statement_cache: int = 200,
    ) -> None:
        """Prepare a pool; nothing is opened yet.

        Args:
            url: `postgresql://…`.
            schema: where tenure's tables are.
            max_connections: the most connections this process opens.
            command_timeout: seconds after which a statement is given up: longer than a lock is waited for (10), so
                that what times out is a link or a server that fell silent.
            statement_cache: prepared statements kept per connection; 0 behind PgBouncer older than 1.21.
        """
        self.schema = check_schema(schema)
        self._url = url
        self._max_connections = max_connections
        self._command_timeout = command_timeout
        self._statement_cache = statement_cache
        self._lender: Lender | None = None
        self._pinned: Lender | None = None

    async def open(self) -> None:
        """Open the first connection, so that a wrong URL is told at once."""
        with _translated(self.schema), _valid_url():
            pinned = self._max_connections // 2
            try:
                self._lender = await self._lends(self._max_connections - pinned, settings={})
                if pinned:
                    self._pinned = await self._lends(pinned, settings=_PINNED_PLANS)
                async with self._lender.lent():
                    pass
            except BaseException:
                await self.close()
                raise

    async def _lends(self, most: int, *, settings: dict[str, str]) -> Lender:
        # The driver forgets a pool whose opening is cancelled, with what it had connected: this one connects later.
        pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=most,
            max_inactive_connection_lifetime=60.0,
            timeout=10.0,
            command_timeout=self._command_timeout,
            statement_cache_size=self._statement_cache,
            reset=_keep_session,
            server_settings=_session(10.0) | settings,
        )
        return Lender(pool)

    async def close(self) -> None:
        """Close all connections; a statement that does not end within 5 s is cut off."""
        lenders = [lender for lender in (self._lender, self._pinned) if lender is not None]
        self._lender = self._pinned = None
        try:
            await asyncio.gather(*(lender.close() for lender in lenders))
        finally:
            # Here, because a closing that is cancelled before it began does nothing at all.
            for lender in lenders:
                lender.end()

    def sql(self, name: str) -> str:
        """The text of the statement called `name`."""
        return statement(name, self.schema)

    async def fetch(
        self, name: str, *args: object, connection: asyncpg.Connection | None = None
    ) -> list[asyncpg.Record]:
        """Run the statement called `name` and return its rows.

        Args:
            name: a file of `_queries` without its ending.
            args: its parameters.
            connection: the caller's own connection (and transaction); a pooled one by default.

        Raises:
            StoreUnavailable: the server cannot be asked; the outcome is unknown.
            Backpressure: the server has no room.
            MigrationError: the schema is not there.
        """
        if connection is not None:
            with _translated(self.schema):
                return await connection.fetch(self.sql(name), *args)
        return await self._retried(lambda: self._borrowed_fetch(name, args))

    async def atomically(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run work inside a transaction of its own, and again from its beginning if the server had to break a deadlock.

        Args:
            work: is given the connection, for `fetch(connection=…)`; it must be fit to be run twice.
        """

        async def once() -> T:
            with _translated(self.schema):
                async with self._borrowed() as connection, connection.transaction():
                    return await work(connection)

        return await self._retried(once)

    async def _retried(self, work: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(_CONFLICT_TRIES):
            try:
                with _translated(self.schema):
                    return await work()
            except _CONFLICT as error:
                if attempt == _CONFLICT_TRIES - 1:
                    raise Backpressure(f"postgresql broke {_CONFLICT_TRIES} deadlocks in a row: {error}") from error
                # Jitter, so that the two that collided do not collide again.
                await asyncio.sleep(random.uniform(0.001, 0.02) * 2**attempt)  # noqa: S311 - not a secret
        raise AssertionError

    async def _borrowed_fetch(self, name: str, args: Sequence[object]) -> list[asyncpg.Record]:
        try:
            return await self._fetch_once(name, args)
        except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.InterfaceError):
            if name not in _AT_START:
                raise
            return await self._fetch_once(name, args)

    async def _fetch_once(self, name: str, args: Sequence[object]) -> list[asyncpg.Record]:
        async with self._borrowed(name in _PINNED) as connection:
            return await connection.fetch(self.sql(name), *args, timeout=_TIMEOUTS.get(name))

    def _borrowed(self, pinned: bool = False) -> AbstractAsyncContextManager[asyncpg.Connection]:  # noqa: FBT001, FBT002 - private
        lender = (self._pinned if pinned else None) or self._lender
        if lender is None:
            raise StoreUnavailable("postgresql cannot be asked: the pool is closed")
        return lender.lent()


async def tried(work: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice until its outcome is known, three times at most."""
    for attempt in range(_TRIES - 1):
        try:
            return await work()
        except Backpressure:
            raise  # nothing is unknown: the server waited for a lock, or looked for room, and said no
        except StoreUnavailable:
            await asyncio.sleep(0.05 * 2**attempt)
    return await work()
