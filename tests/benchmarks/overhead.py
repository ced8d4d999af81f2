# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of the emergency rollback cost beyond the commands they run."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import statistics
import tempfile
import typing as t

from bare_steps import STEPS
from host import HERE, BenchmarkError, Host, fresh_connections, run_silently
from results import Comparison


def step_overhead(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """The sum over the tasks from the lock to reopening, against the same commands by a fresh ssh connection for each task."""
    found = Comparison("step_overhead", "s", 2.0)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for number in range(runs):
        host.prepare("crash")
        theirs.append({phase: host.ssh(commands) for phase, commands in STEPS.items()})
        host.expect_good()
        host.prepare("crash")
        ours.append(phases(host))
        host.expect_good()
        found.ours.append(sum(ours[-1].values()))
        found.theirs.append(sum(theirs[-1].values()))
        note(f"step_overhead {number + 1}: ours {found.ours[-1]:.2f} s, theirs {found.theirs[-1]:.2f} s")
    for phase in STEPS:
        mine, bare = (statistics.median(run[phase] for run in side) for side in (ours, theirs))
        note(f"    {phase:<16} ours {mine:5.2f} s, theirs {bare:5.2f} s, {mine / bare:4.2f}")
    return [found]


def phases(host: Host) -> dict[str, float]:
    """Run the emergency rollback; the seconds of each phase, from the start of its first task to the start of what follows."""
    with fresh_connections() as environment, tempfile.NamedTemporaryFile("r") as times:
        mine = {
            "ANSIBLE_CALLBACK_PLUGINS": os.fspath(HERE / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_times",
            "TASK_TIMES": times.name,
        }
        run_silently(host.playbook("emergency_rollback"), "emergency_rollback", {**environment, **mine})
        return _by_phase(pathlib.Path(times.name).read_text(encoding="utf-8").splitlines())


def _by_phase(lines: t.Sequence[str]) -> dict[str, float]:
    events = [event for event in map(json.loads, lines) if event["event"] in ("task", "end")]
    spent = dict.fromkeys(STEPS, 0.0)
    for event, following in itertools.pairwise(events):
        phase = event["task"].partition(" | ")[0]
        if phase in spent:
            spent[phase] += following["at"] - event["at"]
    missing = [phase for phase, seconds in spent.items() if not seconds]
    if missing:
        raise BenchmarkError(f"the emergency rollback has no task of these phases any more: {', '.join(missing)}")
    return spent
