"""Recorded arrivals of jobs, or made ones where no record is at hand: the same fields for each."""

from __future__ import annotations

import csv
import gzip
import math
import os
import random
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Where the records are: TENURE_BENCH_TRACES, or a folder beside the checkout.
ROOT: Final = Path(os.environ.get("TENURE_BENCH_TRACES", Path(__file__).parents[3] / "shared" / "data"))
# Seconds of an inference request: reading the prompt, and one token after the other.
_PER_CONTEXT_TOKEN: Final = 0.0002
_PER_TOKEN: Final = 0.02


@dataclass(frozen=True, slots=True)
class Arrival:
    """One job of a trace. Seconds; `asked_s` is what its user said it would take at most, or the trace's best guess."""

    number: int
    at_s: float
    run_s: float
    asked_s: float
    user: str


def _swf(name: str) -> Iterator[Arrival]:
    """The Standard Workload Format: 18 numbers a line, -1 for what is not known."""
    with gzip.open(ROOT / "swf" / name, "rt") as file:
        for line in file:
            if line.startswith(";") or not (words := line.split()):
                continue
            submit, run, asked = float(words[1]), float(words[3]), float(words[8])
            if run > 0:
                yield Arrival(int(words[0]), submit, run, asked if asked > 0 else run, words[11])


def _metacentrum() -> Iterator[Arrival]:
    with gzip.open(ROOT / "swf" / "metacentrum-wagap-2013.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            run, asked = float(row["run_s"]), float(row["req_time_s"])
            if run > 0:
                yield Arrival(int(row["job"]), float(row["submit_unix"]), run, asked if asked > 0 else run, row["user"])


def _azure() -> Iterator[Arrival]:
    """Inference requests: conversations and code are two users; how long the answer will be, nobody says before."""
    for user, name in (("chat", "conv"), ("code", "code")):
        with gzip.open(ROOT / "azure_llm_2023" / f"AzureLLMInferenceTrace_{name}.csv.gz", "rt") as file:
            for number, row in enumerate(csv.DictReader(file)):
                at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
                reading = int(row["ContextTokens"]) * _PER_CONTEXT_TOKEN
                run = reading + int(row["GeneratedTokens"]) * _PER_TOKEN
                # so long is an answer on average
                yield Arrival(number, at, run, reading + 200 * _PER_TOKEN, user)


def synthetic(jobs: int) -> Iterator[Arrival]:
    """Bursts of a few heavy and many light users with log-normal lengths; the same jobs at every call."""
    draw = random.Random("arrivals")
    at = 0.0
    for number in range(jobs):
        at += draw.expovariate(1 / 3) if draw.random() < 0.2 else 0.05
        run = min(3600.0, draw.lognormvariate(math.log(20), 1.5))
        user = f"u{min(30, int(draw.paretovariate(0.8)))}"
        yield Arrival(number, at, run, run * draw.uniform(1, 5), user)


TRACES: Final[dict[str, Callable[[], Iterator[Arrival]]]] = {
    "MetaCentrum 2013": _metacentrum,
    "LCG 2005": lambda: _swf("LCG.swf.gz"),
    "HPC2N 2002": lambda: _swf("HPC2N-2002-first3k.swf.gz"),
    "Azure LLM 2023": _azure,
}


def load(name: str, most: int) -> list[Arrival]:
    """The first jobs of a trace, in the order of their arrival, counted from its beginning.

    Raises:
        FileNotFoundError: there is no record of it here.
    """
    if name == "synthetic":
        return list(synthetic(most))
    found = sorted(TRACES[name](), key=lambda job: job.at_s)
    begin = found[0].at_s
    return [
        Arrival(number, job.at_s - begin, job.run_s, job.asked_s, job.user)
        for number, job in enumerate(islice(found, most))
    ]
