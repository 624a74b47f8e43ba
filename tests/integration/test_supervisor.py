"""`tenure fleet up` with real processes on real stores: whatever dies, is stopped or stands still is replaced, once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tenure import Tenure
from tenure.errors import InvalidInput, WorkerNotFound, WorkerRefused
from tests.faults.proxy import Proxy
from tests.integration.test_cli_worker import enqueue, started
from tests.integration.test_fleet import fleet

if TYPE_CHECKING:
    from tenure.supervisors import SupervisorInfo
    from tests.fix_fleet import FleetUp

PRESS = """
[groups.press]
app = "tests.handlers:app"
processes = {processes}
capabilities = ["gpu", "region:eu"]
labels = {{ zone = "b" }}
type = "printing"
concurrency = 2
grace_seconds = 2
"""


@pytest.fixture
def live(settings, raw_postgres):
    """Reads the workers that the registry has as active, newest first."""

    async def read() -> list[dict[str, Any]]:
        rows = await raw_postgres.fetch(
            f"SELECT * FROM {settings.schema}.workers WHERE status = 'ACTIVE' ORDER BY worker_id DESC"
        )
        return [{**row, "worker_id": str(row["worker_id"]), "labels": json.loads(row["labels"])} for row in rows]

    return read


@pytest.fixture
def settled(settings, raw_postgres, eventually):
    """Waits until so many processes of a supervisor live, all active in the registry, and nobody else does."""

    async def wait(up: FleetUp, processes: int, *, timeout: float = 30, each: int = 1) -> set[int]:
        async def so() -> set[int] | None:
            rows = await raw_postgres.fetch(
                f"SELECT pid FROM {settings.schema}.workers WHERE status = 'ACTIVE' AND labels ? 'group'"
            )
            pids = up.pids
            ready = len(pids) == processes and {row["pid"] for row in rows} == pids
            return pids if ready and len(rows) == processes * each else None

        if processes == 0:
            await eventually(lambda: not up.pids, timeout=timeout)
            return set()
        return await eventually(so, timeout=timeout)

    return wait


async def test_what_dies_is_replaced_by_its_like_and_never_by_two(
    fleet_up, settled, live, settings, raw_postgres, eventually
):
    up = fleet_up(PRESS.format(processes=2))
    first = await settled(up, 2)
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: killed not in up.pids)
    second = await settled(up, 2)
    assert len(first & second) == 1
    rows = await raw_postgres.fetch(f"SELECT * FROM {settings.schema}.workers ORDER BY started_at")
    assert {(row["worker_name"], row["worker_type"], *row["capabilities"]) for row in rows} == {
        ("press", "printing", "gpu", "region:eu")
    }
    assert all(json.loads(row["labels"])["zone"] == "b" for row in rows)
    assert all(json.loads(row["labels"])["group"] == "press" for row in rows)
    # whoever reaped it has said so, long before the watch could
    assert [row["status"] for row in rows if row["pid"] == killed] == ["FAILED"]
    assert len(rows) == 3
    assert up.stop() == 0
    assert await live() == []


async def test_a_stopped_process_is_killed_and_replaced_and_its_job_runs_elsewhere(
    fleet_up, settled, settings, tmp_path, eventually
):
    up = fleet_up(PRESS.format(processes=2))
    first = await settled(up, 2)
    ledger = tmp_path / "ledger"
    await enqueue(settings, "until", ledger=str(ledger), path=str(tmp_path / "go"))
    await eventually(lambda: started(ledger) == 1)
    holder = json.loads(ledger.read_text())["pid"]
    assert holder in first
    os.kill(holder, signal.SIGSTOP)
    await eventually(lambda: holder not in up.pids, timeout=20)
    second = await settled(up, 2)
    # by what the supervisor sees, or by what it hears from the registry, whichever is first with beats so short
    assert f"worker process {holder} is killed, " in up.log
    await eventually(lambda: started(ledger) == 2)
    (tmp_path / "go").touch()
    await eventually(lambda: '"end"' in ledger.read_text())
    assert len(first & second) == 1


async def test_a_wedged_process_is_killed_and_replaced(fleet_up, settled, settings, tmp_path, eventually):
    """A handler that never gives the loop back: its lease lives, so nobody else could end it."""
    up = fleet_up(PRESS.format(processes=1) + "wedged_seconds = 2\n")
    first = await settled(up, 1)
    ledger = tmp_path / "ledger"
    await enqueue(settings, "stubborn", ledger=str(ledger), seconds=3600.0)
    await eventually(lambda: started(ledger) == 1)
    await eventually(lambda: "its event loop has stood still for 2 s" in up.log, timeout=20)
    # the job wedges the successor too, and is buried for it in the end: until then there is one process at most
    await eventually(lambda: up.pids and not first & up.pids, timeout=20)
    for _ in range(20):
        assert len(up.pids) <= 1
        await asyncio.sleep(0.05)


async def test_a_pause_of_the_supervisor_itself_kills_nobody(fleet_up, settled, eventually):
    up = fleet_up(PRESS.format(processes=2) + "wedged_seconds = 2\n")
    before = await settled(up, 2)
    up.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)  # longer than any child may be silent
    up.process.send_signal(signal.SIGCONT)
    beats = psutil.Process(up.process.pid).cpu_times().user
    await eventually(lambda: psutil.Process(up.process.pid).cpu_times().user > beats)
    assert await settled(up, 2) == before
    assert "is killed" not in up.log


async def test_processes_that_die_at_once_back_off_and_raise_one_alarm(fleet_up, settled, eventually, tmp_path):
    """The app can be imported when it is tried out, and no longer when its processes start."""
    up = fleet_up(
        '[groups.doomed]\napp = "tests.doomed:app"\nprocesses = 2\n'
        '[groups.fine]\napp = "tests.handlers:app"\nprocesses = 1\n',
        TENURE_TEST_DOOM=str(tmp_path / "doom"),
    )
    await eventually(lambda: up.log.count("worker process started") >= 3, timeout=20)
    most = 0
    while up.log.count("keep dying") < 1:
        most = max(most, len(up.pids))
        await asyncio.sleep(0.02)
    assert most <= 3
    assert "a group's processes keep dying, in a row in one place: doomed" in up.log
    assert "ended with 7" in up.log
    # the other group is none the worse for it
    await settled(up, 1, timeout=20)
    deaths = up.log.count("ended with 7")
    await asyncio.sleep(2)
    assert up.log.count("ended with 7") - deaths <= 4  # 2 places, each paused for 2 s at least by now
    assert up.log.count("keep dying") == 1
    assert up.stop() == 0


async def test_a_host_is_drained_and_resumed_and_a_group_is_scaled(
    fleet_up, settled, live, settings, open_app, eventually
):
    up = fleet_up(PRESS.format(processes=2) + "max = 3\n")
    admin = (await open_app()).admin
    await settled(up, 2)
    one = (await live())[0]
    code, answers = await fleet(settings, "drain", one["host"])
    assert (code, [answer["outcome"] for answer in answers]) == (0, ["done"])
    await settled(up, 0)

    async def drained() -> SupervisorInfo | None:
        [supervisor] = await admin.supervisors.present()
        return supervisor if supervisor.groups["press"].drained else None

    supervisor = await eventually(drained)
    # neither a load nor somebody who wants more starts anything here
    with pytest.raises(WorkerNotFound, match="every supervisor of this group is drained: press"):
        await admin.supervisors.shares("press", 3)
    code, answers = await fleet(settings, "resume", one["host"])
    assert (code, len(answers)) == (0, 1)
    await settled(up, 2)

    # who is told to stop is not replaced, until somebody wants so many
    await admin.fleet.stop((await live())[0]["worker_id"])
    await settled(up, 1)
    assert await admin.fleet.find("press") == [(await live())[0]["worker_id"]]
    await admin.fleet.stop((await live())[0]["worker_id"])
    await settled(up, 0)
    assert up.process.poll() is None
    code, answers = await fleet(settings, "scale", "press", "3")
    assert (code, [answer["text"] for answer in answers]) == (0, ["3 processes, before 2"])
    await settled(up, 3)
    assert await admin.supervisors.scale(supervisor.supervisor_id, "press", 1) == "1 processes, before 3"
    await settled(up, 1)
    with pytest.raises(InvalidInput, match="processes must be a whole number from 0 to 3: 4"):
        await admin.supervisors.shares("press", 4)
    with pytest.raises(WorkerRefused, match="processes must be a whole number from 0 to 3: 4"):
        await admin.supervisors.scale(supervisor.supervisor_id, "press", 4)
    with pytest.raises(WorkerRefused, match="a whole number, for the group has no scale"):
        await admin.supervisors.scale(supervisor.supervisor_id, "press", None)
    with pytest.raises(WorkerNotFound, match="no live supervisor has a group of this name: nobody"):
        await admin.supervisors.shares("nobody", 1)


async def test_a_worker_is_replaced_by_command_and_once(fleet_up, settled, live, settings, eventually):
    up = fleet_up(PRESS.format(processes=1) + "workers_per_process = 3\n")
    first = await settled(up, 1, each=3)
    one, other, _ = (row["worker_id"] for row in await live())
    assert (await fleet(settings, "replace", one))[0] == 0
    await eventually(lambda: not first & up.pids)
    second = await settled(up, 1, each=3)
    # asked again for one of the same process: there is nobody to be replaced any more
    assert (await fleet(settings, "replace", other))[0] == 5
    assert await settled(up, 1, each=3) == second


async def test_who_is_failed_for_long_in_the_registry_is_replaced(
    fleet_up, settled, live, settings, raw_postgres, eventually
):
    """A process that lives, and whose worker does not get through to Redis: played by what the registry says."""
    up = fleet_up(PRESS.format(processes=1))
    first = await settled(up, 1)
    [row] = await live()
    table = f"{settings.schema}.workers"
    # stopped far in the future, so that no beat is newer than that
    await raw_postgres.execute(
        f"UPDATE {table} SET status = 'FAILED', stopped_at = now() + interval '1 hour' WHERE worker_id = $1",
        row["worker_id"],
    )
    await eventually(lambda: not first & up.pids, timeout=20)
    await settled(up, 1)
    assert "the registry has long called its worker failed" in up.log


async def test_reading_the_file_again_rolls_what_changed_and_nothing_else(
    fleet_up, settled, live, settings, raw_postgres, eventually
):
    two = PRESS.format(processes=2) + '[groups.side]\napp = "tests.handlers:app"\nqueues = ["side"]\n'
    up = fleet_up(two)
    before = await settled(up, 3)
    side = {row["pid"] for row in await live() if row["labels"]["group"] == "side"}
    up.path.write_text(two.replace("concurrency = 2", "concurrency = 0"))
    up.process.send_signal(signal.SIGHUP)
    await eventually(lambda: "the fleet file is refused, nothing changes: groups.press.concurrency" in up.log)
    up.path.write_text(two.replace("concurrency = 2", "concurrency = 7"))
    up.process.send_signal(signal.SIGHUP)
    await eventually(lambda: "groups that are rolled: press" in up.log, timeout=20)

    async def rolled() -> bool:
        rows = [row for row in await live() if row["labels"]["group"] == "press"]
        return len(rows) == 2 and all(row["concurrency"] == 7 for row in rows)

    await eventually(rolled, timeout=30)
    after = await settled(up, 3)
    assert after & before == side
    up.path.write_text(PRESS.format(processes=1).replace("concurrency = 2", "concurrency = 7"))
    up.process.send_signal(signal.SIGHUP)
    assert await settled(up, 1) < after


async def test_recycling_by_jobs_is_one_at_a_time_and_loses_nothing(
    fleet_up, settled, settings, app, open_app, eventually
):
    from tests.handlers import app as handlers

    await open_app(app)
    work = app.job(name="work")(handlers.job_types["work"].handler)
    up = fleet_up(PRESS.format(processes=2) + "recycle_after_jobs = 40\n")
    first = await settled(up, 2)
    ledger = up.path.with_name("ledger")
    jobs = await app.enqueue_many([work.request(ledger=str(ledger), seconds=0.01) for _ in range(400)])
    await eventually(lambda: up.log.count("makes room for a fresh one, it has run") >= 2, timeout=30)
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    said = re.findall("process (?:started|[0-9]+ makes room)", up.log)
    # whoever makes room has a successor before the next one does
    assert "makes room makes room" not in " ".join(one.split(" ", 1)[1].lstrip("0123456789 ") for one in said)
    await settled(up, 2)
    assert first != up.pids
    rows = await app.admin.list_jobs(status="COMPLETED", limit=1000)
    assert {(row.attempts, row.fence) for row in rows} == {(1, 1)}


@pytest.mark.skipif(not psutil.LINUX, reason="memory is known on Linux only")
async def test_recycling_by_memory(fleet_up, settled, settings, tmp_path, eventually):
    up = fleet_up(PRESS.format(processes=1) + "recycle_rss_mb = 400\n")
    first = await settled(up, 1)
    await enqueue(settings, "bloat", megabytes=500)
    await eventually(lambda: "makes room for a fresh one, it holds" in up.log, timeout=20)
    await eventually(lambda: not first & up.pids, timeout=20)
    await settled(up, 1)
    # small again, it stays
    assert up.log.count("makes room") == 1


async def test_while_redis_is_away_nobody_is_killed_and_what_dies_comes_back_after_it(
    fleet_up, settings, private_valkey, raw_postgres, eventually
):
    """Longer than a TTL: nobody's beats come through, which says nothing of anybody."""
    store = private_valkey()
    up = fleet_up(PRESS.format(processes=2), TENURE_REDIS_URL=store.url)

    async def active() -> set[int]:
        rows = await raw_postgres.fetch(f"SELECT pid FROM {settings.schema}.workers WHERE status = 'ACTIVE'")
        return {row["pid"] for row in rows}

    async def whole() -> bool:
        return len(up.pids) == 2 and await active() == up.pids

    await eventually(whole, timeout=30)
    before = up.pids
    store.kill()
    await eventually(lambda: up.log.count("redis is away") >= 2, timeout=20)
    await asyncio.sleep(2 * settings.heartbeat_ttl_seconds)
    assert up.pids == before
    assert "is killed" not in up.log
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: killed not in up.pids)
    store.start()
    await eventually(whole, timeout=60)
    assert len(before & up.pids) == 1
    assert up.stop() == 0


