"""What an open app holds: both stores and the parts that work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenure._database import Database
from tenure._engine import Engine, new_ids
from tenure._enqueue import Enqueuer
from tenure._publish import Publisher
from tenure._rebuild import Rebuilder
from tenure._registry import Registry
from tenure._results import Results
from tenure._seal import Seal
from tenure._watchdog import Watchdog
from tenure.admin import Admin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._engine import Event
    from tenure._new_job import NewJob
    from tenure.settings import Settings


class Stores:
    """Of one process: whoever opens them closes them."""

    def __init__(self, settings: Settings, postgres_url: str, redis_url: str) -> None:
        """Prepare; nothing is connected yet."""
        self.redis_url: Final = redis_url
        self.seal: Final = Seal.of(settings)
        self.database: Final = Database(
            postgres_url,
            schema=settings.schema,
            max_connections=settings.postgres_connections,
            statement_cache=settings.statement_cache,
        )
        self.engine: Final = Engine(
            redis_url,
            worker_id=new_ids(1)[0],
            prefix=settings.prefix,
            lease_ms=round(settings.lease_seconds * 1000),
            on_event=self._on_event,
        )
        self.rebuilder: Final = Rebuilder(self.database, self.engine)
        self.publisher: Final = Publisher(
            self.engine, self.database, self.rebuilder.request, self.rebuilder.recheck, self.rebuilder.settled
        )
        self.enqueuer: Final = Enqueuer(self.database, self.publisher, self.seal)
        self.results: Final = Results(self.database, self.engine)
        self.registry: Final = Registry(self.database, self.engine, settings)
        self.watchdog: Final = Watchdog(settings.wedge_seconds)
        self.admin: Final = Admin(self.database, self.engine, self.publisher, self.rebuilder, self.seal)

    def seal_jobs(self, jobs: Sequence[NewJob]) -> None:
        """Encrypt and sign new jobs, where the settings have keys."""
        if self.seal is not None:
            self.seal.seal_jobs(jobs)

    def _on_event(self, event: Event) -> None:
        if event.kind == "reconnected":
            self.rebuilder.recheck_all(())
        self.results.on_event(event)
        self.admin.questions.on_event(event)
