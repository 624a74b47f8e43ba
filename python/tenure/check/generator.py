"""The generator: an endless mix of work that a seed decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from tenure.check.jobs import QUEUES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

Verb = Literal["enqueue", "transaction", "race", "cancel", "retry", "refused"]

# Weights of the verbs of one turn.
_VERBS: Final[dict[Verb, int]] = {"enqueue": 72, "transaction": 8, "race": 6, "cancel": 8, "retry": 4, "refused": 2}
_KINDS: Final = {
    "quick": 26,
    "behind": 10,
    "nap": 16,
    "flaky": 8,
    "doomed": 4,
    "dead": 2,
    "again": 4,
    "snoozing": 4,
    "quitting": 2,
    "overdue": 3,
    "reporting": 5,
    "guarded": 6,
    "thread": 8,
}
_SHAPES: Final = ("chain", "fan-in", "diamond")
_LONGEST_NAP: Final = 2.5  # longer than a lease is, so that stopped workers come back to unfinished work
# What each kind is given, drawn anew for every job.
_ARGUMENTS: Final[dict[str, dict[str, Callable[[random.Random], Any]]]] = {
    "quick": {"padding": lambda dice: "x" * dice.choice((0, 0, 0, 200, 60_000))},
    "nap": {"seconds": lambda dice: dice.choice((0.01, 0.05, 0.2, 1.0, _LONGEST_NAP))},
    "behind": {"seconds": lambda dice: dice.choice((0.0, 0.0, 0.01, 0.2, 1.0))},
    "thread": {"seconds": lambda dice: dice.choice((0.0, 0.02, 0.2, 1.0))},
    "flaky": {"failures": lambda dice: dice.randint(1, 2)},
    "again": {"delay": lambda dice: dice.uniform(0.0, 0.3)},
    "snoozing": {"fences": lambda dice: dice.randint(1, 3)},
    "reporting": {"steps": lambda dice: dice.randint(1, 4)},
    "guarded": {"seconds": lambda dice: dice.choice((0.0, 0.01, 0.3))},
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A job that is not enqueued yet; `needs` are places in its batch."""

    kind: str
    arguments: dict[str, Any]
    options: dict[str, Any]
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What the client does next.

    Attributes:
        verb: what to ask.
        jobs: what to enqueue.
        pause: seconds to wait before it.
        limit: seconds after which the client gives its call up; None for none.
        commit: whether the client's own transaction commits.
        pick: from 0 to 1, which of the jobs that there are is meant.
        producers: how many enqueue the same idempotency key at once.
    """

    verb: Verb
    jobs: list[Planned] = field(default_factory=list)
    pause: float = 0.0
    limit: float | None = None
    commit: bool = True
    pick: float = 0.0
    producers: int = 1


class Generator:
    """Draws turns; two of the same seed draw the same."""

    def __init__(self, dice: random.Random, rate: float) -> None:
        """Prepare: about `rate` jobs a second are asked for."""
        self._dice = dice
        self._rate = rate
        self._keys = 0

    def turns(self) -> Iterator[Turn]:
        """Turns without end."""
        while True:
            yield self.turn()

    def turn(self) -> Turn:
        """One turn."""
        dice = self._dice
        verb = dice.choices(list(_VERBS), list(_VERBS.values()))[0]
        # Now and then a client loses its patience in the middle of a call, and never learns what became of it.
        limit = dice.uniform(0.0005, 0.01) if dice.random() < 0.04 else None  # noqa: PLR2004 - one call in 25
        match verb:
            case "enqueue":
                jobs = self._batch()
                return Turn(verb, jobs, pause=self._pause(len(jobs)), limit=limit)
            case "transaction":
                jobs = self._batch()
                return Turn(verb, jobs, pause=self._pause(len(jobs)), commit=dice.random() < 0.7)  # noqa: PLR2004 - as often as that
            case "race":
                self._keys += 1
                one = self._job()
                keyed = Planned(one.kind, one.arguments, {**one.options, "idempotency_key": f"key-{self._keys}"})
                return Turn(verb, [keyed], pause=self._pause(1), producers=dice.randint(2, 8))
            case "cancel" | "retry":
                return Turn(verb, pause=self._pause(1), limit=limit, pick=dice.random())
            case _:
                # Over the limit of a payload: refused before anything is written.
                return Turn("refused", [Planned("quick", {"padding": "x" * 70_000}, self._options())])

    def _pause(self, jobs: int) -> float:
        return self._dice.expovariate(self._rate / jobs)

    def _batch(self) -> list[Planned]:
        draw = self._dice.random()
        if draw < 0.5:  # noqa: PLR2004 - as often as that
            return [self._job()]
        if draw < 0.8:  # noqa: PLR2004 - likewise
            return [self._job() for _ in range(self._dice.randint(2, 20))]
        return self._graph()

    def _graph(self) -> list[Planned]:
        """Jobs that wait for each other; now and then one of the parents does not complete."""
        jobs = [self._job() for _ in range(self._dice.randint(3, 6))]
        shape = self._dice.choice(_SHAPES)
        last = len(jobs) - 1
        needs: dict[int, tuple[int, ...]]
        if shape == "chain":
            needs = {place: (place - 1,) for place in range(1, last + 1)}
        elif shape == "fan-in":
            needs = {last: tuple(range(last))}
        else:
            needs = dict.fromkeys(range(1, last), (0,)) | {last: tuple(range(1, last))}
        policy = self._dice.choices(("hold", "cancel", "run"), (1, 3, 3))[0]
        return [
            Planned(job.kind, job.arguments, {**job.options, "on_failure": policy}, needs.get(place, ()))
            for place, job in enumerate(jobs)
        ]

    def _job(self) -> Planned:
        kind = self._dice.choices(list(_KINDS), list(_KINDS.values()))[0]
        return Planned(kind, self._arguments(kind), self._options())

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"queue": self._dice.choice(QUEUES), "priority": self._dice.randint(1, 5)}
        if self._dice.random() < 0.08:  # noqa: PLR2004 - as often as that
            options["delay"] = self._dice.uniform(0.05, 2.0)
        return options

    def _arguments(self, kind: str) -> dict[str, Any]:
        return {name: draw(self._dice) for name, draw in _ARGUMENTS.get(kind, {}).items()}
