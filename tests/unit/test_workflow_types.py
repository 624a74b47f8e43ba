"""What the type checker knows of a workflow's results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOP = """
from typing import assert_type

from tenure import JobRequest, Tenure
from tenure.workflow import Handle

app = Tenure()


@app.job()
async def charge(order: int) -> float:
    return order / 2


@app.job()
def ship(order: int, paid: float) -> str:
    return f"{order} {paid}"


async def main() -> None:
    flow = app.workflow()
    paid = flow.add(charge.request(17))
    sent = flow.add(ship.options(priority=5).request(17, paid), on_failure="cancel")
    assert_type(paid, Handle[float])
    assert_type(sent, Handle[str])
    order = await flow.enqueue()
    assert_type(await order.result(paid), float)
    bare: list[JobRequest] = [charge.request(1), ship.request(1, 2.0)]
    await app.enqueue_many(bare)
    flow.add(charge.request(1), on_failure="panic")
"""


def test_a_handle_knows_its_result(tmp_path):
    """And a policy that does not exist is one error, the only one."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "Found 1 error" in run.stdout, run.stdout + run.stderr
    assert 'error: No overload variant of "add"' in run.stdout
