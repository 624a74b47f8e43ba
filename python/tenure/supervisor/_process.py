"""What the system says of a process, where it says it: `/proc`, which Linux has and macOS has not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

KNOWN: Final = Path("/proc/self/statm").exists()
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def rss_bytes(pid: int) -> int | None:
    """The memory that it holds, None where that is not known."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


def stopped(pid: int) -> bool:
    """Whether it was stopped by a signal; not so by a debugger. False where that is not known."""
    try:
        # the name of the command may hold anything, parentheses and spaces too
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return state[:1] == [b"T"]
