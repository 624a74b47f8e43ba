"""Errors: one family, one line each, no more of a value than helps."""

from __future__ import annotations

import inspect

import pytest

import tenure
from tenure import errors

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__]


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_every_error_is_tenures_and_is_in_the_tree(one):
    assert issubclass(one, tenure.TenureError)
    assert one.__doc__
    assert f" {one.__name__}" in (errors.__doc__ or "").replace("\nTenureError", "\n TenureError")


@pytest.mark.parametrize(
    ("one", "base"),
    [
        (errors.PayloadTooLarge, errors.InvalidInput),
        (errors.PayloadInvalid, errors.InvalidInput),
        (errors.UnknownJobType, errors.InvalidInput),
        (errors.UnknownDependency, errors.InvalidInput),
        (errors.DependencyCycle, errors.InvalidInput),
        (errors.Backpressure, errors.StoreUnavailable),
        (errors.JobFailed, errors.ResultError),
        (errors.JobCancelled, errors.ResultError),
        (errors.ResultTimeout, TimeoutError),
    ],
)
def test_the_narrow_ones_are_caught_by_the_wide_ones(one, base):
    assert issubclass(one, base)


def test_a_refusal_names_field_limit_and_value():
    refused = errors.InvalidInput("priority", "a whole number from 1 to 5", 9)
    assert str(refused) == "priority must be a whole number from 1 to 5: 9"
    assert (refused.field, refused.limit, refused.value) == ("priority", "a whole number from 1 to 5", "9")


def test_a_refused_value_is_shown_in_part_on_one_line():
    refused = errors.InvalidInput("queue", "short", "x\r\n\x1b[31m" * 1000)
    assert len(str(refused)) < 160
    assert not any(ord(character) < 32 for character in str(refused))


def test_a_lost_lease_names_itself():
    lost = errors.LeaseLost("the-id", 7, "progress refused")
    assert str(lost) == "lease lost, progress refused: the-id:7"
    assert (lost.job_id, lost.fence) == ("the-id", 7)


def test_a_failure_tells_the_last_error():
    failed = errors.JobFailed("the-id", "boom")
    assert (str(failed), failed.error, failed.job_id) == ("job failed, boom: the-id", "boom", "the-id")
    assert str(errors.JobFailed("the-id", "")) == "job failed: the-id"
