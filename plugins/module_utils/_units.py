# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# systemd's units: what they are doing, which ones a pattern means, and orders to several of them at once.

from __future__ import annotations

import fnmatch
import os
import re
import threading
import typing as t
from dataclasses import dataclass

from ._clock import Clock, Countdown
from ._errors import RollbackError
from ._probes_units import full_name, is_pattern

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "Type",
    "User",
    "MainPID",
    "StateChangeTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
    "ExecMainStartTimestampMonotonic",
    "Triggers",
    "FragmentPath",
    "DropInPaths",
)
_NAME = re.compile(r"[A-Za-z0-9:_.\\@*?\[\]][A-Za-z0-9:_.\\@*?\[\]-]*")
_GONE = ("inactive", "failed")
_JOURNAL_LINES = "15"

Order = tuple[str, str]  # a verb of systemctl and a unit


@dataclass(frozen=True)
class Unit:
    """What systemd says about one unit."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    kind: str
    user: str
    pid: int
    since: int
    entered: int
    executed: int
    triggers: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        return self.active in _GONE

    @property
    def good(self) -> bool:
        return self.active == "active"

    @property
    def wanted(self) -> bool:
        """Whether it is supposed to run: what is merely inactive was switched off, what failed was not."""
        return not self.errand and self.active != "inactive"

    @property
    def errand(self) -> bool:
        """A program that does its work and ends: it is waited for, never stopped."""
        return self.kind == "oneshot" and self.active != "active"

    @property
    def steady_since(self) -> int:
        """Microseconds of the clock at which it last changed; what triggers others, such as a timer, changes whenever it does that."""
        return self.entered if self.triggers else self.since

    @property
    def state(self) -> str:
        if self.load != "loaded":
            return self.load
        why = f", {self.result}" if self.result not in ("", "success") else ""
        return f"{self.active} ({self.sub}{why})"


class Systemd:
    """Asks systemd as the user of the connection and gives it orders as root."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def show(self, names: t.Sequence[str]) -> dict[str, Unit]:
        """All units in one call, under the names they were asked by."""
        if not names:
            return {}
        argv = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *names]
        blocks = [block for block in self._runner.run(argv, timeout=30).stdout.strip().split("\n\n") if block]
        if len(blocks) != len(names):
            raise RollbackError(f"systemctl described {len(blocks)} of {len(names)} units.")
        return {name: _unit(dict(line.partition("=")[::2] for line in block.splitlines())) for name, block in zip(names, blocks)}

    def expand(self, names: t.Sequence[str]) -> list[str]:
        """Full names; a pattern stands for every unit of this host that fits, running or not."""
        for name in names:
            if not _NAME.fullmatch(name):
                raise RollbackError(f"{name!r} is not the name of a unit.")
        wanted = [full_name(name) for name in names]
        patterns = [name for name in wanted if is_pattern(name)]
        known = self._known(patterns) if patterns else []
        found: list[str] = []
        for name in wanted:
            fitting = [unit for unit in known if fnmatch.fnmatchcase(unit, name)] if is_pattern(name) else [name]
            if not fitting:
                raise RollbackError(f"No unit of this host fits the pattern {name}.", next_command="systemctl list-unit-files")
            found.extend(fitting)
        return list(dict.fromkeys(found))

    def _known(self, patterns: t.Sequence[str]) -> list[str]:
        loaded = self._runner.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", "--", *patterns], timeout=30)
        files = self._runner.run(["systemctl", "list-unit-files", "--no-legend", "--full", "--", *patterns], timeout=30, check=False)
        found = [line.split() for line in loaded.stdout.splitlines() if line.strip()]
        names = {columns[0] for columns in found if columns[1] == "loaded"}
        listed = [line.split() for line in files.stdout.splitlines() if line.strip()]
        names.update(columns[0] for columns in listed if columns[1] not in ("alias", "masked"))
        return sorted(name for name in names if "@." not in name)

    def order(self, orders: t.Sequence[Order], seconds: float, clock: Clock) -> dict[str, Completed | None]:
        """Give all orders at the same time; None for one that is not carried out in time (systemd goes on with it)."""
        verbs = dict.fromkeys(verb for verb, _name in orders)
        back: dict[str, t.Any] = {}
        left = Countdown(clock, seconds)
        for thread in self._give([(verb, [name for each, name in orders if each == verb]) for verb in verbs], back):
            thread.join(left.remaining)
        for result in back.values():
            if isinstance(result, BaseException):
                raise result
        return {name: back.get(name) for _verb, name in orders}

    def _give(self, groups: t.Sequence[tuple[str, list[str]]], back: dict[str, t.Any]) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._command, args=(verb, names, back), daemon=True) for verb, names in groups]
        for thread in threads:
            thread.start()
        return threads

    def _command(self, verb: str, names: list[str], back: dict[str, t.Any]) -> None:
        """One command for all units; where sudo allows only one unit to a command, one for each."""
        try:
            done = self._runner.run(["systemctl", verb, *names], user="root", check=False)
        except BaseException as error:  # it is raised again by the thread that asked
            back.update(dict.fromkeys(names, error))
            return
        if len(names) > 1 and _refused_by_sudo(done):
            for thread in self._give([(verb, [name]) for name in names], back):
                thread.join()
        else:
            back.update(dict.fromkeys(names, done))

    def kill(self, unit: Unit) -> None:
        """Kill a unit's process as the user it runs as."""
        if unit.pid:
            self._runner.run(["kill", "-KILL", str(unit.pid)], user=unit.user or "root", check=False, timeout=10)

    def directories(self, units: t.Mapping[str, Unit]) -> dict[str, str]:
        """The folders that the processes of units work in; without those where it cannot be seen."""
        found = {}
        running = {name: unit for name, unit in units.items() if unit.pid}
        for user in sorted({unit.user for unit in running.values()}):
            places = {f"/proc/{unit.pid}/cwd": name for name, unit in running.items() if unit.user == user}
            argv = ["find", *places, "-maxdepth", "0", "-printf", "%p\\0%l\\0"]
            words = self._runner.run(argv, user=user or "root", check=False, timeout=10).stdout.split("\0")
            found.update({places[place]: goal for place, goal in zip(words[::2], words[1::2]) if goal})
        return found

    def last_words(self, name: str) -> str:
        """The end of a unit's journal, if it may be read."""
        argv = ["journalctl", f"--unit={name}", f"--lines={_JOURNAL_LINES}", "--no-pager", "--output=cat", "--quiet"]
        if not self._runner.find("journalctl"):
            return ""
        for user in (None, "root"):
            done = self._runner.run(argv, user=user, check=False, timeout=10)
            if done.rc == 0 and done.stdout.strip():
                return done.stdout.strip()[-1200:]
        return ""


