"""What a handler may return instead of a plain result: a verdict on its own attempt, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from tenure import _validate


@dataclass(frozen=True, slots=True)
class Completed:
    """The attempt completed; the same as returning `result` itself."""

    result: object = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed and another one may follow, as if the handler had raised.

    Attributes:
        error: why, for the audit.
        delay: seconds until the next attempt. Defaults to the job type's backoff.
    """

    error: str = ""
    delay: float | None = None

    def __post_init__(self) -> None:
        """Refuse a delay that is none."""
        if self.delay is not None:
            _validate.seconds("delay", self.delay)


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now: run again after `delay` seconds; no attempt is burnt.

    Attributes:
        delay: seconds. One that would end past the job's deadline makes a dead letter of it.
        most: how often the job may be snoozed; once more makes a dead letter of it. Defaults to no bound.
    """

    delay: float
    most: int | None = None

    def __post_init__(self) -> None:
        """Refuse a delay that is none."""
        _validate.seconds("delay", self.delay)
        if self.most is not None:
            _validate.whole("most", self.most, 1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The job is not wanted any more; it ends as CANCELLED."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """No retry can help; the job goes to the dead letter queue at once."""

    error: str = ""


Verdict = Completed | Retry | Snooze | Cancel | Dead
