"""A doorway with a certificate in front of servers that have none, and authorities of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, NamedTuple, Self

import trustme

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

SSL_REQUEST = (80877103).to_bytes(4, "big")


class Authority(NamedTuple):
    """A certificate authority, and the file of its own certificate."""

    made: trustme.CA
    path: str

    @classmethod
    def make(cls, directory: Path, name: str) -> Authority:
        """A new one."""
        made = trustme.CA()
        path = directory / f"{name}.pem"
        made.cert_pem.write_to_path(path)
        return cls(made, str(path))

    def server(self, *hosts: str, expires: datetime | None = None, clients: Authority | None = None) -> ssl.SSLContext:
        """A server's side, with a certificate for these hosts; `clients` must sign those who come."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.made.issue_cert(*hosts, not_after=expires).configure_cert(context)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            clients.made.configure_trust(context)
        return context


class Doorway:
    """Ends TLS on a port of 127.0.0.1 and passes what is inside on to a Unix socket.

    PostgreSQL's clients ask in the clear whether TLS is to be had: they are told yes, or no where `context` is None, as
    by somebody in between who wants to read along.
    """

    def __init__(self, target: Path, context: ssl.SSLContext | None, *, postgres: bool = False) -> None:
        """Prepare; nothing listens yet."""
        self._target = str(target)
        self._context = context
        self._postgres = postgres
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.secured = 0
        self.clear = b""  # what came in the clear

    async def __aenter__(self) -> Self:
        """Listen."""
        context = None if self._postgres else self._context
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=context)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, and end what is open."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.sockets[0].getsockname()[1]

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            try:
                if self._postgres and not await self._answered(reader, writer):
                    return
                if self._context is None:
                    writer.write(b"-ERR unknown command\r\n")  # what a Redis says to a handshake, sooner or later
                    return
                self.secured += writer.get_extra_info("ssl_object") is not None
                await self._pass(reader, writer)
            finally:
                writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await reader.readexactly(8)
        if asked[4:] != SSL_REQUEST:
            self.clear += asked
            return False
        writer.write(b"N" if self._context is None else b"S")
        if self._context is None:
            self.clear += await reader.read(4096)
            return False
        await writer.start_tls(self._context)
        return True

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_unix_connection(self._target)
        try:
            await asyncio.gather(_pump(reader, before), _pump(behind, writer))
        finally:
            before.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
