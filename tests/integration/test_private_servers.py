"""The servers that tests break: broken as told, and back with or without their data."""

from __future__ import annotations

import asyncpg
import pytest
import redis


@pytest.mark.parametrize("keep", [True, False])
def test_valkey(private_valkey, keep):
    server = private_valkey("--appendfsync", "always")
    with redis.from_url(server.url) as client:
        client.set("kept", "7")
    server.pause()
    assert not server.answers()
    server.cont()
    assert server.answers()
    server.restart(keep_data=keep)
    with redis.from_url(server.url) as client:
        assert client.get("kept") == (b"7" if keep else None)


@pytest.mark.parametrize("keep", [True, False])
async def test_postgres(private_postgres, keep):
    server = private_postgres()
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    await connection.close()
    server.restart(keep_data=keep)
    connection = await asyncpg.connect(server.url)
    assert await connection.fetchval("SELECT to_regclass('kept') IS NOT NULL") is keep
    await connection.close()


async def test_a_killed_postgres_starts_again(private_postgres):
    server = private_postgres()
    server.kill()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await asyncpg.connect(server.url)
    server.start()
    connection = await asyncpg.connect(server.url)
    assert await connection.fetchval("SELECT 7") == 7
    await connection.close()
