"""Moments of schedules, across changes of the clock and outages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import InvalidInput, Tenure
from tenure.schedule import due, next_moment


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", "2026-11-24T02:59:59", "2026-11-24T03:00:00"),
        ("0 3 * * *", "UTC", "2026-11-24T03:00:00", "2026-11-25T03:00:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00", "2026-07-01T01:00:00"),
        # 2:30 does not exist on that day: behind the gap
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-29T01:00:00"),
        # 2:30 exists twice: the first one, and not the second
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
        ("*/10 * * * * *", "UTC", "2026-11-24T00:00:01", "2026-11-24T00:00:10"),
        ("0 0 29 2 *", "UTC", "2026-11-24T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_next_moment(cron, zone, after, expected):
    assert next_moment(cron, zone, utc(after)) == utc(expected)


@given(
    st.sampled_from(
        ["* * * * *", "*/9 * * * * *", "*/7 * * * *", "0 */5 * * *", "30 2 * * *", "0 0 * * 1", "15 1-3 25-31 3,10 *"]
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
    st.floats(0, 3 * 86_400),
)
def test_what_was_missed(cron, zone, start, seconds):
    """`all` is every moment since, `one` the last of them, and the next one is behind now whatever is wanted."""
    next_at = next_moment(cron, zone, start.replace(tzinfo=UTC))
    now = next_at + timedelta(seconds=seconds)
    every = due(cron, zone, "all", next_at, now)
    one = due(cron, zone, "one", next_at, now)
    skip = due(cron, zone, "skip", next_at, now)
    assert every.moments[0] == next_at
    assert every.moments == sorted(set(every.moments))
    if every.next_at > now:
        assert one.moments == every.moments[-1:]
        assert one.next_at == skip.next_at == every.next_at
    else:  # as many as one transaction takes; the rest follows
        assert len(every.moments) == 500
    assert skip.moments == [moment for moment in one.moments if now - moment <= timedelta(seconds=60)]
    assert one.next_at > now >= one.moments[0] >= next_at


@pytest.fixture
def app():
    app = Tenure()
    app.job(name="tidy")(lambda days=1: days)
    return app


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": "a b"}),
        ("cron", {"cron": ""}),
        ("cron", {"cron": "61 * * * *"}),
        ("cron", {"cron": "* * * *"}),
        ("cron", {"cron": "0 0 30 2 *"}),
        ("cron", {"cron": "*" * 300}),
        ("timezone", {"timezone": "Mars/Base"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("timezone", {"timezone": ""}),
        ("missed", {"missed": "maybe"}),
    ],
)
def test_what_has_no_moments_is_refused(app, field, change):
    values = {"name": "nightly", "cron": "0 3 * * *", **change}
    with pytest.raises(InvalidInput) as caught:
        app.schedule(values.pop("name"), values.pop("cron"), app.job_types["tidy"].request(), **values)
    assert caught.value.field == field


def test_a_job_that_says_itself_when_it_runs_is_refused(app):
    tidy = app.job_types["tidy"]
    with pytest.raises(InvalidInput, match=r"request\.delay"):
        app.schedule("a", "* * * * *", tidy.options(delay=5).request())
    with pytest.raises(InvalidInput, match=r"request\.idempotency_key"):
        app.schedule("a", "* * * * *", tidy.options(idempotency_key="k").request())
    with pytest.raises(InvalidInput, match="payload"):
        app.schedule("a", "* * * * *", tidy.request(days="x" * 2_000_000))
    app.schedule("a", "* * * * *", tidy.request())
    with pytest.raises(InvalidInput, match="not registered yet"):
        app.schedule("a", "* * * * *", tidy.request())
