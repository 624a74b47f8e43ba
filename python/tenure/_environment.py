"""Settings as another process reads them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from tenure.settings import VARIABLE_PREFIX

if TYPE_CHECKING:
    from tenure.settings import Settings


def variables_of(settings: Settings) -> dict[str, str]:
    """The variables of which `Settings.from_env` makes the same settings; those that are not set are empty, so that
    an inherited one does not count.
    """
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {f"{VARIABLE_PREFIX}{name.upper()}": "" if value is None else str(value) for name, value in values.items()}
