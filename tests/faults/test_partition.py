"""A worker on the far side of a network that parts: it gives up by its own clock before anybody takes its jobs."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

from tests.faults.namespaces import both_sides
from tests.faults.proxy import Proxy


async def test_both_sides_of_a_partition(stage, namespace, measured):
    with both_sides(stage, namespace) as (own, far):
        (parted,) = stage.spawn(settings=far, command=("ip", "netns", "exec", namespace.name))
        await stage.ready()
        gate = stage.directory / "gate"
        jobs = [await stage.enqueue("until", str(gate)) for _ in range(5)]
        await stage.eventually(lambda: len(stage.lines("start")) == 5, "the far one runs them")
        stage.spawn(settings=own)
        await stage.ready(2)
        namespace.part()
        await stage.eventually(lambda: len(stage.lines("start")) == 10, "the near one runs them")
        given_up = {line["pid"]: line["at"] for line in stage.lines("cancelled")}
        taken = [line["at"] for line in stage.lines("start") if line["fence"] == 2]
        assert set(given_up) == {stage.lines("start")[0]["pid"]}, "the far one gave its jobs up"
        measured("a parted worker stops its jobs before others start them", min(taken) - max(given_up.values()))
        assert max(given_up.values()) < min(taken)
        namespace.join()
        gate.touch()
        assert [await job.result(timeout=10) for job in jobs] == [2] * 5
        report = await stage.proven(40)
        assert report["overlap"] == 0
        assert parted.poll() is None


async def test_a_worker_parted_from_redis_alone_gives_its_jobs_up(stage):
    """Its clock tells it so, for nobody else can, before the others take them; PostgreSQL alone is no lease."""
    with Proxy(stage.redis.upstream) as hot:
        far = replace(stage.settings, redis_url=f"redis://127.0.0.1:{hot.port}/0")
        (parted,) = stage.spawn(settings=far)
        await stage.ready()
        gate = stage.directory / "gate"
        jobs = [await stage.enqueue("until", str(gate)) for _ in range(5)]
        await stage.eventually(lambda: len(stage.lines("start")) == 5, "it runs them")
        stage.spawn()
        await stage.ready(2)
        hot.silence()
        await stage.eventually(lambda: len(stage.lines("start")) == 10, "the other one runs them")
        assert [line["pid"] for line in stage.lines("cancelled")] == [parted.pid] * 5
        gate.touch()
        assert [await job.result(timeout=20) for job in jobs] == [2] * 5
        hot.heal()
        hot.cut()
        report = await stage.proven()
        assert report["overlap"] == 0


async def test_two_workers_that_see_different_halves(stage):
    """One sees PostgreSQL only, the other Redis only; together they could do the work, apart neither may pretend to."""
    with Proxy(stage.redis.upstream) as hot, Proxy(stage.postgres.upstream) as cold:
        one, two = (
            *stage.spawn(settings=replace(stage.settings, redis_url=f"redis://127.0.0.1:{hot.port}/0")),
            *stage.spawn(
                settings=replace(stage.settings, postgres_url=f"postgresql://postgres@127.0.0.1:{cold.port}/postgres")
            ),
        )
        await stage.ready()
        async with stage.load(40):
            await stage.ended(20)
            hot.silence()
            cold.refuse()
            await asyncio.sleep(4)
            one.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            one.send_signal(signal.SIGCONT)
            hot.heal()
            hot.cut()
            cold.heal()
        assert two.poll() is None
        await stage.proven()
