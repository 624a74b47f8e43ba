"""Workers that are steered from elsewhere: what they then do, and what they say of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from typing import Any

import pytest

from tenure import Tenure
from tenure._control import Control
from tenure._engine import new_ids
from tenure.errors import InvalidInput, NoAnswer, WorkerNotFound, WorkerRefused
from tests.fix_apps import environment
from tests.fix_waiting import pushed
from tests.integration.test_cli_worker import active, children, enqueue, started, tenure


def gated(app) -> tuple[Any, asyncio.Event, list[int]]:
    """A job type whose runs wait for the gate, and what was begun."""
    gate, begun = asyncio.Event(), []

    @app.job()
    async def gated_job(number: int) -> int:
        begun.append(number)
        await gate.wait()
        return number

    return gated_job, gate, begun


async def test_a_quiet_worker_finishes_and_leases_nothing_until_it_is_resumed(open_app, app, eventually):
    work, gate, begun = gated(app)
    await open_app(app)
    async with app.worker(concurrency=2) as worker:
        first = await work.enqueue(1)
        await eventually(lambda: begun == [1])
        assert await app.admin.fleet.quiet(worker.worker_id) == "leases nothing, attempts running: 1"
        second = await work.enqueue(2)
        await pushed(app)
        gate.set()
        assert await first.result(timeout=5) == 1
        depths = await app._stores.engine.depths("default")
        assert (begun, depths.medium) == ([1], 1)
        assert await app.admin.fleet.resume(worker.worker_id) == "leases"
        assert await second.result(timeout=5) == 2


async def test_a_quiet_worker_passes_its_wake_up_on(open_app, app, settings, raw_redis, prefix, eventually):
    """The most idle of all is woken first: while it is quiet, that must not cost the others their poll of 5 s."""
    work, _, _ = gated(app)
    other = Tenure(settings)
    _, gate_of_other, begun_by_other = gated(other)
    await open_app(app)
    await open_app(other)
    async with app.worker(concurrency=100) as wide, other.worker(concurrency=1):
        await eventually(lambda: raw_redis.zcard(f"{prefix}:{{default}}:idle") == 2)
        await app.admin.fleet.quiet(wide.worker_id)
        job = await work.enqueue(7)
        await eventually(lambda: begun_by_other == [7])
        assert raw_redis.zscore(f"{prefix}:{{default}}:idle", wide.worker_id) is None
        gate_of_other.set()
        assert await job.result(timeout=5) == 7


async def test_concurrency_changes_while_it_works(open_app, app, eventually):
    work, gate, begun = gated(app)
    await open_app(app)
    async with app.worker(concurrency=1) as worker:
        jobs = await asyncio.gather(*(work.enqueue(number) for number in range(4)))
        await eventually(lambda: len(begun) == 1)
        assert await app.admin.fleet.resize(worker.worker_id, 3) == "concurrency 3, before 1"
        await eventually(lambda: len(begun) == 3)
        assert worker.running == 3
        with pytest.raises(InvalidInput, match="concurrency must be a whole number from 1 to 10000: 0"):
            await app.admin.fleet.resize(worker.worker_id, 0)
        gate.set()
        assert [await job.result(timeout=5) for job in jobs] == [0, 1, 2, 3]


async def test_threads_grow_with_the_concurrency(open_app, app, eventually):
    gate, begun = threading.Event(), []

    @app.job()
    def blocking(number: int) -> None:
        begun.append(number)
        gate.wait()

    await open_app(app)
    async with app.worker(concurrency=1) as worker:
        jobs = [await blocking.enqueue(number) for number in range(2)]
        await eventually(lambda: len(begun) == 1)
        await app.admin.fleet.resize(worker.worker_id, 2)
        await eventually(lambda: len(begun) == 2)
        gate.set()
        for job in jobs:
            await job.result(timeout=5)


async def test_stacks_say_which_job_waits_where(open_app, app, eventually):
    work, gate, begun = gated(app)
    await open_app(app)
    async with app.worker() as worker:
        job = await work.enqueue(1)
        await eventually(lambda: begun == [1])
        text = await app.admin.fleet.stacks(worker.worker_id)
        gate.set()
        assert f"job {job.id}:1" in text
        assert "await gate.wait()" in text
        assert "thread " in text


async def test_a_worker_that_is_told_to_end_leases_nothing_more(open_app, app):
    work, _, begun = gated(app)
    await open_app(app)
    async with app.worker() as worker:
        assert await app.admin.fleet.restart(worker.worker_id) == "stops, attempts running: 0"
        assert await asyncio.wait_for(worker.end_asked(), 5) is True
        with pytest.raises(WorkerRefused, match="worker must be not ending"):
            await app.admin.fleet.resume(worker.worker_id)
        await work.enqueue(1)
    assert begun == []


async def test_nobody_there_is_said_at_once(open_app, app):
    await open_app(app)
    with pytest.raises(WorkerNotFound, match="no live worker"):
        await app.admin.fleet.quiet(new_ids(1)[0])
    async with app.worker() as worker:
        pass
    with pytest.raises(WorkerNotFound, match=worker.worker_id):
        await app.admin.fleet.quiet(worker.worker_id)
    with pytest.raises(InvalidInput, match="worker_id must be a UUID: 'me'"):
        await app.admin.fleet.quiet("me")


async def test_silence_is_not_success(app, open_app, settings, spawn_worker, raw_postgres, eventually):
    """A stopped process hears the question when it goes on: until then its outcome is unknown."""
    await open_app(app)
    process = spawn_worker()
    await eventually(lambda: active(raw_postgres, settings.schema))
    [worker] = await app.admin.workers()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(NoAnswer, match="has not answered"):
        await app.admin.fleet.quiet(worker.worker_id, timeout=0.3)
    process.send_signal(signal.SIGCONT)
    assert await app.admin.fleet.resume(worker.worker_id) == "leases"


async def test_what_is_no_question_changes_nothing(open_app, app, raw_redis, prefix, eventually):
    """Whoever may write to the channel can do no more than the verbs do."""
    work, gate, _ = gated(app)
    gate.set()
    await open_app(app)
    async with app.worker() as worker:
        asker, question = new_ids(2)
        for text in ("", "quiet", f"{asker} quiet", f"{asker} {question}", f"{asker} {question} explode now", "\n" * 9):
            assert raw_redis.publish(f"{prefix}:worker:{worker.worker_id}:control", text) == 1
        assert raw_redis.publish(f"{prefix}:worker:{worker.worker_id}:control", b"\xff\xfe") == 1
        assert await (await work.enqueue(1)).result(timeout=5) == 1
        assert not worker._feed._quiet


async def test_a_question_that_comes_twice_is_answered_twice_and_done_once():
    done, said = [], []

    class Listener:
        async def answer(self, asker: str, text: str) -> None:
            said.append((asker, text))

    control = Control(Listener(), {"count": lambda argument: done.append(argument) or "counted"})
    asker, question = new_ids(2)
    for _ in range(2):
        control.on_event(f"{asker} {question} count to three")
    await asyncio.gather(*control._answers)
    assert done == ["to three"]
    assert said == 2 * [(asker, f'{question} {{"done":"counted"}}')]


async def fleet(settings, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    """Exit code and answers of a command."""
    command = (sys.executable, "-m", "tenure", "fleet", *arguments, "--json")
    process = await asyncio.create_subprocess_exec(*command, env=environment(settings), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out or b"[]")


async def test_a_parent_replaces_who_restarts_and_lets_go_who_stops(
    settings, spawn_worker, raw_postgres, eventually, tmp_path
):
    parent = spawn_worker("--processes", "2", "--name", "crew")

    async def both() -> bool:
        return len(await active(raw_postgres, settings.schema)) == 2

    await eventually(both)
    before = children(parent)
    newest, oldest = [row["worker_id"] for row in await tenure(settings, "workers")]
    code, [answer] = await fleet(settings, "restart", newest)
    assert (code, answer["worker_id"], answer["outcome"]) == (0, newest, "done")
    await eventually(lambda: len(children(parent)) == 2 and children(parent) != before)
    await eventually(both)
    code, _ = await fleet(settings, "stop", oldest)
    assert code == 0
    await eventually(lambda: len(children(parent)) == 1)
    # who is left works
    await enqueue(settings, "work", ledger=str(tmp_path / "ledger"))
    await eventually(lambda: started(tmp_path / "ledger") == 1)
    code, answers = await fleet(settings, "drain", "crew")
    assert (code, len(answers)) == (0, 1)
    assert await asyncio.to_thread(parent.wait, 20) == 0
    code, _ = await fleet(settings, "stop", "crew")
    assert code == 4
