"""Running the embedded servers' programs, and telling whether a server lives."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tenure._embedded_files import server_environment
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure._embedded_files import Owner

READY_SECONDS: Final = 120.0  # a server that was killed may have much to replay
_PAUSE: Final = 0.005
_LOG_TAIL: Final = 2000  # bytes of a server's log that a message repeats


def run(command: list[str], *, directory: Path, owner: Owner | None, keep: IO[str] | None = None) -> None:
    """Run a program to its end, as the servers' user.

    It gets a session of its own: a Ctrl-C in the caller's terminal must reach neither it nor the server it starts.
    `keep` is a file that it inherits.

    Raises:
        StoreUnavailable: it failed; the message has its output.
    """
    identity: dict[str, Any] = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}
    # A file, not a pipe: the server would inherit the pipe, and reading it would wait for the server's end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # noqa: S603 - our own wheels' programs, an argument list
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env=server_environment(),
            umask=0o077,
            start_new_session=True,
            pass_fds=[keep.fileno()] if keep else [],
            check=False,
            **identity,
        )
        if done.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
            raise StoreUnavailable(f"{Path(command[0]).name} failed with exit code {done.returncode}: {text}")


def wait_for(condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = READY_SECONDS) -> None:
    """Poll until a condition holds.

    Raises:
        StoreUnavailable: it did not in time.
    """
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise StoreUnavailable(f"{complaint()}, after {seconds:g} s")
        time.sleep(_PAUSE)


def listens(path: Path) -> bool:
    """Whether a process accepts connections on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5.0)
            probe.connect(str(path))
    except OSError:
        return False
    return True


def living(pid: int | None, name: str, directory: Path) -> bool:
    """Whether `pid` is a process of this name that works in this directory.

    After a restart of the machine, or of a container, another program may have the number that a pid file holds.
    """
    if pid is None or not _signalable(pid) or _command(pid) != name:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == directory.resolve()
    except PermissionError:
        return True  # root without the right to trace; the name must do
    except FileNotFoundError:
        return not Path("/proc/self/cwd").exists()  # dead and not yet reaped, or a system without /proc


def exists(pid: int | None) -> bool:
    """Whether any process has this number."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def pid_in(file: Path) -> int | None:
    """The number in the first line of a pid file."""
    try:
        return int(file.read_text("utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def log_tail(file: Path, start: int = 0) -> str:
    """The end of a server's log, from byte `start` on."""
    try:
        return file.read_bytes()[start:][-_LOG_TAIL:].decode(errors="replace").strip()
    except OSError:
        return "no log"


def _signalable(pid: int) -> bool:
    """Whether it exists and is not somebody else's: our servers are the caller's own, and root may signal everybody."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        listed = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - a number
        return Path(listed.stdout.strip()).name
