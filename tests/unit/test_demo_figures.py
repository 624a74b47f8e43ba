"""Each count that is off is named."""

from __future__ import annotations

import msgspec
import pytest

from tenure.demo.figures import Figures, disagreements

# 10 files of which 3 do not parse, 2 packages, the report and 5 probes.
FOUND = Figures(
    jobs=18,
    completed=15,
    failed=3,
    cancelled=0,
    unfinished=0,
    dead_letters=3,
    unmatched_dead_letters=0,
    retries=6,
    rescued=4,
    duplicates=0,
    misaudited=0,
    wrongly_dead=0,
    pickup_p50_ms=1.0,
    pickup_p99_ms=None,
)
REPORT = {"files": 7, "without_result": 3}


def test_counts_that_agree_are_not_named():
    assert disagreements(FOUND, REPORT, enqueued=18, files=10) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"jobs": 17}, "jobs: 17, expected 18"),
        ({"completed": 14}, "completed and failed jobs: 17, expected 18"),
        ({"cancelled": 1}, "cancelled jobs: 1, expected 0"),
        ({"unfinished": 1}, "unfinished jobs: 1, expected 0"),
        ({"dead_letters": 2}, "dead letters: 2, expected 3"),
        ({"unmatched_dead_letters": 2}, "failed jobs without a dead letter, or the reverse: 2, expected 0"),
        ({"wrongly_dead": 1}, "dead letters before their last retry, or of files that parse: 1, expected 0"),
        ({"duplicates": 1}, "jobs completed twice: 1, expected 0"),
        ({"misaudited": 1}, "jobs whose attempts are not one row a fence: 1, expected 0"),
    ],
)
def test_a_count_that_is_off_is_named(changes, named):
    assert disagreements(msgspec.structs.replace(FOUND, **changes), REPORT, enqueued=18, files=10) == [named]


def test_a_report_that_failed_is_named():
    named = disagreements(FOUND, {"error": "it broke"}, enqueued=18, files=10)
    assert named == [
        "files in the report: None, expected 7",
        "files without a result in the report: None, expected 3",
    ]
