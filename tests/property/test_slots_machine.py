"""A supervisor whose children and clock are made up, in every order of deaths, silences and orders: never more than its
most, never two for one, and everything back when it is left alone.
"""

from __future__ import annotations

import signal
from itertools import count, pairwise

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tenure.errors import InvalidInput, WorkerNotFound
from tenure.supervisor import Group, Supervisor
from tenure.supervisor.pulse import RESTART
from tenure.supervisor.slot import LONGEST_PAUSE, Phase

MOST = 4
WEDGED = 10.0


class MadeUp:
    """A child that does what the test says, and dies of SIGKILL whatever that is."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 1000 + number
        self.workers: list[str] = []
        self.ready = False
        self.ends_within = 30.0
        self.ended = 0
        self.code: int | None = None
        self.halted = False
        self.silent = False
        self.told: list[int] = []
        self.closed = False

    def poll(self) -> int | None:
        return self.code

    def hear(self) -> bool:
        return not (self.halted or self.silent) and self.ready

    def signal(self, number: signal.Signals) -> None:
        assert not self.closed, "a child that was reaped is never sent anything: its pid may be another's"
        if self.code is None:
            self.told.append(number)
            if number == signal.SIGKILL:
                self.code = -signal.SIGKILL

    def stopped(self) -> bool:
        return self.halted

    def rss_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class Supervised(RuleBasedStateMachine):
    """Two groups; `alive` is the truth that only the test knows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.children: list[MadeUp] = []
        self.numbers = count()
        self.refuses = False
        self.upset: set[str] = set()  # groups that were drained or made smaller: what ends then ends together
        groups = [
            Group(name="a", app="x:y", processes=2, max_processes=MOST, wedged_seconds=WEDGED, start_seconds=20.0),
            Group(name="b", app="x:y", processes=1, recycle_after_jobs=5, wedged_seconds=WEDGED, start_seconds=20.0),
        ]
        self.supervisor = Supervisor(groups, spawn=self.spawn, clock=lambda: self.now)

    def spawn(self, command) -> MadeUp:
        if self.refuses:
            raise OSError("no more processes")
        self.children.append(MadeUp(next(self.numbers)))
        return self.children[-1]

    @property
    def alive(self) -> list[MadeUp]:
        return [one for one in self.children if one.code is None]

    def one(self, data) -> MadeUp | None:
        return data.draw(st.sampled_from(self.alive)) if self.alive else None

    # --- what happens

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 100.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.supervisor.look()

    @rule(data=st.data())
    def one_gets_ready(self, data):
        child = self.one(data)
        if child is not None and not child.ready:
            child.ready, child.workers = True, [f"worker of {child.number}"]

    @rule(data=st.data(), code=st.sampled_from([1, 9, 137, -9, -11]))
    def one_dies(self, data, code):
        child = self.one(data)
        if child is not None:
            child.code = code

    @rule(data=st.data(), code=st.sampled_from([0, RESTART]))
    def one_ends_in_order(self, data, code):
        child = self.one(data)
        if child is not None:
            child.code = code

    @rule(data=st.data())
    def one_is_stopped(self, data):
        child = self.one(data)
        if child is not None:
            child.halted = True

    @rule(data=st.data())
    def one_falls_silent(self, data):
        child = self.one(data)
        if child is not None:
            child.silent = True

    @rule(data=st.data())
    def one_has_run_many_jobs(self, data):
        child = self.one(data)
        if child is not None:
            child.ended += 5

    @rule()
    def the_obedient_end(self):
        for child in self.alive:
            if child.told and not child.halted:
                child.code = 0

    @rule(refuses=st.booleans())
    def the_system_refuses_processes(self, refuses):
        self.refuses = refuses

    # --- what is asked

    @rule(processes=st.integers(0, MOST))
    def scale(self, processes):
        self.upset.add("a")
        self.supervisor.crew("a").scale(processes)

    @rule()
    def drain(self):
        self.upset |= {"a", "b"}
        self.supervisor.drain()

    @rule()
    def resume(self):
        self.supervisor.resume()

    @rule()
    def roll(self):
        self.supervisor.crew("a").roll()

    @rule(data=st.data())
    def replace_twice(self, data):
        child = self.one(data)
        if child is None or not child.workers:
            return
        self.supervisor.replace_failed_worker(child.workers[0])
        self.supervisor.replace_failed_worker(child.workers[0])
        self.supervisor.look()
        with pytest.raises(WorkerNotFound):
            self.supervisor.replace_failed_worker(child.workers[0])

    @precondition(lambda self: len(self.alive) == 0)
    @rule()
    def it_is_left_alone(self):
        """Whatever was: as many as are desired, none of which is another's double."""
        self.refuses = False
        self.supervisor.look()
        self.supervisor.resume()
        for _ in range(round(2 * LONGEST_PAUSE)):
            self.now += 1.0
            self.supervisor.look()
            for child in self.alive:
                child.ready = True
                child.workers = [f"worker of {child.number}"]
        state = self.supervisor.state()
        assert {name: one.running for name, one in state.items()} == {name: one.desired for name, one in state.items()}
        assert len(self.alive) == sum(one.desired for one in state.values())

    # --- what always holds

    @invariant()
    def never_more_than_the_most(self):
        assert len(self.alive) <= MOST + 1

    @invariant()
    def a_place_has_one_child_and_no_child_has_two(self):
        held = [slot.child for crew in self.supervisor.crews.values() for slot in crew.slots if slot.child is not None]
        assert len(held) == len({id(one) for one in held})
        # nobody is forgotten: whoever lives is somebody's
        assert {one.number for one in self.alive} <= {one.number for one in held}

    @invariant()
    def who_was_told_to_stop_has_no_successor(self):
        for crew in self.supervisor.crews.values():
            assert not [slot for slot in crew.slots if slot.retired and slot.child is not None]

    @invariant()
    def one_at_a_time_makes_room(self):
        """Of those that are wanted and whose group was not drained meanwhile, only one is told to end."""
        for name, crew in self.supervisor.crews.items():
            if name not in self.upset:
                leaving = [slot for slot in crew.slots if slot.phase is Phase.ENDING and slot.wanted]
                assert len(leaving) <= 1


