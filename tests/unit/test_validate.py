"""What callers pass in is refused with the field, the limit and the value."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from tenure import InvalidInput, _validate

ID = "01890a5d-ac96-774b-bcce-b302099a8051"


@pytest.mark.parametrize("value", ["a", "A_9", "mail.eu-1", "9", "_", "q" * 128])
def test_plain_names_pass(value):
    assert _validate.name("queue", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a:b",
        "a*",
        "a b",
        "{a}",
        "a\n",
        "a\0",
        "é",
        ".a",
        "-a",
        "q" * 129,
        "../x",
        "a'; DROP TABLE jobs--",
        "\uff41",
        5,
        None,
        b"a",
    ],
)
def test_names_that_would_reach_into_keys_are_refused(value):
    with pytest.raises(InvalidInput, match="queue must be 1 to 128 letters") as refused:
        _validate.name("queue", value)
    assert refused.value.field == "queue"


@pytest.mark.parametrize("value", [0, 6, -1, True, False, 3.0, "3", None, 2**70, []])
def test_whole_numbers_have_bounds(value):
    with pytest.raises(InvalidInput, match="a whole number from 1 to 5"):
        _validate.whole("priority", value, 1, 5)
    assert _validate.whole("priority", 5, 1, 5) == 5


@pytest.mark.parametrize("value", [-0.001, math.nan, math.inf, -math.inf, 1e12, "1", None, True, 1 + 1j])
def test_seconds_are_finite(value):
    with pytest.raises(InvalidInput, match="a number of seconds"):
        _validate.seconds("delay", value)
    assert _validate.seconds("delay", 1) == 1.0


@pytest.mark.parametrize(
    "value",
    [
        datetime(2030, 1, 1),  # noqa: DTZ001 - that is the point
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(3000, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        "2030-01-01T00:00:00Z",
        1_900_000_000,
        None,
    ],
)
def test_moments_have_a_zone_and_bounds(value):
    with pytest.raises(InvalidInput, match="a datetime"):
        _validate.moment("run_at", value)


@pytest.mark.parametrize("year", [1970, 2026, 2999])
def test_moments_within_bounds_pass(year):
    moment = datetime(year, 6, 1, tzinfo=timezone(timedelta(hours=-12)))
    assert _validate.moment("run_at", moment) == moment


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800", "é" * 6, 5, None, b"a"])
def test_texts_can_be_stored(value):
    with pytest.raises(InvalidInput, match="text of 1 to 11 bytes without NUL"):
        _validate.text("note", value, 11)


def test_a_texts_limit_counts_bytes():
    assert _validate.text("note", "é" * 5 + "x", 11)


@pytest.mark.parametrize(
    "value", ["abc", 7, None, {"a": 1}, [""], ["a\0"], [5], ["t"] * 51, ["t" * 256], (x for x in "a")]
)
def test_tags_are_short_texts(value):
    with pytest.raises(InvalidInput) as refused:
        _validate.tags(value)
    assert refused.value.field == "tags"


@pytest.mark.parametrize(
    "value", [None, ["zone=b"], {"zone": ""}, {"a b": "x"}, {1: "x"}, {str(n): "x" for n in range(51)}]
)
def test_labels_are_names_with_short_texts(value):
    with pytest.raises(InvalidInput) as refused:
        _validate.labels(value)
    assert refused.value.field == "labels"
    assert _validate.labels({"zone": "b c"}) == {"zone": "b c"}


@pytest.mark.parametrize("value", ["abc", [1], 5, {1: 2}, {None: 1}, [("a", 1)]])
def test_a_mapping_has_text_for_keys(value):
    with pytest.raises(InvalidInput, match="metadata must be a mapping with text for keys"):
        _validate.mapping("metadata", value)
    assert _validate.mapping("metadata", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("value", [ID, ID.upper(), UUID(ID), ID.replace("-", ""), f"{{{ID}}}"])
def test_ids_become_36_lower_case_characters(value):
    assert _validate.job_id(value) == ID


@pytest.mark.parametrize("value", ["", "no id", 5, None, ID + "0", "*", b"x"])
def test_what_is_no_id_is_refused(value):
    with pytest.raises(InvalidInput, match="depends_on must be a UUID"):
        _validate.job_id(value, "depends_on")
