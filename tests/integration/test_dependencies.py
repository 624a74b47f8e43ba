"""Jobs that wait for jobs."""

from __future__ import annotations

import asyncio

import pytest

from tenure import Dead, JobCancelled, JobFailed, StoreUnavailable
from tenure._database import Database
from tenure._settle import Settler
from tests.invariants import assert_invariants


@pytest.fixture
def step(app):
    @app.job(max_retries=0)
    async def step(name: str = "", fail: bool = False) -> object:
        return Dead("asked for") if fail else name

    return step


async def test_shapes(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    async with app.worker(concurrency=50):
        root = await step.enqueue("root")
        fan_out = await app.enqueue_many([step.options(depends_on=[root]).request(str(n)) for n in range(200)])
        fan_in = await step.options(depends_on=fan_out).enqueue("in")
        chain = fan_in
        for number in range(10):
            chain = await step.options(depends_on=[chain, root]).enqueue(str(number))
        assert await chain.result(timeout=20) == "9"
    await assert_invariants(raw_postgres, migrated_schema, jobs=212)


async def test_a_batch_may_refer_to_itself_in_any_order(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    first, second = "01890a5d-ac96-774b-bcce-b302099a8051", "01890a5d-ac96-774b-bcce-b302099a8052"
    child, parent = await app.enqueue_many(
        [
            step.options(job_id=first, depends_on=[second]).request("child"),
            step.options(job_id=second).request("parent"),
        ]
    )
    assert (child.id, parent.id) == (first, second)
    assert await child.status() == "BLOCKED"
    async with app.worker():
        assert await child.result(timeout=5) == "child"
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


async def test_ten_thousand_wait_for_one(open_app, app, step, raw_postgres, migrated_schema):
    """Their release is one statement, in time for the parent's lease, also before any statistics know of them."""
    await open_app(app)
    parent = "01890a5d-ac96-774b-bcce-b302099a8051"
    wide = [step.options(depends_on=[parent]).request() for _ in range(10_000)]
    await app.enqueue_many([step.options(job_id=parent).request(), *wide])
    async with app.worker(concurrency=300):
        assert await app.job_handle(parent).result(timeout=20) == ""
        count = f"SELECT count(*) FROM {migrated_schema}.jobs WHERE status = 'COMPLETED'"
        async with asyncio.timeout(30):
            while await raw_postgres.fetchval(count) < 10_001:
                await asyncio.sleep(0.05)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.job_executions") == 10_001


async def test_policies(open_app, app, step):
    await open_app(app)
    async with app.worker():
        parent = await step.enqueue(fail=True)
        children = {
            policy: await step.options(depends_on=[parent], on_failure=policy).enqueue(policy)
            for policy in ("hold", "cancel", "run")
        }
        grandchild = await step.options(depends_on=[children["cancel"]], on_failure="cancel").enqueue()
        with pytest.raises(JobFailed):
            await parent.result(timeout=5)
        assert await children["run"].result(timeout=5) == "run"
        for cancelled in (children["cancel"], grandchild):
            with pytest.raises(JobCancelled):
                await cancelled.result(timeout=5)
        assert await children["hold"].status() == "BLOCKED"
        # a parent that has ended badly counts for whoever comes later, too
        assert (
            await (await step.options(depends_on=[parent], on_failure="run").enqueue("late")).result(timeout=5)
            == "late"
        )
        late = await step.options(depends_on=[parent], on_failure="cancel").enqueue()
        assert await late.status() == "CANCELLED"
        assert await children["hold"].cancel() == "CANCELLED"


async def test_a_held_job_goes_on_when_its_parent_is_retried(open_app, app):
    broken = True

    @app.job(max_retries=0)
    async def mend() -> object:
        return Dead() if broken else "whole"

    await open_app(app)
    async with app.worker():
        parent = await mend.enqueue()
        held = await mend.options(depends_on=[parent]).enqueue()
        with pytest.raises(JobFailed):
            await parent.result(timeout=5)
        broken = False
        assert await app.admin.requeue_dead_letters(job_ids=[parent.id]) == 1
        assert await held.result(timeout=5) == "whole"


async def test_parents_that_end_while_their_children_are_enqueued(open_app, app, step, raw_postgres, migrated_schema):
    """The lost wake-up: neither the settling parent nor the child being inserted may miss the other."""
    await open_app(app)
    async with app.worker(concurrency=100):
        for _ in range(6):
            parents = await asyncio.gather(*(step.enqueue() for _ in range(10)))
            children = await asyncio.gather(
                *(step.options(depends_on=parents[: n + 1]).enqueue(str(n)) for n in range(10))
            )
            for number, child in enumerate(children):
                assert await child.result(timeout=10) == str(number)
    await assert_invariants(raw_postgres, migrated_schema, jobs=120)


async def test_a_child_of_a_parent_whose_key_is_taken_waits_for_the_job_that_has_it(open_app, app, step):
    await open_app(app)
    first = await step.options(idempotency_key="k").enqueue("1")
    second = "01890a5d-ac96-774b-bcce-b302099a8052"
    parent, child = await app.enqueue_many(
        [step.options(job_id=second, idempotency_key="k").request("2"), step.options(depends_on=[second]).request("3")]
    )
    assert (parent.id, parent.created) == (first.id, False)
    assert await child.status() == "BLOCKED"
    async with app.worker():
        assert await child.result(timeout=5) == "3"
    # and one that comes when the first has ended need not wait
    _, late = await app.enqueue_many(
        [step.options(job_id=second, idempotency_key="k").request("4"), step.options(depends_on=[second]).request("5")]
    )
    assert await late.status() == "PENDING"


async def test_one_key_twice_in_a_batch_is_one_parent(open_app, app, step):
    await open_app(app)
    ids = [f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in range(3)]
    first, again, child = await app.enqueue_many(
        [
            step.options(job_id=ids[0], idempotency_key="k").request("1"),
            step.options(job_id=ids[1], idempotency_key="k").request("2"),
            step.options(job_id=ids[2], depends_on=ids[:2]).request("3"),
        ]
    )
    assert (first.created, again.id, again.created) == (True, first.id, False)
    async with app.worker():
        assert await child.result(timeout=5) == "3"


async def test_producers_that_race_for_a_parents_key_agree_on_the_parent(open_app, app, step):
    await open_app(app)

    async def produce(number: int):
        parent = f"01890a5d-ac96-774b-bcce-b302099a81{number:02}"
        return await app.enqueue_many(
            [
                step.options(job_id=parent, idempotency_key="raced").request(str(number)),
                step.options(depends_on=[parent]).request(str(number)),
            ]
        )

    made = await asyncio.gather(*map(produce, range(10, 30)))
    assert len({parent.id for parent, _ in made}) == 1
    assert sum(parent.created for parent, _ in made) == 1
    async with app.worker():
        assert [await child.result(timeout=10) for _, child in made] == [str(number) for number in range(10, 30)]


@pytest.mark.parametrize("fail", [False, True], ids=["completed", "failed"])
async def test_an_ending_whose_transaction_was_cut_is_settled_again(
    open_app, app, step, raw_postgres, migrated_schema, monkeypatch, fail
):
    """What it found before the roll-back is not so; else the job runs for ever under a lease that lives on."""
    original, cut = Database.atomically, []

    async def atomically(self, work):
        async def cut_off(connection):
            await work(connection)
            cut.append(1)
            raise StoreUnavailable("the session was cut")

        if work.__qualname__.startswith("Settler.") and not cut:
            return await original(self, cut_off)
        return await original(self, work)

    monkeypatch.setattr(Database, "atomically", atomically)
    await open_app(app)
    parent = await step.enqueue("parent", fail)
    child = await step.options(depends_on=[parent], on_failure="run").enqueue("child")
    async with app.worker():
        assert await child.result(timeout=5) == "child"
    assert cut
    assert [one.fence for one in await parent.executions()] == [1]
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


async def test_leases_whose_settling_failed_are_rescued(
    open_app, app, step, raw_postgres, migrated_schema, monkeypatch
):
    """A bug must not keep a job under a lease that its worker extends for ever."""
    original, failed = Settler._commit, []

    async def commit(self, batch, *, uncertain):
        if not failed:
            failed.append(1)
            raise ZeroDivisionError
        await original(self, batch, uncertain=uncertain)

    monkeypatch.setattr(Settler, "_commit", commit)
    app.job(name="again", max_retries=2)(step.handler)
    await open_app(app)
    job = await app.enqueue("again", {"name": "x"})
    async with app.worker():
        assert await job.result(timeout=15) == "x"
    assert [one.status for one in await job.executions()] == ["LOST", "COMPLETED"]
    await assert_invariants(raw_postgres, migrated_schema, jobs=1)