def elsewhere(places: t.Mapping[str, str], release: str) -> dict[str, str]:
    """Those of the folders that processes work in that belong to another release, beside this one: what works there runs other code."""
    beside = f"{os.path.dirname(release)}/"
    return {name: place for name, place in places.items() if place.startswith(beside) and not f"{place}/".startswith(f"{release}/")}


def _unit(facts: t.Mapping[str, str]) -> Unit:
    return Unit(
        name=facts.get("Id", ""),
        load=facts.get("LoadState", ""),
        active=facts.get("ActiveState", ""),
        sub=facts.get("SubState", ""),
        result=facts.get("Result", ""),
        kind=facts.get("Type", ""),
        user=facts.get("User", ""),
        pid=_number(facts.get("MainPID")),
        since=_number(facts.get("StateChangeTimestampMonotonic")),
        entered=_number(facts.get("ActiveEnterTimestampMonotonic")),
        executed=_number(facts.get("ExecMainStartTimestampMonotonic")),
        triggers=tuple(facts.get("Triggers", "").split()),
        files=tuple(f"{facts.get('FragmentPath', '')} {facts.get('DropInPaths', '')}".split()),
    )


def _refused_by_sudo(done: Completed) -> bool:
    return done.rc == 1 and ("a password is required" in done.stderr or "not allowed to execute" in done.stderr)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
