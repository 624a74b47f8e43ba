"""The texts of the statements: one file each, in `_queries`."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Final

from tenure.errors import InvalidInput

_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def check_schema(schema: str) -> str:
    """The schema's name, or `InvalidInput`: it becomes part of every statement, so only plain names pass."""
    if not _SCHEMA_NAME.fullmatch(schema):
        raise InvalidInput("schema", "lower-case letters, digits and _ (at most 63)", schema)
    return schema


@functools.cache
def statement(name: str, schema: str) -> str:
    """The text of `_queries/{name}.sql` for this schema."""
    text = resources.files("tenure").joinpath("_queries", f"{name}.sql").read_text("utf-8")
    return text.replace("{schema}", check_schema(schema))
