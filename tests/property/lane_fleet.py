"""What random histories of lanes are made of: jobs, policies, and workers that offer different things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st

from tests.property.lane_reference import LaneJob, parts

BEGAN: Final = 1_700_000_000_000
LEASE_MS: Final = 5000
_TYPES: Final = ("work", "mail")
JOBS: Final = st.lists(
    st.builds(
        LaneJob,
        st.sampled_from([f"j{number:02}" for number in range(24)]),
        priority=st.integers(1, 5),
        run_at=st.integers(-500, 900),
        job_type=st.sampled_from(_TYPES),
        tenant=st.sampled_from(("", "a", "b", "c")),
        requires=st.sampled_from(("", "", "", "gpu", "eu", "eu,gpu", ";cpu=2", "gpu;cpu=1,mem=0.5", "tpu")),
        key=st.sampled_from(("", "", "k1", "k2")),
        cost=st.sampled_from((1000, 1000, 500, 4000)),
        deadline=st.sampled_from((0, BEGAN + 100, BEGAN + 90_000)),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda job: job.job_id,
)
# Numbers that change while jobs run; what changes where jobs stand is drawn apart.
NUMBERS: Final = st.fixed_dictionaries(
    {},
    optional={
        "limit|queue": st.sampled_from(("0", "3", "6")),
        "limit|tenant|*": st.sampled_from(("1", "2")),
        "limit|tenant|a": st.sampled_from(("0", "3")),
        "limit|key|*": st.sampled_from(("1", "2")),
        "rate|tenant|b": st.just("2 1000 2"),
        "rate|key|k2": st.just("1 1000 1"),
        "rate|queue": st.just("10 1000 4"),
        "quota|*|cpu": st.sampled_from(("2", "3")),
        "weight|a": st.sampled_from(("2", "0.5")),
    },
)
SHAPES: Final = st.sampled_from(
    [
        {},
        {"limit|type|mail": "1"},
        {"limit|type|mail": "2", "rate|type|work": "4 1000 2"},
        {"order": "ageing", "ageing_ms": "300"},
        {"order": "deadline", "limit|type|work": "2"},
        {"order": "shortest", "shortest_factor": "2"},
        {"fair": "time"},
        {"fair": "share", "capacity|slots": "8", "capacity|cpu": "6"},
    ]
)
SHAPING: Final = ("order", "fair", "limit|type", "rate|type")


@dataclass
class Worker:
    """What it has, and what of that its leases take."""

    capabilities: set[str]
    amounts: dict[str, int]
    slots: int
    leases: dict[str, LaneJob] = field(default_factory=dict)
    idle: bool = False
    # Redis has forgotten what it offers
    unknown: bool = False

    @property
    def left(self) -> dict[str, int]:
        """What is free of its resources."""
        left = dict(self.amounts)
        for job in self.leases.values():
            for name, amount in parts(job.requires)[1].items():
                left[name] -= amount
        return left

    @property
    def free(self) -> int:
        """Its free slots."""
        return self.slots - len(self.leases)


def workers() -> dict[str, Worker]:
    """Four that differ in what they can, have and hold at a time."""
    return {
        "plain": Worker(set(), {}, 2),
        "gpu": Worker({"gpu"}, {"cpu": 2000, "mem": 1000}, 2),
        "both": Worker({"eu", "gpu"}, {}, 1),
        "big": Worker({"eu"}, {"cpu": 4000}, 4),
    }
