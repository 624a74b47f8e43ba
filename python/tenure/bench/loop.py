"""The event loop of the benchmarks: the one that `tenure worker` has."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """A uvloop where there is one."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - absent on Windows

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run(main: Coroutine[object, object, T]) -> T:
    """As `asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)
