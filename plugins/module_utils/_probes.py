# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The gate: asks probes in rounds and decides by what they answered. What a probe asks is in _probes_<noun>.py.

from __future__ import annotations

import threading
import typing as t
from dataclasses import dataclass, field, replace

from ._clock import Clock, Countdown
from ._errors import RollbackError

_SHORTEST = 1.0  # less would say more about the deadline than about the probe
_GRACE = 0.25
_FIRST_PAUSE = 0.5


class ProbeError(Exception):
    """One attempt of a probe did not find what it looked for; the text is one line without a secret.

    After a final failure the probe is not asked again, since asking does harm.
    """

    def __init__(self, reason: str, values: dict[str, t.Any] | None = None, *, final: bool = False) -> None:
        super().__init__(reason)
        self.values = values or {}
        self.final = final


# Asked with the seconds it may take; returns what it measured or raises ProbeError.
Ask = t.Callable[[float], dict[str, t.Any]]


@dataclass(frozen=True)
class Probe:
    """One measurement and how it counts."""

    name: str
    type: str
    ask: Ask
    timeout: float = 5.0
    successes: int = 1
    required: bool = True
    writes: bool = False


@dataclass(frozen=True)
class Answer:
    error: str | None
    values: dict[str, t.Any] = field(default_factory=dict)
    final: bool = False


@dataclass
class Tally:
    """What the attempts of one probe came to so far."""

    probe: Probe
    attempts: int = 0
    good: int = 0
    streak: int = 0
    failures: int = 0
    final: bool = False
    not_before: float = 0.0
    last_error: str | None = None
    values: dict[str, t.Any] = field(default_factory=dict)

    def add(self, answer: Answer, now: float) -> None:
        self.attempts += 1
        self.values = answer.values or self.values
        self.final = answer.final
        if answer.error is None:
            self.good += 1
            self.streak += 1
            self.failures = 0
        else:
            self.streak = 0
            self.failures += 1
            self.not_before = now + _FIRST_PAUSE * 2 ** (self.failures - 1)
            self.last_error = answer.error

    @property
    def passed(self) -> bool:
        return self.streak >= self.probe.successes

    def due(self, now: float) -> bool:
        """Whether to ask now: what writes is asked until it passes, and after each failure less often."""
        return not self.final and not (self.probe.writes and (self.passed or now < self.not_before))

    @property
    def blame(self) -> str:
        """Why the probe has not passed."""
        if self.attempts == 0:
            return "not asked, since it writes and others are not good"
        if self.last_error is None:
            return f"good {self.streak} times in a row, expected {self.probe.successes}"
        return self.last_error

    def as_result(self) -> dict[str, t.Any]:
        return {
            "name": self.probe.name,
            "type": self.probe.type,
            "required": self.probe.required,
            "passed": self.passed,
            "attempts": self.attempts,
            "successes": self.good,
            "last_error": self.last_error,
            "measured": self.values,
        }


@dataclass(frozen=True)
class Outcome:
    passed: bool
    seconds: float
    rounds: int
    tallies: t.Sequence[Tally]

    @property
    def culprits(self) -> list[Tally]:
        return [tally for tally in self.tallies if tally.probe.required and not tally.passed]

    @property
    def _good(self) -> int:
        return sum(tally.passed for tally in self.tallies)

    @property
    def summary(self) -> str:
        """The decision in one sentence, with the last failure of each probe that is to blame."""
        took = f"after {self.seconds:.1f} s and {self.rounds} rounds" if self.rounds > 1 else f"after {self.seconds:.1f} s"
        if not self.culprits:
            return f"All required probes are good ({self._good} of {len(self.tallies)}) {took}."
        reasons = "; ".join(f"{tally.probe.name}: {tally.blame}" for tally in self.culprits)
        return f"{len(self.culprits)} of {len(self.tallies)} probes are not good {took}: {reasons}."

    @property
    def availability(self) -> float:
        """The share of good answers among all that required probes gave, in percent."""
        asked = [tally for tally in self.tallies if tally.probe.required]
        attempts = sum(tally.attempts for tally in asked)
        return round(100.0 * sum(tally.good for tally in asked) / attempts, 2) if attempts else 0.0


# Asks several probes at the same time, none longer than the seconds given.
Together = t.Callable[[t.Sequence[Probe], float], list[Answer]]


class Threads:
    """Asks each probe in a thread of its own and leaves behind those that do not come back in time."""

    def __init__(self) -> None:
        self._left_behind: dict[str, threading.Thread] = {}

    def __call__(self, probes: t.Sequence[Probe], remaining: float) -> list[Answer]:
        answers: dict[str, Answer] = {}
        waiting: list[tuple[Probe, threading.Thread]] = []
        since = Countdown(Clock(), 0)
        for probe in probes:
            if not self._busy(probe):
                thread = threading.Thread(target=_answer_into, args=(answers, probe, remaining), daemon=True)
                thread.start()
                waiting.append((probe, thread))
        for probe, thread in waiting:
            thread.join(max(0.0, _seconds(probe, remaining) + _GRACE - since.elapsed))
            if thread.is_alive():
                self._left_behind[probe.name] = thread
        return [answers.get(probe.name) or _no_answer(probe, remaining) for probe in probes]

    def _busy(self, probe: Probe) -> bool:
        thread = self._left_behind.get(probe.name)
        return thread is not None and thread.is_alive()


