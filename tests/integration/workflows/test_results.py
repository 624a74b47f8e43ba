"""What parents of a workflow hand to their children, and what each edge does when there is nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tenure import InvalidInput, JobCancelled, JobFailed


class Receipt(msgspec.Struct):
    """What one job hands another."""

    number: int
    lines: list[str]


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
