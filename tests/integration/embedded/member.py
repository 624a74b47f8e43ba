"""A process that uses the embedded servers: says their URLs, and leaves when its input ends or brings a line.

Run by tests: `python member.py DATA_DIR [forget]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tenure import Settings
from tenure._embedded import EmbeddedStores


async def main(data: str, *options: str) -> None:
    """Join, wait to be told, leave."""
    stores = EmbeddedStores(Settings(data_dir=Path(data)))
    urls = await stores.start()
    print(json.dumps({"urls": urls, "pid": os.getpid()}), flush=True)  # noqa: T201 - the tests read it
    await asyncio.to_thread(sys.stdin.readline)
    if "forget" not in options:
        await stores.stop()


asyncio.run(main(*sys.argv[1:]))
