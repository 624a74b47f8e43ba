"""Who uses embedded servers beside the test, what is written there, and what runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis

from tenure._embedded_process import pid_in

MEMBER = Path(__file__).with_name("member.py")
UP = {"postgres": True, "valkey": True, "stay_up": False}
DOWN = {"postgres": False, "valkey": False, "stay_up": False}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


def servers_in(place: Path) -> list[str]:
    """Processes that work somewhere below a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(place):
                found.append((process / "cmdline").read_text())
    return found


class Member:
    """Another process that uses the servers."""

    def __init__(self, data: Path, *options: str, **more: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(MEMBER), str(data), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )

    def urls(self) -> list[str]:
        """Waits until it has joined."""
        line = self.process.stdout.readline()
        assert line, f"the member ended with {self.process.wait()}"
        return json.loads(line)["urls"]

    def leave(self) -> None:
        self.process.communicate("leave\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)
        self.process.communicate(timeout=60)


async def write(urls) -> None:
    connection = await asyncpg.connect(urls[0])
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    await connection.close()
    with redis.from_url(urls[1]) as client:
        client.set("kept", "7")


async def assert_kept(urls) -> None:
    connection = await asyncpg.connect(urls[0])
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    with redis.from_url(urls[1]) as client:
        assert client.get("kept") == b"7"


def server_pids(data: Path) -> list[int]:
    pids = [pid_in(data / "postgres" / "postmaster.pid"), pid_in(data / "valkey" / "server.pid")]
    assert all(pids), pids
    return pids
