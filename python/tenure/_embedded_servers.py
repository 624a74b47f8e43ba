"""The two servers that come as wheels, of one data directory."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from tenure._embedded_files import make_data_directory, private_directory, run_directory, server_owner
from tenure._embedded_postgres import EmbeddedPostgres
from tenure._embedded_valkey import EmbeddedValkey

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddedServers:
    """Both servers. The caller holds the directory's lock for `start` and `stop`, which may wait for seconds."""

    def __init__(self, data: Path) -> None:
        """Name the places; nothing is made yet."""
        self._data: Final = data
        self._owner: Final = server_owner()
        self._run: Final = run_directory(data)
        self.postgres: Final = EmbeddedPostgres(data, self._run, self._owner)
        self.valkey: Final = EmbeddedValkey(data, self._run, self._owner)

    @property
    def urls(self) -> tuple[str, str]:
        """Of PostgreSQL and Valkey."""
        return self.postgres.url, self.valkey.url

    def make_place(self) -> None:
        """The directory of everything, the lock included."""
        make_data_directory(self._data, self._owner)

    def start(self) -> None:
        """Start what does not run, and wait until both are ready."""
        private_directory(self._run, self._owner)
        with ThreadPoolExecutor(1) as other:
            valkey = other.submit(self.valkey.start)
            self.postgres.start()
            valkey.result()

    def stop(self) -> None:
        """Stop both; what was acknowledged stays on disk."""
        self.valkey.stop()
        self.postgres.stop()
        if not self._run.is_relative_to(self._data):
            shutil.rmtree(self._run, ignore_errors=True)  # nothing is left in /tmp

    def running(self) -> dict[str, bool]:
        """Which of the two accepts connections."""
        return {"postgres": self.postgres.running(), "valkey": self.valkey.running()}
