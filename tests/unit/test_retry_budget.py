"""The share of the work that may be retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import Backoff
from tenure._retry_budget import RetryBudget
from tenure.errors import InvalidInput


@given(
    st.floats(0, 5, allow_nan=False),
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40),
)
def test_retries_never_exceed_the_burst_and_their_share(ratio, burst, rounds):
    budget = RetryBudget(ratio, burst)
    spent = 0
    for ended, asked in rounds:
        budget.ended += ended
        spent += sum(budget.spend() for _ in range(asked))
    assert spent <= burst + ratio * budget.ended + 1e-6


def test_what_was_not_spent_is_no_claim_to_a_larger_storm():
    budget = RetryBudget(0.5, 10)
    budget.ended += 1_000_000
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_budget_of_nothing_allows_nothing():
    assert not RetryBudget(0.0, 0).spend()


def test_what_fails_rarely_is_never_over_it():
    budget = RetryBudget(0.5, 1)
    for _ in range(1000):
        budget.ended += 2
        assert budget.spend()


@pytest.mark.parametrize(
    ("field", "value"), [("budget", -0.1), ("budget", float("nan")), ("budget", 101), ("burst", -1), ("burst", 1.5)]
)
def test_a_budget_that_is_none_is_refused(field, value):
    with pytest.raises(InvalidInput, match=f"backoff.{field}"):
        Backoff(**{field: value})
