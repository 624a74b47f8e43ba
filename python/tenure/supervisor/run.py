"""The loop of a supervisor: look, and look again, until it is told to stop and its children are gone."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure.supervisor.supervisor import Supervisor

logger = logging.getLogger("tenure.supervisor")

LOOK: Final = 0.1  # seconds between two looks


async def keep_alive(supervisor: Supervisor, *, reread: Callable[[], object] | None = None, stay: bool = False) -> int:
    """Keep the children alive until SIGTERM or SIGINT, which are passed on; the worst of their exit codes.

    Args:
        supervisor: whose children they are.
        reread: called on SIGHUP. Defaults to nothing, which leaves SIGHUP what it is to any program.
        stay: whether to go on where nothing is left to look after, because somebody may ask for more. Defaults to no.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, number)
    if reread is not None:
        loop.add_signal_handler(signal.SIGHUP, reread)
    _look(supervisor)
    while not supervisor.idle or (stay and not supervisor.stopping):
        await asyncio.sleep(LOOK)
        _look(supervisor)
    return supervisor.code


def _look(supervisor: Supervisor) -> None:
    """Look; what goes wrong with one process must not cost the others whoever looks after them."""
    try:
        supervisor.look()
    except Exception:
        logger.exception("a look of the supervisor failed")
