"""Unique jobs: which jobs are the same, for how long, and what becomes of the second."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tenure import _validate
from tenure.errors import InvalidInput, PayloadInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

UNTIL: Final = ("started", "ended")
ON_CONFLICT: Final = ("keep", "replace", "extend", "refuse", "later")
_DIGEST: Final = 20  # bytes: two different sets of arguments never have the same
# Keys of an object in order at every depth: equal arguments are equal bytes, in whatever order they were given.
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """At most one job of a type has a key at a time, for as long as its state says; PostgreSQL decides who is first.

    Attributes:
        key: what the jobs have in common. Defaults to their arguments.
        arguments: True for all of them, or the names of those that make a difference. Beside a `key` both must be the
            same. Defaults to all, and to none where a key is given.
        until: `ended` holds the key until the job has completed, failed for good or was cancelled; `started` until its
            first attempt starts. Defaults to `ended`.
        hold: seconds, or a timedelta, for which the key is held after the end as well, but not after a cancellation.
            Defaults to none.
        period: seconds, or a timedelta: one job per window of that length, by PostgreSQL's clock, whatever becomes of
            it but a cancellation. Windows begin at its multiples since 1970. Defaults to none.
        on_conflict: `keep` returns the job that is there; `replace` gives it the new call's arguments, priority, time,
            limits, tags and metadata as long as it waits; `extend` gives it the new call's time alone; `refuse` raises
            `DuplicateJob`; `later`, with a period, enqueues for the next window. Defaults to `keep`.
        wait: seconds, or a timedelta, until each call's job is ready, where the call itself says nothing. Defaults to
            none.
        at_most: seconds, or a timedelta: the longest for which `replace` and `extend` put off the first call. Defaults
            to no bound.
    """

    key: str | None = None
    arguments: bool | tuple[str, ...] | None = None
    until: Literal["started", "ended"] = "ended"
    hold: float | timedelta | None = None
    period: float | timedelta | None = None
    on_conflict: Literal["keep", "replace", "extend", "refuse", "later"] = "keep"
    wait: float | timedelta | None = None
    at_most: float | timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.key is not None:
            _validate.text("unique.key", self.key, 255)
        if self.key is None and self.arguments is False:
            raise InvalidInput("unique.arguments", "True or names where no key is given", self.arguments)
        if not isinstance(self.arguments, bool | None) and (
            not isinstance(self.arguments, tuple) or not self.arguments
        ):
            raise InvalidInput("unique.arguments", "True, False or a tuple of names", self.arguments)
        _validate.choice("unique.until", self.until, UNTIL)
        _validate.choice("unique.on_conflict", self.on_conflict, ON_CONFLICT)
        for name in ("hold", "period", "wait", "at_most"):
            if getattr(self, name) is not None:
                self.milliseconds(name)
        if self.period is not None and (self.hold is not None or self.until == "started"):
            raise InvalidInput("unique.period", "absent where hold or until='started' is given", self.period)
        if self.hold is not None and self.until == "started":
            raise InvalidInput("unique.hold", "absent where until='started' is given", self.hold)
        if self.on_conflict == "later" and self.period is None:
            raise InvalidInput("unique.on_conflict", "other than later where no period is given", self.on_conflict)
        if self.at_most is not None and not self.changes:
            raise InvalidInput("unique.at_most", "absent unless on_conflict is replace or extend", self.at_most)

    @classmethod
    def debounce(
        cls,
        quiet: float | timedelta,
        *,
        at_most: float | timedelta | None = None,
        key: str | None = None,
        arguments: bool | tuple[str, ...] | None = None,
    ) -> Unique:
        """The last call wins, and runs when none has come for `quiet` seconds, or `at_most` seconds after the first."""
        return cls(key=key, arguments=arguments, until="started", on_conflict="replace", wait=quiet, at_most=at_most)

    @classmethod
    def throttle(
        cls,
        period: float | timedelta,
        *,
        rest: Literal["drop", "later"] = "drop",
        key: str | None = None,
        arguments: bool | tuple[str, ...] | None = None,
    ) -> Unique:
        """One job per window of `period` seconds; of the rest none, or one that runs in the next window (`later`)."""
        _validate.choice("rest", rest, ("drop", "later"))
        return cls(key=key, arguments=arguments, period=period, on_conflict="later" if rest == "later" else "keep")

    @property
    def changes(self) -> bool:
        """Whether a second call changes the job that is there."""
        return self.on_conflict in ("replace", "extend")

    @property
    def needs_recorded_start(self) -> bool:
        """Whether PostgreSQL must know that a job has started before its handler runs."""
        return self.changes or self.until == "started"

    def milliseconds(self, name: str) -> int | None:
        """One of the times."""
        value = getattr(self, name)
        return None if value is None else _validate.span(f"unique.{name}", value)

    def rare(self) -> dict[str, object]:
        """What PostgreSQL must know, as parts of `rare` in `enqueue.sql`."""
        window, hold = self.milliseconds("period"), self.milliseconds("hold")
        if window is not None:
            return {"unique_until": "window", "window_ms": window, "windows_ahead": 0}
        if hold is not None:
            return {"unique_until": "hold", "unique_hold_ms": hold}
        return {"unique_until": self.until}

    def key_of(self, job_type: str, arguments: Mapping[str, object], tenant: str | None = None) -> str:
        """The key of one call, but for its window.

        Args:
            job_type: jobs of different types are never the same.
            arguments: by name, defaults filled in.
            tenant: nor are jobs of different tenants: none could keep out or replace another's.

        Raises:
            InvalidInput: there is no such argument.
            PayloadInvalid: an argument cannot be encoded.
        """
        # no job type has an @
        parts = [job_type if tenant is None else f"{job_type}@{tenant}"]
        if self.key is not None:
            parts.append(self.key)
        if self.arguments or self.key is None:
            chosen = arguments
            if isinstance(self.arguments, tuple):
                if unknown := set(self.arguments) - arguments.keys():
                    raise InvalidInput("unique.arguments", "among " + ", ".join(sorted(arguments)), sorted(unknown))
                chosen = {name: arguments[name] for name in self.arguments}
            try:
                encoded = _CANONICAL.encode(chosen)
            except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
                raise PayloadInvalid("unique.arguments", "encodable as json", type(error).__name__) from error
            parts.append(hashlib.blake2b(encoded, digest_size=_DIGEST).hexdigest())
        return ":".join(parts)


def as_unique(value: object) -> Unique | None:
    """What `unique=` was given: a rule, True for all arguments, or a key."""
    if value is None or value is False:
        return None
    if isinstance(value, Unique):
        return value
    if value is True:
        return Unique()
    if isinstance(value, str):
        return Unique(key=value)
    raise InvalidInput("unique", "a Unique, True or a key", value)
