"""The clients' history: what was asked, and what was answered, as JSON lines, one event a line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

Kind = Literal["invoke", "ok", "fail", "info"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        i: its number, from 0.
        t_mono_ns: this machine's monotonic clock, which all processes of a run share.
        proc: who asked: `client`, `nemesis` or `checker`.
        type: `invoke` asks; `ok` was done, `fail` was surely not done, `info` may have been done.
        f: the verb.
        value: what it was about; the events of one call share `value["op"]`.
    """

    i: int
    t_mono_ns: int
    proc: str
    type: Kind
    f: str
    value: dict[str, Any]


class History:
    """Writes the history; every line is in the file before the call that made it returns."""

    def __init__(self, path: Path) -> None:
        """Begin an empty history."""
        self.path: Final = path
        self.events: Final[list[Event]] = []
        self._file = path.open("wb", buffering=0)

    def __enter__(self) -> Self:
        """The history itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def note(self, proc: str, kind: Kind, f: str, value: dict[str, Any]) -> int:
        """Write one event; its number."""
        event = Event(i=len(self.events), t_mono_ns=time.monotonic_ns(), proc=proc, type=kind, f=f, value=value)
        self.events.append(event)
        self._file.write(msgspec.json.encode(event) + b"\n")
        return event.i


def read_history(path: Path) -> list[Event]:
    """The events of a history that was written before."""
    return [msgspec.json.decode(line, type=Event) for line in path.read_bytes().splitlines()]
