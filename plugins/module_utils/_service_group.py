# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ._clock import Clock, Countdown, utc
from ._errors import RollbackError
from ._run import read_json, write_json
from ._units import Systemd, elsewhere

if t.TYPE_CHECKING:
    from ._command import Completed
    from ._units import Order, Unit

_VERBS = {"started": "start", "restarted": "restart", "reloaded": "reload"}
_KILLED = ("timeout", "signal", "core-dump")
_PAUSE = 0.1
_AFTER_KILL = 10.0
_MOMENT = 0.5  # within which a unit that has no job in hand has ended


@dataclass(frozen=True)
class Request:
    """What is to become of which units."""

    state: str
    names: t.Sequence[str]
    reload: t.Sequence[str]
    remember: str | None
    remembered: bool
    drain_timeout: float
    on_timeout: str
    timeout: float
    settle: float
    release: str | None = None


@dataclass
class Outcome:
    """What was (or would be) done to which unit, and what the units were doing before and after."""

    before: dict[str, Unit]
    actions: dict[str, str] = field(default_factory=dict)
    after: dict[str, Unit] = field(default_factory=dict)
    remembered: list[str] = field(default_factory=list)
    ended: dict[str, Unit] = field(default_factory=dict)  # what those were when they had ended that run again now
    waited: float = 0.0

    @property
    def ran(self) -> list[str]:
        return [name for name, unit in self.before.items() if unit.wanted]

    @property
    def interrupted(self) -> list[str]:
        """Units that were killed, by us or by systemd when their TimeoutStopSec was over: what they did is half done."""
        seen = {**self.after, **self.ended}
        return [name for name, unit in seen.items() if name in self.actions and unit.active == "failed" and unit.result in _KILLED]


