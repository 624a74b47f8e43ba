"""Ends: interpreters that end with live threads, workers told to stop while stores are away."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest

from tests.fix_apps import environment

# how it ends, and the code that a plain interpreter would end with
ENDS = {"close": 0, "leave": 0, "fail": 1, "interrupted": -signal.SIGINT, "thread": 0, "exit": 3}
AT_A_TIME = 8


ROOT = Path(__file__).parents[2]


def pythons() -> dict[str, str]:
    """Every Python at hand that tenure runs on, by its version: this one, those of the path, those of pyenv."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for version in ("3.11", "3.12", "3.13", "3.14"):
        places = [
            shutil.which(f"python{version}"),
            *Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"),
        ]
        for place in filter(None, places):
            # a shim of pyenv's may be there without the Python behind it
            if subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode == 0:
                found.setdefault(version, str(place))
    return found


PYTHONS = pythons()


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An interpreter that has what tenure needs; the extension is one for all of them."""
    base = PYTHONS[request.param]
    if base == sys.executable:
        return base
    needed = [one for one in requires("tenure") or () if "extra ==" not in one]
    made = tmp_path / "python"
    for command in ([base, "-m", "venv", made], [made / "bin/python", "-m", "pip", "install", "--quiet", *needed]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no environment for Python {request.param}: {done.stderr[-300:]}")
    (packages,) = made.glob("lib/python*/site-packages")
    # what the installation knows of tenure, its version above all; the code itself comes by the path
    for file in distribution("tenure").files or ():
        if file.parts[0].endswith(".dist-info") and file.name in {"METADATA", "RECORD"}:
            (packages / file).parent.mkdir(exist_ok=True)
            shutil.copy(file.locate(), packages / file)
    return str(made / "bin/python")


async def end(python: str, how: str, environ: dict[str, str]) -> tuple[int | None, str]:
    """The code and the last words of one interpreter."""
    process = await asyncio.create_subprocess_exec(
        *(python, "-X", "faulthandler", "-m", "tests.faults.exits", how),
        env=environ,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, words = await asyncio.wait_for(process.communicate(), 30)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGABRT)  # faulthandler says where it hangs
        _, words = await process.communicate()
        return None, words.decode()
    return process.returncode, words.decode()


@pytest.mark.timeout(300)
async def test_a_hundred_ends_with_live_threads(settings, measured, python, request):
    """Of each way 17 times in this Python; in others, which differ in how they end but not in our threads, 5 times."""
    each = 17 if python == sys.executable or request.config.getoption("heavy") else 5
    environ = {**environment(settings), "PYTHONPATH": f"{ROOT / 'python'}:{ROOT}"}
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(how: str) -> tuple[str, int | None, str]:
        async with gate:
            return how, *(await end(python, how, environ))

    began = time.monotonic()
    ends = await asyncio.gather(*(one(how) for _ in range(each) for how in ENDS))
    measured(f"{len(ends)} ends of interpreters, {Path(python).resolve().name}", time.monotonic() - began)
    wrong = [(how, code, words) for how, code, words in ends if code != ENDS[how]]
    assert not wrong, wrong[0]
    for how, _, words in ends:
        for sign in ("panicked", "Fatal Python error", "Segmentation", "unraisable", "GIL"):
            assert sign not in words, (how, words)
    assert Counter(how for how, *_ in ends) == dict.fromkeys(ENDS, each)


@pytest.mark.parametrize(
    ("manner", "away"),
    [
        ("refuse", "postgres"),
        ("refuse", "redis"),
        ("refuse", "both"),
        pytest.param("silence", "redis", marks=pytest.mark.heavy),
        ("silence", "both"),
        pytest.param("silence", "postgres", marks=pytest.mark.heavy),
    ],
)
async def test_a_worker_that_is_told_to_stop_while_stores_are_away_stops(stage, away, manner, measured):
    (worker,) = stage.spawn(1, "--grace=1")
    await stage.ready()
    gate = stage.directory / "gate"
    jobs = [await stage.enqueue("until", str(gate)) for _ in range(3)]
    await stage.eventually(lambda: len(stage.lines("start")) == 3, "it has something to give back")
    proxies = {"postgres": [stage.postgres], "redis": [stage.redis], "both": [stage.postgres, stage.redis]}[away]
    for proxy in proxies:
        getattr(proxy, manner)()
    worker.terminate()
    began = time.monotonic()
    await stage.eventually(lambda: worker.poll() is not None, "it stops", 40)
    took = time.monotonic() - began
    measured(f"SIGTERM with grace 1 s, {away} {manner}d", took)
    assert took < 25  # 17 s on an idle machine, where both are silent; whoever stops workers waits 30 s by habit
    assert worker.returncode == 0, stage.log(worker)
    for proxy in proxies:
        proxy.heal()
        proxy.cut()
    gate.touch()
    stage.spawn()
    for job in jobs:
        await job.result(timeout=30)
    await stage.proven()
