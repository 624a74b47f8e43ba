"""What lanes promise in numbers: shares, bounds on waiting, rates, and a cost that does not grow with what is ready."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.property.lane_reference import LaneJob, Policy
from tests.property.scripts import Queue

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEGAN: Final = 1_700_000_000_000
_LEASE_MS: Final = 600_000
_AT_ONCE: Final = 500


class Lanes:
    """A queue, and the words of a fleet for its scripts."""

    def __init__(self, client: Any, prefix: str, policy: Policy | None = None) -> None:
        self.client, self.queue = client, Queue(client, prefix)
        self.now = _BEGAN
        self.queue.tell_time(self.now)
        self.set_policy(policy or {}, building=True)
        self.queue.call("generation")
        self.jobs: dict[str, LaneJob] = {}

    def wait(self, ms: int) -> None:
        """Time passes."""
        self.now += ms
        self.queue.tell_time(self.now)

    def set_policy(self, policy: Policy, *, building: bool = False) -> int:
        """What became of it."""
        fields = [part for pair in policy.items() for part in pair]
        return self.queue.call("set_policy", "q", "inbox:", int(building), *fields)[1]

    def push(self, jobs: Iterable[LaneJob]) -> None:
        """Push new jobs."""
        for some in _batched(jobs):
            self.jobs |= {job.job_id: job for job in some}
            arguments = [part for job in some for part in job.arguments]
            reply = self.queue.call("lane_push", "q", "inbox:", "enqueue", *arguments)
            if reply == ["PLAIN"]:
                reply = self.queue.call("enqueue", "q", "inbox:", *arguments)
            assert reply[0] == "PUSHED"

    def lease(self, want: int = 1, offers: str = "") -> list[LaneJob]:
        """The jobs that a worker got."""
        reply = self.queue.call("lane_lease", want, _LEASE_MS, "w", 100, "q", "inbox:", offers)
        assert reply[0] == "LEASED"
        return [self.jobs[job_id] for job_id in reply[4::2]]

    def end(self, jobs: Iterable[LaneJob]) -> None:
        """Their jobs have ended."""
        for some in _batched(jobs):
            self.queue.call("lane_acknowledge", "q", "inbox:", "settled", 0, *(job.lease for job in some))


def _batched(jobs: Iterable[LaneJob]) -> Iterable[list[LaneJob]]:
    left = iter(jobs)
    while some := list(itertools.islice(left, _AT_ONCE)):
        yield some


def jobs_of(tenant: str, count: int, **others: Any) -> list[LaneJob]:
    """Jobs alike."""
    others = {"run_at": _BEGAN} | others
    return [LaneJob(f"{tenant}{others.get('key', '')}-{number:07}", tenant=tenant, **others) for number in range(count)]


def jain(shares: list[float]) -> float:
    """Jain's index: 1 where all are equal."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


