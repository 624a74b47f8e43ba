"""What lanes cost at lease time beside a queue without them, and such a queue beside another checkout's.

    python -m bench.lanes --quick
    python -m bench.lanes --million
    python -m bench.lanes --against ../an-earlier-checkout

Scripts alone are compared by the server's own clock (`INFO commandstats`), in turns; the rest is wall time of one
connection.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import redis

from bench.parts.ways import LEASE_MS, QUEUE, descriptor_fields
from bench.servers import own_valkey
from tenure._engine import Descriptor, Engine, new_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HERE: Final = Path(__file__).parents[1]
_AT_ONCE: Final = 1000
DEPTHS: Final = (10, 50, 1000)
_TENANTS: Final = (1, 100, 10_000)
_BATCH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Taking jobs while so many are ready, each followed by its acknowledgement and another job's push.

    Attributes:
        lease_us: wall time of one call for one job, the median.
        lease_p99_us: of a hundred calls one is not faster.
        batch_us: of one job where a call asks for a hundred, or for half of what is ready.
        acknowledge_us: wall time of one acknowledgement, the median.
    """

    name: str
    ready: int
    tenants: int
    lease_us: float
    lease_p99_us: float
    batch_us: float
    acknowledge_us: float


class Queue:
    """A queue that is kept at one depth, on an engine of its own."""

    def __init__(self, url: str, prefix: str) -> None:
        """Prepare."""
        self.engine: Final = Engine(
            url, worker_id=new_ids(1)[0], prefix=prefix, lease_ms=LEASE_MS, on_event=lambda _event: None
        )
        self._pushed = 0

    async def open(self, policy: dict[str, str]) -> None:
        """Connect and declare it built, with a policy."""
        await self.engine.open()
        if policy:
            await self.engine.set_policy(QUEUE, policy, building=True)
        await self.engine.set_generation(QUEUE)

    async def push(self, count: int, tenants: int, **fields: Any) -> None:
        """Push new jobs of so many tenants in turn; of nobody where that is 0."""
        for first in range(0, count, _AT_ONCE):
            jobs = []
            for job_id in new_ids(min(_AT_ONCE, count - first)):
                tenant = f"t{self._pushed % tenants}" if tenants else ""
                jobs.append(Descriptor(**descriptor_fields(job_id) | {"tenant": tenant} | fields))
                self._pushed += 1
            await self.engine.enqueue(QUEUE, jobs)

    async def take(self, want: int, offers: str = "") -> tuple[float, float, list[tuple[str, int]]]:
        """Seconds of a lease call and of the acknowledgement, and what was leased."""
        began = time.perf_counter()
        batch = await self.engine.lease(QUEUE, want, offers)
        leased = time.perf_counter()
        keys = [lease.key for lease in batch.leases]
        await self.engine.acknowledge(QUEUE, keys)
        return leased - began, time.perf_counter() - leased, keys

    async def rounds(self, count: int, want: int, tenants: int, **fields: Any) -> tuple[list[float], list[float]]:
        """Take and put back, again and again: seconds of leases and of acknowledgements."""
        leases, acknowledgements = [], []
        for _ in range(count):
            leased, acknowledged, keys = await self.take(want)
            assert len(keys) == want
            leases.append(leased)
            acknowledgements.append(acknowledged)
            await self.push(want, tenants, **fields)
        return leases, acknowledgements


