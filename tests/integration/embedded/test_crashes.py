"""Embedded servers after crashes: of whoever started them, their own, and the machine's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal

import asyncpg
import pytest
import redis

from tenure._embedded import status, users
from tests.integration.embedded.members import DOWN, assert_kept, server_pids, write


@pytest.mark.parametrize("moment", ["postgres.part-*/PG_VERSION", "postgres", "postgres/postmaster.pid"])
async def test_a_starter_killed_midway_leaves_nothing_half_made(data, stores, member, eventually, moment):
    other = member()
    await eventually(lambda: list(data.glob(moment)))
    other.kill()
    one = stores()
    await write(await one.start())
    await one.stop()
    assert status(data) == DOWN
    await one.start()
    await one.stop()


async def test_killed_servers_start_again_with_their_data(data, stores, eventually):
    one, two = stores(), stores()
    urls = await one.start()
    await write(urls)
    for pid in server_pids(data):
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: status(data) == DOWN)
    await assert_kept(await two.start())
    await one.stop()
    await two.stop()
    assert status(data) == DOWN


async def test_a_killed_postmaster_whose_children_live_on(data, stores, eventually):
    """A stopped child cannot see that its postmaster is gone; a new server waits until it has ended."""
    one, two = stores(), stores()
    urls = await one.start()
    await write(urls)
    connection = await asyncpg.connect(urls[0])
    child = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(child, signal.SIGSTOP)
    os.kill(server_pids(data)[0], signal.SIGKILL)
    await eventually(lambda: not status(data)["postgres"])
    starting = asyncio.ensure_future(two.start())
    done, _ = await asyncio.wait([starting], timeout=0.5)
    assert not done
    os.kill(child, signal.SIGCONT)
    await assert_kept(await starting)
    connection.terminate()
    await one.stop()
    await two.stop()


async def test_pid_files_that_name_another_program(data, stores):
    """After a restart of the machine, or a container, their numbers belong to somebody else."""
    one = stores()
    urls = await one.start()
    await write(urls)
    leavings = [
        data / "postgres" / "postmaster.pid",
        data / "run" / ".s.PGSQL.5432.lock",
        data / "valkey" / "server.pid",
    ]
    texts = [path.read_text() for path in leavings]
    await one.stop()
    for path, text in zip(leavings, texts, strict=True):
        path.write_text("\n".join([str(os.getpid()), *text.split("\n")[1:]]))
        shutil.copystat(data / "postgres", path)
    assert status(data) == DOWN
    await assert_kept(await one.start())
    await one.stop()


async def test_sockets_that_were_swept_away(data, stores):
    one, two = stores(), stores()
    await write(await one.start())
    shutil.rmtree(data / "run")
    await assert_kept(await two.start())
    await one.stop()
    await two.stop()
    assert status(data) == DOWN


async def test_an_unreadable_log_of_valkey_is_put_aside(data, stores, caplog):
    one = stores()
    await write(await one.start())
    await one.stop()
    (log,) = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"no log of valkey\r\n" * 10)
    urls = await one.start()
    with redis.from_url(urls[1]) as client:
        assert client.get("kept") is None
    assert [path.name for path in data.glob("valkey.unreadable-*/appendonlydir/*.incr.aof")] == [log.name]
    assert "put aside" in caplog.text
    await one.stop()


async def test_a_cancelled_start_leaves_nothing(data, stores):
    one = stores()
    starting = asyncio.ensure_future(one.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert users(data) == 0
    assert status(data) == DOWN
