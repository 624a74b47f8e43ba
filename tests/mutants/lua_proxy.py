"""Between a worker and its Redis: scripts are changed on their way to the server, everything else passes as it is."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_NOWHERE = b"0" * 40  # no script has this hash: the server answers NOSCRIPT, and the client loads what it wants


class LuaProxy:
    """Listens on a Unix socket of its own, in a thread of its own."""

    def __init__(self, url: str, change: Callable[[str], str]) -> None:
        """Prepare: `change` is given the text of every script."""
        self._target = urlsplit(url)
        self._change = change
        self._hashes: dict[bytes, bytes] = {}
        self._path = Path(tempfile.mkdtemp(prefix="lp")) / "s"
        self._ready = threading.Event()

    def start(self) -> str:
        """Start; the URL to use instead."""
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()
        return urlunsplit(self._target._replace(path=str(self._path))).replace("unix:/", "unix:///", 1)

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._accept, self._path)
        self._ready.set()
        await server.serve_forever()

    async def _accept(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_unix_connection(self._target.path)
        back = asyncio.create_task(self._pass(far, near_out))
        try:
            while True:
                far_out.write(self._rewritten(await self._command(near)))
                await far_out.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            far_out.close()
            await back

    async def _pass(self, far: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        try:
            while data := await far.read(65_536):
                near_out.write(data)
                await near_out.drain()
        except OSError:
            pass
        finally:
            near_out.close()

    async def _command(self, near: asyncio.StreamReader) -> list[bytes]:
        """One command: an array of texts, each with its length before it."""
        words = []
        for _ in range(int((await near.readuntil(b"\r\n"))[1:])):
            length = int((await near.readuntil(b"\r\n"))[1:])
            words.append((await near.readexactly(length + 2))[:-2])
        return words

    def _rewritten(self, words: list[bytes]) -> bytes:
        match words[0].upper():
            case b"SCRIPT" if words[1].upper() == b"LOAD":
                changed = self._change(words[2].decode()).encode()
                self._hashes[_sha1(words[2])] = _sha1(changed)
                words = [*words[:2], changed]
            case b"EVALSHA":
                words = [words[0], self._hashes.get(words[1], _NOWHERE), *words[2:]]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _sha1(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
