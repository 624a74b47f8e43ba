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