async def test_a_host_that_is_cut_off_from_redis_kills_nobody(fleet_up, settings, private_valkey, open_app, eventually):
    """The rest of the fleet calls its workers failed, its supervisor is told so, and nobody could do better."""
    store = private_valkey()
    near = Tenure(replace(settings, redis_url=store.url))
    await open_app(near)
    with Proxy(store.socket) as way:
        async with near.worker(queues=["elsewhere"]) as watcher:
            up = fleet_up(PRESS.format(processes=1), TENURE_REDIS_URL=f"redis://127.0.0.1:{way.port}/0")

            async def status() -> str | None:
                rows = [row for row in await near.admin.workers(live_only=False) if row.worker_id != watcher.worker_id]
                return rows[0].status if rows else None

            async def active() -> bool:
                return await status() == "ACTIVE"

            await eventually(active, timeout=30)
            before = up.pids
            way.silence()

            async def failed() -> bool:
                return await status() == "FAILED"

            await eventually(failed, timeout=20)
            await asyncio.sleep(4)  # well above a beat and two seconds
            assert up.pids == before
            assert "is killed" not in up.log
            way.heal()
            await eventually(active, timeout=30)
            assert up.pids == before
            # before the proxy closes: whoever still connects would be left with half a connection
            assert up.stop() == 0
