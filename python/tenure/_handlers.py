"""What an app has registered: handlers by job type, schedules by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from tenure._engine import new_ids
from tenure._new_job import prepare, prepare_many
from tenure.errors import InvalidInput, UnknownJobType
from tenure.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._new_job import NewJob
    from tenure.job_type import JobRequest, JobType

P = ParamSpec("P")
R = TypeVar("R")


class Handlers:
    """Both, and the jobs that requests to them amount to."""

    def __init__(self, max_payload_bytes: int) -> None:
        """Begin with none."""
        self._limit = max_payload_bytes
        self._schedules: dict[str, Schedule] = {}
        self.job_types: Final[dict[str, JobType[..., Any]]] = {}

    def add(self, job_type: JobType[P, R]) -> JobType[P, R]:
        """Register a handler.

        Raises:
            InvalidInput: the name is taken.
        """
        if job_type.name in self.job_types:
            raise InvalidInput("name", "a job type that is not registered yet", job_type.name)
        self.job_types[job_type.name] = job_type
        return job_type

    def find(self, job_type: str) -> JobType[..., Any]:
        """The handler of this name, or `UnknownJobType`."""
        found = self.job_types.get(job_type)
        if found is None:
            raise UnknownJobType("job_type", "registered with this app", job_type)
        return found

    def schedule(self, name: str, cron: str, request: JobRequest, timezone: str, missed: str) -> JobRequest:
        """Register a schedule, whose request must be one that can be enqueued; the request.

        Raises:
            InvalidInput: a value is out of bounds, or the name is taken.
        """
        if name in self._schedules:
            raise InvalidInput("name", "a schedule that is not registered yet", name)
        self.prepare(request)
        self._schedules[name] = Schedule(name, cron, request, timezone, missed)
        return request

    @property
    def schedules(self) -> list[Schedule]:
        """In the order in which they were registered."""
        return list(self._schedules.values())

    @property
    def queues(self) -> list[str]:
        """Where the jobs of these handlers wait unless an enqueue says otherwise."""
        return sorted({job_type.defaults.queue for job_type in self.job_types.values()}) or ["default"]

    def prepare(self, request: JobRequest) -> NewJob:
        """The job of a request, validated and encoded."""
        return prepare(request, self.find(request.job_type), self._limit, new_ids(1)[0])

    def prepare_all(self, requests: Iterable[JobRequest], connection: object) -> list[NewJob]:
        """The same for the requests of one call, which joins the transaction of `connection` if there is one."""
        return prepare_many(list(requests), self.find, self._limit, connection)
