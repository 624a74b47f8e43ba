"""Whoever lost an answer takes for its own only what it did itself, also where Redis gave one lease twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenure._attempt import Attempt
from tenure._settle import Ending
from tenure._start import Starter
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from tenure._database import Database


class Flaky:
    """A database whose first answer to one statement is lost; `arrives`: the statement itself is not."""

    def __init__(self, database: Database, name: str, *, arrives: bool) -> None:
        self.database = database
        self.name: str | None = name
        self.arrives = arrives

    async def fetch(self, name: str, *arguments: Any, connection: Any = None) -> Any:
        lost = name == self.name
        if not lost or self.arrives:
            rows = await self.database.fetch(name, *arguments, connection=connection)
        if lost:
            self.name = None
            raise StoreUnavailable("the answer was lost")
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


@pytest.fixture
async def leased(open_app, app, eventually):
    """A worker that has not started, and the lease of a job whose starts are recorded `mode` the run."""

    @app.job()
    async def before() -> None: ...

    @app.job(record="behind")
    async def behind() -> None: ...

    await open_app(app)
    worker = app.worker()
    await worker._engine.open()
    await worker._engine.set_generation("default")

    async def lease(mode: str) -> Any:
        await (before if mode == "before" else behind).enqueue()
        found: list[Any] = []

        async def one() -> bool:
            found.extend((await worker._engine.lease("default", 1)).leases)
            return bool(found)

        await eventually(one)
        assert found[0].mode == mode
        return worker, found[0]

    yield lease
    worker._end()


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_start_is_ones_own_or_it_is_not(leased, arrives):
    worker, lease = await leased("before")
    starter = Starter(Flaky(worker._database, "start", arrives=arrives), worker.worker_id, 5.0, lambda _: None)
    mine, other = Attempt(lease), Attempt(lease)
    await starter._confirm([mine])
    assert mine.recorded
    # the same lease, given again after a loss of Redis, to the same worker
    again = Starter(Flaky(worker._database, "start", arrives=arrives), worker.worker_id, 5.0, lambda _: None)
    await again._confirm([other])
    assert not other.recorded


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_ending_is_ones_own_or_it_is_not(leased, arrives):
    worker, lease = await leased("behind")
    settler, database = worker._settler, worker._database
    lost = []
    settler._on_lost = lost.append
    endings = [Ending(lease, False, 1.0, "COMPLETED", "COMPLETED") for _ in range(2)]
    for ending in endings:
        settler._database = Flaky(database, "record", arrives=arrives)
        await settler._settle([ending])
    assert [one.outcome for one in endings] == ["COMPLETED", None]
    assert lost == [lease]
