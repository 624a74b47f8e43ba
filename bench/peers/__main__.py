"""`python -m bench.peers`: tenure beside its peers, in one run on one pair of servers."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.__main__ import RESULTS
from bench.machine import machine
from bench.peers.catalogue import PEERS
from bench.peers.environment import CannotRunError, interpreter, versions
from bench.peers.measure import Contest
from bench.peers.table import print_figures
from bench.servers import servers
from tenure.bench.errors import NotAsPromised
from tenure.bench.loop import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.peers.catalogue import Peer
    from bench.servers import Servers

RATES = (500, 2000)
console = Console()


def main(given: Sequence[str] | None = None) -> int:
    """Measure who was asked for, print the table, keep it."""
    options = _options(given)
    seconds = 0.3 if options.quick else options.seconds
    figures: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "peers": []}
    with servers() as running:
        figures["machine"] = run(machine(running))
        for peer in PEERS:
            if not options.only or peer.name in options.only:
                found = _measured(peer, running, seconds)
                console.print(found, highlight=False, soft_wrap=True, style="dim")
                figures["peers"].append(found)
    print_figures(console, figures)
    if options.name or not options.quick:
        path = RESULTS / f"{options.name or 'peers'}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        console.print(f"kept in {path}")
    return 0 if any("failed" not in found for found in figures["peers"]) else 1


def _measured(peer: Peer, running: Servers, seconds: float) -> dict[str, Any]:
    """Every figure of a peer; one that cannot be had says why, and the others are measured all the same."""
    found: dict[str, Any] = {"name": peer.name, "title": peer.title, "promise": peer.promise}
    found |= {"settings": peer.settings, "concurrency": peer.concurrency, "versions": versions(peer)}
    try:
        contest = Contest(peer, interpreter(peer), running, seconds)
    except CannotRunError as error:
        return {**found, "failed": str(error)}
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


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: it only shows that everything works")
    parser.add_argument("--only", action="append", choices=names, help="one peer; may be repeated")
    parser.add_argument("--seconds", type=float, default=6.0, help="for which a figure is measured. Defaults to 6")
    parser.add_argument("--name", help="of the file in bench/results. Defaults to peers; a quick run keeps none")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
