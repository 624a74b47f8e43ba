"""What is stored of a job, as whoever reads it wants it: opened and decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tenure._codec import decode
from tenure._seal import is_sealed
from tenure.errors import JobCancelled, JobFailed, SealRefused

if TYPE_CHECKING:
    from tenure._database import Row
    from tenure._seal import Seal


def outcome_of(row: Row, seal: Seal | None) -> Any:
    """The result of a job that has ended, a row of `results.sql`.

    Raises:
        JobFailed, JobCancelled: it ended so.
        SealRefused: as `result_of`.
    """
    job_id, error = str(row["job_id"]), row["error"]
    if row["status"] == "FAILED":
        raise JobFailed(job_id, error or "")
    if row["status"] == "CANCELLED":
        raise JobCancelled(job_id, f"job was cancelled, {error}" if error else "job was cancelled")
    return result_of(row, seal)


def result_of(row: Row, seal: Seal | None) -> Any:
    """The handler's result; None where there is none.

    Raises:
        SealRefused: it is encrypted and cannot be opened here, or was changed.
    """
    opened = opened_result(row, seal)
    return None if opened is None else decode(*opened)


def opened_result(row: Row, seal: Seal | None) -> tuple[bytes, str] | None:
    """The same as bytes and their format."""
    data = row["result"]
    if data is None:
        return None
    result_format = row["result_format"] or "json"
    if seal is not None:
        data = seal.open_result(data, str(row["job_id"]), result_format)
    if is_sealed(data):
        raise SealRefused("the result is encrypted, and no encryption keys are set here")
    return data, result_format


def shown_result(row: Row, seal: Seal | None) -> Any:
    """The same for people to read; a text says why it cannot be shown."""
    try:
        return result_of(row, seal)
    except SealRefused as error:
        return f"(sealed: {error})"
    except (msgspec.MsgspecError, RecursionError) as error:
        return _undecodable(error)


def shown_payload(row: Row, job_id: str, seal: Seal | None) -> Any:
    """A job's arguments for people to read; a text says why they cannot be shown."""
    data = row["payload"]
    try:
        if seal is not None:
            data = seal.show_payload(data, (job_id, row["job_type"], row["queue"], row["payload_format"]))
    except SealRefused as error:
        return f"(sealed: {error})"
    if is_sealed(data):
        return "(sealed: no keys are set here)"
    try:
        return decode(data, row["payload_format"])
    except (msgspec.MsgspecError, RecursionError) as error:
        return _undecodable(error)


def _undecodable(error: Exception) -> str:
    """One row that somebody broke must not hide the others of a list."""
    return f"(cannot be decoded: {error})"
