"""tenure: a job-management system in which a worker holds a job only while its lease lives."""

from tenure.app import Tenure
from tenure.context import JobContext
from tenure.errors import (
    DuplicateJob,
    InvalidInput,
    JobCancelled,
    JobFailed,
    LeaseLost,
    QuotaExceeded,
    ResultTimeout,
    StoreUnavailable,
    TenureError,
)
from tenure.job import Job, JobInfo
from tenure.job_type import Backoff, JobRequest, Options
from tenure.settings import Settings
from tenure.unique import Unique
from tenure.verdict import Cancel, Completed, Dead, Retry, Snooze

__all__ = [
    "Backoff",
    "Cancel",
    "Completed",
    "Dead",
    "DuplicateJob",
    "InvalidInput",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobInfo",
    "JobRequest",
    "LeaseLost",
    "Options",
    "QuotaExceeded",
    "ResultTimeout",
    "Retry",
    "Settings",
    "Snooze",
    "StoreUnavailable",
    "Tenure",
    "TenureError",
    "Unique",
]


def __getattr__(name: str) -> str:
    """`__version__`, looked up when asked for: importlib.metadata takes as long to import as all of asyncio."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - see above

        return version("tenure")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
