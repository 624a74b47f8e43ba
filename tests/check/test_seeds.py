"""Seeds of mixed faults, none of which may break an invariant; a few at a time, each with a Valkey of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

SEEDS = int(os.environ.get("TENURE_TEST_CHECK_SEEDS", "20"))
SECONDS = os.environ.get("TENURE_TEST_CHECK_SECONDS", "20")
AT_ONCE = os.environ.get("TENURE_TEST_CHECK_AT_ONCE", "4")


@pytest.mark.seeds
@pytest.mark.timeout(1200)
async def test_no_seed_breaks_an_invariant(postgres_url, tmp_path):
    command = [sys.executable, "-m", "tenure", "check", "--json", "--postgres", postgres_url]
    command += ["--seeds", str(SEEDS), "--seconds", SECONDS, "--at-once", AT_ONCE, "--report", str(tmp_path / "report")]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert out, err.decode()[-2000:]
    batch = json.loads(out)
    broken = {one["replay"]: one["breaches"] for one in batch["reports"] if one["verdict"] == "invalid"}
    assert not broken
    assert batch["crashed"] == {}
    assert batch["lost"] == 0
    assert batch["acked"] > 0
    assert batch["zombies_refused"] > 0
    # a void seed proves nothing; one in ten may meet a machine too busy for its last fault
    assert batch["verdicts"].get("valid", 0) >= SEEDS * 0.9
    assert all(batch["effects"].values())
    assert f"# {SEEDS} seeds of mixed faults" in (tmp_path / "report.md").read_text()
