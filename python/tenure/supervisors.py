"""The supervisors of a fleet: which there are, what they look after, and what they may be asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure.errors import InvalidInput, WorkerNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure._engine import Engine
    from tenure._questions import Questions

_PART: Final = 1000  # samples that are read at a time


class GroupState(msgspec.Struct, frozen=True, kw_only=True):
    """How a group fares on one host.

    Attributes:
        desired: how many processes there should be.
        running: how many work.
        starting: how many do not yet.
        ending: how many were told to end and have not.
        retired: places whose process was told to stop by somebody else, and that stay empty.
        rolling: how many are still to be replaced by a roll.
        least: the fewest that scaling leaves.
        most: the most there ever are.
        drained: whether none is wanted.
        manual: whether somebody has said how many, so that no load does.
    """

    desired: int
    running: int
    least: int
    most: int
    starting: int = 0
    ending: int = 0
    retired: int = 0
    rolling: int = 0
    drained: bool = False
    manual: bool = False


class SupervisorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One supervisor that was heard of within a TTL, and its groups by name."""

    supervisor_id: str
    name: str
    host: str
    pid: int
    version: str
    groups: dict[str, GroupState]


class _Presence(msgspec.Struct):
    """A supervisor's sample; a worker's has no groups."""

    name: str = ""
    host: str = ""
    pid: int = 0
    version: str = ""
    groups: dict[str, GroupState] | None = None


_decoder: Final = msgspec.json.Decoder(_Presence)


class Roll:
    """Finds supervisors among all who beat; who is no supervisor once will never be one, and is not read again."""

    def __init__(self, engine: Engine) -> None:
        """Nobody is known yet."""
        self._engine = engine
        self._known: set[str] = set()
        self._others: set[str] = set()

    async def call(self) -> list[SupervisorInfo]:
        """The supervisors that were heard of within a TTL, by host and name."""
        heard = {one for one, _ in await self._engine.roster()}
        self._known &= heard
        self._others &= heard
        samples: dict[str, bytes] = {}
        asked = sorted(heard - self._others)
        for start in range(0, len(asked), _PART):
            samples |= await self._engine.beats(asked[start : start + _PART])
        found = []
        for one, data in samples.items():
            presence = _read(data)
            if presence is None or presence.groups is None:
                self._others.add(one)
                continue
            found.append(
                SupervisorInfo(
                    supervisor_id=one,
                    name=presence.name,
                    host=presence.host,
                    pid=presence.pid,
                    version=presence.version,
                    groups=presence.groups,
                )
            )
        return sorted(found, key=lambda one: (one.host, one.name, one.supervisor_id))


def _read(data: bytes) -> _Presence | None:
    """A sample; None for what is none. Whoever may write to Redis may send anything."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None


def shared_out(processes: int, most: Mapping[str, int]) -> dict[str, int]:
    """So many processes over hosts, in proportion to the most that each may have; the same for whoever asks.

    Raises:
        InvalidInput: there are not so many places.
    """
    places = sum(most.values())
    _validate.whole("processes", processes, 0, places)
    exact = {one: processes * most[one] / places if places else 0.0 for one in most}
    shares = {one: math.floor(exact[one]) for one in most}
    # The largest remainders first; none can be above its most, for its exact share is not.
    for one in sorted(most, key=lambda one: (shares[one] - exact[one], one))[: processes - sum(shares.values())]:
        shares[one] += 1
    return shares


class Supervisors:
    """What an operator may ask of supervisors. Every verb returns what the supervisor says it did.

    Every verb raises:
        WorkerRefused: it will not, and says why.
        NoAnswer: it did not answer in time. It may have done it.
        StoreUnavailable: Redis is away.
    """

    def __init__(self, engine: Engine, questions: Questions) -> None:
        """Made by `Admin`."""
        self._roll = Roll(engine)
        self._questions = questions

    async def present(self) -> list[SupervisorInfo]:
        """Those that were heard of within a TTL, by host and name."""
        return await self._roll.call()

    async def find(self, which: str) -> list[SupervisorInfo]:
        """Those that have this id, name or host; may be none."""
        return [one for one in await self.present() if which in (one.supervisor_id, one.name, one.host)]

    async def of_group(self, group: str) -> list[SupervisorInfo]:
        """Those that have a group of this name.

        Raises:
            WorkerNotFound: there is none.
        """
        found = [one for one in await self.present() if group in one.groups]
        if not found:
            raise WorkerNotFound(f"no live supervisor has a group of this name: {group}")
        return found

    async def shares(self, group: str, processes: int) -> dict[str, int]:
        """How many processes of a group each supervisor is to have for them to be so many together, by id.

        Raises:
            WorkerNotFound: no supervisor has the group, or all that do are drained.
            InvalidInput: the hosts may not have so many together.
        """
        most = {
            one.supervisor_id: one.groups[group].most
            for one in await self.of_group(group)
            if not one.groups[group].drained
        }
        if not most:
            raise WorkerNotFound(f"every supervisor of this group is drained: {group}")
        return shared_out(processes, most)

    async def scale(
        self,
        supervisor_id: str,
        group: str,
        processes: int | None,
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the API
    ) -> str:
        """Have so many processes of a group on this host, whatever its load; None: as many as its load asks for."""
        _validate.name("group", group)
        said = "auto" if processes is None else str(_validate.whole("processes", processes, 0, 1000))
        return await self._ask(supervisor_id, f"scale {group} {said}", timeout)

    async def drain(self, supervisor_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """Have all processes of this host end in order, and start no other."""
        return await self._ask(supervisor_id, "drain", timeout)

    async def resume(self, supervisor_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """Start processes again after `drain`."""
        return await self._ask(supervisor_id, "resume", timeout)

    async def replace(
        self,
        supervisor_id: str,
        worker_id: str,
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the API
    ) -> str:
        """Kill the process of a worker of this host, and start one like it: what can be done where it does not answer.

        Its leases expire, and its jobs run elsewhere.
        """
        return await self._ask(supervisor_id, f"replace {_validate.job_id(worker_id, 'worker_id')}", timeout)

    async def _ask(self, supervisor_id: str, what: str, timeout: float) -> str:  # noqa: ASYNC109 - part of the API
        return await self._questions.ask(_validate.job_id(supervisor_id, "supervisor_id"), what, timeout)


def check_scale(group: str, given: str) -> int | None:
    """What `scale` is given as text: a number, or None for `auto`.

    Raises:
        InvalidInput: it is neither.
    """
    if given == "auto":
        return None
    if given.isdecimal() and len(given) < 10:  # noqa: PLR2004 - more than there can be, before it is a number
        return int(given)
    raise InvalidInput(f"processes of {group}", "a whole number or auto", given)
