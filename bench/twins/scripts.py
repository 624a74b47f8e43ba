"""The project's own Lua files, put together as the core does it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LUA: Final = Path(__file__).parents[2] / "rust" / "core" / "lua"


@dataclass(frozen=True, slots=True)
class Verb:
    """One script, the keys it expects in their order, and the hash the server knows it by."""

    source: str
    keys: tuple[str, ...]
    sha: str


def verb(name: str, *includes: str, grows: bool = False) -> Verb:
    """Read the script of that name; its header says which keys it wants."""
    file = (_LUA / f"{name}.lua").read_text("utf-8")
    first = "#!lua\n" if grows else "#!lua flags=allow-oom\n"
    shared = "".join((_LUA / "include" / f"{one}.lua").read_text("utf-8") for one in ("queue", *includes))
    source = first + shared + file
    header = next(line for line in file.splitlines() if line.startswith("-- KEYS: "))
    keys = tuple(header.removeprefix("-- KEYS: ").split(", "))
    return Verb(source, keys, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
