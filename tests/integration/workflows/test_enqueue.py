"""Workflows are enqueued whole or not at all, and what is none is refused before."""

from __future__ import annotations

import pytest

from tenure import InvalidInput
from tenure.errors import DependencyCycle, IllegalTransition, UnknownDependency, WorkflowNotFound
from tests.invariants import assert_invariants


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