Supervised.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
test_supervised = Supervised.TestCase


def supervised(**fields) -> tuple[Supervised, Supervisor]:
    """The same with one group, for what is told rather than found."""
    made = Supervised()
    made.supervisor = Supervisor([Group(name="a", app="x:y", **fields)], spawn=made.spawn, clock=lambda: made.now)
    return made, made.supervisor


def pass_time(made: Supervised, seconds: float, step: float = 0.5) -> None:
    for _ in range(round(seconds / step)):
        made.now += step
        made.supervisor.look()


def test_the_pause_doubles_to_its_cap_and_the_alarm_is_raised_once(caplog):
    made, supervisor = supervised()
    births = []
    for _ in range(3000):
        made.now += 0.1
        supervisor.look()
        for child in made.alive:
            births.append(made.now)
            child.code = 1
    pauses = [later - earlier for earlier, later in pairwise(births)]
    for number, pause in enumerate(pauses):
        full = min(2.0**number, LONGEST_PAUSE)
        assert full / 2 - 0.3 <= pause <= full + 0.3
    assert pauses[-1] > 14
    assert caplog.text.count("keep dying") == 1
    # one that has worked for a minute makes good for all that
    pass_time(made, 40)
    for child in made.alive:
        child.ready = True
    pass_time(made, 70)
    assert supervisor.crew("a").slots[0].failures == 0
    made.alive[0].code = -9
    before = made.now
    while not made.alive:
        pass_time(made, 0.1, 0.1)
    assert made.now - before <= 1.3


def test_silence_counts_only_while_the_supervisor_looks():
    made, supervisor = supervised(wedged_seconds=10)
    supervisor.look()
    [child] = made.alive
    child.ready = True
    pass_time(made, 2)
    child.silent = True
    made.now += 1000
    supervisor.look()
    assert child.told == []
    pass_time(made, 10)
    assert child.told == [signal.SIGKILL]


def test_who_does_not_end_or_does_not_begin_is_killed():
    made, supervisor = supervised(start_seconds=5)
    supervisor.look()
    [slow] = made.alive
    pass_time(made, 6)
    assert slow.told == [signal.SIGKILL]
    pass_time(made, 2)
    [child] = made.alive
    child.ready = True
    pass_time(made, 1)
    supervisor.stop(signal.SIGTERM)
    pass_time(made, child.ends_within - 1)
    assert child.told == [signal.SIGTERM]
    pass_time(made, 2)
    assert child.told == [signal.SIGTERM, signal.SIGKILL]
    assert supervisor.idle
    assert supervisor.code == 128 + signal.SIGKILL


def test_one_more_until_there_are_the_most():
    _, supervisor = supervised(processes=1, max_processes=2)
    assert supervisor.spawn_worker("a") == 2
    with pytest.raises(InvalidInput, match="processes must be fewer than 2, to have one more: 2"):
        supervisor.spawn_worker("a")
    with pytest.raises(InvalidInput, match="group must be one of a: 'b'"):
        supervisor.spawn_worker("b")


def test_a_roll_waits_for_each_successor():
    made, supervisor = supervised(processes=3)
    supervisor.look()
    first = made.alive
    for child in first:
        child.ready = True
    pass_time(made, 1)
    assert supervisor.crew("a").roll() == 3
    for number in range(3):
        pass_time(made, 5)
        # one is told, and no other, for as long as its successor does not work
        assert [bool(child.told) for child in first] == [True] * (number + 1) + [False] * (2 - number)
        first[number].code = 0
        pass_time(made, 5)
        assert sum(bool(child.told) for child in first) == number + 1
        assert len(made.alive) == 3
        made.alive[-1].ready = True
    pass_time(made, 5)
    assert supervisor.state()["a"].rolling == 0
    assert not {child.number for child in made.alive} & {child.number for child in first}
