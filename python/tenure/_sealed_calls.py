"""What a worker does with sealed jobs in the place of the plain functions; chosen once, when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure._attempt import Refused, call_handler, ending_of
from tenure._references import with_payload
from tenure.errors import SealRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure._attempt import Attempt
    from tenure._seal import Seal
    from tenure._settle import Ending
    from tenure.job_type import JobType


class SealedCalls:
    """Opens a job before its handler is called, and seals what the handler returned."""

    def __init__(self, seal: Seal) -> None:
        """Work with these keys."""
        self._seal = seal

    async def call_handler(self, job_type: JobType[..., object] | None, attempt: Attempt, *others: Any) -> object:
        """As `_attempt.call_handler`; a job whose seal is refused is not run, and no retry follows."""
        try:
            payload = self._seal.open_payload(attempt.lease)
        except SealRefused as error:
            return Refused(str(error))
        attempt.lease = with_payload(attempt.lease, payload)
        return await call_handler(job_type, attempt, *others)

    def ending_of(self, verdict: object, attempt: Attempt, *others: Any) -> Ending:
        """As `_attempt.ending_of`."""
        ending = ending_of(verdict, attempt, *others)
        if ending.result is not None and ending.result_format is not None:
            ending.result = self._seal.seal_result(ending.result, attempt.lease.job_id, ending.result_format)
        return ending


def calls_of(seal: Seal | None) -> tuple[Callable[..., Any], Callable[..., Ending]]:
    """How a worker calls a handler and makes an ending of what came of it."""
    if seal is None:
        return call_handler, ending_of
    sealed = SealedCalls(seal)
    return sealed.call_handler, sealed.ending_of
