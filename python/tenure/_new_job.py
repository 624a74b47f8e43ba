"""From a request to a row that is not there yet: validated, encoded, nothing written."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure import _validate
from tenure._classes import check_length, class_text
from tenure._codec import encode
from tenure._engine import new_ids
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure.job_type import JobRequest, JobType, Options

_MOST_METADATA: Final = 16 * 1024
_MOST_KEPT: Final = 64


class Profile(msgspec.Struct, frozen=True):
    """What the jobs of one type and with the same options have in common; columns of `enqueue.sql`, in its order."""

    job_type: str
    queue: str
    payload_format: str
    priority: int
    mode: str
    max_retries: int
    timeout_ms: int | None
    tags: str | None
    metadata: str | None
    run_at: datetime | None
    delay_ms: int
    rare: str | None = None  # what few jobs have, as a JSON object

    @property
    def attributes(self) -> dict[str, Any]:
        """What is in `rare`."""
        return {} if self.rare is None else msgspec.json.decode(self.rare)


class NewJob(msgspec.Struct):
    """One row of `enqueue.sql`. What is not its profile's is its own, or what the jobs that it waits for make of it.

    `plain` is the payload before it was sealed, where it may have to be sealed for the job whose place it takes.
    """

    job_id: str
    payload: bytes
    profile: Profile
    options: Options
    pending_dependencies: int = 0
    has_dependents: bool = False
    cancelled: bool = False
    unique_key: str | None = None
    plain: bytes = b""


def prepare(request: JobRequest, job_type: JobType[..., object], limit: int, job_id: str) -> NewJob:
    """Validate and encode a request; nothing has been written when this raises."""
    payload = encode(request.arguments, job_type.payload_format, limit, "payload")
    job = NewJob(request.job_id or job_id, payload, profile_of(job_type, request.options), request.options)
    unique = request.options.unique
    if request.options.ends and job_type.record != "before":
        raise InvalidInput("expires_in, deadline_in", "absent where record='behind'", job_type.name)
    if (request.options.limit_key is not None or request.options.resources) and job_type.record != "before":
        # What was taken for a run that left no trace of its start would be forgotten with Redis.
        raise InvalidInput("limit_key, resources", "absent where record='behind'", job_type.name)
    if unique is not None:
        if unique.needs_recorded_start and job_type.record != "before":
            raise InvalidInput(
                "unique", "until='ended', and neither replace nor extend, where record='behind'", job_type.name
            )
        job.unique_key = unique.key_of(
            job_type.name, job_type.signature.defaults | request.arguments, request.options.tenant
        )
        job.plain = payload
    return job


def prepare_many(
    requests: Sequence[JobRequest],
    registered: Callable[[str], JobType[..., object]],
    limit: int,
    connection: object,
) -> list[NewJob]:
    """The same for the requests of one call, which joins the transaction of `connection` if there is one."""
    jobs = [
        prepare(request, registered(request.job_type), limit, job_id)
        for request, job_id in zip(requests, new_ids(len(requests)), strict=True)
    ]
    if len({job.job_id for job in jobs}) < len(jobs):
        counts = Counter(job.job_id for job in jobs)
        raise InvalidInput("job_id", "given to one request of a call", counts.most_common(1)[0][0])
    for request in requests:
        if request.options.connection is not None and request.options.connection is not connection:
            raise InvalidInput("connection", "given to enqueue_many itself", request.job_type)
    return jobs


def profile_of(job_type: JobType[..., object], options: Options) -> Profile:
    """The profile of a type with these options; made once where they cannot change."""
    if options.tags or options.metadata:
        return _profile(job_type, options)
    # By identity, which is quick; the entry holds the options, so that no other object takes their place.
    kept = job_type.profiles.get(id(options))
    if kept is None:
        if len(job_type.profiles) >= _MOST_KEPT:
            job_type.profiles.clear()
        kept = job_type.profiles[id(options)] = (_profile(job_type, options), options)
    return kept[0]


def _profile(job_type: JobType[..., object], options: Options) -> Profile:
    delay = options.delay
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    unique = options.unique
    rare = _times(options) | _attributes(options)
    if unique is not None:
        rare |= unique.rare()
        if unique.wait is not None and delay is None and options.run_at is None:
            delay = (unique.milliseconds("wait") or 0) / 1000
    metadata = None
    if options.metadata:
        metadata = encode(_validate.mapping("metadata", options.metadata), "json", _MOST_METADATA, "metadata").decode()
    return Profile(
        job_type=job_type.name,
        queue=options.queue,
        payload_format=job_type.payload_format,
        priority=options.priority,
        mode=job_type.record,
        max_retries=options.max_retries,
        # a positive timeout never becomes none
        timeout_ms=None if options.timeout is None else max(1, round(options.timeout * 1000)),
        tags=_array_literal(_validate.tags(options.tags)) if options.tags else None,
        metadata=metadata,
        run_at=options.run_at,
        delay_ms=0 if delay is None else round(_validate.seconds("delay", delay) * 1000),
        rare=msgspec.json.encode(rare).decode() if rare else None,
    )


def _times(options: Options) -> dict[str, object]:
    """After which times the job is not wanted any more, as parts of `rare` in `enqueue.sql`."""
    if not options.ends:
        return {}
    found: dict[str, object] = {}
    for name, after, at in (
        ("expires", options.expires_in, options.expires_at),
        ("deadline", options.deadline_in, options.deadline_at),
    ):
        if after is not None:
            found[f"{name}_ms"] = _validate.span(f"{name}_in", after)
        if at is not None:
            found[f"{name}_at"] = at.isoformat()
    return found


def _attributes(options: Options) -> dict[str, object]:
    """Whose the job is, what it needs and what it counts, as parts of `rare` in `enqueue.sql`."""
    found: dict[str, object] = {}
    if options.tenant is not None:
        found["tenant"] = options.tenant
    if options.requires or options.resources:
        text = class_text(options.requires, options.resources or {})
        found["requires"] = check_length("requires, resources", text)
    if options.limit_key is not None:
        found["limit_key"] = options.limit_key
    if options.cost != 1.0:
        found["cost"] = round(options.cost * 1000)
    return found


def _array_literal(values: list[str]) -> str:
    """Texts as a PostgreSQL array literal: profiles of one batch may have different numbers of tags, which no array of
    arrays can hold.
    """
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
