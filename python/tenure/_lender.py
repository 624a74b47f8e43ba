"""The connections of a pool, lent at less than the driver's own price."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LAST_WORD: Final = 2.0  # seconds
_KEPT_FOR: Final = 30.0  # seconds


def _is_open(connection: asyncpg.Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        # The server closed it, and the driver has given it back to the pool already.
        return False


class Lender:
    """Lends the connections of one pool, and keeps those it gets back for the next statement.

    The way through the driver's pool costs half as much as a statement. The connection kept last is the next one used;
    what was not used for a while is given back to the pool, which closes it in time.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Lend the connections of this pool, which is closed with the lender."""
        self._pool = pool
        self._kept: list[tuple[asyncpg.Connection, float]] = []  # and when each was used last
        self._in_use: set[asyncpg.Connection] = set()
        self._waiting = 0  # for the pool, which hears of a connection only if it is given back
        self._heard = 0.0  # when a statement last ended, by the monotonic clock
        self._closing = False
        self._sweeper: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections; a statement that does not end within 5 s is cut off."""
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        while (kept := self._take_kept()) is not None:
            await self._release(kept)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pool.close(), 5.0)

    def end(self) -> None:
        """Cut off what is open still; after a close it does nothing."""
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._pool.terminate()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for a statement or a transaction."""
        connection = self._take_kept() or await self._acquire()
        began = time.monotonic()
        self._in_use.add(connection)
        try:
            yield connection
        except BaseException as error:
            self._in_use.discard(connection)
            if isinstance(error, TimeoutError):
                await self._leave(connection, silent=self._heard < began)
            # Whatever state it is in, the pool sees to it.
            await self._release(connection)
            raise
        self._in_use.discard(connection)
        self._heard = time.monotonic()
        await self._keep(connection)

    async def _acquire(self) -> asyncpg.Connection:
        self._waiting += 1
        try:
            # the pool's proxy has all of a connection's methods
            return cast("asyncpg.Connection", await self._pool.acquire(timeout=10.0))
        finally:
            self._waiting -= 1

    def _take_kept(self) -> asyncpg.Connection | None:
        while self._kept:
            connection, _ = self._kept.pop()
            if _is_open(connection):
                return connection
        return None

    async def _keep(self, connection: asyncpg.Connection) -> None:
        if self._closing or self._waiting or not _is_open(connection):
            await self._release(connection)
            return
        self._kept.append((connection, self._heard))
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """Give back what was not used for a while, until nothing is kept."""
        while self._kept:
            await asyncio.sleep(_KEPT_FOR)
            while self._kept and self._kept[0][1] < time.monotonic() - _KEPT_FOR:
                await self._release(self._kept.pop(0)[0])
        self._sweeper = None

    async def _leave(self, connection: asyncpg.Connection, *, silent: bool) -> None:
        """Leave a connection on which a statement timed out, without waiting for the statement's cancellation.

        The idle ones may have fallen silent with it: they are replaced before they are used again, for each would
        cost a wait of its own. Where none was heard meanwhile, those in use are left too.
        """
        connection.terminate()
        while (kept := self._take_kept()) is not None:
            kept.terminate()
        await self._pool.expire_connections()
        if silent:
            for other in list(self._in_use):
                other.terminate()

    async def _release(self, connection: asyncpg.Connection) -> None:
        # The last word of a statement that was given up is not waited for long: the pool then ends the connection.
        with suppress(TimeoutError):
            # The pool knows its connections by the proxies that it lent.
            await self._pool.release(
                cast("asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", connection), timeout=_LAST_WORD
            )
