"""A schedule: when a recurring job is enqueued, by the five fields of cron in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from tenure import _validate
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from tenure.job_type import JobRequest

MISSED: Final = ("one", "all", "skip")
_LONGEST_CRON: Final = 255
_LONGEST_ZONE: Final = 64
# What is enqueued later than this after its moment has been missed.
_LATE: Final = timedelta(seconds=60)
# Of one schedule in one transaction, where all that was missed is wanted; the rest follows in the next.
_MOST: Final = 500
_NOT_SCHEDULED: Final = ("depends_on", "connection", "delay", "run_at", "expires_at", "deadline_at", "idempotency_key")


@dataclass(frozen=True, slots=True)
class Schedule:
    """What `Tenure.schedule` registered, and documents."""

    name: str
    cron: str
    request: JobRequest
    timezone: str
    missed: str

    def __post_init__(self) -> None:
        """Refuse what has no moments, and jobs whose options say themselves when they run."""
        _validate.name("name", self.name)
        _validate.text("cron", self.cron, _LONGEST_CRON)
        _validate.text("timezone", self.timezone, _LONGEST_ZONE)
        _validate.choice("missed", self.missed, MISSED)
        next_moment(self.cron, self.timezone, datetime.now(UTC))
        for option in _NOT_SCHEDULED:
            if value := getattr(self.request.options, option):
                raise InvalidInput(f"request.{option}", "absent in a schedule", value)
        if self.request.job_id is not None:
            raise InvalidInput("request.job_id", "absent in a schedule", self.request.job_id)


class Due(msgspec.Struct, frozen=True):
    """The moments of a schedule that are enqueued now, and the first one after them."""

    moments: list[datetime]
    next_at: datetime


def next_moment(cron: str, timezone: str, after: datetime) -> datetime:
    """The first moment after `after`.

    Where clocks are put forward, a moment that does not exist is moved behind the gap; where they are put back, one
    that exists twice is taken the first time.

    Raises:
        InvalidInput: the expression or the zone is not understood, or there is no such moment.
    """
    try:
        return _utc(next(_moments(cron, timezone, after)))
    except StopIteration:
        raise InvalidInput("cron", "an expression that some day fits", cron) from None


def due(cron: str, timezone: str, missed: str, next_at: datetime, now: datetime) -> Due:
    """What is to be enqueued at `now` of a schedule whose next moment, `next_at`, has come."""
    if missed == "all":
        moments, following = [next_at], next_moment(cron, timezone, next_at)
        while following <= now and len(moments) < _MOST:
            moments.append(following)
            following = next_moment(cron, timezone, following)
        return Due(moments, following)
    # From here back to the last one: a year's outage costs no more steps than a second's.
    whole = now.replace(microsecond=0) + timedelta(seconds=1)  # backwards, the start itself is left out
    last = max(next_at, _utc(next(_moments(cron, timezone, whole, reverse=True))))
    wanted = missed == "one" or now - last <= _LATE
    return Due([last] if wanted else [], next_moment(cron, timezone, now))


def _moments(cron: str, timezone: str, start: datetime, *, reverse: bool = False) -> CronSim:
    try:
        zone = ZoneInfo(timezone)
    except (ValueError, OSError, LookupError) as error:  # an unknown one is a KeyError
        raise InvalidInput("timezone", "a time zone of the IANA database that this machine has", timezone) from error
    try:
        return CronSim(cron, start.astimezone(zone), reverse)
    except CronSimError as error:
        raise InvalidInput("cron", f"five fields of cron, or six with seconds first ({error})", cron) from error


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
