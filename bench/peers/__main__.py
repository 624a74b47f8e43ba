"""`python -m bench.peers`: tenure beside its peers, in one run on one pair of servers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from bench.__main__ import RESULTS
from bench.machine import machine, sync_us
from bench.peers.catalogue import LIMITED, PEERS
from bench.peers.ceiling import ceiling
from bench.peers.environment import CannotRunError, driver, versions
from bench.peers.measure import Contest
from bench.peers.table import print_figures
from bench.servers import servers
from tenure.bench.errors import NotAsPromised
from tenure.bench.loop import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.peers.catalogue import Peer
    from bench.servers import Servers

RATES: Final = (500, 2000)
# Installed in a moment, so that a quick run can keep the whole alive.
QUICK: Final = ("tenure-before", "tenure-behind", "saq")
QUICK_LIMITED: Final = ("tenure-before", "pgqueuer")
_FOREIGN: Final = ("TENURE_BENCH_POSTGRES_URL", "TENURE_BENCH_REDIS_URL")
console = Console()


def main(given: Sequence[str] | None = None) -> int:
    """Measure who was asked for, print the table, keep it."""
    options = _options(given)
    if foreign := [name for name in _FOREIGN if name in os.environ]:
        # Redis is emptied again and again.
        console.print(f"the comparison empties its servers, so it starts its own: unset {' and '.join(foreign)}")
        return 2
    chosen = [peer for peer in _candidates(options) if peer.name in options.only]
    figures: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "quick": options.quick}
    drivers = [_driver(peer) for peer in chosen]  # all are made before anything is measured
    with servers() as running:
        figures["machine"] = run(machine(running))
        figures["peers"] = []
        for peer, started_by in zip(chosen, drivers, strict=True):
            found = (_ceiling if options.limits else _measured)(peer, started_by, running, options)
            console.print(found, highlight=False, soft_wrap=True, style="dim")
            figures["peers"].append(found)
    print_figures(console, figures)
    if options.name or not options.quick:
        path = RESULTS / f"{options.name or ('peers-limits' if options.limits else 'peers')}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        console.print(f"kept in {path}")
    # A peer may fail in a comparison, and the table says so; a quick run is there to show that nothing does.
    return int(options.quick and any(_lacks(found) for found in figures["peers"]))


def _driver(peer: Peer) -> list[str] | CannotRunError:
    try:
        return driver(peer)
    except CannotRunError as error:
        return error


def _lacks(found: dict[str, Any]) -> bool:
    """Whether it, or a figure of it, could not be had."""
    return "failed" in found or any(isinstance(figure, dict) and "cannot" in figure for figure in found.values())


def _measured(
    peer: Peer, started_by: list[str] | CannotRunError, running: Servers, options: argparse.Namespace
) -> dict[str, Any]:
    """Every figure of a peer; one that cannot be had says why, and the others are measured all the same."""
    found: dict[str, Any] = {"name": peer.name, "title": peer.title, "durable": peer.durable, "promise": peer.promise}
    found |= {"settings": peer.settings, "concurrency": peer.concurrency, "versions": versions(peer)}
    if isinstance(started_by, CannotRunError):
        return {**found, "failed": str(started_by)}
    # What others did just before: the peers run one after the other, so it hits some of them and not the rest.
    found["before"] = {"load": round(os.getloadavg()[0], 1), "sync_us": sync_us()}
    seconds = 0.3 if options.quick else options.seconds
    # A quick run passes or fails by what works, never by how fast.
    contest = Contest(peer, started_by, running, seconds, every_rate=options.quick)
    figures: dict[str, Callable[[], object]] = {
        "enqueue": contest.enqueue,
        "drain_1": lambda: contest.drain(1),
        "drain_2": lambda: contest.drain(2),
        **{f"latency_{rate}": lambda rate=rate: contest.latency(rate) for rate in RATES},
    }
    for name, measure in figures.items():
        try:
            found[name] = measure()
        except (CannotRunError, NotAsPromised) as error:
            found[name] = {"cannot": str(error)}
    return found


def _ceiling(
    peer: Peer, started_by: list[str] | CannotRunError, running: Servers, options: argparse.Namespace
) -> dict[str, Any]:
    """What a limit that is reached costs the others."""
    if options.quick:
        return ceiling(peer, started_by, running, 0.3, 200, 1)
    return ceiling(peer, started_by, running, options.seconds, options.waiting, options.rounds)


def _candidates(options: argparse.Namespace) -> Sequence[Peer]:
    return LIMITED if options.limits else PEERS


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    every = ",".join(dict.fromkeys(peer.name for peer in (*PEERS, *LIMITED)))
    parser.add_argument("--quick", action="store_true", help="tiny, and of few, to show that it works")
    parser.add_argument("--only", action="append", help=f"some, with commas or repeated: {every}")
    parser.add_argument("--seconds", type=float, default=6.0, help="for which a figure is measured. Defaults to 6")
    parser.add_argument("--limits", action="store_true", help="what a limit that is reached costs the others, no more")
    parser.add_argument("--waiting", type=int, default=20_000, help="jobs that wait for it. Defaults to 20,000")
    parser.add_argument("--rounds", type=int, default=3, help="in which its cases take turns. Defaults to 3")
    parser.add_argument("--name", help="of the file in bench/results. Defaults to peers or peers-limits")
    options = parser.parse_args(given)
    names = [peer.name for peer in _candidates(options)]
    quick = QUICK_LIMITED if options.limits else QUICK
    options.only = [name for names in options.only or () for name in names.split(",")] or (
        quick if options.quick else names
    )
    if unknown := set(options.only) - set(names):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
