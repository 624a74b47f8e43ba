"""A Redis that is emptied, restarted, replaced, cut back, full, evicting or busy while work flows through it."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis

from tests.servers import Valkey, wait_until

BOTH = pytest.mark.parametrize("redis_server", ["valkey", "redis"], indirect=True)


@BOTH
@pytest.mark.timeout(300)
async def test_flushall_under_a_thousand_jobs_a_second(stage, measured):
    """Nothing is lost, and the fleet is back at full speed."""
    stage.spawn(2, concurrency=50)
    await stage.ready()
    ends: list[tuple[float, int]] = []

    async def watch() -> None:
        size = 0
        while True:
            with stage.ledger.open("rb") as file:
                file.seek(size)
                new = file.read()
            new = new[: new.rfind(b"\n") + 1]
            size += len(new)
            ends.append((time.monotonic(), new.count(b'"event": "end"')))
            await asyncio.sleep(0.05)

    def rate(at: float) -> float:
        """Ends a second in the half second before."""
        return 2 * sum(count for when, count in ends if at - 0.5 < when <= at)

    def back(since: float, full: float) -> float | None:
        """After how many seconds so many jobs ended a second, if they ever did."""
        return next((at - 0.5 - since for at, _ in ends if at - 0.5 > since and rate(at) >= full), None)

    watching = asyncio.create_task(watch())
    backs: list[float] = []
    async with stage.load(1000, 0.0):
        await stage.ended(1500, 30)
        with stage.raw() as client:
            for _ in range(3):
                await asyncio.sleep(1.5)
                assert client.dbsize() > 0
                # full speed: half of what it was before at least, for the machine has others to serve
                full = 0.5 * rate(time.monotonic())
                client.flushall()
                flushed = time.monotonic()
                await stage.eventually(
                    lambda since=flushed, full=full: back(since, full) is not None,
                    "it is at full speed again",
                    60,
                )
                backs.append(back(flushed, full) or 0.0)
    watching.cancel()
    measured("FLUSHALL at 1,000 jobs/s, full speed again after (worst of 3)", max(backs))
    report = await stage.proven()
    assert report["refused"] == 0
    assert report["acked"] > 4000


@BOTH
@pytest.mark.parametrize("keep_data", [True, False], ids=["with its log", "without its data"])
async def test_killed_and_restarted_while_processes_work(stage, keep_data):
    stage.spawn(2)
    await stage.ready()
    async with stage.load():
        await stage.ended(20)
        for _ in range(2):
            await asyncio.to_thread(stage.server.restart, keep_data=keep_data)
            await asyncio.sleep(0.5)
    report = await stage.proven()
    assert report["refused"] == 0


@BOTH
async def test_scripts_are_taught_again(stage):
    stage.spawn(2)
    await stage.ready()
    async with stage.load():
        await stage.ended(20)
        with stage.raw() as client:
            for _ in range(20):
                client.script_flush()
                await asyncio.sleep(0.05)
    report = await stage.proven()
    assert report["refused"] == report["duplicates"] == 0


@BOTH
async def test_a_log_whose_tail_is_cut_brings_an_older_world_back(stage):
    """Power loss: the last second of the append-only file is gone. Counters that Redis kept would run backwards."""
    stage.spawn(2)
    await stage.ready()
    log = stage.server.directory / "appendonlydir"
    async with stage.load():
        await stage.ended(40)
        for share in (0.9, 0.6):
            stage.server.kill()
            (tail,) = log.glob("*.incr.aof")
            size = tail.stat().st_size
            assert size > 1000
            with tail.open("r+b") as file:
                file.truncate(int(size * share))
            stage.server.start()
            await asyncio.sleep(0.5)
    report = await stage.proven()
    assert report["refused"] == 0


async def test_a_replica_is_promoted_that_lacks_the_last_seconds(stage, server_directory):
    """The old primary answers READONLY first, then nothing; the new one never saw what came after its link was cut."""
    replica = Valkey(server_directory / f"r{time.monotonic_ns()}", "--appendfsync", "everysec")
    port = 16000 + stage.redis.port % 4000
    stage.server.kill()
    stage.server.options = (*stage.server.options, "--port", str(port), "--bind", "127.0.0.1")
    stage.server.start()
    replica.start()
    new = redis.from_url(replica.url)
    old = stage.raw()
    try:
        new.execute_command("REPLICAOF", "127.0.0.1", port)
        wait_until(lambda: new.info("replication")["master_link_status"] == "up", "the replica follows")
        stage.spawn(2)
        await stage.ready()
        async with stage.load():
            await stage.ended(30)
            wait_until(lambda: new.dbsize() > 0, "the replica has something")
            new.execute_command("REPLICAOF", "NO", "ONE")  # it hears no more
            await asyncio.sleep(0.5)
            stage.redis.lead_to(replica.socket)
            old.execute_command("REPLICAOF", "127.0.0.1", 1)  # what the old one answers now is READONLY
            await asyncio.sleep(1.5)
        with pytest.raises(redis.ReadOnlyError):
            old.set("x", 1)
        assert new.exists("gap006:{default}:generation")
        report = await stage.proven()
        assert report["refused"] == 0
    finally:
        new.close()
        old.close()
        replica.kill()


@BOTH
async def test_memory_that_runs_out_holds_up_new_work_only(stage):
    """Enqueues are PostgreSQL's and go on; leases are extended and ended; what could not be pushed is pushed later."""
    (worker,) = stage.spawn(concurrency=10)
    await stage.ready()
    gate = stage.directory / "gate"
    running = [await stage.enqueue("until", str(gate)) for _ in range(5)]
    await stage.eventually(lambda: len(stage.lines("start")) == 5, "five are running")
    with stage.raw() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(redis.OutOfMemoryError):
            client.set("x", 1)
        late = [await stage.enqueue("work") for _ in range(20)]
        await asyncio.sleep(3)  # longer than a lease
        gate.touch()
        assert [await job.result(timeout=5) for job in running] == [1] * 5
        client.config_set("maxmemory", "0")
    # the reconciler's next pass at the latest
    assert [await job.result(timeout=10) for job in late] == [1] * 20
    assert "leases rescued" not in stage.log(worker)
    await stage.proven()


