"""Limits as they are given: by command, and refused where they are none."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tenure.errors import InvalidInput
from tests.fix_apps import environment
from tests.integration.test_cli_worker import tenure


async def test_from_the_command_line(app, open_app, settings):
    await open_app(app)

    async def run(*arguments: str) -> tuple[int, str]:
        command = (sys.executable, "-m", "tenure", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    assert await run("limit", "set", "mails", "--concurrency=5", "--queued=100") == (0, "limited: mails\n")
    assert (await run("limit", "set", "mails", "--tenant=*", "--rate=10", "--period=60", "--resource=gpu=1.5"))[0] == 0
    limits = await tenure(settings, "limit", "list", "--queue", "mails")
    assert [(one["kind"], one["scope"], one["name"], one["amount"]) for one in limits] == [
        ("concurrency", "queue", "*", 5.0),
        ("queued", "queue", "*", 100.0),
        ("rate", "tenant", "*", 10.0),
        ("resource", "tenant", "*", 1.5),
    ]
    assert "gpu" in (await run("limit", "list"))[1]
    assert await run("limit", "remove", "mails", "resource", "--tenant=*") == (0, "removed: mails\n")
    assert await run("limit", "remove", "mails", "resource", "--tenant=*") == (0, "was not limited: mails\n")
    assert (await run("limit", "set", "mails"))[0] == 2
    assert (await run("limit", "set", "mails", "--rate=0"))[0] == 2
    assert await run("tenant", "set", "acme", "--weight=2", "--max-priority=3") == (0, "set: acme\n")
    [acme] = await tenure(settings, "tenant", "list")
    assert acme == {"tenant": "acme", "weight": 2.0, "max_priority": 3}
    assert await run("tenant", "remove", "acme") == (0, "removed: acme\n")
    assert await run("queue", "order", "mails", "ageing", "--ageing=30") == (0, "ordered by ageing: mails\n")
    assert await run("queue", "fair", "mails", "time") == (0, "shared by time: mails\n")
    [policy] = await tenure(settings, "queue", "policies")
    assert (policy["order_by"], policy["ageing"], policy["fair"]) == ("ageing", 30.0, "time")


@pytest.mark.parametrize(
    "limit",
    [
        {},
        {"concurrency": -1},
        {"concurrency": 1.5},
        {"rate": 0},
        {"rate": 1, "period": 0},
        {"rate": 1, "burst": 0},
        {"burst": 1},
        {"queued": -1},
        {"resources": {"gpu": 1}},
        {"tenant": "*", "resources": {"a:b": 1}},
        {"tenant": "*", "resources": {"gpu": 0.0001}},
        {"tenant": "a|b", "concurrency": 1},
        {"key": "a b", "concurrency": 1},
        {"job_type": "*", "concurrency": 1},
        {"job_type": "a", "tenant": "b", "concurrency": 1},
    ],
)
async def test_what_is_no_limit_is_refused_before_anything_is_written(app, open_app, limit):
    await open_app(app)
    with pytest.raises(InvalidInput):
        await app.admin.limits.set("default", **limit)
    assert await app.admin.limits.list() == []
