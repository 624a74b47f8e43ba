"""One job through an installed wheel: run outside the checkout."""

from __future__ import annotations

import asyncio

from tenure import Tenure

app = Tenure()


@app.job(priority=4, timeout=30, max_retries=5)
async def thumbnail(path: str, width: int = 256) -> dict[str, object]:
    """Stand for work."""
    return {"path": path, "width": width}


async def main() -> None:
    """Enqueue, work, and look at the result."""
    async with app, app.worker(concurrency=10):
        job = await thumbnail.enqueue("cat.png")
        result = await job.result(timeout=10)
        if result != {"path": "cat.png", "width": 256}:
            raise SystemExit(f"unexpected result: {result}")
    print("the wheel works")  # noqa: T201 - a script's word


asyncio.run(main())
