"""The client: does what the generator says, and writes down what it asked and what it was told."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

from tenure._database import connect
from tenure._engine import new_ids
from tenure.errors import IllegalTransition, InvalidInput, JobNotFound, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tenure.app import Tenure
    from tenure.check.generator import Generator, Planned, Turn
    from tenure.check.history import History
    from tenure.job import Job
    from tenure.job_type import JobRequest

_MOST_AT_ONCE: Final = 16


class Client:
    """One app's worth of callers, at most 16 calls at a time."""

    def __init__(self, app: Tenure, history: History, generator: Generator) -> None:
        """Prepare; `app` must be open when it runs."""
        self._app = app
        self._history = history
        self._generator = generator
        self._known: list[str] = []  # ids that a cancel or a retry may mean
        self._ops = itertools.count()
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Take turns until told to stop, then wait for the calls under way."""
        for turn in self._generator.turns():
            await asyncio.sleep(turn.pause)
            if stop.is_set():
                break
            for call in self._calls_of(turn):
                task = asyncio.create_task(call)
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
            while len(self._calls) >= _MOST_AT_ONCE:
                await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
        if self._calls:
            await asyncio.wait(self._calls)

    async def enqueue(self, *planned: Planned) -> list[str]:
        """Enqueue until it is known to be done; the ids."""
        requests = self._requests(planned)
        while True:
            jobs = await self._call("enqueue", requests, self._app.enqueue_many(requests), None)
            if jobs is not None:
                return [job.id for job in jobs]
            await asyncio.sleep(0.05)

    def _calls_of(self, turn: Turn) -> list[Any]:
        match turn.verb:
            case "enqueue" | "refused":
                return [self._enqueue(turn)]
            case "transaction":
                return [self._transaction(turn)]
            case "race":
                return [self._enqueue(turn) for _ in range(turn.producers)]
            case verb:
                if not self._known:
                    return []
                # Rather one of the last hundred: older ones have mostly ended.
                job_id = self._known[-1 - int(turn.pick * min(100, len(self._known)))]
                return [self._steer(verb, job_id, turn.limit)]

    async def _enqueue(self, turn: Turn) -> None:
        requests = self._requests(turn.jobs)
        await self._call("enqueue", requests, self._asked(requests), turn.limit)

    async def _asked(self, requests: list[JobRequest]) -> list[Job]:
        if len(requests) == 1:
            return [await self._app.enqueue_request(requests[0])]
        return await self._app.enqueue_many(requests)

    async def _transaction(self, turn: Turn) -> None:
        """The jobs join a transaction of the client's own, which commits or does not."""
        requests = self._requests(turn.jobs)
        op = self._invoke("enqueue", requests)
        sure = True  # nothing of it can have happened yet
        try:
            url, schema = self._app.settings.postgres_url or "", self._app.settings.schema
            connection = await connect(url, schema=schema)
            try:
                transaction = connection.transaction()
                await transaction.start()
                jobs = await self._app.enqueue_many(requests, connection=connection)
                if turn.commit:
                    sure = False
                    await transaction.commit()
                    self._ok(op, "enqueue", jobs)
                else:
                    await transaction.rollback()
                    self._history.note("client", "fail", "enqueue", {"op": op, "error": "rolled back"})
            finally:
                await connection.close(timeout=2.0)
        except (OSError, TimeoutError, Exception) as error:  # noqa: BLE001 - the driver's own errors come through here
            kind = "fail" if sure else "info"
            self._history.note("client", kind, "enqueue", {"op": op, "error": _text(error)})  # type: ignore[arg-type]

    async def _steer(self, verb: str, job_id: str, limit: float | None) -> None:
        op = self._invoke(verb, job=job_id)
        admin = self._app.admin
        try:
            async with asyncio.timeout(limit):
                status = await (admin.cancel(job_id) if verb == "cancel" else admin.retry(job_id))
        except (IllegalTransition, JobNotFound) as error:
            self._history.note("client", "fail", verb, {"op": op, "job": job_id, "error": _text(error)})
        except (StoreUnavailable, TimeoutError) as error:
            self._history.note("client", "info", verb, {"op": op, "job": job_id, "error": _text(error)})
        else:
            self._history.note("client", "ok", verb, {"op": op, "job": job_id, "status": status})

    async def _call(
        self, verb: str, requests: list[JobRequest], call: Awaitable[list[Job]], limit: float | None
    ) -> list[Job] | None:
        op = self._invoke(verb, requests)
        try:
            async with asyncio.timeout(limit):
                jobs = await call
        except InvalidInput as error:
            self._history.note("client", "fail", verb, {"op": op, "error": _text(error)})
        except (StoreUnavailable, TimeoutError) as error:
            self._history.note("client", "info", verb, {"op": op, "error": _text(error)})
        else:
            self._ok(op, verb, jobs)
            return jobs
        return None

    def _ok(self, op: int, verb: str, jobs: list[Job]) -> None:
        self._known += [job.id for job in jobs]
        self._history.note("client", "ok", verb, {"op": op, "got": [job.id for job in jobs]})

    def _invoke(self, verb: str, requests: list[JobRequest] | None = None, **value: Any) -> int:
        op = next(self._ops)
        if requests is not None:
            value["jobs"] = [
                {
                    "id": one.job_id,
                    "kind": one.job_type,
                    "key": one.options.idempotency_key,
                    "needs": list(one.options.depends_on),
                }
                for one in requests
            ]
        self._history.note("client", "invoke", verb, {"op": op, **value})
        return op

    def _requests(self, planned: list[Planned] | tuple[Planned, ...]) -> list[JobRequest]:
        """With ids given in advance, so that what became of an unanswered call can be looked up."""
        ids = new_ids(len(planned))
        return [
            self._app.job_types[one.kind]
            .options(job_id=job_id, depends_on=[ids[place] for place in one.needs], **one.options)
            .request(**one.arguments)
            for job_id, one in zip(ids, planned, strict=True)
        ]


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
