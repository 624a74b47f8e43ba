"""Which benchmarks there are, and how long each is at full and at quick length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from bench.idle import idle, import_ms
from bench.lifecycle import lifecycle
from bench.space import Space, space
from bench.suite import parts
from tenure.bench.drain import drain
from tenure.bench.enqueue import enqueue
from tenure.bench.latency import latency, lone
from tenure.bench.loop import run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine

    from bench.servers import Servers

MODES: Final = ("before", "behind")
RATES: Final = (500, 2000)

Row = dict[str, Any]


class Session:
    """One run of `python -m bench`."""

    def __init__(self, running: Servers, options: argparse.Namespace, show: Callable[[Row], None]) -> None:
        """`show` is told of each row as it comes."""
        self.servers: Final = running
        self.options: Final = options
        self.quick: Final[bool] = options.quick
        self.show: Final = show

    def row(self, measure: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> Row:
        """Measure in a namespace that nothing else has been in."""
        with space(self.servers) as here:
            found: Row = msgspec.to_builtins(run(measure(here, *args)))
        self.show(found)
        return found


def _enqueue(session: Session) -> list[Row]:
    return [session.row(enqueue, 0.2 if session.quick else 3.0)]


def _drain(session: Session) -> list[Row]:
    options = session.options
    return [session.row(metered_drain, mode, options.jobs, n, options.concurrency) for mode in MODES for n in (1, 2)]


async def metered_drain(here: Space, mode: str, jobs: int, processes: int, concurrency: int) -> object:
    """A drain with the CPU it took."""
    return await drain(here, mode, jobs, processes, concurrency, here.meter)


def _latency(session: Session) -> list[Row]:
    return [session.row(latency, mode, rate, session.options.seconds) for mode in MODES for rate in RATES]


def _lone(session: Session) -> list[Row]:
    return [session.row(lone, mode, 5 if session.quick else 200) for mode in MODES]


def _idle(session: Session) -> list[Row]:
    found = session.row(idle, 2 if session.quick else 10, session.options.window)
    return [{**found, "import_ms": import_ms(rounds=1 if session.quick else 7)}]


def _lifecycle(session: Session) -> list[Row]:
    few = ("100 jobs, 10 workers", 100, 2, 5) if session.quick else ("100 jobs, 10 workers", 100, 10, 1)
    return [
        session.row(lifecycle, *few),
        session.row(lifecycle, "10,000 jobs", 200 if session.quick else 10_000, 2, 50),
    ]


def _parts(session: Session) -> list[Row]:
    found = parts(session.servers, quick=session.quick)
    for row in found:
        session.show(row)
    return found


PARTS: Final[dict[str, Callable[[Session], list[Row]]]] = {
    "parts": _parts,
    "enqueue": _enqueue,
    "drain": _drain,
    "latency": _latency,
    "lone": _lone,
    "idle": _idle,
    "lifecycle": _lifecycle,
}
