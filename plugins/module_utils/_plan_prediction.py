# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# How long a rollback will take, from the journals of earlier ones on the same host. Each number says what it was made from.

from __future__ import annotations

import datetime
import os
import statistics
import typing as t
from dataclasses import dataclass, field

from . import _journal
from ._errors import RollbackError

_RUNS = 20
_WINDOW = (
    "close traffic", "swap database", "migrate down", "switch code", "migrate up", "configure", "rebuild caches", "start services", "gate", "reopen",
)  # fmt: skip
_WHOLE = {"switch code", "gate"}

Entries = t.Sequence[t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Sample:
    """What an earlier rollback took, in seconds."""

    severity: str
    phases: dict[str, float]
    closed: float
    total: float  # without the watch, which takes as long as it was told to
    migrated: bool


@dataclass(frozen=True)
class Estimate:
    """Seconds, where they come from, and how sure that is."""

    seconds: float | None
    basis: str
    runs: int = 0
    spread: tuple[float, float] | None = field(default=None)

    def as_dict(self) -> dict[str, t.Any]:
        return {"seconds": self.seconds, "basis": self.basis, "runs": self.runs, "spread": list(self.spread) if self.spread else None}


def samples(runs_directory: str) -> list[Sample]:
    """The newest runs that went from the lock to the end without a break; the others say nothing about how long that takes."""
    try:
        names = sorted(os.listdir(runs_directory), reverse=True)
    except OSError:
        return []
    found: list[Sample] = []
    for name in names:
        if len(found) == _RUNS:
            break
        sample = _read(os.path.join(runs_directory, name))
        found += [sample] if sample else []
    return found


def _read(directory: str) -> Sample | None:
    try:
        journal = _journal.read(directory)
    except RollbackError:
        return None
    return None if journal is None or journal.broken or journal.torn else sample_of(journal.entries)


def sample_of(entries: Entries) -> Sample | None:
    """What a whole journal says; None when the run was interrupted, continued another one, or did not roll back."""
    if not entries or entries[0].get("event") != "opened" or entries[-1].get("outcome") != "rolled_back":
        return None
    facts = entries[0].get("facts") or {}
    results = [entry for entry in entries if entry.get("event") == "result"]
    at = {phase: _moment(entry) for entry in reversed(results) for phase in [_journal.phase_of(entry)] if phase}  # the first of each
    if (
        facts.get("origin")
        or any(entry.get("failed") for entry in results)
        or not set(at) >= _WHOLE
        or ("close traffic" in at) != ("reopen" in at)
    ):
        return None
    phases: dict[str, float] = {}
    for entry in results:
        phase = _journal.phase_of(entry)
        if phase == "gate" and _moment(entry) > at.get("reopen", at.get("start workers", at["gate"])):
            phase = "watch"
        if phase:
            phases[phase] = phases.get(phase, 0.0) + float(entry.get("seconds") or 0)
    total = _moment(entries[-1]) - _moment(entries[0]) - phases.pop("watch", 0.0)
    return Sample(
        severity=str(facts.get("severity")),
        phases=phases,
        closed=round(at["reopen"] - at["close traffic"], 3) if "reopen" in at else 0.0,
        total=round(total, 3),
        migrated="migrate down" in phases,
    )


def _moment(entry: t.Mapping[str, t.Any]) -> float:
    return datetime.datetime.fromisoformat(str(entry["at"]).replace("Z", "+00:00")).timestamp()


def predict(earlier: t.Sequence[Sample], plan: t.Mapping[str, t.Any], phases: t.Sequence[str], watch_seconds: int) -> dict[str, t.Any]:
    """Seconds closed to users, in all, and for each phase that will come."""
    budgets = plan["budgets"]
    return {
        "closed": _closed(earlier, plan, phases).as_dict(),
        "total": _total(earlier, plan, watch_seconds).as_dict(),
        "phases": [{"phase": phase, "budget": budgets.get(phase), **_phase(earlier, phase, budgets).as_dict()} for phase in phases],
        "watch_seconds": watch_seconds,
    }


def _median(values: t.Sequence[float], what: str) -> Estimate:
    basis = f"median of {len(values)} earlier {what}s" if len(values) > 1 else f"one earlier {what}"
    basis += " on this host"
    return Estimate(round(statistics.median(values), 2), basis, len(values), (round(min(values), 2), round(max(values), 2)))


def _phase(earlier: t.Sequence[Sample], phase: str, budgets: t.Mapping[str, t.Any]) -> Estimate:
    taken = [sample.phases[phase] for sample in earlier if phase in sample.phases]
    if taken:
        return _median(taken, "run")
    return Estimate(None, "no earlier run on this host did this" + ("; budget" if budgets.get(phase) else ""))


def _closed(earlier: t.Sequence[Sample], plan: t.Mapping[str, t.Any], phases: t.Sequence[str]) -> Estimate:
    """From runs of the same kind where there are any, as the whole is; the phases are the same in all kinds."""
    if "close traffic" not in phases:
        return Estimate(0.0, "the link is switched with users on the site, and no schema changes")
    budgets = plan["budgets"]
    migrates = "migrate down" in phases
    if "swap database" in phases:  # which has the window to itself: other rollbacks say nothing about it
        earlier = [sample for sample in earlier if sample.severity == plan["severity"]]
    alike = [sample for sample in earlier if sample.migrated == migrates]
    same_kind = [sample.closed for sample in alike if sample.severity == plan["severity"]]
    if same_kind:
        return _median(same_kind, f"{plan['severity']} rollback")
    if alike:
        return _median([sample.closed for sample in alike], "rollback")
    if earlier:
        found = _median([sample.closed for sample in earlier], "rollback")
        note = (
            "taking migrations down, which they did not do, comes on top"
            if migrates
            else "they took migrations down, which this one does not"
        )
        return Estimate(found.seconds, f"{found.basis}; {note}", found.runs, found.spread)
    window = [budgets.get(phase) for phase in _WINDOW if phase in phases]
    known = [float(budget) for budget in window if budget]
    if known:
        missing = len(window) - len(known)
        note = f", {missing} of which have none" if missing else ""
        return Estimate(sum(known), f"no earlier rollback on this host; the sum of the budgets of the phases while traffic is closed{note}")
    return Estimate(float(budgets["total"]), "no earlier rollback on this host; that of the whole run, for lack of a smaller one")


def _total(earlier: t.Sequence[Sample], plan: t.Mapping[str, t.Any], watch_seconds: int) -> Estimate:
    alike = [sample.total for sample in earlier if sample.severity == plan["severity"]]
    watched = f", and {watch_seconds} s of watching after reopening" if watch_seconds else ""
    if not alike:
        return Estimate(float(plan["budgets"]["total"]), f"no earlier {plan['severity']} rollback on this host; that of the whole run")
    found = _median([seconds + watch_seconds for seconds in alike], f"{plan['severity']} rollback")
    return Estimate(found.seconds, f"{found.basis}, from the lock to its release{watched}", found.runs, found.spread)
