"""Handlers that run in processes of their own, which import this module anew."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from tenure import Backoff, Cancel, Dead, Retry, Snooze, Tenure

AT_ONCE = Backoff(base=0.001, jitter="none")


def register(app: Tenure, **options: object) -> dict:
    """All of them, registered with an app of a test's own."""
    handlers = (spin, until, where, verdict, crash, leave, explode, measure)
    return {handler.__name__: app.job(cpu=True, **options)(handler) for handler in handlers}


def spin(path: str) -> None:
    """Say which process this is, then keep its interpreter busy until it is killed."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while True:
        pass


def until(path: str) -> int:
    """Say that it has begun, and wait until a file is there."""
    Path(f"{path}.begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


def where(seconds: float = 0.0) -> list[int]:
    """The process that runs this, and when it began and ended, ms."""
    began = time.monotonic_ns() // 1_000_000
    time.sleep(seconds)
    return [os.getpid(), began, time.monotonic_ns() // 1_000_000]


def verdict(kind: str) -> object:
    """A verdict."""
    return {
        "cancel": Cancel("not wanted"),
        "dead": Dead("no use"),
        "retry": Retry("again", delay=60),
        "snooze": Snooze(60),
        "object": object(),
        "long": "x" * 100_000,
    }[kind]


def crash(path: str) -> str:
    """Die of a segmentation fault the first time."""
    if Path(path).exists():
        return "survived"
    Path(path).touch()
    ctypes.string_at(0)
    return "unreachable"


def leave() -> None:
    """Leave without a word."""
    os._exit(7)


def explode(what: str) -> None:
    """Raise."""
    if what == "exit":
        sys.exit("leaving")
    raise ValueError(what)


def measure(text: str, times: int = 2) -> str:
    """Arguments as the annotated types."""
    assert isinstance(times, int)
    return text * times


if "TENURE_POSTGRES_URL" in os.environ:  # a worker process, or one that it started
    app = Tenure()
    register(app)
