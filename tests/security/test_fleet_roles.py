"""Who may supervise, who may steer supervisors, and who may only count."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from tests.fix_apps import environment

FLEET = """
[groups.press]
app = "tests.handlers:app"
min = 1
max = 2
queues = ["default"]
[groups.press.scale]
"""


async def run(settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tenure", "fleet", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def path(tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET)
    return str(tmp_path / "fleet.toml")


async def test_a_worker_may_supervise_and_an_operator_may_steer_it(access, path, eventually):
    command = [sys.executable, "-m", "tenure", "fleet", "up", path]
    supervisor = subprocess.Popen(command, env=environment(access["worker"].settings), stderr=subprocess.PIPE)
    try:

        async def there() -> bool:
            done = await run(access["operator"].settings, "groups", "--json")
            return done.returncode == 0 and len(json.loads(done.stdout)) == 1

        await eventually(there, timeout=40)
        done = await run(access["operator"].settings, "scale", "press", "2", "--json")
        assert (done.returncode, json.loads(done.stdout)[0]["text"]) == (0, "2 processes, before 1")
    finally:
        supervisor.terminate()
        _, said = await asyncio.to_thread(supervisor.communicate, timeout=30)
    assert supervisor.returncode == 0
    assert b"permission denied" not in said
    assert b"NOPERM" not in said


@pytest.mark.parametrize("role", ["producer", "metrics"])
async def test_others_may_not_steer_them(access, path, role):
    done = await run(access[role].settings, "scale", "press", "2")
    assert done.returncode != 0


@pytest.mark.parametrize("role", ["operator", "metrics"])
async def test_counting_is_enough_to_say_how_many_there_should_be(access, path, role):
    done = await run(access[role].settings, "desired", path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["press"]["desired"] == 1
