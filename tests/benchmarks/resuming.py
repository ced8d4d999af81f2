# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody loses whose controller dies: resume.yml against the phases that were left, as an undisturbed run goes through them."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time
import typing as t

from host import ROOT, VERSION, BenchmarkError, Host
from results import Comparison

sys.path.insert(0, str(ROOT / ".ansible/collections"))

from ansible_collections.lastgood.rollback.tests.faults.faults import FAULTS
from ansible_collections.lastgood.rollback.tests.faults.machine import Machine
from ansible_collections.lastgood.rollback.tests.faults.phases import Point
from ansible_collections.lastgood.rollback.tests.faults.playing import Controller, Watcher
from ansible_collections.lastgood.rollback.tests.tools.prober import Prober, summarise

RATE = 20
POINTS = ("prepare/ended", "close traffic/ended", "switch code/begun", "gate/begun")
JOURNAL = "cat /var/lib/lastgood/chom/runs/*/journal.jsonl"


def resume_recovery(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Seconds until the site lasts, from the start of resume.yml, and in an undisturbed run from the moment at which the other one was killed.

    The worst of the phases is the one that counts.
    """
    found = {point: Comparison(f"resume_recovery ({point})", "s", None) for point in POINTS}
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as scratch:
        for number in range(runs):
            left = _left(host, pathlib.Path(scratch) / f"{number}")
            for point in POINTS:
                found[point].theirs.append(left[point])
                found[point].ours.append(_resumed(host, Point.parse(point), pathlib.Path(scratch) / f"{number}-{point.replace('/', '-')}"))
                note(f"resume_recovery {number + 1}, killed at {point}: {found[point].ours[-1]:.2f} s, left {left[point]:.2f} s")
    worst = max(found.values(), key=lambda comparison: comparison.ratio)
    return [*found.values(), Comparison("resume_recovery", "s", 1.5, worst.ours, worst.theirs)]


def _machine(host: Host, folder: pathlib.Path) -> tuple[Machine, Controller]:
    folder.mkdir()
    machine = Machine(host.name, "crash", folder)
    machine.inventory.write_text(host.inventory.read_text())
    host.prepare("crash")
    return machine, Controller(machine, folder, {"reason": "a benchmark"})


def _left(host: Host, folder: pathlib.Path) -> dict[str, float]:
    """How long an undisturbed emergency rollback takes from each of the moments until the site lasts."""
    machine, controller = _machine(host, folder)
    with Prober(machine.site, pages=RATE, ready=0) as prober:
        rc, said = controller.play("emergency_rollback")
        time.sleep(1)
    controller.close()
    if rc != 0:
        raise BenchmarkError(f"the undisturbed rollback ended with {rc}: {said[-2000:]}")
    lines = [json.loads(line) for line in machine.root(JOURNAL).splitlines()]
    healthy = _healthy(prober, 0)
    return {point: healthy - _moment(lines, Point.parse(point).order()) for point in POINTS}


def _moment(lines: t.Sequence[t.Mapping[str, t.Any]], order: t.Mapping[str, t.Any]) -> float:
    from ansible_collections.lastgood.rollback.plugins.plugin_utils._report import moment

    fitting = [line for line in lines if line["event"] == order["event"] and str(line.get("step", "")).startswith(order["step"])]
    return moment(str(fitting[0]["at"]))


def _resumed(host: Host, point: Point, folder: pathlib.Path) -> float:
    """Kill the controller at a moment, and go on at once, knowing that it is dead."""
    machine, controller = _machine(host, folder)
    with Prober(machine.site, pages=RATE, ready=0) as prober:
        with Watcher(machine, FAULTS["sigkill"], point, {}) as watcher, controller.start("emergency_rollback") as play:
            if watcher.wait_for("hit", 60, lambda: play.over) is None:
                raise BenchmarkError(f"the rollback ended without coming by {point}: {play.said[-600:]}")
            play.strike("SIGKILL")
            watcher.release()
        began = time.time()
        rc, said = controller.play("resume", take_over="the benchmark killed it")
        time.sleep(1)
    controller.close()
    if rc != 0:
        raise BenchmarkError(f"resume.yml ended with {rc}: {said[-2000:]}")
    host.expect_good()
    return _healthy(prober, began) - began


def _healthy(prober: Prober, since: float) -> float:
    found = summarise(prober.answers, version=VERSION, since=since).first_lasting_good
    if found is None:
        raise BenchmarkError("the site does not answer as it should in the end")
    return found
