"""What a worker gives back: a fair part of what waits, to those who are idle, and nothing where nobody is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tenure._surplus import PATIENCE, Surplus
from tenure.errors import StoreUnavailable


class Here:
    """A worker that has jobs waiting, as the surplus sees it; all of them have waited for long."""

    def __init__(self, waiting: int, stuck: int, idle: int | Exception) -> None:
        self.waiting = [attempt(number) for number in range(waiting)]
        self.stuck = [attempt(number) for number in range(100, 100 + stuck)]
        self.idle = idle
        self.asked: list[str] = []
        self.given: list[Any] = []
        self.kept: list[Any] | None = None
        self.rested = asyncio.Event()
        self.hold = SimpleNamespace(waits_since=lambda: -1e9 if self.waiting else None)
        self.unbegun = 0
        self.surplus = Surplus(self, self, self.others_idle, self.rested.set)  # type: ignore[arg-type]

    async def others_idle(self, queue: str) -> int:
        self.asked.append(queue)
        if isinstance(self.idle, Exception):
            raise self.idle
        return self.idle

    def wait_for_processes(self) -> dict[Any, float]:
        return dict.fromkeys(self.stuck, -1e9)

    def withhold(self) -> list[Any]:
        waiting, self.waiting = self.waiting, []
        return waiting

    async def give_back(self, surplus: list[Any]) -> None:
        assert self.surplus.resting
        self.given = surplus
        self.stuck = [one for one in self.stuck if one not in surplus]

    def go_on(self, kept: list[Any]) -> None:
        self.kept = kept

    async def drained(self) -> None:
        """Everything is settled."""

    async def looks(self) -> None:
        """Wait until it has looked once."""
        self.surplus.arm()
        await asyncio.wait_for(self.rested.wait(), 5)
        assert not self.surplus.resting
        self.surplus.cancel()


def attempt(number: int, queue: str = "q", moved: int = 0) -> Any:
    lease = SimpleNamespace(queue=queue, fence=1 + moved, attempt=1, key=(str(number), 1 + moved))

    class Attempt(SimpleNamespace):
        __hash__ = object.__hash__

    return Attempt(number=number, lease=lease, stop=None)


@pytest.mark.parametrize(
    ("waiting", "stuck", "idle", "given"),
    [(10, 0, 1, 5), (10, 0, 3, 7), (1, 0, 5, 0), (0, 8, 1, 4), (0, 1, 1, 1), (0, 9, 2, 6), (4, 4, 1, 4), (5, 5, 0, 0)],
)
async def test_of_k_idle_and_itself_k_parts_are_given_back(waiting, stuck, idle, given):
    here = Here(waiting, stuck, idle)
    line = list(here.waiting)
    await here.looks()
    assert len(here.given) == given
    assert here.kept == [one for one in line if one not in here.given]
    # the last in line: the first are the next to run here
    assert here.kept == line[: len(here.kept)]


async def test_a_job_that_was_moved_often_stays():
    here = Here(0, 0, 1)
    here.stuck = [attempt(1, moved=3), attempt(2, moved=2), attempt(3, moved=7)]
    await here.looks()
    assert [one.number for one in here.given] == [2]


async def test_one_that_is_being_stopped_is_left_alone():
    here = Here(0, 1, 1)
    here.stuck[0].stop = "cancel"
    await here.looks()
    assert here.given == []


async def test_each_queue_is_asked_for_its_own_jobs():
    here = Here(0, 0, 1)
    here.stuck = [attempt(1, "one"), attempt(2, "two"), attempt(3, "two")]
    await here.looks()
    assert here.asked == ["one", "two"]
    assert [one.number for one in here.given] == [1, 3]


async def test_where_nobody_can_be_asked_everything_goes_on():
    here = Here(3, 3, StoreUnavailable("redis is away"))
    line = list(here.waiting)
    await here.looks()
    assert (here.given, here.kept) == ([], line)


async def test_it_looks_less_often_while_nobody_is_idle():
    here = Here(0, 1, 0)
    loop = asyncio.get_running_loop()
    moments = [loop.time()]
    here.surplus.arm()
    for _ in range(3):
        here.rested.clear()
        await asyncio.wait_for(here.rested.wait(), 5)
        moments.append(loop.time())
    here.surplus.cancel()
    for number in range(3):
        assert moments[number + 1] - moments[number] >= PATIENCE * 2**number * 0.99


async def test_after_its_end_it_looks_no_more():
    here = Here(0, 1, 1)
    here.surplus.cancel()
    here.surplus.arm()
    assert here.surplus._timer is None
