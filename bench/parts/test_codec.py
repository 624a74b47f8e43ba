"""Payloads of about 200 bytes as bytes and back: msgspec with tenure's checks, and the standard library without any."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tenure._codec import decode, encode
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts.conftest import Part

_LIMIT = 1 << 20


def _twin_encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_ENCODE: dict[str, Callable[..., bytes]] = {
    "tenure": partial(encode, payload_format="json", limit=_LIMIT, field="payload"),
    "python": _twin_encode,
}
_DECODE: dict[str, Callable[..., Any]] = {"tenure": partial(decode, payload_format="json"), "python": json.loads}


def test_encode(part: Part, way: str) -> None:
    """One payload."""
    assert part.call("encode a payload", way, _ENCODE[way], arguments(1)) == _twin_encode(arguments(1))


def test_decode(part: Part, way: str) -> None:
    """The same back."""
    assert part.call("decode a payload", way, _DECODE[way], _twin_encode(arguments(1))) == arguments(1)
