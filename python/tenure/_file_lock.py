"""Locks on files, which the system gives back when their last holder ends, however it ends."""

from __future__ import annotations

from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def available() -> bool:
    """Whether this platform has them."""
    return fcntl is not None


def try_lock(file: IO[str], *, shared: bool = False) -> bool:
    """Take the lock of an open file if nobody has it; shared, if nobody has it for himself alone."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
