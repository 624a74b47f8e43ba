"""What an adapter is told, and how its handler leaves a mark."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from pathlib import Path
from typing import Any

POSTGRES = os.environ.get("PEER_POSTGRES", "")
REDIS = os.environ.get("PEER_REDIS", "")
CONCURRENCY = int(os.environ.get("PEER_CONCURRENCY", "100"))
MODE = os.environ.get("PEER_MODE", "")
# Whether limits are set, by which jobs of `Producer.limited` run one at a time.
LIMITED = bool(os.environ.get("PEER_LIMITED"))
POOL = 20


@functools.cache
def _sink() -> Any:
    # one file for each process, also of those that a worker forks
    return sys.modules["sink"].Sink(Path(os.environ["PEER_SINK"]))


def mark(arguments: dict[str, Any]) -> None:
    """The handler of this job begins now; nothing else is done."""
    _sink().mark(arguments["number"], arguments["sent"])


async def hold(arguments: dict[str, Any]) -> None:
    """The handler of a job under a limit: it holds that for as long as its worker lives."""
    mark(arguments)
    await asyncio.Event().wait()