class Group:
    """Units that are stopped, started and proven together."""

    def __init__(self, systemd: Systemd, clock: Clock, *, check_mode: bool) -> None:
        self._systemd = systemd
        self._clock = clock
        self._check_mode = check_mode

    def bring(self, request: Request) -> Outcome:
        work = {"stopped": self._stop, "renewed": self._renew}.get(request.state, self._start)
        return work(request)

    def _look(self, names: t.Sequence[str], *, to_start: bool) -> dict[str, Unit]:
        units = self._systemd.show(names)
        bad = [f"{name} ({unit.load})" for name, unit in units.items() if unit.load != "loaded" and (to_start or unit.load == "not-found")]
        if bad:
            raise RollbackError(
                f"This host cannot {'start' if to_start else 'stop'} units that it does not have: {', '.join(bad)}.",
                next_command="systemctl list-unit-files",
            )
        return units

    # Stopping

    def _stop(self, request: Request) -> Outcome:
        names = self._systemd.expand(request.names)
        outcome = Outcome(self._look(names, to_start=False))
        for name, unit in outcome.before.items():
            if not unit.gone:
                outcome.actions[name] = "wait" if unit.errand else "stop"
        self._remember(request, outcome, outcome.ran)
        if self._check_mode:
            return outcome
        started = self._clock.monotonic()
        outcome.after = self._drain(request, outcome)
        outcome.waited = self._clock.monotonic() - started
        return outcome

    def _remember(self, request: Request, outcome: Outcome, ran: t.Sequence[str]) -> None:
        """Add what ran to what an earlier stop wrote down, which may not have been started again yet."""
        if not request.remember:
            return
        earlier = recall(request.remember)
        outcome.remembered = sorted({*earlier, *ran})
        if not self._check_mode and set(outcome.remembered) != set(earlier):
            write_json(request.remember, {"units": outcome.remembered, "at": utc()})

    def _drain(self, request: Request, outcome: Outcome) -> dict[str, Unit]:
        """Stop all at once, let each finish what it is doing, and see that all are gone."""
        left = Countdown(self._clock, request.drain_timeout)
        orders = [("stop", name) for name, action in outcome.actions.items() if action == "stop"]
        answers = self._systemd.order(orders, left.seconds, self._clock)
        watched = list(dict.fromkeys([*outcome.before, *(other for unit in outcome.before.values() for other in unit.triggers)]))
        now: dict[str, Unit] = {}
        for _round in left.rounds(_PAUSE):
            now = self._systemd.show(watched)
            if all(unit.gone for unit in now.values()):
                return {name: now[name] for name in outcome.before}
            self._refuse_failure(request, outcome, now, answers)
        return self._overdue(request, outcome, watched, now)

    def _refuse_failure(
        self, request: Request, outcome: Outcome, now: t.Mapping[str, Unit], answers: t.Mapping[str, Completed | None]
    ) -> None:
        wrong = {name: done.output for name, done in answers.items() if done is not None and done.rc != 0}
        failed = {name: said for name, said in wrong.items() if name in now and not now[name].gone}
        if failed:
            raise RollbackError(
                f"systemctl could not stop {', '.join(failed)}: {'; '.join(dict.fromkeys(failed.values()))}.",
                state=self._start_again(list(answers)),
                facts=facts(outcome, request),
            )

    def _overdue(self, request: Request, outcome: Outcome, watched: list[str], now: dict[str, Unit]) -> dict[str, Unit]:
        busy = [name for name, unit in now.items() if not unit.gone]
        if request.on_timeout == "kill":
            for name in busy:
                self._systemd.kill(now[name])
                outcome.actions[name] = "kill"
            for _round in Countdown(self._clock, _AFTER_KILL).rounds(_PAUSE):
                now = self._systemd.show(watched)
                if all(unit.gone for unit in now.values()):
                    return {name: now[name] for name in outcome.before}
        raise RollbackError(
            f"Still busy after {request.drain_timeout:g} s: {', '.join(f'{name} is {now[name].state}' for name in busy)}.",
            state=self._start_again([name for name, action in outcome.actions.items() if action in ("stop", "kill")]),
            next_command="wait for the job, raise drain_timeout, or set on_timeout to kill",
            facts=facts(outcome, request),
        )

    def _start_again(self, stopped: t.Sequence[str]) -> str:
        """Undo a stop that did not succeed; a unit that is still ending is started by systemd when it has ended."""
        answers = self._systemd.order([("start", name) for name in stopped], 3.0, self._clock)
        now = self._systemd.show(stopped)
        failed = [name for name, done in answers.items() if done is not None and done.rc != 0 and now[name].gone]
        waiting = [name for name, done in answers.items() if done is None and not now[name].good]
        if failed:
            return f"Could not be started again: {', '.join(failed)}."
        if waiting:
            return f"What was stopped runs again, {', '.join(waiting)} as soon as the job is done."
        return "What was stopped runs again."

    # Starting

    def _renew(self, request: Request) -> Outcome:
        """Reload what is to be reloaded, let the others finish, and start those again that had nothing to finish."""
        names, reload = self._systemd.expand(request.names), self._systemd.expand(request.reload)
        outcome = Outcome(self._look(list(dict.fromkeys([*reload, *names])), to_start=True))
        ran = [name for name in names if outcome.before[name].wanted]
        self._remember(request, outcome, ran)
        served = Outcome({name: outcome.before[name] for name in reload})
        served.actions = {name: "reload" if unit.good else "restart" for name, unit in served.before.items()}
        outcome.actions = {**dict.fromkeys(ran, "restart"), **served.actions}
        if self._check_mode:
            return outcome
        started = self._clock.monotonic()
        self._prove(request, served)  # first, since users wait for it
        self._begin_anew(request, outcome, ran)
        outcome.after = self._systemd.show(list(outcome.before))
        outcome.waited = self._clock.monotonic() - started
        return outcome

    def _begin_anew(self, request: Request, outcome: Outcome, names: t.Sequence[str]) -> None:
        """Whoever has a job in hand is left to finish it; systemd has the order to stop it."""
        answers = self._systemd.order([("stop", name) for name in names], _MOMENT, self._clock)
        now = self._systemd.show(names)
        running = {name: unit for name, unit in now.items() if unit.active != "deactivating"}
        self._refuse_failure(request, outcome, running, answers)
        outcome.ended = {name: unit for name, unit in running.items() if unit.gone}
        self._systemd.order([("start", name) for name in outcome.ended], _MOMENT, self._clock)

    def _start(self, request: Request) -> Outcome:
        kept = recall(request.remember) if request.remembered else []
        names = list(dict.fromkeys([*self._systemd.expand(request.names), *kept]))
        reload = self._systemd.expand(request.reload)
        outcome = Outcome(self._look(list(dict.fromkeys([*reload, *names])), to_start=True), remembered=kept)
        for name in names:
            if request.state != "started" or not outcome.before[name].good:
                outcome.actions[name] = _VERBS[request.state]
        for name in reload:
            outcome.actions[name] = "reload"
        for name, action in outcome.actions.items():
            if action == "reload" and not outcome.before[name].good:
                outcome.actions[name] = "restart"  # what does not run cannot be reloaded
        if self._check_mode:
            return outcome
        started = self._clock.monotonic()
        self._let_end(request, outcome)
        outcome.after = self._prove(request, outcome)
        outcome.waited = self._clock.monotonic() - started
        if request.remembered and request.remember and os.path.exists(request.remember):
            os.unlink(request.remember)
        return outcome

    def _let_end(self, request: Request, outcome: Outcome) -> None:
        """Wait for what was told to stop and still has a job in hand; what becomes of that is not to be seen once it runs again."""
        ending = [name for name in outcome.actions if outcome.before[name].active == "deactivating"]
        left = Countdown(self._clock, request.drain_timeout)
        for _round in left.rounds(_PAUSE) if ending else ():
            outcome.ended = {name: unit for name, unit in self._systemd.show(ending).items() if unit.gone}
            if len(outcome.ended) == len(ending):
                return
        busy = [name for name in ending if name not in outcome.ended]
        if busy:
            outcome.after = self._systemd.show(list(outcome.before))
            raise RollbackError(
                f"Still busy after {request.drain_timeout:g} s: {', '.join(f'{name} is {outcome.after[name].state}' for name in busy)}.",
                state=self._start_again(list(outcome.actions)),
                next_command="wait for the job, or raise drain_timeout",
                facts=facts(outcome, request),
            )

    def _prove(self, request: Request, outcome: Outcome) -> dict[str, Unit]:
        """Give the orders, then watch until every unit has run for a while without a restart."""
        left = Countdown(self._clock, request.timeout)
        orders: list[Order] = [(verb, name) for name, verb in outcome.actions.items()]
        answers = self._systemd.order(orders, left.seconds, self._clock)
        watched = [*outcome.actions, *outcome.remembered]
        now = outcome.before
        for _round in left.rounds(_PAUSE) if watched else ():
            now = self._systemd.show(list(outcome.before))
            failed = [name for name, unit in now.items() if unit.active == "failed"]
            refused = [name for name in failed if now[name].executed == outcome.before[name].executed]
            if failed != refused:
                break
            self._retry(refused, outcome, left)
            if all(unit.good for unit in now.values()) and not self._restless(now, watched, request):
                break
        self._accept(outcome, now, answers, request, self._restless(now, watched, request))
        return now

    def _restless(self, units: t.Mapping[str, Unit], names: t.Sequence[str], request: Request) -> list[str]:
        """Those that changed less than settle seconds ago, by systemd's clock, which is this one."""
        since = (self._clock.monotonic() - request.settle) * 1e6
        return [name for name in names if units[name].steady_since > since]

    def _retry(self, names: t.Sequence[str], outcome: Outcome, left: Countdown) -> None:
        """systemd has given up on these and did not even try: clear that if sudo lets us, else wait until it tries again."""
        if not names:
            return
        self._systemd.order([("reset-failed", name) for name in names], left.remaining, self._clock)
        again = [("restart" if outcome.actions.get(name) in ("reload", "restart") else "start", name) for name in names]
        self._systemd.order(again, left.remaining, self._clock)  # sudoers may list the one and not the other

    def _accept(
        self,
        outcome: Outcome,
        now: dict[str, Unit],
        answers: t.Mapping[str, Completed | None],
        request: Request,
        restless: t.Sequence[str],
    ) -> None:
        bad = [name for name, unit in now.items() if not unit.good] or list(restless)
        bad += [name for name, action in outcome.actions.items() if name not in bad and now[name].since <= outcome.before[name].since]
        if not bad:
            return
        outcome.after = now
        short = {name: ", but not for long" for name in restless if now[name].good}
        said = "; ".join(
            f"{self._why(name, outcome.actions.get(name, ''), now[name], answers.get(name))}{short.get(name, '')}" for name in bad
        )
        raise RollbackError(
            f"Not running as they should: {said}.",
            state=f"{len(now) - len(bad)} of {len(now)} units run.",
            next_command=f"systemctl status {' '.join(bad)}",
            facts=facts(outcome, request),
        )

    def _why(self, name: str, action: str, unit: Unit, done: Completed | None) -> str:
        told = f", systemctl {action}: {done.output}" if done is not None and done.rc != 0 and done.output else ""
        words = self._systemd.last_words(name) if not unit.good else ""
        return f"{name} is {unit.state}{told}{f', its journal ends with: {words}' if words else ''}"


