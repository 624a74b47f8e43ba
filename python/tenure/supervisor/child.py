"""One worker process as its supervisor has it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tenure.supervisor import _process
from tenure.supervisor.pulse import PARENT_VARIABLE, PULSE_VARIABLE

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

_MOST: Final = 64 * 1024  # bytes read at a time, which is what a pipe holds
_LONGEST: Final = 4096  # of a line that is not complete


class Child:
    """A process, started when this is made.

    Attributes:
        workers: the ids of the workers that it hosts, as far as it has said.
        ready: whether they work.
        ends_within: seconds that it may need to end, once it is told to.
        ended: attempts that have ended in it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it.

        Args:
            command: an argument list, never a shell's line.

        Raises:
            OSError: the system refuses.
        """
        self.workers: list[str] = []
        self.ready = False
        self.ends_within = 60.0
        self.ended = 0
        self._rest = b""
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        environ = {**os.environ, PARENT_VARIABLE: str(os.getpid()), PULSE_VARIABLE: str(theirs)}
        try:
            # A session of its own: a Ctrl-C reaches the children through their parent alone, once.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, env=environ, pass_fds=(theirs,), start_new_session=True
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """How it ended: its exit code, or less than zero for a signal; None while it lives."""
        return self._process.poll()

    def hear(self) -> bool:
        """Read what it has said since; whether that was anything."""
        heard = False
        while True:
            try:
                data = os.read(self._pipe, _MOST)
            except BlockingIOError:
                return heard
            if not data:
                return heard
            heard = True
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[-_LONGEST:]
            for line in lines:
                with suppress(ValueError):  # what is no number says nothing
                    self._note(line.decode("ascii", "replace").split())

    def _note(self, words: list[str]) -> None:
        match words:
            case ["worker", worker_id]:
                self.workers.append(worker_id)
            case ["ready", seconds]:
                self.ready, self.ends_within = True, float(seconds)
            case ["beat", ended]:
                self.ended = int(ended)
            case _:
                pass

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        self._process.send_signal(number)

    def stopped(self) -> bool:
        """Whether a signal stopped it, as far as the system says."""
        return _process.stopped(self.pid)

    def rss_bytes(self) -> int | None:
        """The memory that it holds, without that of processes of its own; None where the system does not say."""
        return _process.rss_bytes(self.pid)

    def close(self) -> None:
        """Listen to it no longer; it has ended."""
        os.close(self._pipe)