async def taking(
    url: str, name: str, ready: int, tenants: int, rounds: int, policy: dict[str, str] | None = None
) -> Taken:
    """One case."""
    queue = Queue(url, f"lanes-{new_ids(1)[0]}")
    await queue.open(policy or {})
    try:
        await queue.push(ready, tenants)
        leases, acknowledgements = await queue.rounds(rounds, 1, tenants)
        want = min(_BATCH, ready // 2)
        batches, _ = await queue.rounds(max(1, rounds // 10), want, tenants)
    finally:
        await queue.engine.forget_queue(QUEUE)
        queue.engine.close()
    return Taken(
        name=name,
        ready=ready,
        tenants=tenants,
        lease_us=_us(statistics.median(leases)),
        lease_p99_us=_us(sorted(leases)[int(len(leases) * 0.99)]),
        batch_us=_us(statistics.median(batches) / want),
        acknowledge_us=_us(statistics.median(acknowledgements)),
    )


async def ceiling(url: str, blocked: int, rounds: int) -> dict[str, Any]:
    """Jobs per second of an unlimited type, alone and beside `blocked` jobs each of a type, a tenant and a key that
    have reached their limits; in turns.
    """
    policy = {"limit|type|held": "1", "limit|tenant|held": "1", "limit|key|*": "1"}
    alone, beside = Queue(url, f"alone-{new_ids(1)[0]}"), Queue(url, f"beside-{new_ids(1)[0]}")
    for queue in (alone, beside):
        await queue.open(policy)
        await queue.push(1000, 0)
    await beside.push(blocked, 0, job_type="held", priority=5)
    await beside.push(blocked, 0, tenant="held", priority=5)
    await beside.push(blocked, 0, limit_key="held", priority=5)
    assert len((await beside.engine.lease(QUEUE, 3)).leases) == 3
    seconds = {"alone": 0.0, "beside": 0.0}
    for _ in range(rounds):
        for name, queue in (("alone", alone), ("beside", beside)):
            leases, acknowledgements = await queue.rounds(10, 10, 0)
            seconds[name] += sum(leases) + sum(acknowledgements)
    for queue in (alone, beside):
        await queue.engine.forget_queue(QUEUE)
        queue.engine.close()
    jobs = rounds * 100
    return {
        "name": "an unlimited type beside limits at their ceilings",
        "blocked": 3 * blocked,
        "alone_per_second": round(jobs / seconds["alone"]),
        "beside_per_second": round(jobs / seconds["beside"]),
        "ratio": round(seconds["alone"] / seconds["beside"], 3),
    }


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


# -- scripts of two checkouts ------------------------------------------------------------------------------------------


class Scripts:
    """The scripts of a checkout for a queue without lanes, as its Rust file puts them together."""

    def __init__(self, client: redis.Redis, checkout: Path, prefix: str) -> None:
        """Load them."""
        self._client, self._prefix = client, prefix
        lua, rust = checkout / "rust/core/lua", (checkout / "rust/core/src/script.rs").read_text()
        self._known: dict[str, tuple[str, list[str]]] = {}
        for name in ("enqueue", "lease", "acknowledge"):
            text = (lua / f"{name}.lua").read_text()
            call = re.search(rf'"{name}",\s*\[[^\]]*\]((?:,\s*"\w+")*)', rust)
            header = re.search(r"^-- KEYS: (.*)$", text, re.MULTILINE)
            assert call is not None, f"{checkout} has no {name}"
            assert header is not None
            parts = ["queue", *re.findall(r'"(\w+)"', call[1])]
            source = "".join((lua / "include" / f"{part}.lua").read_text() for part in parts) + text
            keys = [f"{prefix}:{{q}}:{key}" for key in header[1].split(", ")]
            sha = client.script_load(f"#!lua flags=allow-oom\n{source}")
            self._known[name] = sha, keys
        client.set(f"{prefix}:{{q}}:generation", 1)

    def _call(self, name: str, *arguments: object) -> tuple[float, list[Any]]:
        sha, keys = self._known[name]
        self._client.config_resetstat()
        reply = self._client.evalsha(sha, len(keys), *keys, *arguments)
        return self._client.info("commandstats")["cmdstat_evalsha"]["usec"], reply

    def cycle(self, want: int) -> dict[str, float]:
        """Microseconds of the server's for pushing, leasing and acknowledging so many jobs."""
        pushes = []
        for job_id in new_ids(want):
            text = "1 3 0 0 5 0 1700000000000 json before before\n" + "x" * 200
            pushes += [job_id, 3, 0, 1_700_000_000_000, text]
        spent = {}
        spent["enqueue"], _ = self._call("enqueue", "q", "inbox:", *pushes)
        spent["lease"], reply = self._call("lease", want, 30_000, "w", 100, "q", "inbox:", "")
        leases = [f"{job_id.decode()}:1" for job_id in reply[4::2]]
        assert len(leases) == want
        spent["acknowledge"], _ = self._call("acknowledge", "settled", *leases)
        return spent


def against(url: str, checkout: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """How fast this checkout's scripts are on a queue without lanes, beside another's: 1 where they are even."""
    with redis.from_url(url) as client:
        both = {"before": Scripts(client, checkout, "before"), "now": Scripts(client, _HERE, "now")}
        for want in (1, 10, _BATCH):
            spent: dict[str, dict[str, list[float]]] = {name: {} for name in both}
            for turn in range(rounds):
                for name in sorted(both, reverse=turn % 2 == 0):
                    for verb, microseconds in both[name].cycle(want).items():
                        spent[name].setdefault(verb, []).append(microseconds)
            for verb, before in spent["before"].items():
                was, now = statistics.median(before), statistics.median(spent["now"][verb])
                yield {"verb": verb, "jobs": want, "before_us": was, "now_us": now, "ratio": round(was / now, 3)}


# -- all of it ---------------------------------------------------------------------------------------------------------


async def measure(url: str, depths: Sequence[int], rounds: int) -> Iterator[Any]:
    """Every case."""
    rows: list[Any] = []
    for ready in depths:
        rows.append(await taking(url, "plain", ready, 0, rounds))
        rows += [await taking(url, "tenants", ready, tenants, rounds) for tenants in _TENANTS if tenants <= ready]
    limits = {"limit|tenant|*": "5", "limit|type|other": "5", "rate|tenant|*": "1000000 1 1000000"}
    rows.append(await taking(url, "limits", depths[-1], min(_TENANTS[1], depths[-1]), rounds, limits))
    rows.append(await taking(url, "ageing", depths[-1], 0, rounds, {"order": "ageing", "ageing_ms": "60000"}))
    rows.append(await ceiling(url, min(depths[-1], 10_000), max(1, rounds // 50)))
    return iter(rows)


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny, to show that it works")
    parser.add_argument("--million", action="store_true", help="of a million ready jobs too")
    parser.add_argument(
        "--against", type=Path, help="another checkout, whose scripts are compared; nothing else is done"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenure-lanes-") as directory, own_valkey(Path(directory)) as (url, _):
        if options.against:
            for row in against(url, options.against, 20 if options.quick else 400):
                print(row)
            return
        depths = DEPTHS[:2] if options.quick else (*DEPTHS, 1_000_000) if options.million else (*DEPTHS, 100_000)
        for row in asyncio.run(measure(url, depths, 20 if options.quick else 500)):
            print(row)


if __name__ == "__main__":
    main()
