"""A TCP proxy in front of a store that can fail in the ways networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

T = TypeVar("T")

_CHUNK = 256 * 1024
# Zero seconds of lingering: a close sends RST, as a crashed machine's successor or a firewall would.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes what comes to a port of an address of this machine on to a Unix socket, until it is told to do otherwise.

    It runs in a thread and a loop of its own: a test whose loop is held up does not hold up its network.

    Attributes:
        lost: answers swallowed after their request went through.
        swallowed: bytes that a silence has eaten.
    """

    def __init__(self, upstream: Path, address: str = "127.0.0.1") -> None:
        """Prepare; nothing listens yet."""
        self.upstream = upstream
        self.address = address
        self.port = 0
        self.lost = 0
        self.swallowed = 0
        self._delay = 0.0
        self._rate = 0.0
        self._silent = False
        self._rules: list[tuple[Callable[[bytes], bool], bytes]] = []
        self._wires: set[_Wire] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._ask(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything and end the thread."""
        self._ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- faults; each returns when it is in effect

    def cut(self) -> int:
        """Reset every connection; new ones pass. How many there were."""
        return self._ask(self._cut())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._ask(self._unlisten())

    def silence(self) -> None:
        """Half open: every connection stands, also new ones, and nothing passes. Those that stand now never speak
        again.
        """
        self._ask(self._hush())

    def slow(self, seconds: float, bytes_per_second: float = 0.0) -> None:
        """Delay everything by so much in each direction, at most at this rate (0: any)."""
        self._delay, self._rate = seconds, bytes_per_second

    def lose_answer(self, request: Callable[[bytes], bool], until: bytes = b"") -> None:
        """Lead the next request of this kind through, then reset its connection in place of the answer.

        Args:
            request: told of what clients send, true of the request whose answer gets lost.
            until: what the answer holds once the store has done it.
        """
        self._rules.append((request, until))

    def lead_to(self, upstream: Path) -> None:
        """Lead new connections elsewhere."""
        self.upstream = upstream

    def heal(self) -> None:
        """Pass everything; a connection that fell silent stays so."""
        self._delay = self._rate = 0.0
        self._silent = False
        self._rules.clear()
        self._ask(self._listen())

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._wires)

    # --- inside the loop

    def _ask(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.address, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._cut()

    async def _cut(self) -> int:
        wires = list(self._wires)
        for wire in wires:
            wire.reset()
        return len(wires)

    async def _hush(self) -> None:
        self._silent = True
        for wire in self._wires:
            wire.silent = True

    async def _close(self) -> None:
        await self._unlisten()
        while self._wires:
            await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Wire(self, writer, silent=self._silent)
        self._wires.add(wire)
        try:
            await wire.run(reader)
        finally:
            self._wires.discard(wire)

    async def pace(self, size: int) -> None:
        """Wait as a slow link would."""
        if self._delay or self._rate:
            await asyncio.sleep(self._delay + (size / self._rate if self._rate else 0.0))

    def armed(self, data: bytes) -> bytes | None:
        """Whether this request's answer is to be lost: what its answer will hold, else None."""
        for rule in self._rules:
            if rule[0](data):
                self._rules.remove(rule)
                return rule[1]
        return None


class _Wire:
    """One connection, both ways."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, *, silent: bool) -> None:
        self.silent = silent
        self._proxy = proxy
        self._client = client
        self._upstream: asyncio.StreamWriter | None = None
        self._losing: bytes | None = None
        # What the client has sent since it was last answered: a request may come in pieces.
        self._request = b""
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, from_client: asyncio.StreamReader) -> None:
        """Until one side ends or it is reset."""
        try:
            if not self.silent:
                from_store, self._upstream = await asyncio.open_unix_connection(str(self._proxy.upstream))
                self._tasks.append(asyncio.create_task(self._down(from_store)))
            self._tasks.append(asyncio.create_task(self._up(from_client)))
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            self.reset()  # the store is away: as if nobody listened
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._client.close()
            if self._upstream is not None:
                self._upstream.close()

    def reset(self) -> None:
        """RST to the client; the store sees the end."""
        with contextlib.suppress(OSError):
            self._client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._client.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _up(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if self.silent:
                self._proxy.swallowed += len(data)
                continue
            self._request = (self._request + data)[-_CHUNK:]
            until = self._proxy.armed(self._request)
            if until is not None:
                self._losing = until
            await self._proxy.pace(len(data))
            if self._upstream is not None:
                self._upstream.write(data)
                await self._upstream.drain()

    async def _down(self, reader: asyncio.StreamReader) -> None:
        answer = b""
        while data := await reader.read(_CHUNK):
            if self._losing is not None:
                answer += data
                if self._losing in answer:
                    self._proxy.lost += 1
                    self.reset()
                    return
                continue
            self._request = b""
            await self._proxy.pace(len(data))
            if self.silent:
                self._proxy.swallowed += len(data)
                continue
            self._client.write(data)
            await self._client.drain()
        if self.silent:
            await asyncio.Event().wait()  # the end is not told either
