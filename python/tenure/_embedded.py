"""The default without settings: one PostgreSQL and one Valkey per data directory, shared by whoever uses it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from tenure.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenure._embedded_servers import EmbeddedServers
    from tenure.settings import Settings

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_STAY: Final = "stay-up"


class EmbeddedStores:
    """One user's hold on the embedded servers: the first one starts them, the last one to leave stops them.

    Who uses them is told by locked files, not by a count: the lock of a process that was killed is gone with it.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is started yet."""
        self._data = settings.data_path
        self._hold: IO[str] | None = None

    async def start(self) -> tuple[str, str]:
        """Start or join the servers; the URLs of PostgreSQL and Valkey.

        Raises:
            ConfigurationError: the wheels are not installed, or have no servers for this platform.
            StoreUnavailable: a server does not start; the message names its log.
        """
        return await asyncio.to_thread(self._join)

    async def stop(self) -> None:
        """Leave; the servers stop with the last one, unless they were told to stay."""
        await asyncio.to_thread(self._leave)

    def _join(self) -> tuple[str, str]:
        servers = _servers(self._data)
        with _directory_lock(self._data):
            servers.start()
            self._hold = _hold(self._data)
        return servers.postgres_url, servers.redis_url

    def _leave(self) -> None:
        hold, self._hold = self._hold, None
        if hold is None:
            return
        with _directory_lock(self._data):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hold.name)  # noqa: PTH108 - the name of an open file
            hold.close()
            if not _in_use(self._data) and not (self._data / _STAY).exists():
                _servers(self._data).stop()


def stay_up(data: Path) -> tuple[str, str]:
    """Start the servers and let them stay when the last user leaves; their URLs."""
    servers = _servers(data)
    with _directory_lock(data):
        servers.start()
        (data / _STAY).touch()
    return servers.postgres_url, servers.redis_url


def take_down(data: Path) -> bool:
    """Let them stay no longer; True if they were stopped at once because nobody uses them."""
    with _directory_lock(data):
        (data / _STAY).unlink(missing_ok=True)
        if _in_use(data):
            return False
        _servers(data).stop()
        return True


def status(data: Path) -> dict[str, bool]:
    """Which servers run, and whether they stay."""
    return {**_servers(data).running(), "stay_up": (data / _STAY).exists()}


def _servers(data: Path) -> EmbeddedServers:
    if fcntl is None:
        raise ConfigurationError(
            "there are no embedded servers for this platform, set TENURE_POSTGRES_URL and TENURE_REDIS_URL"
        )
    from tenure._embedded_servers import EmbeddedServers  # noqa: PLC0415 - not on Windows

    return EmbeddedServers(data)


@contextmanager
def _directory_lock(data: Path) -> Iterator[None]:
    """One starter or stopper at a time."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hold(data: Path) -> IO[str]:
    """A file of this user's own, locked for as long as the process lives."""
    users = data / "users"
    users.mkdir(exist_ok=True)
    hold = (users / f"{os.getpid()}-{uuid.uuid4().hex}").open("w")
    fcntl.flock(hold, fcntl.LOCK_EX)
    return hold


def _in_use(data: Path) -> bool:
    """Whether anybody holds a lock; files of users that died are swept away."""
    used = False
    for path in (data / "users").glob("*"):
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                used = True
            else:
                path.unlink(missing_ok=True)
    return used
