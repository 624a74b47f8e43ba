"""Opening an app's stores, embedded or given, and closing them again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from tenure._checks import check_postgres, check_redis, check_urls, given_urls
from tenure._stores import Stores

if TYPE_CHECKING:
    from tenure.settings import Settings

logger = logging.getLogger("tenure")

# Seconds that a close waits for Redis; the reconciler pushes what is left.
_PATIENCE: Final = 5.0


async def open_stores(settings: Settings) -> tuple[Stores, AsyncExitStack]:
    """Open both stores and check that they keep what tenure promises; they, and what `close_stores` undoes.

    Raises:
        ConfigurationError: a URL or a server's configuration is refused; the message says what to change.
        StoreUnavailable: a store does not answer.
        MigrationError: the schema is not there, or older or newer than this version.
    """
    async with AsyncExitStack() as undo:
        check_urls(settings)
        urls = given_urls(settings)
        if urls is None:
            from tenure._embedded import EmbeddedStores  # noqa: PLC0415 - its wheels are an extra

            embedded = EmbeddedStores(settings)
            urls = await embedded.start()
            undo.push_async_callback(embedded.stop)
        postgres_url, redis_url = urls
        stores = Stores(settings, postgres_url, redis_url)
        await stores.database.open()
        undo.push_async_callback(stores.database.close)
        if settings.postgres_url is None:
            await _migrate_embedded(postgres_url, settings.schema)
        await check_postgres(stores.database, settings)
        undo.callback(stores.engine.close)
        undo.push_async_callback(stores.results.stop)
        undo.push_async_callback(stores.rebuilder.stop)
        undo.push_async_callback(stores.registry.stop)
        check_redis(await stores.engine.open())
        return stores, undo.pop_all()


async def close_stores(stores: Stores, opened: AsyncExitStack) -> None:
    """Finish what is under way and close both stores."""
    async with opened:
        await stores.enqueuer.drained()
        try:
            await asyncio.wait_for(stores.rebuilder.settled(), _PATIENCE)
            await asyncio.wait_for(stores.publisher.drained(), _PATIENCE)
        except TimeoutError:
            logger.warning("closed while redis is away, the reconciler will push what is left")


async def _migrate_embedded(url: str, schema: str) -> None:
    """The embedded database is this program's own: it is brought up to date without being asked."""
    from tenure._migrate import up  # noqa: PLC0415 - only where it is needed

    await up(url, schema)
