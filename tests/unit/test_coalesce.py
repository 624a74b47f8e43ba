"""Batches that form by themselves."""

from __future__ import annotations

import asyncio

from tenure._coalesce import Coalescer


async def test_what_piles_up_becomes_one_batch():
    batches: list[list[int]] = []

    async def flush(batch: list[int]) -> None:
        batches.append(batch)
        await asyncio.sleep(0)

    items: Coalescer[int] = Coalescer(flush, most=10, in_flight=1)
    for number in range(25):
        items.add(number)
    await items.drained()
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [number for batch in batches for number in batch] == list(range(25))


async def test_an_item_that_comes_as_the_last_batch_ends_is_flushed_too():
    flushed: list[int] = []
    items: Coalescer[int]

    async def flush(batch: list[int]) -> None:
        flushed.extend(batch)
        if batch[0] < 100:
            # as a caller would that was waiting for this very batch
            asyncio.get_running_loop().call_soon(items.add, batch[0] + 1)

    items = Coalescer(flush, most=10, in_flight=1)
    items.add(0)
    async with asyncio.timeout(5):
        while len(flushed) <= 100:
            await asyncio.sleep(0)
    assert flushed == list(range(101))


async def test_no_more_batches_are_under_way_than_allowed():
    under_way, most = 0, 0

    async def flush(batch: list[int]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1

    items: Coalescer[int] = Coalescer(flush, most=1, in_flight=2)
    items.extend(list(range(20)))
    for number in range(20):
        items.add(number)
    await items.drained()
    assert most == 2
    assert len(items) == 0


async def test_what_is_abandoned_is_not_flushed_and_the_next_item_is():
    flushed: list[int] = []
    gate = asyncio.Event()

    async def flush(batch: list[int]) -> None:
        await gate.wait()
        flushed.extend(batch)

    items: Coalescer[int] = Coalescer(flush, most=1, in_flight=1)
    items.extend([1, 2, 3])
    await asyncio.sleep(0)
    await items.abandon()
    assert len(items) == 0
    gate.set()
    items.add(4)
    await items.drained()
    assert flushed == [4]


async def test_nothing_makes_no_batch():
    async def flush(batch: list[int]) -> None:
        raise AssertionError

    items: Coalescer[int] = Coalescer(flush, most=1, in_flight=1)
    items.extend([])
    await items.drained()


async def test_a_pace_holds_back_small_batches_and_no_full_ones():
    loop = asyncio.get_running_loop()
    began: list[tuple[float, int]] = []

    async def flush(batch: list[int]) -> None:
        began.append((loop.time(), len(batch)))

    items: Coalescer[int] = Coalescer(flush, most=10, in_flight=2, pace=0.05)
    items.add(0)
    while not began:
        await asyncio.sleep(0)
    items.add(1)
    items.add(2)
    await items.drained()
    items.extend(list(range(20)))
    await items.drained()
    sizes = [size for _, size in began]
    assert sizes == [1, 2, 10, 10]
    # by the loop's own clock, which timers may not precede
    assert began[1][0] - began[0][0] >= 0.05


async def test_a_lone_caller_does_not_wait_for_the_pace_and_company_does():
    pace, sizes = 0.2, []

    async def flush(batch: list[int]) -> None:
        sizes.append(len(batch))
        await asyncio.sleep(0)

    items: Coalescer[int] = Coalescer(flush, most=10, in_flight=1, pace=pace, awaited=True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(50):
        items.add(number)
        await items.drained()
    assert loop.time() - began < 49 * pace / 10
    items.extend([1, 2])
    await items.drained()
    items.add(3)
    await asyncio.sleep(0)
    items.add(4)
    await items.drained()
    assert sizes == [1] * 50 + [2, 2]
    assert loop.time() - began >= pace
