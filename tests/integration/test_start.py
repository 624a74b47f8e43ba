"""What an app refuses to start on, and how it says so."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from tenure import InvalidInput, Settings, StoreUnavailable, Tenure
from tenure.errors import ConfigurationError, MigrationError


async def refusal(settings: Settings) -> Exception:
    """What opening an app raises."""
    with pytest.raises(Exception) as refused:  # noqa: PT011 - the caller looks at it
        await Tenure(settings).__aenter__()
    return refused.value


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"postgres_url": "postgresql://127.0.0.1:1/x"}, StoreUnavailable),
        ({"redis_url": "redis://127.0.0.1:1/0"}, StoreUnavailable),
        ({"redis_url": "unix:///nowhere"}, StoreUnavailable),
        ({"postgres_url": "postgresql://u:canary@10.0.0.1/x?sslmode=odd"}, ConfigurationError),
        ({"postgres_url": "postgresql://u:password@10.0.0.1/x"}, ConfigurationError),
        ({"redis_url": "redis://:redis%40openspg@10.0.0.1/0"}, ConfigurationError),
    ],
)
async def test_a_store_that_is_away_or_wrong_is_one_typed_error(settings, changes, kind):
    error = await refusal(replace(settings, **changes))
    assert type(error) is kind
    assert "canary" not in str(error)


@pytest.mark.parametrize("url", ["http://canary@x", "canary", "", "redis://x"])
def test_a_wrong_url_is_refused_without_being_shown(url):
    with pytest.raises(InvalidInput) as refused:
        Settings(postgres_url=url)
    assert refused.value.field == "postgres_url"
    assert "canary" not in str(refused.value)


async def test_a_schema_that_is_not_there_says_what_to_run(settings):
    error = await refusal(replace(settings, schema="nowhere"))
    assert type(error) is MigrationError
    assert "tenure migrate up" in str(error)


async def test_an_evicting_redis_is_refused(settings, private_valkey):
    server = private_valkey("--maxmemory-policy", "allkeys-lru")
    error = await refusal(replace(settings, redis_url=server.url))
    assert type(error) is ConfigurationError
    assert "noeviction" in str(error)


async def test_a_server_that_forgets_commits_is_refused_unless_told_so(settings, private_postgres):
    server = private_postgres("synchronous_commit = off")
    url = server.url
    error = await refusal(replace(settings, postgres_url=url))
    assert type(error) is ConfigurationError
    assert "synchronous_commit off" in str(error)
    # told so, the next thing in the way is the schema
    assert type(await refusal(replace(settings, postgres_url=url, allow_weak_durability=True))) is MigrationError


async def test_a_login_that_is_refused_is_a_matter_of_configuration(settings, postgres_url):
    error = await refusal(replace(settings, postgres_url=postgres_url.replace("/postgres?", "/no_such_database?")))
    assert type(error) is ConfigurationError


async def test_a_store_with_no_room_for_another_connection_says_so(settings, private_postgres):
    server = private_postgres("max_connections = 5", "superuser_reserved_connections = 0", "reserved_connections = 0")
    taken = [await asyncpg.connect(server.url) for _ in range(5)]
    error = await refusal(replace(settings, postgres_url=server.url))
    assert isinstance(error, StoreUnavailable)
    assert "refuses more work" in str(error)
    for connection in taken:
        await connection.close()
