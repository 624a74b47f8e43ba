"""Which benchmarks there are, and how long each is at full and at quick length."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bench.backlog import backlog
from bench.detection import detection
from bench.graphs import batch, inheritance, inversion
from bench.heartbeats import heartbeats
from bench.held import held
from bench.idle import idle, idle_crew, import_ms
from bench.lanes import DEPTHS, measure
from bench.locusts import locusts
from bench.makespan import MIXES, PARALLEL, makespan
from bench.perjob import per_job
from bench.promotion import promotion
from bench.scheduling.figures import scheduling
from bench.scheduling.traces import TRACES
from bench.seed import cascade, creation, fan_out, life
from bench.space import Space, space
from bench.steady import steady
from bench.stress import stress
from bench.suite import parts
from bench.tenants import tenants
from tenure.bench.drain import drain
from tenure.bench.enqueue import enqueue
from tenure.bench.latency import latency, lone
from tenure.bench.loop import run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine

    from bench.servers import Servers

MODES: Final = ("before", "behind")
RATES: Final = (500, 2000, 5000)

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

    def rows(self, measure: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> list[Row]:
        """Likewise, what gives several rows."""
        with space(self.servers) as here:
            found: list[Row] = msgspec.to_builtins(run(measure(here, *args)))
        for row in found:
            self.show(row)
        return found


def _enqueue(session: Session) -> list[Row]:
    return [session.row(enqueue, 0.2 if session.quick else 3.0)]


def _drain(session: Session) -> list[Row]:
    options = session.options
    counts = (1,) if session.quick else (1, 2)
    return [session.row(metered_drain, mode, options.jobs, n, options.concurrency) for mode in MODES for n in counts]


async def metered_drain(here: Space, mode: str, jobs: int, processes: int, concurrency: int) -> object:
    """A drain with the CPU it took."""
    return await drain(here, mode, jobs, processes, concurrency, here.meter)


def _latency(session: Session) -> list[Row]:
    rates = RATES[:1] if session.quick else RATES
    return [session.row(latency, mode, rate, session.options.seconds) for mode in MODES for rate in rates]


def _steady(session: Session) -> list[Row]:
    callers, seconds = (20, 0.3) if session.quick else (1000, 20.0)
    counts = (1,) if session.quick else (1, 2)
    return [session.row(steady, mode, callers, n, seconds) for mode in MODES for n in counts]


def _lone(session: Session) -> list[Row]:
    return [session.row(lone, mode, 5 if session.quick else 200) for mode in MODES]


def _idle(session: Session) -> list[Row]:
    quick, window = session.quick, session.options.window
    rows = [session.row(idle, 1 if quick else 10, window)]
    rows.append(session.row(idle_crew, 2 if quick else 10, 5 if quick else 10, window))
    return [*rows, {"name": "import", "import_ms": import_ms(rounds=1 if quick else 7)}]


def _heartbeats(session: Session) -> list[Row]:
    if session.quick:
        return [session.row(heartbeats, 10, 100, leases, 1.0) for leases in (0, 1)]
    rows = [session.row(heartbeats, 250, 500, leases, 10.0) for leases in (0, 1)]
    return [*rows, session.row(heartbeats, 5000, 10_000, 0, 120.0)]


def _detection(session: Session) -> list[Row]:
    return session.rows(detection, 20, 1.0) if session.quick else session.rows(detection, 1000, 20.0)


def _backlog(session: Session) -> list[Row]:
    sizes = (200, 1000) if session.quick else (1_000, 10_000, 100_000)
    return [session.row(backlog, ready) for ready in (*sizes, *_million(session))]


def _lanes(session: Session) -> list[Row]:
    depths = DEPTHS[:1] if session.quick else (*DEPTHS, *(_million(session) or (100_000,)))
    rows = run(measure(session.servers.redis_url, depths, 5 if session.quick else 500))
    found: list[Row] = [msgspec.to_builtins(row) for row in rows]
    for row in found:
        session.show(row)
    return found


def _tenants(session: Session) -> list[Row]:
    options = session.options
    counts = (0, 2) if session.quick else (0, 1, 100)
    return [session.row(tenants, mode, n, options.jobs, options.concurrency) for mode in MODES for n in counts]


def _promotion(session: Session) -> list[Row]:
    sizes = (2000,) if session.quick else (100_000, *_million(session))
    return [session.row(promotion, jobs) for jobs in sizes]


def _growth(session: Session) -> list[Row]:
    if session.quick:
        return [session.row(metered_drain, "before", 300, 2, 100)]
    rows = [session.row(metered_drain, mode, 50_000, n, 100) for mode in MODES for n in (1, 2, 4, 8)]
    sizes = (1_000, 10_000, 100_000, *_million(session))
    return rows + [session.row(metered_drain, "before", size, 2, 300) for size in sizes]


def _million(session: Session) -> tuple[int, ...]:
    return (1_000_000,) if session.options.million else ()


def _per_job(session: Session) -> list[Row]:
    return [row for mode in MODES for row in session.rows(per_job, mode, 300 if session.quick else 20_000)]


def _locust(session: Session) -> list[Row]:
    return [session.row(locusts, 5, 20.0, 1.0) if session.quick else session.row(locusts, 100, 5.0, 15.0)]


def _makespan(session: Session) -> list[Row]:
    if session.quick:
        return [session.row(makespan, "occupies", "bimodal", 20)]
    return [session.row(makespan, one, mix, jobs) for one in PARALLEL for mix in MIXES for jobs in (60, 400)]


def _scheduling(session: Session) -> list[Row]:
    if session.quick:
        return session.rows(scheduling, "synthetic", 200)
    return [row for trace in (*TRACES, "synthetic") for row in session.rows(scheduling, trace, 20_000)]


def _held(session: Session) -> list[Row]:
    return [session.row(held, "before", session.options.minutes * 60)]


def _seed(session: Session) -> list[Row]:
    count = 5 if session.quick else 200
    rows = [*session.rows(creation, count), *session.rows(life, count), session.row(cascade, 10)]
    return rows + [session.row(fan_out, width) for width in ((50,) if session.quick else (50, 10_000))]


def _graphs(session: Session) -> list[Row]:
    count, width = (5, 50) if session.quick else (200, 10_000)
    rows = [*session.rows(inheritance, count), *session.rows(inversion, count)]
    return rows + [session.row(partial(batch, callback=callback), width) for callback in (False, True)]


def _stress(session: Session) -> list[Row]:
    few = ("Performance baseline", 50 if session.quick else 100, 2, 5)
    many = ("Stress", 200 if session.quick else 10_000, 4, 5 if session.quick else 25)
    return [session.row(stress, *few), session.row(stress, *many)]


def _parts(session: Session) -> list[Row]:
    found = parts(session.servers, quick=session.quick)
    for row in found:
        session.show(row)
    return found


PARTS: Final[dict[str, Callable[[Session], list[Row]]]] = {
    "parts": _parts,
    "enqueue": _enqueue,
    "drain": _drain,
    "steady": _steady,
    "latency": _latency,
    "lone": _lone,
    "per_job": _per_job,
    "growth": _growth,
    "backlog": _backlog,
    "lanes": _lanes,
    "tenants": _tenants,
    "promotion": _promotion,
    "heartbeats": _heartbeats,
    "detection": _detection,
    "idle": _idle,
    "makespan": _makespan,
    "scheduling": _scheduling,
    "held": _held,
    "locust": _locust,
    "seed": _seed,
    "graphs": _graphs,
    "stress": _stress,
}
