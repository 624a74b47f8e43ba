"""Handlers that hold the loop past their lease and then try one verb each; what came of it goes into a ledger."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from tenure import Backoff, Cancel, Completed, Dead, JobContext, LeaseLost, Retry, Snooze, Tenure

app = Tenure()
VERDICTS = {
    "complete": Completed("late"),
    "fail": Retry("late", delay=0.0),
    "snooze": Snooze(0.0),
    "cancel": Cancel("late"),
    "dead": Dead("late"),
    "progress": Completed("late"),
}


@app.job(backoff=Backoff(base=0.05, jitter="none"))
async def try_late(context: JobContext, verb: str, directory: str) -> object:
    """Fence 1 waits for a file without ever giving way, then tries its verb; a later fence completes at once."""
    if context.fence > 1:
        note(directory, verb, "second", context)
        return context.fence
    note(directory, verb, "start", context)
    while not Path(directory, "go").exists():
        time.sleep(0.005)
    if verb == "progress":
        try:
            await context.progress(0.9, "late")
        except (LeaseLost, asyncio.CancelledError) as error:
            # Cancelled if the heartbeat's word came before PostgreSQL's.
            note(directory, verb, type(error).__name__, context)
    note(directory, verb, "tried", context)
    return VERDICTS[verb]


def note(directory: str, verb: str, event: str, context: JobContext) -> None:
    """Append one line."""
    with Path(directory, verb).open("a") as file:
        file.write(json.dumps({"event": event, "fence": context.fence}) + "\n")
