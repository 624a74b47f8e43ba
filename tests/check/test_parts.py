"""The parts of the checker that need no server."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import pytest

from tenure.check.batch import as_markdown, run_batch, summarise, write_batch
from tenure.check.evidence import Breach
from tenure.check.generator import Generator
from tenure.check.history import History, read_history
from tenure.check.invariants import INVARIANTS
from tenure.check.ledger import LedgerWriter, read_ledger
from tenure.check.nemeses import nemeses_named
from tenure.check.nemesis import strike_in_turn
from tenure.check.plan import ALL_NEMESES, Plan
from tenure.check.report import Lost, Report, Rescue, make_report
from tests.check.evidences import event, good
from tests.mutants.mutants import MUTANTS

DOCS = Path(__file__).parents[2] / "docs"


def report(**values: object) -> Report:
    """What the good evidence amounts to."""
    made = make_report(Plan(seed=3, nemeses=("kill",)), good(), {}, {"kill": 2}, 9.0, 1.0)
    return msgspec.structs.replace(made, **values)


def test_a_seed_decides_the_work():
    def turns(seed: int) -> list[object]:
        source = Generator(random.Random(seed), 50.0).turns()
        return [next(source) for _ in range(300)]

    assert turns(1) == turns(1)
    assert turns(1) != turns(2)
    kinds = {job.kind for turn in turns(1) for job in turn.jobs}
    assert {"quick", "behind", "nap", "flaky", "doomed", "snoozing", "guarded", "thread", "overdue"} <= kinds
    assert {turn.verb for turn in turns(1)} == {"enqueue", "transaction", "race", "cancel", "retry", "refused"}
    assert any(job.needs for turn in turns(1) for job in turn.jobs)
    assert any("delay" in job.options for turn in turns(1) for job in turn.jobs)


def test_a_history_is_read_back_as_it_was_written(tmp_path):
    with History(tmp_path / "history") as history:
        history.note("client", "invoke", "enqueue", {"op": 1, "jobs": []})
        history.note("nemesis", "info", "kill", {"pid": 3})
    assert read_history(tmp_path / "history") == history.events


def test_a_ledger_is_read_back(tmp_path):
    writer = LedgerWriter(tmp_path / "ledger")
    writer.note("start", job="a", fence=1, nonce="n", attempt=1)
    writer.note("start", job="b", fence=1, nonce="m", attempt=1)
    writer.note("end", nonce="n", outcome="returned")
    writer.note("lease", queue="q", began=1, ended=2, jobs=[("a", 1, 5)])
    ledger = read_ledger(tmp_path / "ledger")
    assert [(run.job, run.outcome) for run in ledger.runs] == [("a", "returned"), ("b", None)]
    assert ledger.leases[0].jobs == [("a", 1, 5)]
    assert read_ledger(tmp_path / "nothing").runs == []


def test_every_nemesis_has_a_name():
    assert [one.name for one in nemeses_named(ALL_NEMESES)] == list(ALL_NEMESES)


def test_what_a_report_counts():
    made = report()
    assert (made.verdict, made.attempted, made.acked, made.unknown) == ("valid", 4, 4, 0)
    assert (made.duplicates, made.zombies_refused, made.overlap_seconds) == (1, 1, 0.4)
    assert made.ended == {"COMPLETED": 3, "FAILED": 1}
    assert made.replay == "tenure check --seed 3 --seconds 20 --nemesis kill"


def test_the_lost_are_told_by_where_they_stood():
    evidence = good()
    got = ["lost-1", "parent", "lost-2", "lost-3", "child", "lost-4"]
    evidence.history[1] = event(1, "ok", "enqueue", op=0, got=got)
    made = make_report(Plan(seed=1), evidence, {}, {}, 1.0, 1.0)
    assert made.lost == Lost(prefix=1, middle=2, postfix=1)


@pytest.mark.parametrize(
    ("effects", "breaches", "verdict"),
    [
        ({"kill": 1}, {}, "valid"),
        ({"kill": 0}, {}, "void"),
        ({"kill": 0}, {"I1": [Breach(text="lost")]}, "invalid"),
    ],
)
def test_a_run_without_effect_is_void_and_never_valid(effects, breaches, verdict):
    assert make_report(Plan(seed=1), good(), breaches, effects, 1.0, 1.0).verdict == verdict


def test_a_run_that_did_not_drain_is_void():
    evidence = good()
    evidence.quiet = msgspec.structs.replace(evidence.quiet, drained=False)
    assert make_report(Plan(seed=1), evidence, {}, {"kill": 1}, 1.0, 1.0).verdict == "void"


def test_rescue_times():
    assert Rescue.of([]) is None
    assert Rescue.of([float(n) for n in range(100)]) == Rescue(count=100, p50=50.0, p99=99.0, most=99.0)


async def test_a_nemesis_without_an_effect_gets_more_time(tmp_path):
    class Late:
        name = "late"
        strikes = 0

        async def strike(self, _scene: object) -> int:
            self.strikes += 1
            return int(self.strikes == 5)

    class Scene:
        plan = Plan(seed=1, quiet_seconds=0.1)
        dice = random.Random(1)
        history = History(tmp_path / "history")

    late = Late()
    with Scene.history:
        assert await strike_in_turn(Scene(), [late], 0.25) == {"late": 1}  # type: ignore[arg-type]
    assert late.strikes == 5


def test_many_seeds_are_added_up(tmp_path):
    bad = report(verdict="invalid", breaches={"I3": [Breach(text="zombie")]}, seed=4)
    batch = summarise([report(), bad, "it broke"], [3, 4, 5], 2)
    assert batch.verdicts == {"valid": 1, "invalid": 1}
    assert (batch.crashed, batch.broken, batch.effects) == ({5: "it broke"}, {"I3": [4]}, {"kill": 4})
    write_batch(batch, tmp_path / "docs" / "check")
    assert msgspec.json.decode((tmp_path / "docs" / "check.json").read_bytes(), type=type(batch)) == batch
    assert (tmp_path / "docs" / "check.md").read_text() == as_markdown(batch)
    assert "| I3 | 4 |" in as_markdown(batch)


async def test_a_seed_whose_checker_breaks_is_told():
    shown = []
    batch = await run_batch([1], ["--nemesis", "earthquake"], {}, 1, lambda *one: shown.append(one))
    assert "earthquake" in batch.crashed[1]
    assert shown == [(1, batch.crashed[1])]


def test_the_page_has_every_name():
    text = (DOCS / "check.md").read_text()
    rows = set(re.findall(r"^\| ([\w-]+) \|", text, re.MULTILINE)) - {"name", "mutant"}
    assert rows - {"---"} == set(INVARIANTS) | set(ALL_NEMESES) | set(MUTANTS)


def test_the_kept_report_has_no_breach():
    """The long run whose report is in the docs."""
    text = (DOCS / "check-200.md").read_text()
    assert re.search(r"^\| seeds valid \| (1[89]\d|200) \|$", text, re.MULTILINE)
    assert "| seeds invalid | 0 |" in text
    assert "| lost | 0 |" in text
