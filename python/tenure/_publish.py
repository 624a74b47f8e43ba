"""From committed rows to Redis: pushing what is ready, and what happens where the push fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from tenure._coalesce import Coalescer
from tenure._descriptors import load_descriptors
from tenure._engine import NoGeneration
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenure._database import Connection, Database
    from tenure._engine import Descriptor, Engine

logger = logging.getLogger("tenure.publish")

_MOST: Final = 1000


class Publisher:
    """Pushes descriptors to Redis behind the commits that made them.

    A push that fails loses nothing: PostgreSQL has the job. `on_unbuilt` is told which queue Redis has no generation
    of, `on_unpushed` which queue may lack jobs until Redis can be asked again.
    """

    def __init__(
        self,
        engine: Engine,
        database: Database,
        on_unbuilt: Callable[[str], None],
        on_unpushed: Callable[[str], None],
        built: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare; the stores must be open when the first job comes. `built` waits until no queue is being built."""
        self._engine = engine
        self._database = database
        self.unbuilt: Final = on_unbuilt
        self._on_unpushed = on_unpushed
        self._built = built
        self._fresh: dict[str, Coalescer[Descriptor]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, jobs: dict[str, list[Descriptor]]) -> None:
        """Push new jobs, soon and in batches."""
        for queue, descriptors in jobs.items():
            pushes = self._fresh.get(queue)
            if pushes is None:
                # One batch at a time per queue: jobs reach it in the order of their commits.
                pushes = Coalescer(functools.partial(self._push, queue), most=_MOST, in_flight=1)
                self._fresh[queue] = pushes
            pushes.extend(descriptors)

    def publish_ids(self, job_ids: list[str]) -> None:
        """Push jobs of which only the ids are at hand, soon."""
        if job_ids:
            self._spawn(self.requeue_ids(job_ids))

    async def requeue_ids(self, job_ids: Sequence[str]) -> int:
        """Push jobs that may sit somewhere in Redis already; how many wait to be leased.

        Of two who change a job's priority the first to commit may be the last to push. So what may be lifted is looked
        at again behind its push, until it is what was pushed.
        """
        count = 0
        refused: list[str] = []
        pushed: dict[str, int] = {}
        left: Sequence[str] = job_ids
        while left:
            parents: dict[str, int] = {}
            for queue, descriptors in (await load_descriptors(self._database, left, parents)).items():
                count += len(descriptors) if left is job_ids else 0
                if not await self._guarded(queue, self._engine.requeue(queue, descriptors)):
                    refused += [descriptor.job_id for descriptor in descriptors]
            left = [job_id for job_id, priority in parents.items() if pushed.get(job_id) != priority]
            pushed |= parents
        if refused:
            self._spawn(self._again(refused))
        return count

    async def _again(self, job_ids: list[str]) -> None:
        """Push once more, as they are then, what a queue without generation refused: whoever builds it may have read
        these jobs before they changed, and would leave a retried one at its old time.
        """
        await self._built()
        await self.requeue_ids(job_ids)

    def after_commit(self, connection: Connection, job_ids: list[str]) -> None:
        """Push jobs that are part of the caller's transaction, once it has committed.

        The driver tells of every statement, so nothing is polled. If the process dies in between, the reconciler
        finds them.
        """
        if not connection.is_in_transaction():
            self.publish_ids(job_ids)
            return

        def statement_ran(_record: Any) -> None:
            if not connection.is_in_transaction():
                connection.remove_query_logger(statement_ran)
                # After a roll-back the rows are not there, and nothing is pushed.
                self.publish_ids(job_ids)

        connection.add_query_logger(statement_ran)

    async def drained(self) -> None:
        """Wait until every job taken so far is pushed or given up."""
        await asyncio.gather(*(pushes.drained() for pushes in self._fresh.values()))
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _push(self, queue: str, batch: list[Descriptor]) -> None:
        await self._guarded(queue, self._engine.enqueue(queue, batch))

    async def _guarded(self, queue: str, push: Any) -> bool:
        """Whether the queue was there to be pushed to; what Redis could not be asked is the reconciler's."""
        try:
            await push
        except NoGeneration:
            self.unbuilt(queue)
            return False
        except StoreUnavailable as error:
            logger.warning("push failed, the reconciler will repeat it: %s: %s", queue, error)
            self._on_unpushed(queue)
        return True

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, coroutine: Any) -> None:
        try:
            await coroutine
        except StoreUnavailable as error:
            logger.warning("push failed, the reconciler will repeat it: %s", error)
