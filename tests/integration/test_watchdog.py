"""A handler that holds the event loop is named, with where it stands, while it still holds it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import pytest

from tenure import Tenure


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="tenure.watchdog")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "tenure.watchdog"]


async def test_who_holds_the_loop_is_named_once_while_it_does(open_app, settings, said, eventually):
    app = Tenure(replace(settings, wedge_seconds=0.2))
    seen_by_the_handler = []

    @app.job(max_retries=0)
    async def hog() -> None:
        give_up = time.monotonic() + 10
        while not said() and time.monotonic() < give_up:
            time.sleep(0.01)
        time.sleep(0.5)
        seen_by_the_handler.extend(said())

    await open_app(app)
    async with app.worker() as worker:
        job = await hog.enqueue()
        await job.result(timeout=20)
        [message] = seen_by_the_handler
        assert f"held by job {job.id}:1 hog:" in message
        assert "test_watchdog.py" in message
        assert "time.sleep(" in message
        await eventually(lambda: len(said()) == 2)
        assert "turns again" in said()[1]
        assert worker.running == 0


async def test_a_loop_that_turns_is_not_reported_and_the_thread_ends_with_the_last_worker(
    open_app, settings, said, eventually
):
    app = Tenure(replace(settings, wedge_seconds=0.5))

    @app.job()
    def blocks() -> None:
        time.sleep(1.0)  # in a thread: the loop goes on

    def threads() -> int:
        return sum(thread.name == "tenure-watchdog" for thread in threading.enumerate())

    await open_app(app)
    async with app.worker(), app.worker():
        assert threads() == 1
        await (await blocks.enqueue()).result(timeout=20)
    await eventually(lambda: threads() == 0)
    assert said() == []
