"""Rolling restarts and scaling by load, with jobs under way; several supervisors of one group."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request

import pytest

from tenure._rolling import roll
from tenure.errors import NoAnswer, WorkerNotFound
from tenure.supervisor.load import read_loads
from tenure.supervisor.scale import Load
from tests.fix_apps import environment
from tests.fix_waiting import pushed
from tests.handlers import app as handlers
from tests.integration.test_fleet import fleet

ROLLED = """
[groups.press]
app = "tests.handlers:app"
processes = 3
queues = ["default"]
"""
SCALED = """
[groups.press]
app = "tests.handlers:app"
min = {least}
max = {most}
queues = ["default"]
concurrency = 2
[groups.press.scale]
wait_seconds = 0.3
up_seconds = 0.5
quiet_seconds = 3
look_seconds = 0.2
"""


@pytest.fixture
def work(app):
    return app.job(name="work")(handlers.job_types["work"].handler)


@pytest.fixture
def until(app):
    return app.job(name="until")(handlers.job_types["until"].handler)


@pytest.fixture
def active(open_app, settings):
    """Counts the active workers of a group."""

    async def count(admin, group: str = "press") -> int:
        return sum(one.status == "ACTIVE" and one.labels.get("group") == group for one in await admin.workers())

    return count


async def test_a_rolling_restart_is_one_at_a_time_while_jobs_flow_and_loses_none(
    fleet_up, settings, app, open_app, work, active, eventually
):
    await open_app(app)
    up = fleet_up(ROLLED)
    await eventually(lambda: len(up.pids) == 3)

    async def ready() -> bool:
        return await active(app.admin) == 3

    await eventually(ready, timeout=30)
    before, ledger = up.pids, str(up.path.with_name("ledger"))
    flowing, jobs = True, []

    async def flow() -> None:
        while flowing:
            jobs.extend(await app.enqueue_many([work.request(ledger=ledger, seconds=0.05) for _ in range(20)]))
            await asyncio.sleep(0.1)

    flowing_task = asyncio.create_task(flow())
    rolling = asyncio.create_task(fleet(settings, "restart", "--rolling", "press"))
    fewest = 3
    while not rolling.done():
        fewest = min(fewest, await active(app.admin))
        await asyncio.sleep(0.05)
    code, pairs = await rolling
    flowing = False
    await flowing_task
    assert (code, len(pairs), len({pair["successor_id"] for pair in pairs})) == (0, 3, 3)
    assert not up.pids & before
    assert fewest >= 2
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    infos = await asyncio.gather(*(job.info() for job in jobs[:200]))
    assert {(one.status, one.attempts) for one in infos} == {("COMPLETED", 1)}


async def test_a_roll_stops_where_no_successor_comes(spawn_worker, app, open_app, eventually):
    """Workers without anybody who would start others: one is lost, and no more."""
    await open_app(app)
    for _ in range(2):
        spawn_worker("--name", "alone")

    async def both() -> bool:
        return [one.status for one in await app.admin.workers()] == ["ACTIVE"] * 2

    await eventually(both, timeout=20)
    with pytest.raises(NoAnswer, match="no successor within 2 s, no more is restarted"):
        [_ async for _ in roll(app.admin, "alone", patience=2.0)]
    assert len(await app.admin.fleet.find("alone")) == 1
    with pytest.raises(WorkerNotFound):
        [_ async for _ in roll(app.admin, "nobody")]


async def test_a_group_follows_its_load_up_and_down_and_not_past_its_bounds(
    fleet_up, app, open_app, until, active, eventually, tmp_path
):
    await open_app(app)
    up = fleet_up(SCALED.format(least=0, most=3))
    go, ledger = tmp_path / "go", str(tmp_path / "ledger")
    await eventually(lambda: "supervisor started" in up.log, timeout=20)
    assert not up.pids
    # a paused queue asks for nobody, however long its jobs wait
    await app.admin.queues.pause("default")
    jobs = await app.enqueue_many([until.request(ledger=ledger, path=str(go)) for _ in range(40)])
    await asyncio.sleep(1.5)
    assert not up.pids
    await app.admin.queues.resume("default")
    await eventually(lambda: len(up.pids) == 3, timeout=30)
    [supervisor] = await app.admin.supervisors.present()
    assert supervisor.groups["press"].most == 3
    go.touch()
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    await eventually(lambda: not up.pids, timeout=30)
    assert up.log.count("scales: press") >= 3
    # by hand no load changes it, until it is left to its load again
    assert await app.admin.supervisors.scale(supervisor.supervisor_id, "press", 1) == "1 processes, before 0"
    await eventually(lambda: len(up.pids) == 1, timeout=20)
    await asyncio.sleep(4)
    assert len(up.pids) == 1
    assert "follows its load" in await app.admin.supervisors.scale(supervisor.supervisor_id, "press", None)
    await eventually(lambda: not up.pids, timeout=30)
    assert up.stop() == 0


async def test_two_hosts_share_a_group(fleet_up, settings, app, open_app, eventually):
    """Two supervisors on one machine stand for two hosts."""
    await open_app(app)
    one = fleet_up(SCALED.format(least=0, most=3))
    other = fleet_up(SCALED.format(least=0, most=1))

    async def two() -> bool:
        return len(await app.admin.supervisors.present()) == 2

    await eventually(two, timeout=20)
    code, answers = await fleet(settings, "scale", "press", "4")
    assert (code, {answer["outcome"] for answer in answers}) == (0, {"done"})
    await eventually(lambda: (len(one.pids), len(other.pids)) == (3, 1), timeout=20)
    assert (await fleet(settings, "scale", "press", "5"))[0] == 2


async def test_figures_for_whoever_starts_the_processes(settings, app, open_app, until, tmp_path, raw_postgres):
    await open_app(app)
    path = tmp_path / "fleet.toml"
    path.write_text(SCALED.format(least=1, most=50))
    await app.enqueue_many([until.request(ledger="", path="") for _ in range(28)])
    await pushed(app)

    async def run(*arguments: str) -> str:
        command = (sys.executable, "-m", "tenure", "fleet", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode()

    await raw_postgres.execute(f"UPDATE {settings.schema}.jobs SET run_at = now() - interval '100 seconds'")
    said = json.loads(await run("desired", str(path), "--json"))["press"]
    # 28 jobs, 2 slots a process, 70 % of them busy
    assert (said["desired"], said["processes"], said["ready"]) == (20, 0, 28)
    assert 100 <= said["oldest_seconds"] < 200
    text = await run("desired", str(path), "--format", "prometheus")
    assert 'tenure_workers_desired{group="press"} 20.0' in text
    assert 'tenure_jobs{queue="default",state="PENDING"} 28.0' in text
    assert "# TYPE tenure_oldest_ready_seconds gauge" in text


async def test_metrics_are_served_on_loopback_and_say_when_they_know_nothing(
    settings, tmp_path, private_valkey, eventually
):
    store = private_valkey()
    path = tmp_path / "fleet.toml"
    path.write_text(SCALED.format(least=2, most=4))
    command = (sys.executable, "-m", "tenure", "fleet", "metrics", str(path), "--port", "0", "--every", "0.2")
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**environment(settings), "TENURE_REDIS_URL": store.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        assert url.startswith("http://127.0.0.1:")

        def read() -> str:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()

        text = await asyncio.to_thread(read)
        assert "tenure_stores_up 1.0" in text
        assert 'tenure_workers_desired{group="press"} 2.0' in text
        store.kill()

        async def knows_nothing() -> bool:
            said = await asyncio.to_thread(read)
            return "tenure_stores_up 0.0" in said and "tenure_workers_desired{" not in said

        await eventually(knows_nothing, timeout=20)
    finally:
        process.terminate()
        await process.wait()


async def test_the_oldest_wait_is_found_behind_what_waits_for_its_time(app, open_app, work, raw_postgres, settings):
    await open_app(app)
    requests = [work.request(ledger="") for _ in range(1200)]
    await app.enqueue_many(requests)
    jobs = f"{settings.schema}.jobs"
    await pushed(app)

    async def oldest() -> Load:
        return (await read_loads(app._stores.database, app._stores.engine, ["default", "none"]))["default"]

    await raw_postgres.execute(f"UPDATE {jobs} SET run_at = now() - interval '50 seconds'")
    await raw_postgres.execute(
        f"UPDATE {jobs} SET status = 'SCHEDULED', run_at = now() + interval '1 day' "
        f"WHERE job_id IN (SELECT job_id FROM {jobs} ORDER BY job_id LIMIT 1100)"
    )
    load = await oldest()
    assert 50 <= load.oldest_seconds < 90
    assert load.ready == 1200  # Redis has not been told
    # the oldest of those enqueued first, not the first of them
    await raw_postgres.execute(
        f"UPDATE {jobs} SET run_at = now() - interval '5 seconds' "
        f"WHERE job_id = (SELECT job_id FROM {jobs} WHERE status = 'PENDING' ORDER BY job_id LIMIT 1)"
    )
    assert (await oldest()).oldest_seconds >= 50
    await app.admin.queues.pause("default")
    assert await oldest() == Load()
