"""The extension, as far as it needs no server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure._engine import Engine, ForkedProcess, Histogram, backoff_ms, debug_build, migrations, new_ids
from tenure.errors import StoreUnavailable


def test_it_is_built_for_release():
    assert debug_build is False


def test_ids_rise():
    ids = new_ids(10_000)
    assert ids == sorted(set(ids))
    assert all(len(one) == 36 and one[14] == "7" for one in ids)


@given(
    attempt=st.integers(0, 2**32 - 1),
    base=st.integers(1, 10_000),
    factor=st.floats(1, 100),
    cap=st.integers(1, 100_000),
    jitter=st.sampled_from(["full", "equal", "none"]),
)
def test_a_delay_is_within_its_bounds(attempt, base, factor, cap, jitter):
    delay = backoff_ms(attempt, base, factor, cap, jitter)
    try:
        whole = min(cap, base * factor**attempt)
    except OverflowError:
        whole = cap
    assert 0 <= delay <= min(cap, whole * (1 + 1e-5) + 1)
    if jitter == "equal":
        assert delay >= whole / 2 * (1 - 1e-5) - 1
    if jitter == "none":
        # two ways to raise a number to a great power differ in their last digits
        assert abs(delay - whole) <= 1 + whole * 1e-5


def test_full_jitter_is_uniform():
    """Kolmogorov-Smirnov at 2,000 samples: the bound is passed by chance once in a hundred million."""
    samples = sorted(backoff_ms(3) / 8000 for _ in range(2000))
    distance = max(abs(value - (rank + 0.5) / 2000) for rank, value in enumerate(samples))
    assert distance < 3.1 / 2000**0.5


@pytest.mark.parametrize(
    ("field", "arguments"),
    [("base_ms", (0, 0)), ("factor", (0, 1, 0.5)), ("cap_ms", (0, 1, 2.0, 0)), ("jitter", (0, 1, 2.0, 1, "x"))],
)
def test_what_makes_no_delay_is_refused(field, arguments):
    with pytest.raises(ValueError, match=field):
        backoff_ms(*arguments)


def test_histograms_merge():
    one, other = Histogram(), Histogram()
    for _ in range(99):
        one.record(0.001)
    other.record(1.0)
    one.merge(Histogram.loads(other.dumps()))
    assert len(one) == 100
    assert one.percentile(50) == pytest.approx(0.001, rel=0.01)
    assert one.max == pytest.approx(1.0, rel=0.01)


def test_migrations_are_inside():
    assert [name[:3] for name, up, down in migrations() if up and down] == [
        f"{n:03d}" for n in range(1, len(migrations()) + 1)
    ]


async def test_a_server_that_is_not_there_is_unavailable():
    engine = Engine("redis://127.0.0.1:1/0", worker_id="w", prefix="p", lease_ms=1000, on_event=print)
    try:
        with pytest.raises(StoreUnavailable, match="redis cannot be asked"):
            await engine.open()
        with pytest.raises(StoreUnavailable):
            await engine.ping()
    finally:
        engine.close()


async def test_a_cancelled_call_is_nobodys(redis_url):
    engine = Engine(redis_url, worker_id="w", prefix="p", lease_ms=1000, on_event=print)
    try:
        await engine.open()
        for _ in range(200):
            call = asyncio.ensure_future(engine.ping())
            await asyncio.sleep(0)
            call.cancel()
        # the replies of those calls are not taken for this one's
        assert await engine.has_generation("nowhere") is False
    finally:
        engine.close()


async def test_closing_fails_what_is_pending(private_valkey):
    server = private_valkey()
    engine = Engine(server.url, worker_id="w", prefix="p", lease_ms=1000, on_event=print)
    await engine.open()
    server.signal(19)  # SIGSTOP: it will not answer
    call = asyncio.ensure_future(engine.ping())
    await asyncio.sleep(0)
    engine.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await call
    engine.close()


async def test_a_fork_is_refused(redis_url):
    engine = Engine(redis_url, worker_id="w", prefix="p", lease_ms=1000, on_event=print)
    await engine.open()
    done = asyncio.get_running_loop().create_future()
    child = os.fork()
    if child == 0:
        try:
            engine.core.ping(done)
        except ForkedProcess as error:
            os._exit(0 if str(os.getppid()) in str(error) and str(os.getpid()) in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    engine.close()


def test_an_interpreter_exits_with_a_live_core(redis_url):
    script = (
        "import asyncio, sys\nfrom tenure._engine import Engine\nasync def main():\n"
        "    e = Engine(sys.argv[1], worker_id='w', prefix='p', lease_ms=1000, on_event=print)\n"
        "    await e.open(); e.core.listen(); e.core.start_heartbeat(100, 1000); await e.ping()\n"
        "asyncio.run(main())\n"
    )
    exits = [subprocess.Popen([sys.executable, "-c", script, redis_url]) for _ in range(10)]
    assert [process.wait(30) for process in exits] == [0] * 10
