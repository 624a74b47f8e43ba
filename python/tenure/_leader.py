"""Who leads: one process of the fleet at a time, by a lease in Redis whose winner raises a term in PostgreSQL."""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine

logger = logging.getLogger("tenure.leader")

HOLD: Final = 3.0  # seconds for which a leader that says nothing more holds up its successor
_SPREAD: Final = 0.5  # and for which those who wait do not all ask at once


class Leader:
    """One process's claim to a leadership.

    Redis decides quickly, and may forget: then two believe that they lead. PostgreSQL does not: each began a term of
    its own, and a statement that asks for its term (see `heartbeats.sql`) writes nothing for the earlier one. So
    every write of a leader takes `name` and the term that `term()` gave, holds the row of `leaders` until it is
    committed, and says whether it was let in; `deposed()` is told where it was not.

    A leader that dies is succeeded within `HOLD` and half a second, one that resigns at once by who asks next.
    """

    def __init__(self, engine: Engine, database: Database, name: str, *, hold: float = HOLD) -> None:
        """Prepare; both stores must be open when it is first asked.

        Args:
            engine: whose `worker_id` names the holder in Redis: one claim to a leadership for each engine.
            database: where the terms are.
            name: of the leadership: letters, digits, `_`, `-` and `.`.
            hold: seconds for which it is won and kept. Defaults to 3.
        """
        self.name: Final = name
        self._engine = engine
        self._database = database
        self._hold = hold
        self._term = 0
        self._renew = 0.0  # when to ask Redis again, and until when not to believe anything else
        self._until = 0.0
        self._wait = 0.0

    async def term(self) -> int:
        """The term under which this process leads now, won anew where it is free; 0 while another leads.

        Costs nothing but once in a third of the hold; to be asked at least that often by who leads.

        Raises:
            StoreUnavailable: a store is away; this process does not lead, and the next in line may.
        """
        now = time.monotonic()
        if now < self._renew:
            return self._term
        if now >= self._until:
            # Others may have led meanwhile: what was begun before is over.
            self._term = 0
        wait_ms = await self._engine.lead(self.name, round(self._hold * 1000))
        if wait_ms:
            self._term = 0
            self._wait = wait_ms / 1000 + random.uniform(0.0, _SPREAD)  # noqa: S311 - not a secret
            return 0
        if not self._term:
            try:
                holder = f"{socket.gethostname()}:{os.getpid()}"
                [row] = await self._database.fetch("raise_term", self.name, holder)
            except StoreUnavailable:
                # Whoever reaches PostgreSQL shall lead.
                await self.resign()
                raise
            self._term = row["term"]
            logger.info("leads: %s, term %d", self.name, self._term)
        self._renew, self._until = now + self._hold / 3, now + self._hold
        return self._term

    @property
    def pause(self) -> float:
        """Seconds until it is worth asking again: until the other's hold ends, or this one's is to be renewed."""
        if self._term:
            return max(0.0, self._renew - time.monotonic())
        return self._wait

    def deposed(self) -> None:
        """PostgreSQL has seen a later term: lead no more until it is won again."""
        logger.warning("no longer leads, a later term has begun: %s, after term %d", self.name, self._term)
        self._term, self._renew, self._until, self._wait = 0, 0.0, 0.0, self._hold / 3

    async def resign(self) -> None:
        """Give the leadership up, if it is this process's; its successor need not wait."""
        self._term, self._renew, self._until = 0, 0.0, 0.0
        with suppress(StoreUnavailable):
            await self._engine.resign(self.name)