@pytest.mark.parametrize("want", [1, 7])
def test_shares_are_those_of_the_weights(raw_redis, prefix, want):
    weights = {"a": 1, "b": 2, "c": 4}
    lanes = Lanes(raw_redis, prefix, {f"weight|{name}": str(weight) for name, weight in weights.items()})
    generator = random.Random(7)
    costs = (250, 1000, 1000, 3000)
    for tenant in weights:
        lanes.push(
            LaneJob(f"{tenant}-{number:05}", tenant=tenant, run_at=_BEGAN, cost=generator.choice(costs))
            for number in range(3000)
        )
    service: Counter[str] = Counter()
    largest_lag = 0.0
    for _ in range(3500 // want):
        leased = lanes.lease(want)
        for job in leased:
            service[job.tenant] += job.cost
            normalised = [service[name] / weight for name, weight in weights.items()]
            largest_lag = max(largest_lag, max(normalised) - min(normalised))
            for one, other in itertools.combinations(weights, 2):
                apart = abs(service[one] / weights[one] - service[other] / weights[other])
                assert apart <= 3000 / weights[one] + 3000 / weights[other] + 1, "the bound of start-time fair queueing"
        lanes.end(leased)
    assert jain([service[name] / weight for name, weight in weights.items()]) > 0.9999
    assert 0 < largest_lag <= 3000 + 3000 / 2 + 1


def test_a_tenants_hundred_thousand_jobs_do_not_delay_anothers_ten(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix)
    lanes.push(jobs_of("flood", 100_000))
    for _ in range(50):
        lanes.end(lanes.lease(4))
    lanes.wait(1_000)
    lanes.push(jobs_of("small", 10, run_at=lanes.now))
    leased = [job.tenant for _ in range(5) for job in lanes.lease(4)]
    assert leased.count("small") == 10, "one for one from its arrival on"
    # nothing is saved up by having been away
    lanes.wait(1_000)
    lanes.push(jobs_of("small", 100, run_at=lanes.now))
    assert Counter(job.tenant for job in lanes.lease(40))["small"] in (19, 20, 21)


def test_an_old_job_is_passed_only_within_the_bound(raw_redis, prefix):
    ageing_ms = 1_000
    lanes = Lanes(raw_redis, prefix, {"order": "ageing", "ageing_ms": str(ageing_ms)})
    lanes.push([LaneJob("old", priority=1, run_at=_BEGAN)])
    leased_at: dict[str, int] = {}
    for number in itertools.count():
        # twice as much of the highest priority arrives as is run
        lanes.push(LaneJob(f"new-{number:04}-{half}", priority=5, run_at=lanes.now) for half in "ab")
        (job,) = lanes.lease()
        lanes.end([job])
        leased_at[job.job_id] = lanes.now
        if job.job_id == "old":
            break
        lanes.wait(10)
        assert lanes.now < _BEGAN + 60_000, "it starves"
    # At 2 arrivals for each lease it waits for those of (5 - 1) * ageing_ms: twice that time, and no more.
    assert leased_at["old"] - _BEGAN <= 2 * 4 * ageing_ms + 20
    assert leased_at["old"] - _BEGAN >= 4 * ageing_ms, "and is passed by those who may pass it"


def test_a_rate_is_never_exceeded(raw_redis, prefix):
    amount, period, burst = 5, 1_000, 3
    lanes = Lanes(raw_redis, prefix, {"rate|key|*": f"{amount} {period} {burst}", "rate|tenant|t": "50 1000 20"})
    lanes.push(jobs_of("t", 400, key="k1"))
    lanes.push(jobs_of("t", 400, key="k2"))
    generator, given = random.Random(3), defaultdict(list)
    assert lanes.lease(100) == [], "a bucket that was never used was empty when its policy was set"
    for _ in range(300):
        lanes.wait(generator.choice((1, 20, 140, 200, 2_000)))
        for job in lanes.lease(generator.randint(1, 8)):
            given[job.key].append(lanes.now)
    for times in given.values():
        for first, last in itertools.combinations(range(len(times)), 2):
            assert last - first + 1 <= burst + (times[last] - times[first]) * amount / period
    elapsed = lanes.now - _BEGAN
    assert len(given["k1"]) + len(given["k2"]) > 0.3 * 2 * elapsed * amount / period, "and it is used"


@pytest.mark.parametrize("between", [{"weight|t": "2"}, {}], ids=["others", "none"])
def test_a_rate_that_was_taken_out_gives_no_second_burst(raw_redis, prefix, between):
    policy = {"rate|tenant|t": "5 1000 3"}
    lanes = Lanes(raw_redis, prefix, policy)
    lanes.push(jobs_of("t", 9))
    lanes.wait(10_000)
    assert len(lanes.lease(9)) == 3
    assert lanes.set_policy(between) == 1
    assert lanes.set_policy(policy) == 1
    assert lanes.lease(9) == [], "it would be twice the burst at once"
    lanes.wait(199)
    assert lanes.lease(9) == []
    lanes.wait(1)
    assert len(lanes.lease(9)) == 1


def test_who_waits_for_a_token_is_told_when_it_comes(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix, {"rate|queue": "1 1000 1"})
    lanes.push(jobs_of("t", 3))
    for second in range(3):
        reply = lanes.queue.call("lane_lease", 5, _LEASE_MS, "w", 100, "q", "inbox:", "")
        assert len(reply) == (4 if second == 0 else 6)
        assert reply[2] == _BEGAN + 1_000 * (second + 1)
        assert lanes.queue.call("promote", "q", "inbox:", 10)[2] == reply[2]
        lanes.wait(1_000)


def test_dominant_shares_are_those_of_the_paper(raw_redis, prefix):
    """Ghodsi et al. 2011, figure 1: 9 CPUs, 18 GB; tasks of (1 CPU, 4 GB) and (3 CPU, 1 GB) get 3 and 2."""
    lanes = Lanes(raw_redis, prefix, {"fair": "share", "capacity|cpu": "9", "capacity|gb": "18"})
    lanes.push(jobs_of("a", 20, requires=";cpu=1,gb=4"))
    lanes.push(jobs_of("b", 20, requires=";cpu=3,gb=1"))
    running = lanes.lease(20, ";cpu=9,gb=18")
    assert Counter(job.tenant for job in running) == {"a": 3, "b": 2}
    # what one gives back goes to whoever has the smaller dominant share then
    gone = next(job for job in running if job.tenant == "a")
    lanes.end([gone])
    assert [job.tenant for job in lanes.lease(20, ";cpu=1,gb=4")] == ["a"]


@pytest.mark.parametrize(
    ("slots", "change", "early"),
    [("2", {"capacity|slots": "24"}, 12), ("24", {"weight|early": "5"}, 20)],
    ids=["a larger fleet", "a higher weight"],
)
def test_what_is_held_counts_by_the_policy_that_there_is(raw_redis, prefix, slots, change, early):
    policy = {"fair": "share", "capacity|slots": slots}
    lanes = Lanes(raw_redis, prefix, policy)
    lanes.push(jobs_of("early", 40))
    held = lanes.lease(int(slots) // 2 if "weight|early" in change else 2)
    assert lanes.set_policy(policy | change) == 1
    lanes.push(jobs_of("late", 40))
    every = Counter(job.tenant for job in (*held, *lanes.lease(24 - len(held))))
    assert every == {"early": early, "late": 24 - early}, "24 slots, shared by weight"


def test_time_that_was_used_is_what_is_charged(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix, {"fair": "time"})
    lanes.push(jobs_of("slow", 400, job_type="long"))
    lanes.push(jobs_of("fast", 400, job_type="short"))
    used: Counter[str] = Counter()
    for _ in range(200):
        (job,) = lanes.lease()
        took = 400 if job.tenant == "slow" else 100
        lanes.wait(took)
        used[job.tenant] += took
        lanes.end([job])
    assert abs(used["slow"] - used["fast"]) <= 2 * (400 + 1_000), "as much time for each, whatever the number of jobs"


def test_shortest_predicted_first_and_nothing_starves(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix, {"order": "shortest", "shortest_factor": "1"})
    for name, took in (("long", 5_000), ("short", 10)):
        lanes.push([LaneJob(f"first-{name}", job_type=name, run_at=lanes.now)])
        (job,) = lanes.lease()
        lanes.wait(took)
        lanes.end([job])
    lanes.push([LaneJob("long", job_type="long", run_at=lanes.now)])
    lanes.wait(100)
    lanes.push([LaneJob("short", job_type="short", run_at=lanes.now)])
    assert [job.job_id for job in lanes.lease()] == ["short"]
    lanes.wait(5_000)
    lanes.push([LaneJob("late", job_type="short", run_at=lanes.now)])
    assert [job.job_id for job in lanes.lease()] == ["long"], "it has waited for longer than it takes"


def test_what_a_job_says_itself_is_its_prediction(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix, {"order": "shortest", "shortest_factor": "1"})
    lanes.push([LaneJob("measured", job_type="short", run_at=lanes.now)])
    (job,) = lanes.lease()
    lanes.wait(2_000)
    lanes.end([job])
    lanes.push([LaneJob(f"says-{ms}", job_type="short", cost=ms, run_at=lanes.now) for ms in (1_000, 1_500, 3_000)])
    order = [lanes.lease()[0].job_id for _ in range(3)]
    assert order == ["says-1500", "says-1000", "says-3000"], "a cost of 1 is none that was given: its type takes 2 s"


def commands_of(client: Any, act: Any) -> int:
    """How many commands something takes on the server."""
    client.config_resetstat()
    act()
    return sum(one["calls"] for name, one in client.info("commandstats").items() if "evalsha" not in name)


def test_a_lease_takes_as_many_commands_whatever_is_ready(raw_redis, prefix):
    taken = []
    for number, (count, tenants) in enumerate(((10, 2), (1_000, 100), (20_000, 2_000))):
        lanes = Lanes(raw_redis, f"{prefix}{number}", {"limit|type|mail": "1", "limit|tenant|*": "5"})
        every = [jobs_of(f"t{tenant:04}", count // tenants)[:] for tenant in range(tenants)]
        lanes.push(itertools.chain.from_iterable(every))
        lanes.lease()
        taken.append(commands_of(raw_redis, lanes.lease))
    assert max(taken) - min(taken) <= 5, taken
    assert max(taken) < 80, taken


def test_a_limit_at_its_ceiling_costs_the_others_nothing(raw_redis, prefix):
    taken = {}
    for name, policy in (
        ("free", {"limit|tenant|x": "99"}),
        ("full", {"limit|type|mail": "1", "limit|tenant|full": "1"}),
    ):
        lanes = Lanes(raw_redis, f"{prefix}{name}", policy)
        lanes.push(jobs_of("other", 300))
        if name == "full":
            lanes.push(jobs_of("full", 2_000))
            lanes.push(LaneJob(f"mail-{number}", job_type="mail", run_at=_BEGAN) for number in range(2_000))
            lanes.lease(3)
        lanes.lease()
        taken[name] = commands_of(raw_redis, lambda lanes=lanes: [lanes.lease() for _ in range(100)]) / 100
    assert taken["full"] <= taken["free"] + 10, taken


def test_a_policy_that_says_where_jobs_stand_waits_for_a_rebuild(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix)
    lanes.push([LaneJob("plain", run_at=_BEGAN)])
    assert lanes.set_policy({"limit|type|work": "1"}) == 2
    assert lanes.set_policy({"order": "deadline"}) == 2
    assert lanes.set_policy({"limit|tenant|*": "1"}) == 1, "what waits is counted when it is leased"
    assert lanes.set_policy({"limit|tenant|*": "1"}) == 0
    lanes.end(lanes.lease())
    assert lanes.set_policy({"order": "deadline"}) == 1, "nothing stands or runs"
    assert lanes.set_policy({}) == 1
    assert lanes.queue.lanes().keys() <= {"generation", "idle"}
    assert b"laned" not in lanes.queue.lanes()["generation"]


def test_leases_that_count_for_nothing_keep_a_limit_out(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix)
    lanes.push([LaneJob("plain", run_at=_BEGAN)])
    lanes.queue.call("lease", 1, _LEASE_MS, "w", 100, "q", "inbox:", "")
    assert lanes.set_policy({"limit|queue": "1"}) == 2
    assert lanes.set_policy({"limit|queue": "1"}) == 2


def test_a_key_of_a_wrong_type_fails_before_the_first_write(raw_redis, prefix):
    lanes = Lanes(raw_redis, prefix, {"limit|tenant|*": "5"})
    lanes.push(jobs_of("t", 2))
    for name in (
        "turns",
        "heads",
        "parked",
        "rates",
        "resume",
        "used",
        "holds",
        "tenants",
        "entries",
        "classes",
        "idle",
    ):
        key = lanes.queue.key(f"lane-{name}")
        kept = f"{key}:kept"
        there = raw_redis.exists(key) and raw_redis.rename(key, kept)
        raw_redis.set(key, "somebody else's")
        before = lanes.queue.contents() | {"generation": 1}
        with pytest.raises(Exception, match="WRONGTYPE"):
            lanes.lease()
        with pytest.raises(Exception, match="WRONGTYPE"):
            lanes.push([LaneJob("odd", tenant="t", run_at=_BEGAN)])
        assert lanes.queue.contents() | {"generation": 1} == before
        raw_redis.delete(key)
        if there:
            raw_redis.rename(kept, key)
    assert len(lanes.lease(5)) == 2
