"""Workflows: graphs of any shape in one transaction, results handed on, their end told of, steered as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from tenure import Backoff, Dead, InvalidInput, JobCancelled, JobFailed
from tenure.errors import DependencyCycle, IllegalTransition, UnknownDependency, WorkflowNotFound
from tenure.workflow import WorkflowState  # noqa: TC001 - read from a handler's annotations
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from tenure.job_type import JobType


class Receipt(msgspec.Struct):
    """What one job hands another."""

    number: int
    lines: list[str]


@pytest.fixture
def step(app) -> JobType[..., Any]:
    @app.job(max_retries=0)
    async def step(name: str = "", fail: bool = False) -> object:
        return Dead("asked for") if fail else name

    return step


@pytest.fixture
def tell(app) -> JobType[..., Any]:
    @app.job()
    async def tell(state: WorkflowState) -> dict[str, int]:
        return state.jobs

    return tell


async def test_results_are_handed_on_in_the_types_that_the_child_declares(open_app, app):
    @app.job()
    async def charge(order: int) -> Receipt:
        return Receipt(order, ["a", "b"])

    @app.job(payload_format="msgpack")
    def weigh(receipt: Receipt, factor: float = 1.0) -> float:
        assert isinstance(receipt, Receipt)
        return receipt.number * factor

    @app.job()
    async def report(parts: list[float], by_name: dict[str, Receipt], note: str) -> list[object]:
        return [parts, by_name["x"].lines, note]

    await open_app(app)
    flow = app.workflow("order")
    paid = flow.add(charge.request(17))
    light, heavy = flow.add(weigh.request(paid)), flow.add(weigh.request(receipt=paid, factor=2.5))
    last = flow.add(report.request([light, 0.25, heavy], {"x": paid}, "null \\u0000 $results"))
    order = await flow.enqueue()
    assert [await job.status() for job in order.jobs] == ["PENDING", "BLOCKED", "BLOCKED", "BLOCKED"]
    async with app.worker():
        assert await order.result(last, 10) == [[17.0, 0.25, 42.5], ["a", "b"], "null \\u0000 $results"]
        state = await order.wait(10)
    assert (state.status, state.jobs, state.total, state.name) == ("COMPLETED", {"COMPLETED": 4}, 4, "order")
    results = await order.results()
    assert results[heavy.job_id] == 42.5


async def test_what_a_user_sends_is_never_taken_for_a_reference(open_app, app, step):
    """Not at any depth of the arguments: only the builder makes one."""

    @app.job()
    async def echo(data: dict[str, Any]) -> dict[str, Any]:
        return data

    await open_app(app)
    async with app.worker():
        secret = await step.enqueue("secret")
        await secret.result(10)
        forged = {"$results": [{"path": ["data"], "job": secret.id}]}
        assert await (await echo.enqueue(forged)).result(10) == forged
        with pytest.raises(InvalidInput, match="kwargs"):
            await app.enqueue("echo", {"data": {}, "$results": []})


async def test_a_parent_that_failed_hands_on_nothing(open_app, app, step):
    @app.job()
    async def after(given: str | None) -> str:
        return repr(given)

    await open_app(app)
    flow = app.workflow()
    bad = flow.add(step.request(fail=True))
    child = flow.add(after.request(bad), on_failure="run")
    done = await flow.enqueue()
    async with app.worker():
        assert await done.result(child, 10) == "None"


async def test_what_does_not_fit_is_a_dead_letter_at_once(open_app, app, step):
    @app.job(max_retries=5)
    async def number(given: int) -> int:
        return given

    await open_app(app)
    flow = app.workflow()
    child = flow.add(number.request(flow.add(step.request("no number"))))
    done = await flow.enqueue()
    async with app.worker():
        with pytest.raises(JobFailed, match="does not fit"):
            await done.result(child, 10)
        assert (await app.admin.dead_letter(child.job_id)).reason == "invalid"
        assert (await done.wait(10)).status == "FAILED"


async def test_a_policy_for_each_edge(open_app, app, step):
    await open_app(app)
    flow = app.workflow(on_failure="cancel")
    good, bad = flow.add(step.request("good")), flow.add(step.request(fail=True))
    outside = await step.options(delay=3600).enqueue()
    runs = flow.add(step.request("runs"), after={good: "cancel", bad: "run"})
    held = flow.add(step.request("held"), after={good: "run", bad: "hold"})
    cancelled = flow.add(step.request("cancelled"), after=[good, bad])
    waits = flow.add(step.request("waits"), after=[outside], on_failure="hold")
    also = flow.add(step.options(depends_on=[outside], on_failure="run").request("also"), after=[good])
    done = await flow.enqueue()
    async with app.worker():
        assert await done.result(runs, 10) == "runs"
        with pytest.raises(JobCancelled):
            await done.result(cancelled, 10)
        assert await done.job(held).status() == "BLOCKED"
        assert (await done.status()).status == "RUNNING"  # somebody else's job can go on
        await outside.cancel()
        assert await done.result(also, 10) == "also"
        state = await done.wait(10)
        assert (state.status, state.jobs["BLOCKED"]) == ("HELD", 2)
        assert await done.job(waits).status() == "BLOCKED"


async def test_all_or_nothing(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    count = f"SELECT (SELECT count(*) FROM {migrated_schema}.jobs) + (SELECT count(*) FROM {migrated_schema}.workflows)"
    flow = app.workflow()
    flow.add(step.request(), after=[flow.add(step.request()), "01890a5d-ac96-774b-bcce-b302099a8051"])
    with pytest.raises(UnknownDependency):
        await flow.enqueue()
    assert await raw_postgres.fetchval(count) == 0
    # in a transaction that goes on
    async with raw_postgres.transaction():
        with pytest.raises(UnknownDependency):
            await flow.enqueue(raw_postgres)
        await step.options(connection=raw_postgres).enqueue("goes on")
    assert await raw_postgres.fetchval(count) == 1
    # and in one that is rolled back
    whole = app.workflow()
    first = whole.add(step.request("1"))
    second = whole.add(step.request("2"), after=[first])
    transaction = raw_postgres.transaction()
    await transaction.start()
    await whole.enqueue(raw_postgres)
    await transaction.rollback()
    assert await raw_postgres.fetchval(count) == 1
    again = app.workflow()
    second = again.add(step.request("2"), after=[again.add(step.request("1"))])
    async with raw_postgres.transaction():
        done = await again.enqueue(raw_postgres)
    async with app.worker():
        assert await done.result(second, 10) == "2"
    with pytest.raises(IllegalTransition, match="once"):
        await again.enqueue()


@pytest.mark.parametrize(
    ("field", "options"), [("idempotency_key", {"idempotency_key": "k"}), ("unique", {"unique": "k"})]
)
async def test_what_another_job_may_take_the_place_of_is_refused(app, step, field, options):
    with pytest.raises(InvalidInput, match=field):
        app.workflow().add(step.options(**options).request())


async def test_bad_input_is_refused_before_anything_is_written(
    open_app, app, step, tell, raw_postgres, migrated_schema
):
    await open_app(app)

    @app.job(record="behind")
    async def behind() -> None: ...

    stranger = app.workflow().add(step.request())
    flow = app.workflow()
    for refused in (
        lambda: flow.add(step.request(), after=[stranger]),
        lambda: flow.add(step.request(stranger)),
        lambda: flow.add(step.request(app.workflow())),
        lambda: flow.add(step.request(), on_failure="panic"),
        lambda: flow.add(step.request(), after={"01890a5d-ac96-774b-bcce-b302099a8051": "panic"}),
        lambda: flow.add(step.request(), after="01890a5d-ac96-774b-bcce-b302099a8051"),
        lambda: flow.add(step.request(), after=["no id"]),
        lambda: app.workflow("x" * 256),
        lambda: app.workflow(on_failure="panic"),
        lambda: app.workflow(deadline_in=-1),
    ):
        with pytest.raises(InvalidInput):
            refused()
    with pytest.raises(InvalidInput, match="at least one"):
        await flow.enqueue()
    flow.on_complete(tell.request(flow))
    with pytest.raises(InvalidInput, match="once"):
        flow.on_complete(tell.request(flow))
    with pytest.raises(InvalidInput, match="at least one"):
        await flow.enqueue()
    late = app.workflow(deadline_in=5)
    late.add(behind.request())
    with pytest.raises(InvalidInput, match="behind"):
        await late.enqueue()
    # a circle by ids that were given in advance
    first, second = "01890a5d-ac96-774b-bcce-b302099a8051", "01890a5d-ac96-774b-bcce-b302099a8052"
    circle = app.workflow()
    circle.add(step.options(job_id=first).request(), after=[second])
    circle.add(step.options(job_id=second).request(), after=[first])
    with pytest.raises(DependencyCycle):
        await circle.enqueue()
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.workflows") == 0
    with pytest.raises(WorkflowNotFound):
        await app.admin.workflows.show(first)


async def test_a_batch_tells_of_its_end_once_whatever_came_of_it(
    open_app, app, step, tell, raw_postgres, migrated_schema
):
    await open_app(app)
    flow = app.workflow("batch")
    for number in range(40):
        flow.add(step.request(str(number), fail=number % 4 == 0))
    told = flow.on_complete(tell.request(flow))
    batch = await flow.enqueue()
    assert len(batch.jobs) == 40
    async with app.worker(concurrency=20), app.worker(concurrency=20):
        assert await batch.result(told, 20) == {"COMPLETED": 30, "FAILED": 10}
        state = await batch.wait(10)
    assert (state.status, state.callback_status, state.callback_job_id) == ("FAILED", "COMPLETED", told.job_id)
    late = f"""SELECT count(*) FROM {migrated_schema}.jobs AS j, {migrated_schema}.jobs AS c
        WHERE c.job_id = $1 AND j.job_id <> c.job_id AND j.completed_at > c.started_at"""
    assert await raw_postgres.fetchval(late, told.job_id) == 0
    assert len(await app.admin.executions(told.job_id)) == 1
    await assert_invariants(raw_postgres, migrated_schema, jobs=41)


async def test_ten_thousand_tell_of_their_end(open_app, app, step, tell):
    """One callback, 10,000 edges, one statement for each batch of ends."""
    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.request())
    for _ in range(9_999):
        flow.add(step.request(), after=[root])
    told = flow.on_complete(tell.request(flow))
    batch = await flow.enqueue()
    async with app.worker(concurrency=300):
        assert await batch.result(told, 60) == {"COMPLETED": 10_000}


async def test_a_chain_of_ten_cascades(open_app, app, step, raw_postgres, migrated_schema):
    """Each is released by the end of the one before: nobody looks again and again."""
    await open_app(app)
    flow = app.workflow()
    handle = flow.add(step.request("0"))
    for number in range(1, 10):
        handle = flow.add(step.request(handle if number % 2 else str(number)), after=[handle])
    chain = await flow.enqueue()
    async with app.worker():
        assert await chain.result(handle, 20) == "8"
    await assert_invariants(raw_postgres, migrated_schema, jobs=10)


async def test_a_deadline_reaches_all_jobs_and_spares_the_callback(open_app, app, step, tell):
    @app.job()
    async def slow() -> None:
        await asyncio.sleep(60)

    await open_app(app)
    flow = app.workflow(deadline_in=1.0)
    first = flow.add(slow.request())
    own = flow.add(step.options(deadline_in=0.5, delay=3600).request())
    rest = flow.add(step.request(), after=[flow.add(step.request(), after=[first])])
    told = flow.on_complete(tell.request(flow))
    done = await flow.enqueue()
    infos = {job.id: await job.info() for job in done.jobs}
    assert all(info.deadline_at is not None for info in infos.values())
    assert infos[own.job_id].deadline_at < infos[first.job_id].deadline_at
    assert infos[rest.job_id].deadline_at == infos[first.job_id].deadline_at == (await done.status()).deadline_at
    assert done.callback is not None
    assert (await done.callback.info()).deadline_at is None
    async with app.worker():
        # a job that ran is dead by then, and those that never started are cancelled
        assert await done.result(told, 20) == {"FAILED": 1, "CANCELLED": 3}


async def test_expiry_acts_by_the_edges_policy(open_app, app, step):
    await open_app(app)
    flow = app.workflow()
    late = flow.add(step.options(expires_in=0.05, delay=3600).request())
    runs = flow.add(step.request("runs"), after={late: "run"})
    gone = flow.add(step.request(), after={late: "cancel"})
    held = flow.add(step.request(), after={late: "hold"})
    done = await flow.enqueue()
    async with app.worker():
        assert await done.result(runs, 10) == "runs"
        with pytest.raises(JobCancelled):
            await done.result(gone, 10)
    assert await done.job(held).status() == "BLOCKED"


async def test_cancelling_a_subtree(open_app, app, step, eventually, raw_postgres, migrated_schema):
    """Waiting, ready and running jobs in one transaction; what is beside it goes on."""
    started = asyncio.Event()

    @app.job()
    async def hang() -> None:
        started.set()
        await asyncio.sleep(60)

    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.request("root"))
    left = flow.add(hang.request(), after=[root])
    under = [flow.add(step.request(), after=[left], on_failure="run") for _ in range(5)]
    deep = flow.add(step.request(), after=under)
    right = flow.add(step.request("right"), after=[root])
    done = await flow.enqueue()
    async with app.worker():
        await asyncio.wait_for(started.wait(), 10)
        assert await done.job(left).cancel(descendants=True) == "PROCESSING"
        for handle in (*under, deep):
            assert await done.job(handle).status() == "CANCELLED"
        assert await done.result(right, 10) == "right"
        await eventually(lambda: is_status(done.job(left), "CANCELLED"))
        state = await done.wait(10)
        assert (state.status, state.jobs) == ("CANCELLED", {"COMPLETED": 2, "CANCELLED": 7})
        with pytest.raises(IllegalTransition, match="nothing is left"):
            await done.job(left).cancel(descendants=True)
    await assert_invariants(raw_postgres, migrated_schema)


async def test_cancelling_a_workflow_still_tells_of_its_end(open_app, app, step, tell):
    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.options(delay=3600).request())
    for _ in range(600):
        flow.add(step.request(), after=[root])
    told = flow.on_complete(tell.request(flow))
    outside = step.options(depends_on=[root.job_id], on_failure="run")
    done = await flow.enqueue()
    beside = await outside.enqueue("outside")
    assert set((await done.cancel()).values()) == {"CANCELLED"}
    async with app.worker():
        assert await done.result(told, 10) == {"CANCELLED": 601}
        assert await beside.result(10) == "outside"
    assert (await done.status()).status == "CANCELLED"
    assert await done.cancel() == {}


async def test_retrying_a_workflow(open_app, app, tell):
    """What failed comes back, what was cancelled with it waits for it again, what completed stays; the callback, which
    still waits, waits for those that came back.
    """
    broken = True
    ran: list[str] = []

    @app.job(max_retries=0)
    async def mend(name: str) -> object:
        ran.append(name)
        return Dead() if broken and name.startswith("bad") else name

    await open_app(app)
    flow = app.workflow(on_failure="cancel")
    good, bad = flow.add(mend.request("good")), flow.add(mend.request("bad"))
    both = flow.add(mend.request("both"), after=[good, bad])
    after = flow.add(mend.request("after"), after=[both])
    slow = flow.add(mend.options(delay=3600).request("slow"))
    told = flow.on_complete(tell.request(flow))
    done = await flow.enqueue()
    async with app.worker():
        with pytest.raises(JobCancelled):
            await done.result(after, 10)
        assert await done.job(told).status() == "BLOCKED"
        broken = False
        assert await done.retry() == {
            bad.job_id: "PENDING",
            both.job_id: "BLOCKED",
            after.job_id: "BLOCKED",
        }
        assert await done.result(after, 10) == "after"
        assert await done.job(told).status() == "BLOCKED"
        await done.job(slow).retry()
        assert await done.result(told, 10) == {"COMPLETED": 5}
    assert sorted(ran) == ["after", "bad", "bad", "both", "good", "slow"]
    assert await app.admin.dead_letters() == []


async def test_retrying_a_subtree(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    root = await step.options(delay=3600).enqueue("root")
    middle = await step.options(depends_on=[root]).enqueue("middle")
    leaf = await step.options(depends_on=[middle, root]).enqueue("leaf")
    assert await root.cancel(descendants=True) == "CANCELLED"
    # alone it could not come back: what it waits for did not complete
    with pytest.raises(IllegalTransition):
        await middle.retry()
    assert await middle.retry(descendants=True) == "CANCELLED"
    assert [await job.status() for job in (root, middle, leaf)] == ["CANCELLED", "BLOCKED", "BLOCKED"]
    assert await root.retry() == "CANCELLED"
    async with app.worker():
        assert await leaf.result(10) == "leaf"
    with pytest.raises(IllegalTransition, match="nothing is to be"):
        await root.retry(descendants=True)
    await assert_invariants(raw_postgres, migrated_schema, jobs=3)


async def test_a_retried_parent_is_waited_for_again(open_app, app, step):
    """By whoever still waits, also where its bad end had counted as an end."""
    await open_app(app)
    other = await step.options(delay=3600).enqueue()
    async with app.worker():
        parent = await step.enqueue(fail=True)
        child = await step.options(depends_on=[parent, other], on_failure="run").enqueue("child")
        with pytest.raises(JobFailed):
            await parent.result(10)
    assert (await child.info()).pending_dependencies == 1
    await app.admin.requeue_dead_letters(job_ids=[parent.id])
    assert (await child.info()).pending_dependencies == 2
    await other.cancel()
    assert await child.status() == "BLOCKED"
    await parent.cancel()
    assert await child.status() == "PENDING"


async def test_races_of_cancel_retry_and_settle_lose_no_wake_up(open_app, app, raw_postgres, migrated_schema):
    """Whatever comes first: every job ends, and none waits for something that has ended."""

    @app.job(max_retries=1, backoff=Backoff(base=0.01, jitter="none"))
    async def touch(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 5))
        return number

    await open_app(app)
    flows = []
    for _ in range(6):
        flow = app.workflow(on_failure="cancel")
        row = [flow.add(touch.request(number)) for number in range(5)]
        for _ in range(4):
            row = [flow.add(touch.request(number), after=row) for number in range(5)]
        flows.append(await flow.enqueue())

    async def disturb(one: Any, number: int) -> None:
        for turn in range(3):
            await asyncio.sleep(0.005 * (number + turn))
            await one.cancel()
            await one.retry()

    async with app.worker(concurrency=10), app.worker(concurrency=10):
        await asyncio.gather(*(disturb(one, number) for number, one in enumerate(flows)))
        for one in flows:
            state = await one.wait(30)
            assert state.status != "HELD", state
            await one.retry()
            assert (await one.wait(30)).status == "COMPLETED"
    s = migrated_schema
    once = f"SELECT count(DISTINCT job_id), count(*) FROM {s}.job_executions WHERE status = 'COMPLETED'"
    assert tuple(await raw_postgres.fetchrow(once)) == (150, 150)
    early = f"""SELECT count(*) FROM {s}.job_dependencies AS d
        JOIN {s}.jobs AS p ON p.job_id = d.depends_on_job_id
        JOIN {s}.jobs AS c ON c.job_id = d.job_id
        WHERE d.satisfied_at IS NULL OR c.started_at < p.completed_at"""
    assert await raw_postgres.fetchval(early) == 0


async def test_a_lost_answer_may_be_asked_for_again(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    flow = app.workflow()
    last = flow.add(step.request("last"), after=[flow.add(step.request("first"))])
    await flow.enqueue()
    flow._enqueued = False  # as it is after an answer that did not come
    again = await flow.enqueue()
    async with app.worker():
        assert await again.result(last, 10) == "last"
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


# --- cycles, refused by the database


async def edge(connection: asyncpg.Connection, schema: str, child: str, parent: str) -> None:
    await connection.execute(
        f"INSERT INTO {schema}.job_dependencies (job_id, depends_on_job_id) VALUES ($1, $2)", child, parent
    )


async def test_the_database_refuses_a_cycle(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    chain = [await step.enqueue()]
    for _ in range(4):
        chain.append(await step.options(depends_on=[chain[-1]]).enqueue())
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await edge(raw_postgres, migrated_schema, chain[0].id, chain[-1].id)
    assert refused.value.constraint_name == "job_dependencies_no_cycle"
    # what closes no circle may be written by hand, one after the other or at once
    other = await step.enqueue()
    await edge(raw_postgres, migrated_schema, chain[0].id, other.id)
    with pytest.raises(asyncpg.CheckViolationError):
        await edge(raw_postgres, migrated_schema, other.id, chain[2].id)
    ids = [f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in range(3)]
    async with raw_postgres.transaction():
        for job_id in ids:
            await raw_postgres.execute(
                f"INSERT INTO {migrated_schema}.jobs (job_id, job_type) VALUES ($1, 'a')", job_id
            )
        with pytest.raises(asyncpg.CheckViolationError):
            async with raw_postgres.transaction():
                await raw_postgres.execute(
                    f"""INSERT INTO {migrated_schema}.job_dependencies (job_id, depends_on_job_id)
                    VALUES ($1, $2), ($2, $3), ($3, $1)""",
                    *ids,
                )
        await raw_postgres.execute(
            f"""INSERT INTO {migrated_schema}.job_dependencies (job_id, depends_on_job_id)
            VALUES ($1, $2), ($2, $3), ($1, $3)""",
            *ids,
        )


async def test_two_who_close_a_circle_together_are_not_both_let_through(
    open_app, app, step, postgres_url, raw_postgres, migrated_schema, eventually
):
    await open_app(app)
    first, second = await step.enqueue(), await step.enqueue()
    other = await asyncpg.connect(postgres_url)
    try:
        async with raw_postgres.transaction():
            await edge(raw_postgres, migrated_schema, first.id, second.id)
            late = asyncio.ensure_future(edge(other, migrated_schema, second.id, first.id))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
            await eventually(lambda: raw_postgres.fetchval(waiting, other.get_server_pid()))
        with pytest.raises(asyncpg.CheckViolationError):
            await late
        async with other.transaction(isolation="repeatable_read"):
            with pytest.raises(asyncpg.InvalidTransactionStateError):
                await edge(other, migrated_schema, first.id, (await step.enqueue()).id)
    finally:
        await other.close()


async def is_status(job: Any, status: str) -> bool:
    return await job.status() == status
