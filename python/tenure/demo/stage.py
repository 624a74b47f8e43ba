"""Where the demo plays: a schema and keys of its own, on whichever stores the settings name."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from tenure._database import Database, connect, run_statement
from tenure._embedded import EmbeddedStores
from tenure._migrate import up
from tenure.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenure.settings import Settings

SCHEMA: Final = "tenure_demo"
_PREFIX: Final = "tenure-demo"


@asynccontextmanager
async def stores(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """The URLs of both stores; what the settings do not name is started or joined."""
    postgres_url, redis_url = settings.postgres_url, settings.redis_url
    if postgres_url is not None and redis_url is not None:
        yield postgres_url, redis_url
        return
    embedded = EmbeddedStores(settings)
    own_postgres, own_redis = await embedded.start()
    try:
        yield postgres_url or own_postgres, redis_url or own_redis
    finally:
        await embedded.stop()


@asynccontextmanager
async def schema(postgres_url: str, *, keep: bool) -> AsyncIterator[Database]:
    """The demo's schema, empty and migrated; dropped at the end unless `keep`.

    Raises:
        ConfigurationError: another demo runs on this database.
    """
    guard = await connect(postgres_url, schema=SCHEMA)
    try:
        if not (await run_statement(guard, "demo_lock", SCHEMA))[0]["taken"]:
            raise ConfigurationError(f"another demo runs on this database, in schema: {SCHEMA}")
        await run_statement(guard, "drop_with_contents", SCHEMA)
        await up(postgres_url, SCHEMA)
        database = Database(postgres_url, schema=SCHEMA, max_connections=2)
        await database.open()
        try:
            yield database
        finally:
            await database.close()
            if not keep:
                await run_statement(guard, "drop_with_contents", SCHEMA)
    finally:
        await guard.close()


def variables(postgres_url: str, redis_url: str) -> dict[str, str]:
    """What the workers' environment says: a short lease, so that a killed worker's jobs come back while one watches."""
    return {
        "TENURE_POSTGRES_URL": postgres_url,
        "TENURE_REDIS_URL": redis_url,
        "TENURE_SCHEMA": SCHEMA,
        "TENURE_PREFIX": _PREFIX,
        "TENURE_LEASE_SECONDS": "3",
        "TENURE_HEARTBEAT_SECONDS": "0.5",
        "TENURE_HEARTBEAT_TTL_SECONDS": "5",
        "TENURE_RESCUE_SECONDS": "0.5",
        "TENURE_GRACE_SECONDS": "5",
        "TENURE_POISON_AFTER": "3",
    }
