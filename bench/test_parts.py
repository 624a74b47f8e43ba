"""What each part of the hot path costs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenure._codec import decode, encode
from tenure._engine import Descriptor, Engine, backoff_ms, new_ids
from tenure._new_job import prepare
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    from bench.space import Space

_LIMIT = 1 << 20
_QUEUE = "parts"


def _descriptor(job_id: str) -> Descriptor:
    return Descriptor(
        job_id=job_id,
        job_type="before",
        priority=3,
        fence=0,
        attempts=0,
        max_retries=5,
        timeout_ms=0,
        run_at_ms=1_700_000_000_000,
        payload=b"x" * 200,
    )


@pytest.mark.benchmark(group="in process")
def test_backoff(benchmark: BenchmarkFixture) -> None:
    """One delay."""
    assert 0 <= benchmark(backoff_ms, 3) <= 60_000


@pytest.mark.benchmark(group="in process")
def test_new_ids_of_100(benchmark: BenchmarkFixture) -> None:
    """A hundred ids in one crossing."""
    ids = benchmark(new_ids, 100)
    assert ids == sorted(set(ids))


@pytest.mark.benchmark(group="in process")
@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
def test_encode(benchmark: BenchmarkFixture, payload_format: str) -> None:
    """One payload of about 200 bytes."""
    assert benchmark(encode, arguments(1), payload_format, _LIMIT, "payload")


@pytest.mark.benchmark(group="in process")
@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
def test_decode(benchmark: BenchmarkFixture, payload_format: str) -> None:
    """The same payload back."""
    data = encode(arguments(1), payload_format, _LIMIT, "payload")
    assert benchmark(decode, data, payload_format) == arguments(1)


@pytest.mark.benchmark(group="in process")
def test_descriptor(benchmark: BenchmarkFixture) -> None:
    """One descriptor, made in Python and kept in Rust."""
    job_id = new_ids(1)[0]
    assert benchmark(_descriptor, job_id).job_id == job_id


@pytest.mark.benchmark(group="in process")
def test_request_and_prepare(benchmark: BenchmarkFixture, here: Space) -> None:
    """Everything an enqueue does in Python before it has something to write."""
    job_type = here.producer().job_types["before"]
    job_id = new_ids(1)[0]

    def one() -> Any:
        return prepare(job_type.request(**arguments(1)), job_type, _LIMIT, job_id)

    assert benchmark(one).job_id == job_id


class Bridge:
    """An open engine and the loop it lives on."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        """Both must be ready."""
        self.engine = engine
        self._loop = loop

    def call(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run one call to its end."""
        return self._loop.run_until_complete(call)

    def repeat(self, times: int, call: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], None]:
        """Several calls in one turn of `run_until_complete`, which costs more than some of them."""

        async def run() -> None:
            for _ in range(times):
                await call()

        return lambda: self._loop.run_until_complete(run())

    def fill(self, jobs: int) -> None:
        """Push new jobs."""
        for first in range(0, jobs, 1000):
            batch = [_descriptor(job_id) for job_id in new_ids(min(1000, jobs - first))]
            self.call(self.engine.enqueue(_QUEUE, batch))


@pytest.fixture
def bridge(here: Space, loop: asyncio.AbstractEventLoop) -> Iterator[Bridge]:
    """An engine on a queue of its own."""
    engine = Engine(
        here.servers.redis_url,
        worker_id=new_ids(1)[0],
        prefix=here.name,
        lease_ms=30_000,
        on_event=lambda _event: None,
    )
    loop.run_until_complete(engine.open())
    loop.run_until_complete(engine.set_generation(_QUEUE))
    yield Bridge(engine, loop)
    engine.close()


def _pedantic(benchmark: BenchmarkFixture, run: Callable[[], object], operations: int, *, quick: bool) -> None:
    benchmark.pedantic(run, rounds=1 if quick else 30, warmup_rounds=0 if quick else 2)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:
        benchmark.extra_info["us_per_operation"] = round(benchmark.stats.stats.median / operations * 1e6, 2)


@pytest.mark.benchmark(group="bridge and redis")
def test_ping(benchmark: BenchmarkFixture, bridge: Bridge, *, quick: bool) -> None:
    """A call that does nothing there: the price of crossing and of the round trip."""
    times = 1 if quick else 100
    _pedantic(benchmark, bridge.repeat(times, bridge.engine.ping), times, quick=quick)


@pytest.mark.benchmark(group="bridge and redis")
@pytest.mark.parametrize("want", [1, 100])
def test_lease(benchmark: BenchmarkFixture, bridge: Bridge, want: int, *, quick: bool) -> None:
    """Taking jobs; the figure is per lease."""
    times = 1 if quick else 10
    bridge.fill(want * times * (1 if quick else 40))
    taken: list[int] = []

    async def one() -> None:
        taken.append(len((await bridge.engine.lease(_QUEUE, want)).leases))

    _pedantic(benchmark, bridge.repeat(times, one), times * want, quick=quick)
    assert set(taken) == {want}, "the queue must not run dry inside a measurement"


@pytest.mark.benchmark(group="bridge and redis")
def test_enqueue_of_100(benchmark: BenchmarkFixture, bridge: Bridge, *, quick: bool) -> None:
    """Pushing a hundred jobs, their descriptors made inside the measurement; the figure is per job."""

    async def one() -> None:
        pushed = await bridge.engine.enqueue(_QUEUE, [_descriptor(job_id) for job_id in new_ids(100)])
        assert pushed.ready == 100

    _pedantic(benchmark, bridge.repeat(1 if quick else 10, one), 100 * (1 if quick else 10), quick=quick)


@pytest.mark.benchmark(group="bridge and redis")
def test_acknowledge_of_100(benchmark: BenchmarkFixture, bridge: Bridge, *, quick: bool) -> None:
    """Forgetting a hundred leases in one call; the figure is per lease."""
    calls = 1 if quick else 40
    bridge.fill(100 * calls)
    batches = [bridge.call(bridge.engine.lease(_QUEUE, 100)).leases for _ in range(calls)]

    def run() -> None:
        keys = [(lease.job_id, lease.fence) for lease in batches.pop()]
        assert bridge.call(bridge.engine.acknowledge(_QUEUE, keys)) == len(keys)

    _pedantic(benchmark, run, 100, quick=quick)


@pytest.mark.benchmark(group="heartbeat")
def test_beats_with_100_leases(benchmark: BenchmarkFixture, bridge: Bridge, *, quick: bool) -> None:
    """What beats every 20 ms, each with a hundred leases, take from the loop's own calls: pings, as above."""
    bridge.fill(100)
    assert len(bridge.call(bridge.engine.lease(_QUEUE, 100)).leases) == 100
    bridge.engine.core.start_heartbeat(20, 60_000)
    try:
        times = 1 if quick else 100
        _pedantic(benchmark, bridge.repeat(times, bridge.engine.ping), times, quick=quick)
        assert bridge.engine.core.held() == 100
    finally:
        bridge.engine.core.stop_heartbeat()
