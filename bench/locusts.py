"""locust against the stores, as a campaign runs it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench.space import Space

_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Locusts:
    """Users who each enqueue at a rate and wait for the commit: a closed loop. Milliseconds, as locust rounds them."""

    users: int
    rate: float
    jobs: int
    per_second: float
    enqueue_p50_ms: float
    enqueue_p99_ms: float
    pick_up_p50_ms: float
    pick_up_p99_ms: float


async def locusts(here: Space, users: int, rate: float, seconds: float) -> Locusts:
    """Run the campaign of `locustfile.py` without its page."""
    command = ["-m", "locust", "-f", "bench/locustfile.py", "--headless", "--json", "--only-summary"]
    command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:g}s", "--tenure-rate", str(rate)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=_ROOT, env=here.environment, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"locust failed, exit code {process.returncode}:\n{err.decode()[-4000:]}")
    found: dict[str, dict[str, Any]] = {one["name"]: one for one in json.loads(out)}
    enqueue, pick_up = found["enqueue"], found["pick-up"]
    # A call that was cut off at the end may have been committed without being counted.
    missing = enqueue["num_requests"] - pick_up["num_requests"]
    assert enqueue["num_failures"] == 0, "no enqueue may fail"
    assert missing <= 0, f"jobs enqueued that were not run: {missing}"
    if left := await here.statuses():
        raise AssertionError(f"the campaign must clean up after itself: {left}")
    return Locusts(
        users=users,
        rate=rate,
        jobs=pick_up["num_requests"],
        per_second=round(enqueue["num_requests"] / seconds, 1),
        enqueue_p50_ms=_percentile(enqueue, 50),
        enqueue_p99_ms=_percentile(enqueue, 99),
        pick_up_p50_ms=_percentile(pick_up, 50),
        pick_up_p99_ms=_percentile(pick_up, 99),
    )


def _percentile(row: dict[str, Any], percent: float) -> float:
    """From locust's counts by rounded milliseconds."""
    counts = sorted((float(ms), count) for ms, count in row["response_times"].items())
    wanted, seen = sum(count for _, count in counts) * percent / 100, 0
    for ms, count in counts:
        seen += count
        if seen >= wanted:
            return ms
    return 0.0