def one_after_another(probes: t.Sequence[Probe], remaining: float) -> list[Answer]:
    return [answer(probe, remaining) for probe in probes]


def answer(probe: Probe, remaining: float) -> Answer:
    """Ask a probe once; what goes wrong on the way is its failure."""
    try:
        return Answer(None, probe.ask(_seconds(probe, remaining)))
    except ProbeError as failed:
        return Answer(str(failed), failed.values, failed.final)
    except RollbackError as error:
        return Answer(one_line(error.message).rstrip("."))
    except OSError as error:
        return Answer(reason(error))


def _answer_into(answers: dict[str, Answer], probe: Probe, remaining: float) -> None:
    try:
        answers[probe.name] = answer(probe, remaining)
    except Exception as error:  # whatever a probe stumbles over is a failed probe, never a passed one
        answers[probe.name] = Answer(f"{type(error).__name__}: {one_line(str(error))}")


def _seconds(probe: Probe, remaining: float) -> float:
    return min(probe.timeout, max(_SHORTEST, remaining))


def _no_answer(probe: Probe, remaining: float) -> Answer:
    return Answer(f"no answer within {_seconds(probe, remaining):.3g} s")


def reason(error: OSError, seconds: float | None = None) -> str:
    """An operating system error in few words; seconds are those that were waited."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time" if seconds is None else f"no answer within {seconds:.3g} s"
    text = one_line(error.strerror or str(error) or type(error).__name__)
    return text[:1].lower() + text[1:]


def one_line(text: str, limit: int = 300) -> str:
    return " ".join(text.split())[:limit]


def once(probes: t.Sequence[Probe], *, clock: Clock, together: Together) -> Outcome:
    """Ask every probe one time; each counts as passed by that one answer."""
    tallies = [Tally(replace(probe, successes=1)) for probe in probes]
    countdown = Countdown(clock, 0)
    _ask(tallies, _longest(probes), clock, together)
    return Outcome(_all_good(tallies), countdown.elapsed, 1, tallies)


def until_good(probes: t.Sequence[Probe], *, deadline: float, interval: float, clock: Clock, together: Together) -> Outcome:
    """Ask in rounds until every required probe is good as often in a row as it must be, or the time is over."""
    tallies = [Tally(probe) for probe in probes]
    countdown = Countdown(clock, deadline)
    rounds = 0
    for rounds in countdown.rounds(interval, steady=True):  # noqa: B007 - its last value is reported
        _ask_round(tallies, lambda: countdown.remaining, clock, together)
        if _all_good(tallies) or _hopeless(tallies):
            break
    return Outcome(_all_good(tallies), countdown.elapsed, rounds, tallies)


def while_good(probes: t.Sequence[Probe], *, duration: float, interval: float, failures: int, clock: Clock, together: Together) -> Outcome:
    """Ask in rounds for a duration; end early when a required probe failed too often in a row.

    Probes that are not good when the time is over get a few rounds more, to be either good or beyond hope.
    """
    tallies = [Tally(probe) for probe in probes]
    countdown = Countdown(clock, duration)
    rounds = 0
    for rounds in countdown.rounds(interval, steady=True):
        _ask_round(tallies, lambda: _longest(probes), clock, together)
        if _hopeless(tallies, failures):
            return Outcome(False, countdown.elapsed, rounds, tallies)
    for _extra in range(failures + max((probe.successes for probe in probes), default=0)):
        if _all_good(tallies) or _hopeless(tallies, failures):
            break
        clock.sleep(interval)
        _ask_round(tallies, lambda: _longest(probes), clock, together)
        rounds += 1
    return Outcome(_all_good(tallies), countdown.elapsed, rounds, tallies)


def _longest(probes: t.Sequence[Probe]) -> float:
    return max((probe.timeout for probe in probes), default=0.0)


def _ask_round(tallies: t.Sequence[Tally], remaining: t.Callable[[], float], clock: Clock, together: Together) -> None:
    """Ask each probe once; those that write only when all that read are good, since a write may leave something."""
    reading = [tally for tally in tallies if not tally.probe.writes]
    writing = [tally for tally in tallies if tally.probe.writes]
    needed = [tally for tally in reading if tally.probe.required]
    good_before = all(tally.streak > 0 for tally in needed)
    _ask(reading + writing if good_before else reading, remaining(), clock, together)
    if not good_before and all(tally.passed for tally in needed):
        _ask(writing, remaining(), clock, together)


def _ask(tallies: t.Sequence[Tally], remaining: float, clock: Clock, together: Together) -> None:
    asked = [tally for tally in tallies if tally.due(clock.monotonic())]
    answers = together([tally.probe for tally in asked], remaining)
    for tally, given in zip(asked, answers):
        tally.add(given, clock.monotonic())


def _all_good(tallies: t.Sequence[Tally]) -> bool:
    """Whether all that must be good are, and there is at least one: no data is never good."""
    required = [tally for tally in tallies if tally.probe.required]
    return bool(required) and all(tally.passed for tally in required)


def _hopeless(tallies: t.Sequence[Tally], failures: int | None = None) -> bool:
    """Whether a required probe has failed for good, or too often in a row."""
    required = [tally for tally in tallies if tally.probe.required]
    return any(tally.final or (failures is not None and tally.failures >= failures) for tally in required)
