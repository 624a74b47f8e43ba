"""Where handlers leave their marks: one file per worker process, mapped into memory, read while they write."""

from __future__ import annotations

import collections
import mmap
import os
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SINK_VARIABLE: Final = "TENURE_BENCH_SINK"  # names the directory, in a worker's environment
_HEADER: Final = struct.Struct("<Q")
_MARK: Final = struct.Struct("<Qdd")
_CAPACITY: Final = 60_000_000  # marks, half an hour at full speed; the file is sparse: unused room costs nothing


class Mark(NamedTuple):
    """One run of a handler: the job's number, when it was meant to be sent and when it began (seconds since 1970)."""

    number: int
    sent: float
    started: float


class Sink:
    """Takes marks in less than a microsecond, so that it hardly shows in the figures."""

    def __init__(self, directory: Path) -> None:
        """Create this process's file."""
        path = directory / f"{os.getpid()}.marks"
        with path.open("w+b") as file:
            file.truncate(_HEADER.size + _CAPACITY * _MARK.size)
            self._map = mmap.mmap(file.fileno(), 0)
        self._count = 0

    def mark(self, number: int, sent: float) -> None:
        """The handler of this job begins now."""
        _MARK.pack_into(self._map, _HEADER.size + self._count * _MARK.size, number, sent, time.time())
        self._count += 1
        # The count goes last: a reader never sees a mark that is half there.
        _HEADER.pack_into(self._map, 0, self._count)


def count(directory: Path) -> int:
    """How many marks all processes have left so far."""
    total = 0
    for path in directory.glob("*.marks"):
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        total += _HEADER.unpack(head)[0] if len(head) == _HEADER.size else 0
    return total


def marks(directory: Path) -> list[Mark]:
    """All marks of all processes, in the order of their starts."""
    found: list[Mark] = []
    for path in directory.glob("*.marks"):
        with path.open("rb") as file:
            (used,) = _HEADER.unpack(file.read(_HEADER.size))
            found += map(Mark._make, _MARK.iter_unpack(file.read(used * _MARK.size)))
    return sorted(found, key=lambda mark: mark.started)


def check_runs(found: Iterable[Mark], expected: Iterable[int]) -> None:
    """Every expected run of a job, by its number, must have left one mark, and no other may be there."""
    # Here, so that this file alone can be used where tenure is not installed.
    from tenure.bench.errors import NotAsPromised  # noqa: PLC0415

    ran, meant = collections.Counter(mark.number for mark in found), collections.Counter(expected)
    if ran != meant:
        too_often, too_rarely = ran - meant, meant - ran
        raise NotAsPromised(f"jobs run too often {too_often.most_common(10)}, too rarely {too_rarely.most_common(10)}")
