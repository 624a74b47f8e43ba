"""Checks of what callers pass in, before anything is written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tenure.errors import InvalidInput

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
# A `-` alone stands for nothing where these are written.
_TENANT: Final = re.compile(r"(?!-$)[A-Za-z0-9_.\-]{1,64}")
_CAPABILITY: Final = re.compile(r"(?!-$)[A-Za-z0-9_.:\-]{1,64}")
_LIMIT_KEY: Final = re.compile(r"(?!-$)[A-Za-z0-9_.:@/\-]{1,128}")
_MOST_CAPABILITIES: Final = 64
_MOST_RESOURCES: Final = 16
_LONGEST_WAIT: Final = 10 * 366 * 86_400.0  # seconds; a delay beyond ten years is a mistake
_MOST_TAGS: Final = 50
_MOST_LABELS: Final = 50
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999


def name(field: str, value: object, most: int = 128) -> str:
    """A queue's or job type's name: it becomes part of keys and channels, so only plain characters pass."""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > most:
        raise InvalidInput(field, f"1 to {most} letters, digits, '_', '.' or '-', not beginning with '.' or '-'", value)
    return value


def whole(field: str, value: object, least: int, most: int) -> int:
    """A whole number within bounds; True and False are none."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(field, f"a whole number from {least} to {most}", value)
    return value


def seconds(field: str, value: object, *, least: float = 0.0, most: float = _LONGEST_WAIT) -> float:
    """A finite number of seconds within bounds."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not least <= value <= most
    ):
        raise InvalidInput(field, f"a number of seconds from {least:g} to {most:g}", value)
    return float(value)


def span(field: str, value: object) -> int:
    """A number of seconds above zero, or a timedelta, as milliseconds."""
    return round(seconds(field, value.total_seconds() if isinstance(value, timedelta) else value, least=0.001) * 1000)


def choice(field: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in allowed:
        raise InvalidInput(field, "one of " + ", ".join(allowed), value)
    return str(value)


def moment(field: str, value: object) -> datetime:
    """A point in time with a time zone; without one it would mean another time on another machine.

    Times far off are refused: PostgreSQL takes some for infinity, and a queue's order leaves no room for them.
    """
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidInput(field, "a datetime with a time zone", value)
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise InvalidInput(field, f"a datetime from {_FIRST_YEAR} to {_LAST_YEAR}", value)
    return value


def mapping(field: str, value: object) -> dict[str, object]:
    """An object with text for keys, as JSON has it."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidInput(field, "a mapping with text for keys", value)
    return dict(value)


def text(field: str, value: object, most: int) -> str:
    """Text that PostgreSQL can store: no NUL, no lone surrogates, at most `most` bytes."""
    if not isinstance(value, str) or not value or "\x00" in value or _size(value) > most:
        raise InvalidInput(field, f"text of 1 to {most} bytes without NUL", value)
    return value


def tags(value: object) -> list[str]:
    """A list of short texts."""
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset) or len(value) > _MOST_TAGS:
        raise InvalidInput("tags", f"a list of at most {_MOST_TAGS} texts", value)
    return [text("tags", tag, 255) for tag in value]


def labels(value: object) -> dict[str, str]:
    """Names with short texts."""
    if not isinstance(value, Mapping) or len(value) > _MOST_LABELS:
        raise InvalidInput("labels", f"a mapping of at most {_MOST_LABELS} names to texts", value)
    return {name("labels", key): text("labels", said, 255) for key, said in value.items()}


def share(field: str, value: object) -> float:
    """A part of a whole, above 0 and at most 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise InvalidInput(field, "a number above 0, at most 1", value)
    return float(value)


def concurrency(value: object) -> int:
    """How many jobs a worker may run at a time."""
    return whole("concurrency", value, 1, 10_000)


def tenant(value: object, field: str = "tenant") -> str:
    """Whose a job is."""
    if not isinstance(value, str) or not _TENANT.fullmatch(value):
        raise InvalidInput(field, "1 to 64 letters, digits, '_', '.' or '-', and not '-'", value)
    return value


def limit_key(value: object, field: str = "limit_key") -> str:
    """What jobs that share a limit have in common."""
    if not isinstance(value, str) or not _LIMIT_KEY.fullmatch(value):
        raise InvalidInput(field, "1 to 128 letters, digits, '_', '.', ':', '@', '/' or '-', and not '-'", value)
    return value


def capabilities(value: object, field: str = "capabilities", most: int = _MOST_CAPABILITIES) -> tuple[str, ...]:
    """Words for what a job needs or a worker has, sorted, each once."""
    if not isinstance(value, list | tuple | set | frozenset):
        raise InvalidInput(field, f"a set of at most {most} texts", value)
    for one in value:
        if not isinstance(one, str) or not _CAPABILITY.fullmatch(one):
            raise InvalidInput(field, "texts of 1 to 64 letters, digits, '_', '.', ':' or '-'", one)
    if len(set(value)) > most:
        raise InvalidInput(field, f"at most {most} texts", len(set(value)))
    return tuple(sorted(set(value)))


def resources(value: object, field: str = "resources") -> dict[str, float]:
    """Amounts of countable things by name, sorted by it."""
    if not isinstance(value, Mapping) or len(value) > _MOST_RESOURCES:
        raise InvalidInput(field, f"a mapping of at most {_MOST_RESOURCES} names to amounts", value)
    for key in value:
        if not isinstance(key, str) or not _TENANT.fullmatch(key):
            raise InvalidInput(field, "named by 1 to 64 letters, digits, '_', '.' or '-'", key)
    return {key: amount(f"{field}.{key}", value[key]) for key in sorted(value)}


def amount(field: str, value: object, least: float = 0.001, most: float = 1e6) -> float:
    """A number with at most three decimals."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not least <= value <= most
        or round(value, 3) != value
    ):
        raise InvalidInput(field, f"a number from {least:g} to {most:g} with at most 3 decimals", value)
    return float(value)


def job_id(value: object, field: str = "job_id") -> str:
    """A job's id as 36 lower-case characters."""
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError as error:
        raise InvalidInput(field, "a UUID", value) from error


def _size(value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        return 1 << 62
