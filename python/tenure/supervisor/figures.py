"""How a fleet fares, in the few figures that decide how many processes it should have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenure.supervisor.group import GROUP_LABEL
from tenure.supervisor.load import read_loads
from tenure.supervisor.scale import Load, Scale, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.app import Tenure
    from tenure.supervisor.group import Group


@dataclass(frozen=True)
class GroupFigures:
    """One group in the whole fleet.

    Attributes:
        desired: how many processes it should have, within its bounds.
        processes: how many live.
        ready, running, oldest_seconds: the load of its queues, as `Load` has it.
    """

    desired: int
    processes: int
    ready: int
    running: int
    oldest_seconds: float


@dataclass(frozen=True)
class Figures:
    """Groups by name, queues by name, and live workers by status."""

    groups: dict[str, GroupFigures]
    queues: dict[str, Load]
    workers: dict[str, int]


async def read_figures(app: Tenure, groups: Sequence[Group]) -> Figures:
    """What there is now. A group without a `scale` is taken for one that has the default.

    Raises:
        StoreUnavailable: a store is away.
    """
    stores = app._open()  # noqa: SLF001 - figures need both stores
    workers = await app.admin.workers()
    queues = list(dict.fromkeys(queue for group in groups for queue in group.queues))
    loads = await read_loads(stores.database, stores.engine, queues)
    processes = Counter(name for name, *_ in {(one.labels.get(GROUP_LABEL), one.host, one.pid) for one in workers})
    figures = {}
    for group in groups:
        load = sum((loads[queue] for queue in group.queues), Load())
        now = processes[group.name]
        want = wanted(load, now, group.slots, group.scale or Scale())
        figures[group.name] = GroupFigures(
            desired=min(max(want, group.least), group.most),
            processes=now,
            ready=load.ready,
            running=load.running,
            oldest_seconds=load.oldest_seconds,
        )
    return Figures(figures, loads, dict(Counter(one.status for one in workers)))
