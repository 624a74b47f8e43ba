"""What a handler may know and do about its own attempt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from tenure import _validate
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from tenure._deadline import Deadline
    from tenure._engine import Lease


class Reporter(Protocol):
    """What the worker does for a context."""

    async def progress(self, lease: Lease, fraction: float, note: str | None) -> None:
        """Record progress, guarded by the fence."""

    async def guard(self, lease: Lease, connection: Any) -> None:
        """Hold the lease until the connection's transaction ends."""


class JobContext:
    """One attempt as its handler sees it; passed to the parameter annotated `JobContext`.

    Attributes:
        job_id: 36 characters.
        job_type: the registered name.
        queue: the queue it came from.
        priority: 1 (low) to 5 (high).
        attempt: from 1; counts towards the retry limit.
        max_retries: attempts allowed after the first.
        fence: a number that only ever rises, once per lease. Hand it to any store that can compare, and a late attempt
            cannot overwrite a newer one's work.
    """

    __slots__ = (
        "_deadline",
        "_lease",
        "_reporter",
        "_started",
        "attempt",
        "fence",
        "job_id",
        "job_type",
        "max_retries",
        "priority",
        "queue",
    )

    def __init__(self, lease: Lease, reporter: Reporter, deadline: Deadline | None = None) -> None:
        """Made by the worker when the attempt starts."""
        self._deadline = deadline
        self._lease = lease
        self._reporter = reporter
        self._started = time.monotonic()
        self.job_id = lease.job_id
        self.job_type = lease.job_type
        self.queue = lease.queue
        self.priority = lease.priority
        self.attempt = lease.attempt
        self.max_retries = lease.max_retries
        self.fence = lease.fence

    @property
    def remaining(self) -> float | None:
        """Seconds until the attempt times out or the job's deadline passes; None without either."""
        left = None if self._deadline is None else self._deadline.remaining
        if not self._lease.timeout_ms:
            return left
        own = self._lease.timeout_ms / 1000 - (time.monotonic() - self._started)
        return own if left is None else min(own, left)

    @property
    def deadline(self) -> datetime | None:
        """When the job must have ended, whichever attempt it is; None if it has no deadline."""
        return None if self._deadline is None else self._deadline.at

    async def progress(self, fraction: float, note: str | None = None) -> None:
        """Record how far the attempt is; many calls of one process become one statement.

        Args:
            fraction: 0 to 1.
            note: at most 1,000 bytes.

        Raises:
            LeaseLost: another attempt may hold the job; nothing was recorded.
            StoreUnavailable: PostgreSQL cannot be asked.
        """
        if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
            raise InvalidInput("fraction", "a number from 0 to 1", fraction)
        if note is not None:
            _validate.text("note", note, 1000)
        await self._reporter.progress(self._lease, float(fraction), note)

    async def guard(self, connection: Any) -> None:
        """Make the caller's transaction depend on this lease: call it inside, before the writes to protect.

        The job's row stays locked until that transaction ends, so nobody can settle or rescue the job meanwhile:
        either the writes commit under a live lease, or they do not commit. Needs an asyncpg connection to tenure's
        own database.

        Raises:
            LeaseLost: another attempt may hold the job; roll back.
            InvalidInput: the connection is not in a transaction, which would make the guard end at once.
        """
        if not connection.is_in_transaction():
            raise InvalidInput("connection", "inside a transaction", "no transaction")
        await self._reporter.guard(self._lease, connection)
