"""What the processes of one kind are, and how many there may be."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from tenure import _validate
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure.supervisor.scale import Scale

MOST: Final = 1000  # processes of a group on one host, and workers in a process
GROUP_LABEL: Final = "group"
SUPERVISOR_LABEL: Final = "supervisor"
_OWN_LABELS: Final = frozenset({GROUP_LABEL, SUPERVISOR_LABEL})
# What a running process need not be replaced for when it changes.
_OUTSIDE: Final = frozenset(
    {
        "processes",
        "min_processes",
        "max_processes",
        "recycle_after_jobs",
        "recycle_rss_mb",
        "wedged_seconds",
        "start_seconds",
        "scale",
    }
)

_WHOLE: Final = {
    "processes": (0, MOST),
    "min_processes": (0, MOST),
    "max_processes": (1, MOST),
    "workers_per_process": (1, MOST),
    "concurrency": (1, 10_000),
    "cpu_processes": (1, MOST),
    "recycle_after_jobs": (1, 2**53),
    "recycle_rss_mb": (1, 2**40),
}
_SECONDS: Final = {"grace_seconds": 0.0, "wedged_seconds": 2.0, "start_seconds": 1.0}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Worker processes of one kind on one host.

    Attributes:
        name: of the group.
        app: `module:attribute`, where the handlers are registered.
        processes: how many at first. Defaults to `min_processes`, or 1.
        min_processes: the least that scaling leaves. Defaults to `processes`, or 1 where there is a `scale`.
        max_processes: the most there ever are. Defaults to `processes`.
        workers_per_process: workers that each process hosts. Defaults to 1.
        queues: what they serve. Defaults to the handlers' queues.
        concurrency: the most jobs at a time, per worker. Defaults to 10.
        cpu_processes: for `cpu` handlers, per worker. Defaults to the cores, at most `concurrency`.
        capabilities: what they offer to jobs that ask for it. Defaults to nothing.
        resources: what the jobs of each worker may take up together, by name. Defaults to nothing.
        labels: what else the registry shows of them. Defaults to nothing.
        type: of what kind they are, for the registry. Defaults to "default".
        worker_name: shown in the registry. Defaults to host and process.
        grace_seconds: what running jobs are given at the end. Defaults to the settings'.
        recycle_after_jobs: a process that has ended so many attempts makes room for a fresh one. Defaults to never.
        recycle_rss_mb: one that holds so many megabytes of memory, too (Linux only). Defaults to never.
        wedged_seconds: one whose event loop has stood still for so long is killed. Defaults to 60.
        start_seconds: one that does not work so long after its start is killed. Defaults to 60.
        log_level, log_format: as of `tenure worker`. Default to "info" and "text".
        scale: by what load the number of processes follows. Defaults to no load: it stays.
        supervisor: the id of who looks after them, which its workers carry as a label, as they do the group's name.
            Defaults to nobody who could be asked: then they carry neither.
    """

    name: str
    app: str
    processes: int | None = None
    min_processes: int | None = None
    max_processes: int | None = None
    workers_per_process: int = 1
    queues: tuple[str, ...] = ()
    concurrency: int = 10
    cpu_processes: int | None = None
    capabilities: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    type: str = "default"
    worker_name: str | None = None
    grace_seconds: float | None = None
    recycle_after_jobs: int | None = None
    recycle_rss_mb: int | None = None
    wedged_seconds: float = 60.0
    start_seconds: float = 60.0
    log_level: str = "info"
    log_format: str = "text"
    scale: Scale | None = None
    supervisor: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, alone or together."""
        _validate.name("name", self.name)
        module, _, attribute = str(self.app).partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), attribute)):
            raise InvalidInput("app", "module:attribute", self.app)
        for name, bounds in _WHOLE.items():
            if getattr(self, name) is not None:
                _validate.whole(name, getattr(self, name), *bounds)
        for name, least in _SECONDS.items():
            if getattr(self, name) is not None:
                _validate.seconds(name, getattr(self, name), least=least, most=86_400.0)
        if not self.least <= self.at_first <= self.most:
            raise InvalidInput("processes", f"between min and max, {self.least} and {self.most}", self.at_first)
        self._check_words()

    def _check_words(self) -> None:
        if not isinstance(self.queues, tuple):
            raise InvalidInput("queues", "a list of names", self.queues)
        for queue in self.queues:
            _validate.name("queues", queue)
        if self.scale is not None and not self.queues:
            raise InvalidInput("queues", "given where a scale follows their load", self.queues)
        _validate.capabilities(self.capabilities)
        _validate.resources(self.resources)
        if self.supervisor is not None and (taken := _validate.labels(self.labels).keys() & _OWN_LABELS):
            raise InvalidInput("labels", f"without {' and '.join(sorted(_OWN_LABELS))}, which are added", sorted(taken))
        _validate.name("type", self.type)
        _validate.text("log_level", self.log_level, 16)
        _validate.text("log_format", self.log_format, 16)
        if self.worker_name is not None:
            _validate.text("worker_name", self.worker_name, 255)

    @property
    def at_first(self) -> int:
        """How many processes are started."""
        given = (self.processes, self.min_processes, 1)
        return next(number for number in given if number is not None)

    @property
    def least(self) -> int:
        """The fewest processes that scaling leaves."""
        if self.min_processes is not None:
            return self.min_processes
        return self.at_first if self.scale is None else min(1, self.at_first)

    @property
    def most(self) -> int:
        """The most processes there ever are."""
        return max(1, self.at_first) if self.max_processes is None else self.max_processes

    @property
    def slots(self) -> int:
        """Jobs that a process runs at a time."""
        return self.concurrency * self.workers_per_process

    def options(self) -> list[str]:
        """The arguments of `tenure worker` that make it one of this group, the app last."""
        own = {} if self.supervisor is None else {GROUP_LABEL: self.name, SUPERVISOR_LABEL: self.supervisor}
        labels = {**own, **self.labels}
        given = {
            "queue": self.queues,
            "concurrency": (self.concurrency,),
            "cpu-processes": (self.cpu_processes,),
            "workers": (self.workers_per_process,),
            "capability": self.capabilities,
            "resource": [f"{name}={amount}" for name, amount in self.resources.items()],
            "label": [f"{name}={text}" for name, text in labels.items()],
            "type": (self.type,),
            "name": (self.worker_name,),
            "grace": (self.grace_seconds,),
            "log-level": (self.log_level,),
            "log-format": (self.log_format,),
        }
        options = [f"--{name}={value}" for name, values in given.items() for value in values if value is not None]
        return [*options, "--", self.app]

    def command(self) -> list[str]:
        """The arguments of one process."""
        return [sys.executable, "-m", "tenure", "worker", *self.options()]

    def same_processes(self, other: Group) -> bool:
        """Whether processes of this group are what those of the other would be."""
        inside = [one.name for one in fields(self) if one.name not in _OUTSIDE]
        return all(getattr(self, name) == getattr(other, name) for name in inside)
