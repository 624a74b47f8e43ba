"""Printing data: tables for people, JSON for scripts."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# Terminals act on these although JSON may hold them raw: DEL, C1 controls, and marks that turn the direction of text.
_ACTIVE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNFOLDED: Final = 10_000


def print_json(value: Any) -> None:
    """One JSON document; what a terminal would act on is escaped, so that it reads back as it was."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(_ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; what users stored is shown as text, never as markup or control characters."""
    console().print(table(title, columns, rows))


def console() -> Console:
    """Where tables are printed to."""
    made = Console()
    if not made.is_terminal:
        made.width = _UNFOLDED  # a file or a pipe has no edge to fold at
    return made


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """The same, not printed yet."""
    made = Table(title=title or None, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(_shown(value)) for value in row))
    return made


def print_record(value: msgspec.Struct) -> None:
    """One record, a field a line."""
    print_table("", ("field", "value"), [(name, getattr(value, name)) for name in value.__struct_fields__])


def amounts(given: list[str], field: str = "resource") -> dict[str, float]:
    """Amounts by name, as options give them: NAME=AMOUNT."""
    found: dict[str, float] = {}
    for one in given:
        name, _, amount = one.partition("=")
        try:
            found[name] = float(amount)
        except ValueError as error:
            raise InvalidInput(field, "NAME=AMOUNT", one) from error
    return found


def escape(text: str, *, keep: str = "") -> str:
    """The text with what is not printable, less what is in `keep`, as Python would escape it."""
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return escape(value if isinstance(value, str) else msgspec.json.encode(value).decode(), keep="\n")
