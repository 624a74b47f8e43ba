"""Two types of jobs that workflows are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenure import Dead
from tenure.workflow import WorkflowState  # noqa: TC001 - read from a handler's annotations

if TYPE_CHECKING:
    from tenure.job_type import JobType


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
