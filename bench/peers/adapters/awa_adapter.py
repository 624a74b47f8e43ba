"""Awa: a Rust core on PostgreSQL."""

import asyncio
from dataclasses import asdict, dataclass
from urllib.parse import parse_qs, quote, urlsplit

import awa
import settings
import uvloop

# It does not look for a socket's directory among the parameters, only where the host is.
PARTS = urlsplit(settings.POSTGRES)
SOCKET = parse_qs(PARTS.query).get("host", [""])[0]
URL = f"postgresql://postgres@{quote(SOCKET, safe='')}{PARTS.path}" if SOCKET else settings.POSTGRES


@dataclass
class Noop:
    number: int
    sent: float
    user: str
    template: str
    pad: str


async def setup():
    client = awa.AsyncClient(URL)
    await client.migrate()
    await client.install_queue_storage(reset=True)


class Producer:
    def __init__(self):
        self._client = awa.AsyncClient(URL)

    async def one(self, arguments):
        await self._client.insert(Noop(**arguments), queue="noop")

    async def many(self, batch):
        await self._client.enqueue_many_copy([Noop(**one) for one in batch], queue="noop")


def producer():
    return Producer()


def work():
    async def main():
        client = awa.AsyncClient(URL)

        @client.task(Noop, queue="noop")
        async def noop(job):
            settings.mark(asdict(job.args))

        await client.start([("noop", settings.CONCURRENCY)], poll_interval_ms=50)
        await asyncio.Event().wait()

    uvloop.run(main())
