"""Who is woken in a queue with lanes: workers that can run what is ready, as they are after what they took last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.property.lane_reference import LaneJob
from tests.property.scripts import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.client import PubSub

_NOW = 1_700_000_000_000


class Fleet:
    """Idle workers, and what is told to them."""

    def __init__(self, queue: Queue, inbox: PubSub) -> None:
        self.queue, self._inbox = queue, inbox

    def lease(self, worker: str, want: int, offers: str) -> list[str]:
        """The ids of the jobs that a worker got; if there were fewer than it wanted, it waits for more."""
        return self.queue.call("lane_lease", want, 5000, worker, 100, "q", self.queue.inbox, offers)[4::2]

    def push(self, *jobs: LaneJob) -> None:
        """Push jobs that are ready."""
        arguments = [part for job in jobs for part in job.arguments]
        assert self.queue.call("lane_push", "q", self.queue.inbox, "enqueue", *arguments)[0] == "PUSHED"

    def woken(self) -> list[str]:
        """Who was woken since this was asked last."""
        return self.queue.woken(self._inbox)


@pytest.fixture
def fleet(raw_redis: Any, prefix: str) -> Iterator[Fleet]:
    queue = Queue(raw_redis, prefix)
    queue.tell_time(_NOW)
    with raw_redis.pubsub() as inbox:
        inbox.psubscribe(f"{queue.inbox}*")
        assert inbox.get_message(timeout=5)["type"] == "psubscribe"
        assert queue.call("generation") == ["GENERATION", 1]
        made = Fleet(queue, inbox)
        made.push(LaneJob("first", tenant="t", run_at=_NOW))
        assert made.lease("nobody", 1, "") == ["first"]
        yield made


def test_who_has_used_up_what_it_offered_is_not_woken_for_more_of_it(fleet):
    fleet.push(LaneJob("large", requires=";cpu=2", run_at=_NOW))
    assert fleet.lease("big", 3, "eu;cpu=2,mem=0.5") == ["large"]
    assert fleet.lease("other", 2, "gpu;cpu=2") == []
    fleet.push(LaneJob("next", requires=";cpu=2", run_at=_NOW))
    assert fleet.woken() == ["other"]
    assert fleet.lease("other", 2, "gpu;cpu=2") == ["next"]
    fleet.push(LaneJob("small", requires=";mem=0.5", run_at=_NOW))
    assert fleet.woken() == ["big"]


def test_a_job_passed_over_by_who_was_woken_for_it_wakes_another(fleet):
    """The better job came in between, and takes what the other needs."""
    assert fleet.lease("one", 2, "a;cpu=2") == []
    assert fleet.lease("two", 2, "b;cpu=2") == []
    fleet.push(LaneJob("later", requires=";cpu=2", run_at=_NOW))
    assert fleet.woken() == ["one"]
    fleet.push(LaneJob("urgent", requires="a;cpu=1", priority=5, run_at=_NOW))
    assert fleet.woken() == []
    assert fleet.lease("one", 2, "a;cpu=2") == ["urgent"]
    assert fleet.woken() == ["two"]
    assert fleet.lease("two", 2, "b;cpu=2") == ["later"]
    assert fleet.woken() == []


def test_nobody_is_woken_again_and_again_for_what_does_not_fit(fleet):
    assert fleet.lease("one", 2, "a;cpu=1") == []
    fleet.push(LaneJob("large", requires=";cpu=4", run_at=_NOW), LaneJob("gpu", requires="gpu", run_at=_NOW))
    assert fleet.woken() == []
    assert fleet.lease("two", 2, "b;cpu=2") == []
    assert fleet.lease("one", 2, "a;cpu=1") == []
    assert fleet.woken() == []
