"""What is going on, as one look sees it, and as `tenure top` shows it."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import subprocess
import sys

import pytest

from tenure import Retry
from tenure.errors import InvalidInput
from tests.fix_apps import environment
from tests.integration.test_cli_worker import tenure


async def test_a_look_says_what_is_there(open_app, app, eventually):
    gate = asyncio.Event()

    @app.job(max_retries=1)
    async def work(number: int) -> object:
        if number == 0:
            await gate.wait()
        return Retry("once more", delay=60) if number == 1 else None

    @app.job(queue="other")
    async def rest() -> None: ...

    await open_app(app)
    later = await rest.options(delay=60).enqueue()
    async with app.worker(concurrency=3, name="me", queues=["default"]) as worker:
        held = await work.enqueue(0)
        fails = await work.enqueue(1)
        for job in [await work.enqueue(number) for number in range(2, 10)]:
            await job.result(timeout=5)

        async def settled():
            return (await fails.info()).status == "SCHEDULED"

        await eventually(settled)

        async def heard():
            seen = await app.admin.overview()
            return seen if seen.workers and seen.workers[0].running == 1 else None

        seen = await eventually(heard)
        [queue] = seen.queues
        assert (queue.queue, queue.ready, queue.scheduled, queue.running, queue.workers) == ("default", 0, 1, 1, 1)
        assert queue.per_second == pytest.approx(10 / 10)
        assert queue.failed == pytest.approx(1 / 9)
        assert 0 <= queue.wait_p50_ms <= queue.wait_p99_ms < 5000
        assert 0 <= queue.run_p50_ms <= queue.run_p99_ms < 5000
        [one] = seen.workers
        assert (one.worker_id, one.name, one.slots, one.status) == (worker.worker_id, "me", 3, "ACTIVE")
        assert one.rss_bytes > 1e6
        gate.set()
        await held.result(timeout=5)
    await app.admin.cancel(later.id)


async def test_a_look_that_makes_no_sense_is_refused(open_app, app):
    await open_app(app)
    with pytest.raises(InvalidInput, match="seconds"):
        await app.admin.overview(0)


async def test_top_prints_one_look(open_app, app, settings):
    await open_app(app)
    async with app.worker(name="[red]loud"):
        seen = await tenure(settings, "top")
        assert [one["name"] for one in seen["workers"]] == ["[red]loud"]
        command = (sys.executable, "-m", "tenure", "top", "--once")
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert "default" in out.decode()
    assert "[red]loud" in out.decode(), "a name is text, never markup"


async def test_top_goes_on_until_it_is_interrupted(open_app, app, settings):
    """On a terminal of its own, as people see it."""
    await open_app(app)
    ours, theirs = pty.openpty()
    async with app.worker(name="watched"):
        command = [sys.executable, "-m", "tenure", "top", "--interval", "0.1"]
        env = {**environment(settings), "TERM": "xterm", "COLUMNS": "200"}
        process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            shown = await asyncio.to_thread(_read_until, ours, b"watched", 3)
            process.send_signal(signal.SIGINT)
            # what it still says is read meanwhile: a program that cannot write does not end
            rest = asyncio.create_task(asyncio.to_thread(_read_until, ours, b"\0never", 1))
            code = await asyncio.to_thread(process.wait, 20)
            await rest
        finally:
            process.kill()
            process.wait()
            os.close(ours)
    assert shown.count(b"watched") >= 3, "again and again"
    assert code == 130


def _read_until(file: int, text: bytes, times: int) -> bytes:
    """What a terminal shows until it has shown that so often, or the program has ended."""
    data = b""
    while data.count(text) < times and select.select([file], [], [], 20)[0]:
        try:
            data += os.read(file, 65536)
        except OSError:
            break
    return data
