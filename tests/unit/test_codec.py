"""Payloads come back as they went in, or are refused with the path of what would not."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure._codec import decode, encode
from tenure.errors import PayloadInvalid, PayloadTooLarge

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
@given(value=VALUES)
def test_what_is_accepted_comes_back(payload_format, value):
    assert decode(encode(value, payload_format, 1 << 20, "payload"), payload_format) == value


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (math.nan, "payload"),
        ({"a": [1, math.inf]}, "payload['a'][1]"),
        ({"a": {"b": "x\0"}}, "payload['a']['b']"),
        ({"x\0": 1}, "payload{key}"),
        ((None, ("\0",)), "payload[1][0]"),
        (object(), "payload"),
        ("\ud800", "payload"),
    ],
)
def test_what_would_not_is_refused_with_its_path(payload_format, value, path):
    with pytest.raises(PayloadInvalid) as refused:
        encode(value, payload_format, 1 << 20, "payload")
    assert refused.value.field == path


def test_a_struct_is_looked_into():
    class Point(msgspec.Struct):
        x: float

    with pytest.raises(PayloadInvalid) as refused:
        encode([Point(math.nan)], "json", 100, "payload")
    assert refused.value.field == "payload[0].x"


def test_bottomless_nesting_is_refused():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PayloadInvalid, match="nested"):
        encode(value, "json", 1 << 20, "payload")


@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
def test_the_limit_is_exact(size, fits):
    value = "x" * (size - 2)
    if fits:
        assert len(encode(value, "json", 10, "payload")) == size
    else:
        with pytest.raises(PayloadTooLarge, match="payload must be at most 10 bytes: 11"):
            encode(value, "json", 10, "payload")


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
@pytest.mark.parametrize("value", [1 + 1j, lambda: None, type, {"a": {"b": object()}}, 10**5000], ids=range(5))
def test_what_no_format_can_hold_is_refused(payload_format, value):
    with pytest.raises(PayloadInvalid, match=f"payload must be encodable as {payload_format}"):
        encode(value, payload_format, 1 << 20, "payload")


@pytest.mark.parametrize("value", [2**64, 2**70, -(2**63) - 1, {"a": {"b": 2**70}}])
def test_great_numbers_survive_or_are_refused(value):
    assert decode(encode(value, "json", 1 << 20, "payload"), "json") == value
    with pytest.raises(PayloadInvalid, match="encodable as msgpack"):
        encode(value, "msgpack", 1 << 20, "payload")


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
@pytest.mark.parametrize(("depth", "fits"), [(200, True), (201, False), (700, False), (10_000, False)])
def test_nesting_has_one_limit_whatever_is_inside(payload_format, depth, fits):
    """What is accepted deep down the stack of a producer must be decodable further down that of a worker."""
    value: object = 1
    for _ in range(depth):
        value = [value]
    if fits:
        assert decode(encode(value, payload_format, 1 << 20, "payload"), payload_format) == value
    else:
        with pytest.raises(PayloadInvalid, match="nested"):
            encode(value, payload_format, 1 << 20, "payload")


def test_many_brackets_side_by_side_are_no_depth():
    value = {"rows": [{"n": [number]} for number in range(1000)], "text": "[" * 1000}
    assert decode(encode(value, "json", 1 << 20, "payload"), "json") == value
