"""The registry of workers."""

from __future__ import annotations


async def test_a_worker_is_seen_from_its_start_to_its_end(open_app, app, eventually, raw_postgres, migrated_schema):
    @app.job(queue="mail")
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(concurrency=3, name="one"):
        [worker] = await app.admin.workers()
        assert (worker.worker_name, worker.queues, worker.concurrency, worker.status) == ("one", ["mail"], 3, "ACTIVE")

        async def beaten() -> bool:
            health = await raw_postgres.fetchval(f"SELECT health->>'capacity' FROM {migrated_schema}.workers")
            return health == "3"

        await eventually(beaten)
    assert await app.admin.workers() == []
    [gone] = await app.admin.workers(live_only=False)
    assert gone.status == "STOPPED"
    assert gone.stopped_at is not None


async def test_a_silent_worker_is_declared_failed(open_app, app, eventually, raw_postgres, migrated_schema):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    await raw_postgres.execute(
        f"INSERT INTO {migrated_schema}.workers (worker_id, worker_name, status, last_heartbeat) "
        "VALUES (gen_random_uuid(), 'silent', 'ACTIVE', now() - interval '1 hour')"
    )
    async with app.worker():

        async def failed() -> bool:
            status = await raw_postgres.fetchval(
                f"SELECT status FROM {migrated_schema}.workers WHERE worker_name = 'silent'"
            )
            return status == "FAILED"

        await eventually(failed)
