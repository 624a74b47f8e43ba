"""Many seeds, a few at a time, each in a process of its own, and what they came to together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tenure import __version__
from tenure.check.report import Report, Rescue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All of them; `crashed` are seeds whose checker gave no report."""

    version: str
    machine: str
    at_once: int
    seeds: int
    verdicts: dict[str, int]
    crashed: dict[int, str]
    attempted: int
    acked: int
    unknown: int
    recovered: int
    lost: int
    duplicates: int
    overlap_seconds: float
    zombies_refused: int
    runs: int
    rescue: Rescue | None
    longest_drain: float
    effects: dict[str, int]
    broken: dict[str, list[int]]  # seeds by invariant
    replays: list[str]  # of the seeds that were not valid
    reports: list[Report]


async def run_batch(
    seeds: Sequence[int],
    arguments: Sequence[str],
    environment: dict[str, str],
    at_once: int,
    show: Callable[[int, Report | str], None],
    keep: Path | None = None,
) -> Batch:
    """Run `tenure check` with these arguments for each seed, so many at a time.

    A process each: what one seed leaves behind in memory, or its crash, is no other seed's. What the witnesses of seeds
    that were not valid wrote is kept in a directory each under `keep`.
    """
    gate = asyncio.Semaphore(at_once)
    results: dict[int, Report | str] = {}

    async def one(seed: int) -> None:
        async with gate:
            kept = None if keep is None else keep / f"seed-{seed}"
            found = await _run(seed, [*arguments, *(["--keep", str(kept)] if kept else [])], environment)
            results[seed] = found
            show(seed, found)
            if kept is not None and isinstance(found, Report) and found.verdict == "valid":
                await asyncio.to_thread(shutil.rmtree, kept, ignore_errors=True)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(one(seed))
    return summarise([results[seed] for seed in seeds], list(seeds), at_once)


async def _run(seed: int, arguments: Sequence[str], environment: dict[str, str]) -> Report | str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenure", "check", "--json", "--seed", str(seed), *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    try:
        return msgspec.json.decode(out, type=Report)
    except msgspec.MsgspecError:
        return err.decode(errors="replace")[-500:] or f"exit code {process.returncode}"


def summarise(results: Sequence[Report | str], seeds: Sequence[int], at_once: int) -> Batch:
    """Add them up."""
    reports = [one for one in results if isinstance(one, Report)]
    effects: Counter[str] = Counter()
    broken: dict[str, list[int]] = {}
    for one in reports:
        effects.update(one.effects)
        for name in one.breaches:
            broken.setdefault(name, []).append(one.seed)
    verdicts = Counter(str(one.verdict) for one in reports)
    crashed = {seed: one for seed, one in zip(seeds, results, strict=True) if isinstance(one, str)}
    return Batch(
        version=__version__,
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        at_once=at_once,
        seeds=len(results),
        verdicts=dict(verdicts),
        crashed=crashed,
        attempted=sum(one.attempted for one in reports),
        acked=sum(one.acked for one in reports),
        unknown=sum(one.unknown for one in reports),
        recovered=sum(one.recovered for one in reports),
        lost=sum(one.lost.prefix + one.lost.middle + one.lost.postfix for one in reports),
        duplicates=sum(one.duplicates for one in reports),
        overlap_seconds=round(sum(one.overlap_seconds for one in reports), 2),
        zombies_refused=sum(one.zombies_refused for one in reports),
        runs=sum(sum(one.attempts.values()) for one in reports),
        rescue=Rescue.of([seconds for one in reports for seconds in one.rescue_seconds]),
        longest_drain=max((one.drain_seconds for one in reports), default=0.0),
        effects=dict(effects),
        broken=broken,
        replays=[one.replay for one in reports if one.verdict != "valid"],
        reports=[msgspec.structs.replace(one, rescue_seconds=[]) for one in reports],
    )


def write_batch(batch: Batch, stem: Path) -> None:
    """`stem.json` with every seed, `stem.md` with the sums."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(one).decode() for one in batch.reports]
    head = msgspec.json.encode(msgspec.structs.replace(batch, reports=[])).decode()
    body = head.removesuffix('"reports":[]}') + '"reports":[\n' + ",\n".join(lines) + "\n]}\n"
    stem.with_suffix(".json").write_text(body, "utf-8")
    stem.with_suffix(".md").write_text(as_markdown(batch), "utf-8")


def as_markdown(batch: Batch) -> str:
    """The sums, as a page."""
    rows = [f"| {name} | {value} |" for name, value in figures(batch)]
    text = [f"# {batch.seeds} seeds of mixed faults", ""]
    text += [f"tenure {batch.version}, {batch.machine}, {batch.at_once} seeds at a time.", ""]
    text += ["| figure | value |", "| --- | --- |", *rows, "", "| nemesis | effect |", "| --- | --- |"]
    text += [f"| {name} | {effect} |" for name, effect in sorted(batch.effects.items())]
    if batch.broken:
        text += ["", "| broken | by the seeds |", "| --- | --- |"]
        text += [f"| {name} | {', '.join(map(str, seeds))} |" for name, seeds in sorted(batch.broken.items())]
    if batch.replays:
        text += ["", "Again, one by one:", "", *(f"    {replay}" for replay in batch.replays)]
    return "\n".join(text) + "\n"


def figures(batch: Batch) -> list[tuple[str, object]]:
    """What a summary shows, line by line."""
    rescue = batch.rescue
    return [
        ("seeds valid", batch.verdicts.get("valid", 0)),
        ("seeds invalid", batch.verdicts.get("invalid", 0)),
        ("seeds void", batch.verdicts.get("void", 0)),
        ("seeds without a report", len(batch.crashed)),
        ("jobs attempted", batch.attempted),
        ("acknowledged", batch.acked),
        ("lost", batch.lost),
        ("unknown outcomes", batch.unknown),
        ("of these, recovered", batch.recovered),
        ("attempts recorded", batch.runs),
        ("duplicate runs", f"{batch.duplicates} ({batch.duplicates / max(1, batch.runs):.3%})"),
        ("overlap, seconds", batch.overlap_seconds),
        ("zombie attempts refused", batch.zombies_refused),
        ("rescued attempts of dead workers", rescue.count if rescue else 0),
        ("rescue P50 / P99 / max, seconds", f"{rescue.p50} / {rescue.p99} / {rescue.most}" if rescue else "none"),
        ("longest drain, seconds", batch.longest_drain),
    ]
