"""The other end of `_processes`: a process that calls `cpu` handlers, one after the other, until its pipe ends."""

from __future__ import annotations

import functools
import importlib
import logging
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tenure._attempt import error_text
from tenure._codec import encode
from tenure._signature import Signature
from tenure.errors import InvalidInput
from tenure.job_type import JobType
from tenure.verdict import Cancel, Completed, Dead, Retry, Snooze

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


class Call(msgspec.Struct, frozen=True, array_like=True):
    """What is to be run: a function by its place, and its arguments as they were enqueued."""

    module: str
    qualname: str
    payload: bytes
    payload_format: str
    result_format: str
    max_result_bytes: int


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What came of it. No object is pickled: what a job or a handler made is data here, and stays data."""

    kind: Literal["completed", "retry", "snooze", "cancel", "dead", "invalid"]
    text: str = ""
    delay: float | None = None
    result: bytes | None = None


_encoder = msgspec.msgpack.Encoder()
_calls = msgspec.msgpack.Decoder(Call)


def serve(pipe: Connection, log_level: int) -> None:
    """Answer calls until the worker closes its end, or is gone."""
    # Ctrl-C reaches the whole terminal: the worker decides what becomes of a running job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=log_level)
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    while True:
        try:
            data = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_encoder.encode(_outcome(_calls.decode(data))))


def _end_with_the_worker() -> None:
    """A worker that was killed closes no pipe that a busy handler would look at: its lease is lost, so is this run."""
    worker = multiprocessing.parent_process()
    if worker is not None:
        worker.join()
        os._exit(1)


def _outcome(call: Call) -> Outcome:
    try:
        handler, signature = _find(call.module, call.qualname)
        arguments = signature.decode(call.payload, call.payload_format)
    except (msgspec.MsgspecError, RecursionError) as error:
        return Outcome("invalid", f"the payload does not fit the handler: {error}")
    except Exception as error:  # noqa: BLE001 - an import may raise anything
        return Outcome("retry", error_text(error))
    try:
        returned = handler(**arguments)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is a failed attempt
        return Outcome("retry", error_text(error))
    return _of(returned, call)


def _of(returned: object, call: Call) -> Outcome:
    match returned:
        case Snooze(delay):
            outcome = Outcome("snooze", delay=delay)
        case Cancel(reason):
            outcome = Outcome("cancel", str(reason))
        case Dead(error):
            outcome = Outcome("dead", str(error))
        case Retry(error, delay):
            outcome = Outcome("retry", str(error), delay)
        case Completed(result):
            outcome = _completed(result, call)
        case result:
            outcome = _completed(result, call)
    return outcome


def _completed(result: object, call: Call) -> Outcome:
    if result is None:
        return Outcome("completed")
    try:
        data = encode(result, call.result_format, call.max_result_bytes, "result")
    except InvalidInput as error:
        return Outcome("invalid", str(error))
    return Outcome("completed", result=data)


@functools.cache
def _find(module: str, qualname: str) -> tuple[Callable[..., Any], Signature]:
    """The function itself, whether the module has it or the job type that was made of it."""
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    handler = found.handler if isinstance(found, JobType) else found
    return handler, Signature(handler)
