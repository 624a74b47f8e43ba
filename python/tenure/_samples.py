"""What a worker says of itself with every beat, and what others read of it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

DEGRADED: Final = 50  # below this score a worker is degraded

# What is no count at all makes a sample none: a made-up number of 400 digits shall not stop who computes with it.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One beat. Fields that an older worker does not send have their defaults; a newer one's are passed over.

    Whoever may write to Redis may send anything here: it is for looking at and for sharing out work, never for
    deciding what became of a job.

    Attributes:
        beat: counts this worker's beats: the same number is the same beat, read again.
        every_ms: between two beats.
        at_ms: when it was sent, by Redis' clock.
        running, capacity: attempts under way, and how many there may be.
        held: leases.
        tick_age_ms: since the event loop last said that it turns.
        wedged: it does not.
        cpu_percent, rss_bytes: of the whole process, whose workers share them; CPU in percent of one core.
        error_rate: the share of recent attempts that failed (half-life 60 s).
        lag_ms: how much later than planned the beat was sent.
        queue_wait_ms: how long the jobs leased since the beat before had been ready, on average.
        score: 100 for well, 0 for wedged; see `rust/core/src/sample.rs`.
        status: ACTIVE or DRAINING, as the worker sees itself.
    """

    beat: _Count = 0
    every_ms: _Count = 0
    at_ms: _Count = 0
    pid: _Count = 0
    running: _Count = 0
    capacity: _Count = 0
    held: _Count = 0
    tick_age_ms: _Count = 0
    wedged: bool = False
    cpu_percent: float = 0.0
    rss_bytes: _Count = 0
    error_rate: float = 0.0
    lag_ms: _Count = 0
    queue_wait_ms: _Count = 0
    score: _Count = 100
    name: str = ""
    host: str = ""
    queues: tuple[str, ...] = ()
    status: str = "ACTIVE"
    version: str = ""

    @property
    def load(self) -> float:
        """The share of its slots that is taken; 0 where there are none."""
        return self.running / self.capacity if self.capacity > 0 else 0.0

    @property
    def registered_status(self) -> str:
        """What the registry says of a worker that sends this."""
        if self.status == "DRAINING":
            return "DRAINING"
        return "DEGRADED" if self.wedged or self.score < DEGRADED else "ACTIVE"


_decoder: Final = msgspec.json.Decoder(Sample)
# The registry keeps the figures: what is text is the row's own, by the worker's own statement.
_FIGURES: Final = (
    "beat",
    "pid",
    "running",
    "capacity",
    "held",
    "tick_age_ms",
    "wedged",
    "cpu_percent",
    "rss_bytes",
    "error_rate",
    "lag_ms",
    "queue_wait_ms",
    "score",
)


def read_sample(data: bytes) -> Sample | None:
    """A sample, or None for what is none."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None


def figures(sample: Sample) -> str:
    """The figures of a sample as the registry keeps them, a JSON object."""
    return msgspec.json.encode({name: getattr(sample, name) for name in _FIGURES}).decode()
