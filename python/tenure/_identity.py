"""Who a worker is: what it enters of itself in the registry, and what its samples say besides their figures."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import msgspec

from tenure import __version__, _validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes a worker from others, the same for as long as it lives.

    Attributes:
        name: shown to people; not unique, unlike a worker's id.
        queues: what it serves.
        concurrency: its slots at the start.
        worker_type: a word for workers of one kind. Defaults to "default".
        capabilities: what it offers to jobs that ask for it. Defaults to nothing.
        resources: what it has of countable things, by name. Defaults to nothing.
        labels: what else people want to know of it. Defaults to nothing.
    """

    name: str
    queues: tuple[str, ...]
    concurrency: int
    worker_type: str = "default"
    capabilities: tuple[str, ...] = ()
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}

    def row(self, worker_id: str) -> dict[str, object]:
        """Its row of the registry, as it enters itself."""
        return {
            "worker_id": worker_id,
            "worker_name": self.name,
            "worker_type": self.worker_type,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queues": self.queues,
            "capabilities": self.capabilities,
            "resources": self.resources,
            "labels": self.labels,
            "concurrency": self.concurrency,
            "version": __version__,
        }

    def profile(self, status: str = "ACTIVE") -> str:
        """What its samples say besides, a JSON object; they come often, so it is short."""
        fields = {
            "name": self.name,
            "host": socket.gethostname(),
            "queues": self.queues,
            "status": status,
            "version": __version__,
        }
        return msgspec.json.encode(fields).decode()


def identify(
    name: str | None,
    queues: Sequence[str],
    concurrency: int,
    *,
    worker_type: str,
    labels: Mapping[str, str],
    capabilities: Iterable[str],
    resources: Mapping[str, float],
) -> Identity:
    """The identity that a caller asks for; without a name, that of host and process.

    Raises:
        InvalidInput: a value is out of bounds.
    """
    names = [_validate.name("queues", queue) for queue in dict.fromkeys(queues)]
    return Identity(
        name=f"{socket.gethostname()}:{os.getpid()}" if name is None else _validate.text("name", name, 255),
        queues=tuple(names),
        concurrency=_validate.concurrency(concurrency),
        worker_type=_validate.name("worker_type", worker_type),
        labels=_validate.labels(labels),
        capabilities=_validate.capabilities(capabilities),
        resources=_validate.resources(resources),
    )
