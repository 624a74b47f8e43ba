"""What a handler takes, by name and in its types."""

from __future__ import annotations

import pytest

from tenure import InvalidInput, JobContext
from tenure._signature import Signature


def handler(a: int, b: str = "x", *, c: float = 1.0, context: JobContext | None = None) -> None: ...


def with_context(a: int, context: JobContext) -> None: ...


def test_arguments_are_bound_by_name():
    signature = Signature(handler)
    assert signature.bind((1, "y"), {"c": 2.0}) == {"a": 1, "b": "y", "c": 2.0}


@pytest.mark.parametrize(
    ("args", "kwargs", "limit"),
    [
        ((), {}, "complete, missing a"),
        ((1,), {"a": 2}, "arguments given once"),
        ((1,), {"z": 2}, "among a, b, c"),
        ((1, "y", 2.0, 3), {}, "at most"),
    ],
)
def test_what_does_not_fit_is_refused(args, kwargs, limit):
    with pytest.raises(InvalidInput) as refused:
        Signature(handler).bind(args, kwargs)
    assert limit in refused.value.limit


def test_the_context_is_no_argument():
    signature = Signature(with_context)
    assert signature.context_name == "context"
    assert signature.bind((1,), {}) == {"a": 1}
    with pytest.raises(InvalidInput):
        signature.bind((1,), {"context": None})


def test_a_payload_is_decoded_into_the_types():
    signature = Signature(handler)
    assert signature.decode(b'{"a": 1}', "json") == {"a": 1}
    with pytest.raises(ValueError, match="int"):
        signature.decode(b'{"a": "one"}', "json")
    with pytest.raises(ValueError, match="missing"):
        signature.decode(b"{}", "json")
    with pytest.raises(ValueError, match="unknown"):
        signature.decode(b'{"a": 1, "z": 2}', "json")


def test_parameters_need_names():
    for nameless in (lambda *args: None, lambda **kwargs: None):
        with pytest.raises(InvalidInput):
            Signature(nameless)
