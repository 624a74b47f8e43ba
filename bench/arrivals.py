"""Heartbeats as they arrive: how late real ones were, and traces made of that with delay, loss and pauses put in."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import redis

from bench.heartbeats import beating, lateness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.space import Space

_EVERY_MS: Final = 500
_EACH: Final = 100
_REPEATED: Final = (5.1, 6.1)


async def record(here: Space, burners: int, seconds: float) -> list[float]:
    """How late the beats of 100 real workers arrive, s, while so many other processes want the processor."""
    with ExitStack() as undo:
        client = undo.enter_context(redis.from_url(here.servers.redis_url))
        process = undo.enter_context(beating(here, _EACH, _EVERY_MS, 0))
        for burner in [_burner() for _ in range(burners)]:
            undo.enter_context(burner)
            undo.callback(burner.kill)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise AssertionError("workers that should beat have ended")
        late = await lateness(client, f"{here.name}:fleet:roster", _EVERY_MS, seconds)
        process.communicate()
    return late


def _burner() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "while True: pass"])


@dataclass(frozen=True, slots=True)
class Weather:
    """What beats meet on their way.

    Attributes:
        name: of the scenario.
        delay: bounds of a beat's time on its way, s; beats do not overtake each other.
        loss: the share that never arrives.
        repeated: after how long a lost beat is sent again, s, if it is: tenure waits 5 s for an answer, and a second
            at the most until it tries again.
        pauses: bounds of the time for which a worker stands still, once a minute on average, s.
    """

    name: str
    delay: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    repeated: tuple[float, float] | None = None
    pauses: tuple[float, float] = (0.0, 0.0)


WEATHERS: Final = (
    Weather("calm"),
    Weather("delay", delay=(0.2, 2.0)),
    Weather("loss", loss=0.02),
    Weather("loss, repeated", loss=0.02, repeated=_REPEATED),
    Weather("pauses", pauses=(0.2, 2.0)),
    Weather("all", delay=(0.2, 2.0), loss=0.02, pauses=(0.2, 2.0)),
    Weather("all, repeated", delay=(0.2, 2.0), loss=0.02, repeated=_REPEATED, pauses=(0.2, 2.0)),
)


def trace(
    weather: Weather, late: Sequence[float], every: float, seconds: float, seed: object
) -> tuple[list[float], float]:
    """When a worker's beats arrive, s, and when it dies."""
    chance = random.Random(f"{weather.name} {every} {seed}")
    died = seconds + chance.uniform(0.0, every)
    planned, paused, arrivals = chance.uniform(0.0, every), chance.expovariate(1 / 60), [0.0]
    while planned < died:
        if planned >= paused:
            length = chance.uniform(*weather.pauses)
            planned = max(planned, paused + length)
            paused += length + chance.expovariate(1 / 60)
            continue
        arrived = planned + chance.choice(late) + chance.uniform(*weather.delay)
        lost = chance.random() < weather.loss
        if lost and weather.repeated:
            arrived += chance.uniform(*weather.repeated)
        if not lost or weather.repeated:
            arrivals.append(max(arrived, arrivals[-1]))
        planned += every
    return arrivals[1:], died
