"""`tenure check` itself: on given servers, where it leaves nothing behind, and with private ones."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from tenure.check.history import read_history
from tenure.check.ledger import read_ledger

CHECK = [sys.executable, "-m", "tenure", "check", "--json"]


async def run(*arguments: str, **variables: str) -> tuple[int, dict, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *CHECK, *arguments, env={**kept, **variables}, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out) if out else {}, err.decode()


@pytest.mark.timeout(120)
async def test_on_given_servers_it_judges_and_leaves_nothing_behind(
    postgres_url, redis_url, raw_postgres, raw_redis, tmp_path
):
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenure_check_%'"
    before = await raw_postgres.fetchval(schemas)
    users = raw_redis.acl_users()
    raw_redis.set("somebody-elses", 1)
    code, report, err = await run(
        *("--postgres", "env", "--redis", redis_url, "--seconds", "5", "--seed", "7", "--keep", str(tmp_path)),
        *("--nemesis", "kill,stop,client-kill,pg-terminate,wipe"),
        TENURE_POSTGRES_URL=postgres_url,
    )
    assert code == 0, f"{err}{report.get('breaches')}"
    assert report["verdict"] == "valid"
    assert report["breaches"] == {}
    assert all(report["effects"].values())
    assert report["lost"] == {"prefix": 0, "middle": 0, "postfix": 0}
    assert 0 < report["acked"] <= report["attempted"]
    assert report["rescue"]["count"] > 0
    assert "--seed 7 --seconds 5 --nemesis kill,stop,client-kill,pg-terminate,wipe" in report["replay"]
    # the witnesses, each from its own file
    history, ledger = read_history(tmp_path / "history.jsonl"), read_ledger(tmp_path / "ledger.jsonl")
    assert [event.i for event in history] == list(range(len(history)))
    assert {event.type for event in history} == {"invoke", "ok", "fail", "info"}
    assert len({run.pid for run in ledger.runs}) >= 3
    # somebody else's key was not wiped, and nothing of the run is left
    assert raw_redis.getdel("somebody-elses") == b"1"
    assert not list(raw_redis.scan_iter("tenure-check-*", 1000))
    assert raw_redis.acl_users() == users
    assert await raw_postgres.fetchval(schemas) == before


@pytest.mark.timeout(120)
async def test_a_fault_that_met_nobody_proves_nothing(postgres_url, redis_url):
    """Nobody holds anything that a row lock could keep waiting where nothing is enqueued."""
    code, report, err = await run(
        *("--postgres", postgres_url, "--redis", redis_url, "--seconds", "1", "--rate", "1", "--nemesis", "row-lock")
    )
    assert (code, report["verdict"]) in {(6, "void"), (0, "valid")}, err
    assert (report["verdict"] == "void") == (report["effects"] == {"row-lock": 0})


async def test_what_is_asked_wrongly_is_told():
    code, _, err = await run("--nemesis", "kill,earthquake")
    assert (code, "earthquake" in err) == (2, True)
    code, _, err = await run("--postgres", "env")
    assert (code, "TENURE_POSTGRES_URL" in err) == (2, True)
    code, _, err = await run("--postgres", "postgresql://nobody@127.0.0.1:1/x", "--redis", "redis://127.0.0.1:1")
    assert code == 3, err
