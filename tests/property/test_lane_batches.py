"""A call for many jobs gives what as many calls for one would, in the same order, whatever pages it reads them in."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.lane_reference import LaneJob, Policy
from tests.property.lane_shape import check_shape, used_by
from tests.property.scripts import Queue

_NOW = 1_700_000_000_000
_OFFERS = "gpu;cpu=40"
_POLICIES = st.sampled_from(
    [
        {},
        {},
        {"weight|t1": "3", "weight|t2": "0.5"},
        {"limit|key|*": "2"},
        {"limit|tenant|*": "9", "limit|queue": "60"},
        {"limit|type|mail": "7"},
        {"quota|*|cpu": "6"},
        {"order": "ageing", "ageing_ms": "50"},
        {"fair": "share", "capacity|slots": "50", "capacity|cpu": "40"},
    ]
)


@st.composite
def _jobs(draw: st.DrawFn) -> list[LaneJob]:
    """Few tenants with many jobs or many with few, with no keys, a shared one or many; times often alike."""
    tenants, keys, count = (
        draw(st.sampled_from((1, 2, 5, 70))),
        draw(st.sampled_from((0, 1, 3, 50))),
        draw(st.integers(1, 130)),
    )
    number = st.integers(0, 10_000)
    return [
        LaneJob(
            f"j{at:04}",
            priority=draw(st.sampled_from((5, 4, 3, 3, 3, 1))),
            run_at=_NOW - draw(st.integers(0, 20)),
            job_type=draw(st.sampled_from(("work", "work", "mail"))),
            tenant=draw(st.sampled_from(("", f"t{draw(number) % tenants}", f"t{draw(number) % tenants}"))),
            requires=draw(st.sampled_from(("", "", "", "gpu", ";cpu=1"))),
            key=f"k{draw(number) % keys}" if keys else "",
            cost=draw(st.sampled_from((1000, 1000, 300))),
        )
        for at in range(count)
    ]


def _push(queue: Queue, jobs: list[LaneJob], policy: Policy) -> None:
    queue.forget_everything()
    queue.tell_time(_NOW)
    if policy:
        queue.call("set_policy", "q", queue.inbox, 1, *(part for pair in policy.items() for part in pair))
    assert queue.call("generation") == ["GENERATION", 1]
    # one that makes it a queue with lanes, and is gone
    first = LaneJob("first", tenant="first", run_at=_NOW)
    for some in ([first], jobs):
        arguments = [part for job in some for part in job.arguments]
        assert queue.call("lane_push", "q", queue.inbox, "enqueue", *arguments)[0] == "PUSHED"
        if some == [first]:
            queue.call("lane_lease", 1, 5000, "w", 100, "q", queue.inbox, "")


def _lease(queue: Queue, want: int, left: float) -> list[str]:
    offers = _OFFERS.replace("40", f"{left:g}")
    return queue.call("lane_lease", want, 5000, "w", 100, "q", queue.inbox, offers)[4::2]


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(jobs=_jobs(), policy=_POLICIES, want=st.sampled_from((2, 3, 5, 33, 150)))
def test_a_call_for_many_gives_what_calls_for_one_would(raw_redis, prefix, jobs, policy, want):
    by_id = {job.job_id: job for job in jobs}
    many, one = Queue(raw_redis, f"{prefix}many"), Queue(raw_redis, f"{prefix}one")
    for queue in (many, one):
        _push(queue, jobs, policy)
    left = 40.0
    while True:
        at_once = _lease(many, want, left)
        singly = []
        for _ in range(want):
            spent = sum(by_id[job_id].requires == ";cpu=1" for job_id in singly)
            taken = _lease(one, 1, left - spent)
            if not taken:
                break
            singly += taken
        assert at_once == singly
        left -= sum(by_id[job_id].requires == ";cpu=1" for job_id in singly)
        for queue in (many, one):
            found = queue.lanes()
            check_shape(found)
            assert {name: int(value) for name, value in found["used"].items()} == used_by(found["holds"])
        if len(at_once) < want:
            return
