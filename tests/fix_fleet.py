"""Supervisors: real ones from a fleet file, and one whose children are made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.fix_apps import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tenure import Settings


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class FleetUp:
    """A running `tenure fleet up`."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
        self.process = process
        self.path = path
        self._log = log

    @property
    def pids(self) -> set[int]:
        """Of its children."""
        return {child.pid for child in psutil.Process(self.process.pid).children() if _lives(child)}

    @property
    def log(self) -> str:
        """What it and its children have said."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it in order; its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def fleet_up(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., FleetUp]]:
    """Starts supervisors by the text of a fleet file."""
    started: list[FleetUp] = []

    def start(text: str, **variables: str) -> FleetUp:
        path, log = tmp_path / f"fleet{len(started)}.toml", tmp_path / f"fleet{len(started)}.log"
        path.write_text(text)
        command = [sys.executable, "-m", "tenure", "fleet", "up", str(path)]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env={**environment(settings), **variables}, stderr=file, start_new_session=True
            )
        started.append(FleetUp(process, path, log))
        return started[-1]

    yield start
    for one in started:
        family: list[Any] = []
        if psutil.pid_exists(one.process.pid) and one.process.poll() is None:
            family = psutil.Process(one.process.pid).children(recursive=True)
        one.process.kill()
        one.process.wait()
        for child in family:
            try:
                child.send_signal(signal.SIGCONT)
                os.kill(child.pid, signal.SIGKILL)
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
