"""The supervisor of worker processes: starts them, watches them, replaces those that die, has more or fewer of them.

Layout, from the child outwards:

- `pulse`: what a worker process tells its supervisor of itself, and the few words both have to agree on.
- `child`: one such process, started and listened to. `_process`: what the system says of it.
- `slot`: the place of one child. Never two in one, which is what everything else relies on.
- `group`: what the children of one kind are. `crew`: their slots, and whose turn it is to be replaced in order.
- `supervisor`: all groups of one host; no store, no clock of its own, no waiting.
- `scale`: how many processes a group should have, by pure functions. `load`: what those are told of the queues.
- `station`: the supervisor's place in a fleet, seen and steered; `deaths`: what it and the registry tell each other;
  `following`: the number of processes after the load.
- `figures`, `exposition`: the same numbers for others who start processes, Kubernetes for one.
- `fleet_file`: groups from a file. `run`: the loop.
"""

from tenure.supervisor.group import Group
from tenure.supervisor.scale import Scale
from tenure.supervisor.supervisor import Supervisor

__all__ = ["Group", "Scale", "Supervisor"]
