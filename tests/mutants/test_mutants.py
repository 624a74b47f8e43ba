"""Every mutant is caught, by an invariant that it breaks, within its number of seeds."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from tests.mutants.mutants import MUTANTS

_AT_ONCE = 3


async def check(name: str, seed: int, postgres_url: str) -> dict:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    command = [sys.executable, "-m", "tests.mutants", name, "--seed", str(seed), "--postgres", postgres_url]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=kept, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert out, f"{name}: {err.decode()[-2000:]}"
    return json.loads(out)


@pytest.mark.seeds
@pytest.mark.timeout(600)
async def test_every_mutant_is_caught(postgres_url):
    gate = asyncio.Semaphore(_AT_ONCE)
    score: dict[str, str] = {}

    async def hunt(name: str) -> None:
        mutant = MUTANTS[name]
        for seed in range(1, mutant.seeds + 1):
            async with gate:
                report = await check(name, seed, postgres_url)
            if caught := set(report["breaches"]) & set(mutant.caught_by):
                assert report["verdict"] == "invalid"
                score[name] = f"seed {seed}: {', '.join(sorted(caught))}"
                return

    async with asyncio.TaskGroup() as group:
        for name in MUTANTS:
            group.create_task(hunt(name))
    sys.stdout.write(f"{len(score)} of {len(MUTANTS)} mutants caught: {score}\n")
    assert set(score) == set(MUTANTS)
