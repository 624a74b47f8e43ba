"""The file that says which groups of workers a host has; all of it is checked before anything is started."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from tenure.errors import ConfigurationError, InvalidInput
from tenure.supervisor.group import Group
from tenure.supervisor.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST: Final = 1024 * 1024
# In the file, and what a group calls it.
_KEYS: Final = {
    "app": "app",
    "processes": "processes",
    "min": "min_processes",
    "max": "max_processes",
    "workers_per_process": "workers_per_process",
    "queues": "queues",
    "concurrency": "concurrency",
    "cpu_processes": "cpu_processes",
    "capabilities": "capabilities",
    "resources": "resources",
    "labels": "labels",
    "type": "type",
    "name": "worker_name",
    "grace_seconds": "grace_seconds",
    "recycle_after_jobs": "recycle_after_jobs",
    "recycle_rss_mb": "recycle_rss_mb",
    "wedged_seconds": "wedged_seconds",
    "start_seconds": "start_seconds",
    "log_level": "log_level",
    "log_format": "log_format",
}
_SCALE: Final = tuple(field.name for field in fields(Scale))


def read_groups(path: Path, supervisor: str | None = None) -> list[Group]:
    """The groups of a file, in its order; `supervisor` is the id of who looks after them.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML.
        InvalidInput: a key is unknown or a value is refused; `field` is its place, such as `groups.press.concurrency`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode()
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the fleet file cannot be read: {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the fleet file is no TOML: {path}: {error}") from error
    _refuse_unknown("the fleet file", document, ("groups",))
    groups = _table("groups", document.get("groups"))
    if not groups:
        raise InvalidInput("groups", "a table of at least one group", document.get("groups"))
    return [_group(name, _table(f"groups.{name}", table), supervisor) for name, table in groups.items()]


def _group(name: str, table: dict[str, Any], supervisor: str | None) -> Group:
    place = f"groups.{name}"
    _refuse_unknown(place, table, (*_KEYS, "scale"))
    if "app" not in table:
        raise InvalidInput(f"{place}.app", "module:attribute", None)
    values = {_KEYS[key]: value for key, value in table.items() if key != "scale"}
    for several in ("queues", "capabilities"):
        if isinstance(values.get(several), list):
            values[several] = tuple(values[several])
    scale = _scale(f"{place}.scale", _table(f"{place}.scale", table["scale"])) if "scale" in table else None
    # Workers are found by their group, in the registry and by every verb.
    values.setdefault("worker_name", name)
    try:
        return Group(name=name, scale=scale, supervisor=supervisor, **values)
    except InvalidInput as error:
        key = next((key for key, field in _KEYS.items() if field == error.field), error.field)
        value = name if key == "name" and "name" not in table else table.get(key)
        raise InvalidInput(f"{place}.{key}", error.limit, value) from error


def _scale(place: str, table: dict[str, Any]) -> Scale:
    _refuse_unknown(place, table, _SCALE)
    try:
        return Scale(**table)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field}", error.limit, table.get(error.field)) from error


def _table(place: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(place, "a table", value)
    return value


def _refuse_unknown(place: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise InvalidInput(f"a key of {place}", f"one of {', '.join(known)}{hint}", key)
