"""Arguments and results as bytes, and refusing what would not come back as it went in."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec

from tenure.errors import PayloadInvalid, PayloadTooLarge

JSON: Final = "json"
MSGPACK: Final = "msgpack"
FORMATS: Final = (JSON, MSGPACK)

_ENCODERS: Final[dict[str, msgspec.json.Encoder | msgspec.msgpack.Encoder]] = {
    JSON: msgspec.json.Encoder(),
    MSGPACK: msgspec.msgpack.Encoder(),
}
_DECODERS: Final[dict[str, Any]] = {JSON: msgspec.json.Decoder(), MSGPACK: msgspec.msgpack.Decoder()}
_DEEPEST: Final = 200


def encode(value: object, payload_format: str, limit: int, field: str) -> bytes:
    """The value as bytes.

    Raises:
        PayloadInvalid: it cannot be encoded, or would come back changed; the message has the path.
        PayloadTooLarge: it has more than `limit` bytes.
    """
    try:
        data = _ENCODERS[payload_format].encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise PayloadInvalid(field, f"encodable as {payload_format}, {_reason(error)}", type(value).__name__) from error
    if len(data) > limit:
        raise PayloadTooLarge(field, f"at most {limit} bytes", len(data))
    # What the JSON encoder writes for values that would not survive: NaN and infinities become null, and PostgreSQL's
    # text functions refuse NUL. Both are rare, so a search of the bytes comes before a walk of the value.
    brackets = data.count(b"[") + data.count(b"{")
    if payload_format == MSGPACK or brackets > _DEEPEST or b"null" in data or b"\\u0000" in data:
        _refuse_lossy(value, field, 0)
    return data


def decode(data: bytes, payload_format: str) -> object:
    """The value that `encode` was given, as plain Python objects."""
    return _DECODERS[payload_format].decode(data)


def _reason(error: Exception) -> str:
    return "too deeply nested" if isinstance(error, RecursionError) else str(error).lower()


def _refuse_lossy(value: object, path: str, depth: int) -> None:
    """Walk a value that may hold NaN, an infinity or a NUL."""
    if depth > _DEEPEST:
        raise PayloadInvalid(path, f"nested at most {_DEEPEST} deep", depth)
    if isinstance(value, float) and not math.isfinite(value):
        raise PayloadInvalid(path, "a finite number", value)
    if isinstance(value, str) and "\x00" in value:
        raise PayloadInvalid(path, "text without NUL", value)
    for name, inner in _children(value):
        _refuse_lossy(inner, f"{path}{name}", depth + 1)


def _children(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        keys: list[tuple[str, object]] = [("{key}", key) for key in value if isinstance(key, str | float)]
        return keys + [(f"[{key!r}]", inner) for key, inner in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{index}]", inner) for index, inner in enumerate(value)]
    if isinstance(value, msgspec.Struct):
        return [(f".{name}", getattr(value, name, None)) for name in value.__struct_fields__]
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{field.name}", getattr(value, field.name, None)) for field in fields(value)]
    return []