@BOTH
async def test_a_policy_that_evicts_is_mended_by_the_reconciler(stage):
    """Somebody turns eviction on while work runs: whatever vanishes is restored from PostgreSQL."""
    stage.spawn(2)
    await stage.ready()
    # in one batch, or the first are due before the last are there
    waiting = await asyncio.gather(*(stage.enqueue("work", delay=5.0) for _ in range(200)))
    with stage.raw() as client:
        await stage.eventually(lambda: client.zcard("gap006:{default}:scheduled-queue") == 200, "pushed")
        ours = client.keys("gap006:{default}*")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 200_000)
        client.config_set("maxmemory-policy", "allkeys-random")
        for number in range(3000):
            client.set(f"other{number}", b"x" * 4000)
            if client.exists(*ours) < len(ours) - 1:
                break
        else:
            raise AssertionError("nothing of ours was evicted: this run says nothing")
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")
    for job in waiting:
        await job.result(timeout=30)
    await stage.proven()


async def test_a_script_that_never_ends_is_waited_out(stage):
    stage.spawn(2)
    await stage.ready()
    async with stage.load(50):
        await stage.ended(20)
        with redis.from_url(stage.server.url) as foreign, stage.raw() as other:
            other.config_set("busy-reply-threshold", 100)
            busy = asyncio.create_task(asyncio.to_thread(endless, foreign))
            await stage.eventually(lambda: is_busy(other), "it is busy")
            await asyncio.sleep(2.5)
            other.script_kill()
            await busy
    await stage.proven()


def endless(client: redis.Redis) -> None:
    """Run until it is killed."""
    with pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def is_busy(client: redis.Redis) -> bool:
    """Whether a script holds the server."""
    try:
        client.ping()
    except redis.exceptions.ResponseError as error:
        return "BUSY" in str(error)
    return False


async def test_a_key_of_another_type_is_refused_before_anything_is_written(stage, caplog):
    """Another program writes to one of the queue's keys. What it holds up is told, and goes on once the key is gone."""
    stage.spawn()
    await stage.ready()
    await (await stage.enqueue("work")).result(timeout=5)
    with stage.raw() as client:
        key = "gap006:{default}:high-priority-queue"
        client.set(key, "not ours")
        job = await stage.enqueue("work", priority=1)
        await stage.eventually(lambda: any("WRONGTYPE" in line for line in caplog.messages), "it is told")
        assert client.zcard("gap006:{default}:low-priority-queue") == 0
        client.delete(key)
    assert await job.result(timeout=15) == 1
    await stage.proven()
