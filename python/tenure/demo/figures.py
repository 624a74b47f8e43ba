"""What PostgreSQL says the demo came to, and where that is not what was enqueued."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._engine import Histogram

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure.admin import Admin, DeadLetter
    from tenure.job_type import JobType

_MOST_CHECKED: Final = 10_000


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of `demo_figures.sql` and the pick-up of the probes; None where there was no probe."""

    jobs: int
    completed: int
    failed: int
    cancelled: int
    unfinished: int
    dead_letters: int
    unmatched_dead_letters: int
    retries: int
    rescued: int
    duplicates: int
    misaudited: int
    wrongly_dead: int
    pickup_p50_ms: float | None
    pickup_p99_ms: float | None


async def read_figures(database: Database, admin: Admin, parse_file: JobType[..., Any]) -> Figures:
    """Ask PostgreSQL, never the workers or Redis; every dead letter's file is parsed once more, here."""
    counts = dict((await database.fetch("demo_figures"))[0])
    pickups = Histogram()
    for row in await database.fetch("demo_pickups"):
        pickups.record(max(0.0, row["seconds"]))
    letters = await admin.dead_letters(limit=_MOST_CHECKED)
    rightly = await asyncio.to_thread(lambda: sum(_rightly_dead(letter, parse_file) for letter in letters))
    return Figures(
        **counts,
        wrongly_dead=len(letters) - rightly,
        pickup_p50_ms=_milliseconds(pickups, 50),
        pickup_p99_ms=_milliseconds(pickups, 99),
    )


def disagreements(found: Figures, report: dict[str, Any], *, enqueued: int, files: int) -> list[str]:
    """Which counts are not what they must be, one sentence each."""
    expected = (
        ("jobs", found.jobs, enqueued),
        ("completed and failed jobs", found.completed + found.failed, enqueued),
        ("cancelled jobs", found.cancelled, 0),
        ("unfinished jobs", found.unfinished, 0),
        ("dead letters", found.dead_letters, found.failed),
        ("failed jobs without a dead letter, or the reverse", found.unmatched_dead_letters, 0),
        ("dead letters before their last retry, or of files that parse", found.wrongly_dead, 0),
        ("jobs completed twice", found.duplicates, 0),
        ("jobs whose attempts are not one row a fence", found.misaudited, 0),
        ("files in the report", report.get("files"), files - found.failed),
        ("files without a result in the report", report.get("without_result"), found.failed),
    )
    return [f"{what}: {is_now}, expected {wanted}" for what, is_now, wanted in expected if is_now != wanted]


def _rightly_dead(letter: DeadLetter, parse_file: JobType[..., Any]) -> bool:
    used_up = letter.reason == "exhausted" and letter.attempts == parse_file.defaults.max_retries + 1
    if letter.job_type != parse_file.name or not used_up:
        return False
    try:
        parse_file(**letter.payload)
    except Exception:  # noqa: BLE001 - whatever it raised for the workers
        return True
    return False


def _milliseconds(pickups: Histogram, percentile: float) -> float | None:
    return round(pickups.percentile(percentile) * 1000, 2) if len(pickups) else None
