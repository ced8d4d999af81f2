# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes
from ansible_collections.lastgood.rollback.plugins.module_utils._clock import Clock
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import Outcome, Probe, ProbeError


class Time:
    """A clock that only moves when somebody sleeps or a probe says that it took time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = Clock(monotonic=lambda: self.now, sleep=self.sleep, wall=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def scripted(name: str, script: str, time: Time | None = None, costs: float = 0.0, **more: t.Any) -> Probe:
    """A probe that answers by letters: g good, b bad, f bad for good; the last one repeats."""
    letters = list(script)

    def ask(seconds: float) -> dict[str, t.Any]:
        if time is not None:
            time.now += min(costs, seconds)
        letter = letters.pop(0) if len(letters) > 1 else letters[0]
        if letter != "g":
            raise ProbeError(f"{name} said {letter}", final=letter == "f")
        return {"said": letter}

    return Probe(name, "scripted", ask, **more)


def gate(time: Time, *probes: Probe, deadline: float = 10, interval: float = 1) -> Outcome:
    return _probes.until_good(probes, deadline=deadline, interval=interval, clock=time.clock, together=_probes.one_after_another)


def watch(time: Time, *probes: Probe, duration: float = 10, interval: float = 1, failures: int = 3) -> Outcome:
    return _probes.while_good(
        probes,
        duration=duration,
        interval=interval,
        failures=failures,
        clock=time.clock,
        together=_probes.one_after_another,
    )


@pytest.mark.requirement("D-082")
@pytest.mark.parametrize(
    ("script", "successes", "passed", "rounds"),
    [
        pytest.param("g", 1, True, 1, id="good at once"),
        pytest.param("g", 3, True, 3, id="good three times"),
        pytest.param("bbg", 2, True, 4, id="good after a while"),
        pytest.param("gbgbgg", 2, True, 6, id="a failure starts the count anew"),
        pytest.param("b", 1, False, 10, id="never good"),
        pytest.param("gb" * 20, 2, False, 10, id="never good twice in a row"),
    ],
)
def test_asks_until_good_in_a_row(time: Time, script: str, successes: int, passed: bool, rounds: int) -> None:
    outcome = gate(time, scripted("page", script, successes=successes))
    assert (outcome.passed, outcome.rounds) == (passed, rounds)


def test_all_must_be_good_in_the_same_round(time: Time) -> None:
    outcome = gate(time, scripted("one", "ggbgg", successes=2), scripted("two", "bbggg", successes=2))
    assert outcome.passed
    assert outcome.rounds == 5


def test_the_deadline_counts_the_time_that_probes_take(time: Time) -> None:
    outcome = gate(time, scripted("slow", "b", time, costs=4), deadline=10)
    assert not outcome.passed
    assert outcome.rounds == 3
    assert outcome.seconds <= 10


def test_no_attempt_gets_more_time_than_is_left(time: Time) -> None:
    given_seconds: list[float] = []

    def ask(seconds: float) -> dict[str, t.Any]:
        given_seconds.append(seconds)
        time.now += 2
        raise ProbeError("no")

    gate(time, Probe("page", "scripted", ask, timeout=5), deadline=8)
    assert given_seconds == [5, 5, 4, 2]


def test_one_round_is_asked_even_without_time(time: Time) -> None:
    assert gate(time, scripted("page", "g"), deadline=0).passed


def test_names_each_culprit_with_its_last_failure(time: Time) -> None:
    outcome = gate(time, scripted("ready", "g"), scripted("home", "b"), scripted("login", "b", required=False), deadline=2)
    assert outcome.summary == "1 of 3 probes are not good after 1.0 s and 2 rounds: home: home said b."


def test_says_when_a_probe_was_not_good_often_enough(time: Time) -> None:
    outcome = gate(time, scripted("home", "g", successes=5), deadline=2)
    assert "home: good 2 times in a row, expected 5" in outcome.summary


def test_optional_probes_are_only_reported(time: Time) -> None:
    outcome = gate(time, scripted("home", "g"), scripted("extra", "b", required=False))
    assert outcome.passed
    assert [tally.as_result()["passed"] for tally in outcome.tallies] == [True, False]


@pytest.mark.parametrize("probes", [[], [scripted("extra", "g", required=False)]], ids=["none", "none required"])
def test_never_passes_on_no_data(time: Time, probes: list[Probe]) -> None:
    assert not gate(time, *probes, deadline=0).passed
    assert not _probes.once(probes, clock=time.clock, together=_probes.one_after_another).passed


@pytest.mark.parametrize(
    ("reading", "writing", "attempts"),
    [
        pytest.param("g", "g", [2, 1], id="once when all is well"),
        pytest.param("bbg", "g", [4, 1], id="not before all that read are good"),
        pytest.param("gbgg", "gb", [4, 1], id="not again once good"),
        pytest.param("g", "bg", [3, 2], id="again after a failure"),
    ],
)
def test_what_writes_is_asked_as_seldom_as_possible(time: Time, reading: str, writing: str, attempts: list[int]) -> None:
    outcome = gate(time, scripted("write", writing, writes=True), scripted("home", reading, successes=2))
    assert outcome.passed
    assert [tally.attempts for tally in outcome.tallies] == attempts[::-1]


def test_what_writes_is_asked_in_the_round_that_decides(time: Time) -> None:
    outcome = gate(time, scripted("home", "g"), scripted("write", "g", writes=True))
    assert (outcome.passed, outcome.rounds) == (True, 1)


def test_what_writes_is_asked_less_often_after_each_failure(time: Time) -> None:
    asked_at: list[float] = []

    def ask(_seconds: float) -> dict[str, t.Any]:
        asked_at.append(time.now - 1000)
        raise ProbeError("no")

    gate(time, scripted("home", "g"), Probe("write", "x", ask, writes=True), deadline=30, interval=0.25)
    assert asked_at == [0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_says_that_a_write_was_not_tried(time: Time) -> None:
    outcome = gate(time, scripted("home", "b"), scripted("write", "g", writes=True), deadline=0)
    assert "write: not asked, since it writes and others are not good" in outcome.summary


def test_a_final_failure_ends_the_gate(time: Time) -> None:
    outcome = gate(time, scripted("write", "f", writes=True), scripted("home", "g", successes=2))
    assert not outcome.passed
    assert outcome.rounds == 2


def test_asking_once_needs_one_good_answer(time: Time) -> None:
    outcome = _probes.once([scripted("home", "gb", successes=3)], clock=time.clock, together=_probes.one_after_another)
    assert outcome.passed
    assert outcome.rounds == 1


@pytest.mark.requirement("D-093")
@pytest.mark.parametrize(
    ("script", "passed", "rounds", "availability"),
    [
        pytest.param("g", True, 10, 100.0, id="good throughout"),
        pytest.param("gbbg", True, 10, 80.0, id="recovers in time"),
        pytest.param("gbbbg", False, 4, 25.0, id="bad too often in a row"),
        pytest.param("g" * 9 + "bg", True, 11, 90.91, id="bad at the end, then good"),
        pytest.param("g" * 9 + "b", False, 12, 75.0, id="bad at the end and after it"),
    ],
)
def test_watches_for_a_duration(time: Time, script: str, passed: bool, rounds: int, availability: float) -> None:
    outcome = watch(time, scripted("home", script))
    assert (outcome.passed, outcome.rounds, outcome.availability) == (passed, rounds, availability)


def test_a_watch_of_one_that_flaps_ends(time: Time) -> None:
    assert not watch(time, scripted("home", "gb" * 50, successes=2)).passed


@given(st.lists(st.sampled_from("gb"), min_size=1, max_size=30), st.integers(1, 4))
def test_passes_only_on_the_last_answers(script: list[str], successes: int) -> None:
    outcome = gate(Time(), scripted("page", "".join(script) + "b", successes=successes), deadline=len(script) + 5)
    assert outcome.passed == ("g" * successes in "".join(script))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "connection refused", id="refused"),
        pytest.param(TimeoutError("timed out"), "no answer in time", id="timeout"),
        pytest.param(RollbackError("The program x is not installed."), "The program x is not installed", id="ours"),
        pytest.param(ProbeError("status 500"), "status 500", id="probe"),
    ],
)
def test_an_error_on_the_way_is_a_failure(error: Exception, text: str) -> None:
    def ask(_seconds: float) -> dict[str, t.Any]:
        raise error

    assert _probes.answer(Probe("x", "x", ask), 1).error == text


def test_threads_ask_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def ask(_seconds: float) -> dict[str, t.Any]:
        barrier.wait()
        return {"met": True}

    answers = _probes.Threads()([Probe(name, "x", ask) for name in "abc"], 5)
    assert [answer.values for answer in answers] == [{"met": True}] * 3


def test_threads_leave_behind_what_hangs() -> None:
    release = threading.Event()
    asked: list[float] = []

    def hang(seconds: float) -> dict[str, t.Any]:
        asked.append(seconds)
        release.wait(10)
        return {}

    together = _probes.Threads()
    probes = [Probe("hangs", "x", hang, timeout=0.05), scripted("home", "g")]
    for _round in range(2):
        hanging, home = together(probes, 5)
        assert hanging.error == "no answer within 0.05 s"
        assert home.error is None
    release.set()
    assert len(asked) == 1


def test_threads_turn_any_mistake_into_a_failure() -> None:
    def ask(_seconds: float) -> dict[str, t.Any]:
        raise KeyError("surprise")

    (answer,) = _probes.Threads()([Probe("x", "x", ask)], 1)
    assert answer.error == "KeyError: 'surprise'"