def refuse_elsewhere(systemd: Systemd, outcome: Outcome, request: Request) -> dict[str, str]:
    """The folders that the processes work in; one that works in another release than the link leads to runs the wrong code."""
    release = os.path.realpath(request.release or "")
    mine = {*outcome.actions, *outcome.remembered}
    found = systemd.directories({name: unit for name, unit in outcome.after.items() if name in mine})
    wrong = elsewhere(found, release)
    if wrong:
        raise RollbackError(
            f"Not working in the release {os.path.basename(release)}: {', '.join(f'{name} works in {found[name]}' for name in wrong)}.",
            state="The units run.",
            next_command=f"let WorkingDirectory of {', '.join(wrong)} be {request.release}, then: systemctl daemon-reload, "
            f"and systemctl restart {' '.join(wrong)}",
            facts=facts(outcome, request),
        )
    return found


def recall(path: str | None) -> list[str]:
    """The units that an earlier stop remembered."""
    found = (read_json(path) or {}).get("units", []) if path else []
    return [str(name) for name in found]


def facts(outcome: Outcome, request: Request) -> dict[str, t.Any]:
    """What the module returns about its units."""
    forecast = {"stop": "inactive", "wait": "inactive", "kill": "inactive"}
    units = {}
    for name, unit in outcome.before.items():
        action = outcome.actions.get(name)
        seen = outcome.after.get(name)
        after = seen.state if seen else forecast.get(action, "active") if action else unit.state
        units[name] = {"before": unit.state, "after": after, "action": action or "none"}
    return {
        "state": request.state,
        "units": units,
        "ran": outcome.ran,
        "interrupted": outcome.interrupted,
        "remembered": outcome.remembered,
        "waited": round(outcome.waited, 3),
    }
