"""Items that run in few tasks, each as if it were alone in its own."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

from tenure._slots import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WHO = contextvars.ContextVar("WHO", default="nobody")


def slots_of(each: Callable[[int], Awaitable[None]]) -> tuple[Slots[int], list[tuple[int, asyncio.Task[None]]]]:
    ran: list[tuple[int, asyncio.Task[None]]] = []

    async def run(item: int, task: asyncio.Task[None]) -> None:
        assert task is asyncio.current_task()
        ran.append((item, task))
        await each(item)

    return Slots(run), ran


async def test_items_that_never_wait_share_a_task_and_keep_their_order():
    async def each(_item: int) -> None:
        pass

    slots, ran = slots_of(each)
    slots.begin(list(range(50)))
    await slots.drained()
    assert [item for item, _ in ran] == list(range(50))
    assert len({task for _, task in ran}) < 10


async def test_items_that_wait_run_at_the_same_time():
    together = asyncio.Barrier(20)

    async def each(_item: int) -> None:
        await together.wait()

    slots, ran = slots_of(each)
    slots.begin(list(range(20)))
    async with asyncio.timeout(5):
        await slots.drained()
    assert len({task for _, task in ran}) == 20


async def test_one_that_waits_holds_up_none_that_come_later():
    go_on = asyncio.Event()

    async def each(item: int) -> None:
        if item == 0:
            await go_on.wait()
        else:
            go_on.set()

    slots, ran = slots_of(each)
    slots.begin([0])
    await asyncio.sleep(0)
    slots.begin([1])
    async with asyncio.timeout(5):
        await slots.drained()
    assert [item for item, _ in ran] == [0, 1]


async def test_a_context_that_was_changed_is_not_inherited():
    seen: list[str] = []

    async def each(item: int) -> None:
        seen.append(WHO.get())
        WHO.set(str(item))

    slots, _ = slots_of(each)
    slots.begin(list(range(5)))
    await slots.drained()
    assert seen == ["nobody"] * 5


async def test_a_cancellation_reaches_one_item_only():
    ended: list[int] = []

    async def each(item: int) -> None:
        if item == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                return
        await asyncio.sleep(0)
        ended.append(item)

    slots, _ = slots_of(each)
    slots.begin(list(range(4)))
    async with asyncio.timeout(5):
        await slots.drained()
    assert sorted(ended) == [0, 2, 3]


async def test_one_that_breaks_takes_no_other_along():
    async def each(item: int) -> None:
        if item == 0:
            raise asyncio.CancelledError

    slots, ran = slots_of(each)
    slots.begin(list(range(4)))
    await slots.drained()
    assert [item for item, _ in ran] == [0, 1, 2, 3]
