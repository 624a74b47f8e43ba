"""The default without settings: one PostgreSQL and one Valkey per data directory, shared by whoever uses it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tenure._file_lock import available, try_lock
from tenure.errors import ConfigurationError, StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenure._embedded_servers import EmbeddedServers
    from tenure.settings import Settings

_STAY: Final = "stay-up"
_LOCK_SECONDS: Final = 180.0  # whoever holds the lock starts or stops servers
_LOCK_PAUSE: Final = 0.01


class EmbeddedStores:
    """One user's hold on the embedded servers: the first one starts them, the last one to leave stops them.

    Who uses them is told by locked files, not by a count: the lock of a process that was killed is gone with it. If the
    last user is killed the servers stay, and stop with the next one that leaves.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is started yet."""
        self._data = settings.data_path
        self._hold: IO[str] | None = None
        self._pid = 0

    async def start(self) -> tuple[str, str]:
        """Start or join the servers; the URLs of PostgreSQL and Valkey.

        Raises:
            ConfigurationError: the wheels are not installed or have no servers for this platform, or the data directory
                cannot be used.
            StoreUnavailable: a server does not start; the message has the end of its log.
        """
        joining = asyncio.ensure_future(asyncio.to_thread(self._join))
        try:
            return await asyncio.shield(joining)
        except asyncio.CancelledError:
            # The thread goes on; a hold that nobody gives back would keep the servers up.
            with contextlib.suppress(TenureError, OSError):
                await joining
            await asyncio.to_thread(self._leave)
            raise

    async def stop(self) -> None:
        """Leave; the servers stop with the last one, unless they were told to stay. May be called twice."""
        await asyncio.to_thread(self._leave)

    def _join(self) -> tuple[str, str]:
        servers = _servers(self._data)
        if self._hold is None:
            servers.make_place()
            with _directory_lock(self._data):
                servers.start()
                self._hold = _hold(self._data)
            self._pid = os.getpid()
            atexit.register(self._leave_at_exit)
        return servers.urls

    def _leave(self) -> None:
        hold, self._hold = self._hold, None
        if hold is None or self._pid != os.getpid():
            return  # a forked child has its parent's hold, which is not its own to give back
        atexit.unregister(self._leave_at_exit)
        with _directory_lock(self._data):
            with contextlib.suppress(FileNotFoundError):
                Path(hold.name).unlink()
            hold.close()
            if not _users(self._data) and not (self._data / _STAY).exists():
                _servers(self._data).stop()

    def _leave_at_exit(self) -> None:
        """For a program that forgot to; nobody is there to be told of a failure."""
        with contextlib.suppress(TenureError, OSError):
            self._leave()


def stay_up(data: Path) -> tuple[str, str]:
    """Start the servers and let them stay when the last user leaves; their URLs."""
    servers = _servers(data)
    servers.make_place()
    with _directory_lock(data):
        servers.start()
        (data / _STAY).touch()
    return servers.urls


def take_down(data: Path) -> bool:
    """Let them stay no longer; True if none run now, False if they stop when the last user leaves."""
    servers = _servers(data)
    if not data.exists():
        return True
    with _directory_lock(data):
        (data / _STAY).unlink(missing_ok=True)
        if _users(data):
            return False
        servers.stop()
        return True


def status(data: Path) -> dict[str, bool]:
    """Which servers run, and whether they stay."""
    return {**_servers(data).running(), "stay_up": (data / _STAY).exists()}


def users(data: Path) -> int:
    """How many hold the servers now; nothing is waited for or swept."""
    return len(_locked(data))


def _servers(data: Path) -> EmbeddedServers:
    if not available():
        raise ConfigurationError(
            "there are no embedded servers for this platform, set TENURE_POSTGRES_URL and TENURE_REDIS_URL"
        )
    from tenure._embedded_servers import EmbeddedServers  # noqa: PLC0415 - not on Windows

    return EmbeddedServers(data)


@contextmanager
def _directory_lock(data: Path) -> Iterator[None]:
    """One starter or stopper at a time; tried, not waited for, so that a stuck one is told."""
    with (data / "lock").open("a") as lock:
        give_up = time.monotonic() + _LOCK_SECONDS
        while not try_lock(lock):
            if time.monotonic() > give_up:
                raise StoreUnavailable(f"another process holds the lock for more than {_LOCK_SECONDS:g} s: {lock.name}")
            time.sleep(_LOCK_PAUSE)
        yield


def _hold(data: Path) -> IO[str]:
    """A file of this user's own, locked for as long as the process lives. The caller holds the directory's lock."""
    holds = data / "users"
    holds.mkdir(mode=0o700, exist_ok=True)
    hold = (holds / f"{os.getpid()}-{uuid.uuid4().hex}").open("w")
    while not try_lock(hold):  # somebody looks at it
        time.sleep(_LOCK_PAUSE)
    return hold


def _users(data: Path) -> list[Path]:
    """Who holds a lock; files of users that died are swept away. The caller holds the directory's lock."""
    used = _locked(data)
    for path in (data / "users").glob("*"):
        if path not in used:
            path.unlink(missing_ok=True)
    return used


def _locked(data: Path) -> list[Path]:
    used = []
    for path in (data / "users").glob("*"):
        # Asked with a shared lock: two that ask at once do not take each other for users.
        with contextlib.suppress(FileNotFoundError), path.open() as file:
            if not try_lock(file, shared=True):
                used.append(path)
    return used
