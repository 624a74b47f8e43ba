"""The leader's part of the watch: what observers say becomes a word in the registry."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tenure._engine import NoGeneration
from tenure._observer import CONFIRMATIONS, valid_seconds
from tenure._samples import read_sample
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._leader import Leader
    from tenure.settings import Settings

logger = logging.getLogger("tenure.judge")


class Judge:
    """Calls a worker suspect that one observer suspects, and failed whose death two confirm.

    It believes nothing that it can see to be wrong: whoever was heard of within the last beat is neither. So one
    observer that lies changes nothing at all, as long as the leader does not lie with it.
    """

    def __init__(self, engine: Engine, database: Database, leader: Leader, settings: Settings) -> None:
        """Prepare; the stores must be open when it is first asked."""
        self._engine = engine
        self._database = database
        self._leader = leader
        self._valid: Final = timedelta(seconds=valid_seconds(settings))

    async def judge(self, term: int) -> bool:
        """Write down what has become of those who are suspected; True if one that is called so has been heard of
        again.

        One statement that finds nothing, while nobody is suspected.
        """
        rows = await self._database.fetch("suspects", self._valid)
        if not rows:
            return False
        late = await self._late([row["worker_id"] for row in rows])
        if late:
            judged = await self._database.fetch("judge", self._leader.name, term, CONFIRMATIONS, self._valid, late)
            if not judged[0]["leads"]:
                self._leader.deposed()
                return False
            called = [(row["worker_id"], row["status"], row["queues"]) for row in judged if row["worker_id"]]
            for worker_id, status, _ in called:
                logger.warning("worker is silent, now %s: %s", status, worker_id)
            await pass_over(self._engine, ((worker_id, queues) for worker_id, _, queues in called))
        return any(row["called"] and row["worker_id"] not in late for row in rows)

    async def _late(self, worker_ids: list[str]) -> set[str]:
        """Which of them have been silent for longer than a beat."""
        now_ms, heard = await self._engine.heard()
        times = dict(heard)
        samples = await self._engine.beats(worker_ids)

        def late(worker_id: str) -> bool:
            sample = read_sample(samples.get(worker_id, b""))
            return sample is None or now_ms - times.get(worker_id, 0) > sample.every_ms

        return {worker_id for worker_id in worker_ids if late(worker_id)}


async def pass_over(engine: Engine, workers: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Wake these workers no more for their queues, so that the wake-ups go to others.

    Wrongly suspected ones lose nothing: whoever is awake leases as before, and whoever sleeps looks by itself every
    few seconds.
    """
    by_queue = defaultdict(list)
    for worker_id, queues in workers:
        for queue in queues:
            by_queue[queue].append(worker_id)
    for queue, worker_ids in by_queue.items():
        try:
            await engine.pass_over(queue, worker_ids)
        except (StoreUnavailable, NoGeneration, ValueError) as error:
            logger.warning("silent workers may still be woken: %s: %s", queue, error)
