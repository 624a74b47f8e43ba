"""Servers that would lose jobs, or are open to everybody, are refused at start."""

from __future__ import annotations

import socket
from dataclasses import replace

import asyncpg
import pytest
import redis

from tenure import Tenure
from tenure._checks import postgres_findings, redis_findings
from tenure._database import Database
from tenure._engine import Engine, new_ids
from tenure.errors import ConfigurationError, MigrationError


def own_address() -> str | None:
    """An address of this machine that is not its loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


async def refused(settings, match) -> None:
    with pytest.raises(ConfigurationError, match=match):
        async with Tenure(settings):
            pass


async def findings_of_redis(url):
    engine = Engine(url, worker_id=new_ids(1)[0], prefix="t", lease_ms=1000, on_event=lambda _: None)
    try:
        return {one.name: one for one in redis_findings(await engine.open())}
    finally:
        engine.close()


async def test_the_sessions_servers_pass(settings):
    async with Tenure(settings):
        pass


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "allkeys-random"])
async def test_a_redis_that_evicts_is_refused(settings, private_valkey, policy):
    server = private_valkey("--maxmemory-policy", policy)
    await refused(replace(settings, redis_url=server.url), f"set maxmemory-policy noeviction.*: {policy}")
    with redis.from_url(server.url) as client:
        assert client.dbsize() == 0, "refused before anything was written"
        client.config_set("maxmemory-policy", "noeviction")
    async with Tenure(replace(settings, redis_url=server.url)):
        pass


async def test_a_redis_that_does_not_tell_is_a_warning(private_valkey):
    server = private_valkey()
    with redis.from_url(server.url) as client:
        client.acl_setuser(
            "default", enabled=True, nopass=True, keys=["*"], channels=["*"], categories=["+@all"], commands=["-info"]
        )
    found = await findings_of_redis(server.url)
    assert found["redis maxmemory-policy"].level == "warn"
    assert found["redis maxmemory-policy"].text == "unknown"
    assert found["redis version"].level == "warn"


async def test_a_redis_without_append_only_file_is_a_warning(private_valkey):
    found = await findings_of_redis(private_valkey("--appendonly", "no").url)
    assert found["redis append-only file"].level == "warn"
    assert {one.level for name, one in found.items() if name != "redis append-only file"} == {"ok"}


async def test_a_redis_open_to_the_network_is_refused(settings, private_valkey):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but its loopback")
    port = free_port(address)
    server = private_valkey("--port", str(port), "--bind", address, "--protected-mode", "no")
    await refused(replace(settings, redis_url=f"redis://{address}:{port}/0"), "redis password is refused")
    with redis.from_url(server.url) as client:
        client.config_set("requirepass", "of-this-test-only")
    await refused(replace(settings, redis_url=f"redis://:password@{address}:{port}/0"), "is a known default")
    async with Tenure(replace(settings, redis_url=f"redis://:of-this-test-only@{address}:{port}/0")):
        pass


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync"])
async def test_a_postgres_that_may_lose_commits_is_refused(settings, private_postgres, setting):
    server = private_postgres(f"{setting} = off")
    weak = replace(settings, postgres_url=server.url)
    await refused(weak, f"postgresql durability is refused, turn on {setting}")
    # Accepted on demand: then only the schema is missing.
    with pytest.raises(MigrationError):
        async with Tenure(replace(weak, allow_weak_durability=True)):
            pass


async def test_a_role_that_commits_weakly_is_refused(settings, schema, private_postgres):
    server = private_postgres()
    connection = await asyncpg.connect(server.url)
    await connection.execute("ALTER ROLE postgres SET synchronous_commit = off")
    await connection.close()
    await refused(replace(settings, postgres_url=server.url), "turn on synchronous_commit")


async def test_a_schema_that_is_not_migrated_is_told(settings, schema, postgres_url):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE SCHEMA empty_{schema}")
    try:
        for name in (f"empty_{schema}", f"absent_{schema}"):
            with pytest.raises(MigrationError, match="run `tenure migrate up`, missing: 001_"):
                async with Tenure(replace(settings, schema=name)):
                    pass
        await connection.execute(f"DELETE FROM {settings.schema}.schema_migrations WHERE name LIKE '006%'")
        with pytest.raises(MigrationError, match="missing: 006_"):
            async with Tenure(settings):
                pass
    finally:
        await connection.execute(f"DROP SCHEMA empty_{schema}")
        await connection.close()


async def test_a_newer_schema_is_accepted(settings, postgres_url):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        f"INSERT INTO {settings.schema}.schema_migrations (name, checksum) VALUES ('999_newer', repeat('0', 64))"
    )
    await connection.close()
    async with Tenure(settings):
        pass


async def test_what_postgres_says_of_itself(settings):
    database = Database(settings.postgres_url, schema=settings.schema)
    await database.open()
    try:
        found = postgres_findings((await database.fetch("server"))[0], settings)
    finally:
        await database.close()
    assert {one.level for one in found} == {"ok"}
    assert [one.name for one in found] == [
        f"postgresql {what}" for what in ("version", "durability", "connections", "clock")
    ]
