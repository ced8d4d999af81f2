# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass

from ._probes import ProbeError, one_line

if t.TYPE_CHECKING:
    from ._command import Runner

_PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "ActiveEnterTimestampMonotonic")
_GLOB = frozenset("*?[")
_SUFFIXES = (".service", ".socket", ".target", ".timer", ".mount", ".path", ".slice", ".scope", ".device", ".swap")


@dataclass(frozen=True)
class Unit:
    """What systemd says about one unit."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    restarts: int
    since: int

    @property
    def good(self) -> bool:
        return self.load == "loaded" and self.active == "active"

    @property
    def between_runs(self) -> bool:
        """Whether it ended well and is about to be started again."""
        return self.load == "loaded" and self.sub == "auto-restart" and self.result == "success"

    @property
    def state(self) -> str:
        if self.load != "loaded":
            return self.load
        why = f", {self.result}" if self.result not in ("", "success") else ""
        return f"{self.active} ({self.sub}{why})"


def full_name(name: str) -> str:
    """A unit's name with its kind; a service when none is said."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def is_pattern(name: str) -> bool:
    return not _GLOB.isdisjoint(name)


def parse(text: str) -> list[Unit]:
    """The units in the output of systemctl show, in its order."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [_unit(block) for block in blocks if block]


def _unit(block: t.Mapping[str, str]) -> Unit:
    return Unit(
        name=block.get("Id", ""),
        load=block.get("LoadState", ""),
        active=block.get("ActiveState", ""),
        sub=block.get("SubState", ""),
        result=block.get("Result", ""),
        restarts=_number(block.get("NRestarts")),
        since=_number(block.get("ActiveEnterTimestampMonotonic")),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


@dataclass(frozen=True)
class Wanted:
    """Which units must be active: the exact ones, and all that the patterns find or a number of them."""

    exact: t.Sequence[str]
    patterns: t.Sequence[str] = ()
    minimum_active: int | None = None
    allow_restarts: bool = False

    def good(self, unit: Unit) -> bool:
        return unit.good or (self.allow_restarts and unit.between_runs)

    def fault(self, units: t.Sequence[Unit]) -> str | None:
        """What is wrong with the units found: first the exact ones in their order, then those of the patterns."""
        exact = units[: len(self.exact)]
        if len(exact) != len(self.exact):
            return f"systemctl described {len(exact)} of {len(self.exact)} units"
        bad = [f"{name} is {unit.state}" for name, unit in zip(self.exact, exact) if not self.good(unit)]
        if bad:
            return ", ".join(bad)
        return self._pattern_fault({unit.name: unit for unit in units})

    def _pattern_fault(self, units: t.Mapping[str, Unit]) -> str | None:
        names = {pattern: fnmatch.filter(units, pattern) for pattern in self.patterns}
        empty = [pattern for pattern, found in names.items() if not found]
        if empty:
            return f"no unit is called {', '.join(empty)}"
        matched = [units[name] for name in dict.fromkeys(name for found in names.values() for name in found)]
        bad = [f"{unit.name} is {unit.state}" for unit in matched if not self.good(unit)]
        running = len(matched) - len(bad)
        if self.minimum_active is None:
            return ", ".join(bad) or None
        if running < self.minimum_active:
            return f"{running} units are active, expected at least {self.minimum_active}{': ' if bad else ''}{', '.join(bad)}"
        return None


def wanted(names: t.Sequence[str], minimum_active: int | None, allow_restarts: bool) -> Wanted:
    full = list(dict.fromkeys(full_name(name) for name in names))
    patterns = [name for name in full if is_pattern(name)]
    if minimum_active is not None and not patterns:
        raise ValueError("minimum_active counts the units that a pattern finds, and there is no pattern")
    return Wanted([name for name in full if not is_pattern(name)], patterns, minimum_active, allow_restarts)


def restarted(before: t.Mapping[str, Unit], now: t.Sequence[Unit]) -> list[str]:
    """Units that are active now and then, but not without a break."""
    return [
        unit.name
        for unit in now
        if unit.name in before
        and unit.good
        and before[unit.name].good
        and (unit.since != before[unit.name].since or unit.restarts > before[unit.name].restarts)
    ]


class UnitsProbe:
    """Asks systemd for all units in one call and notices restarts between two calls."""

    def __init__(self, runner: Runner, units: Wanted) -> None:
        self._runner = runner
        self._wanted = units
        self._before: dict[str, Unit] = {}

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        units = self._ask(seconds)
        values = {
            "active": sum(self._wanted.good(unit) for unit in units),
            "units": {unit.name: unit.state for unit in units},
            "restarts": {unit.name: unit.restarts for unit in units if unit.restarts},
        }
        problem = self._wanted.fault(units)
        again = [] if self._wanted.allow_restarts else restarted(self._before, units)
        self._before = {unit.name: unit for unit in units}
        if problem is None and again:
            problem = f"restarted between two checks: {', '.join(again)}"
        if problem is not None:
            raise ProbeError(problem, values)
        return values

    def _ask(self, seconds: float) -> list[Unit]:
        names = [*self._wanted.exact, *self._wanted.patterns]
        argv = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *names]
        done = self._runner.run(argv, timeout=seconds, check=False)
        if done.timed_out:
            raise ProbeError("systemctl did not answer in time")
        if done.rc != 0:
            raise ProbeError(f"systemctl ended with status {done.rc}: {one_line(done.output) or 'no output'}")
        return parse(done.stdout)
