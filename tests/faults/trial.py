# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case: a run is disturbed at a moment, brought to an end by the tool's own playbooks, and judged from outside."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil
import tempfile
import threading
import time
import typing as t

from ansible_collections.lastgood.rollback.tests.faults import invariants
from ansible_collections.lastgood.rollback.tests.faults.faults import FAULTS, Fault
from ansible_collections.lastgood.rollback.tests.faults.machine import Backup, Machine, MachineError
from ansible_collections.lastgood.rollback.tests.faults.phases import Point
from ansible_collections.lastgood.rollback.tests.faults.playing import (
    BAD_GATE_SECONDS,
    GATE_SECONDS,
    PATIENCE_SECONDS,
    Controller,
    Play,
    Watcher,
)
from ansible_collections.lastgood.rollback.tests.tools.prober import PAGE, Prober

TARGETS: dict[str, dict[str, t.Any]] = {
    "emergency": {},
    "standard": {"target": "v1.2.3", "watch_seconds": 0},
    "database": {"label": "faults", "watch_seconds": 0},
    "releases": {},
}
PLAYED = {"releases": "emergency"}  # by which playbook, where that is not called like it
REASON = "the fault suite killed it"


@dataclasses.dataclass(frozen=True)
class Case:
    """What goes wrong when, in which run, and how somebody recovers."""

    fault: str
    point: Point
    playbook: str = "emergency"
    recovery: t.Literal["resume", "undo"] = "resume"
    off: tuple[str, ...] = ()  # workers that were off before the run

    @property
    def release(self) -> str:
        """Standard runs take a migration down, emergencies do so only where that is what is disturbed."""
        return "migration" if self.playbook == "standard" or self.point.phase == "migrate down" else "none"

    @property
    def host(self) -> str:
        """Cases that begin with the same host share it."""
        return "releases" if self.playbook == "releases" else self.release

    def __str__(self) -> str:
        return f"{self.fault}:{self.point} {self.playbook}"


@dataclasses.dataclass
class Finding:
    """What came of a case."""

    case: Case
    outcome: str = "missed"
    seconds: float = 0.0
    invariants: dict[str, bool] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def good(self) -> bool:
        return bool(self.invariants) and all(self.invariants.values())

    def as_json(self) -> dict[str, t.Any]:
        return {
            "fault": self.case.fault,
            "phase": str(self.case.point),
            "playbook": self.case.playbook,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "invariants": self.invariants,
            "notes": self.notes,
        }


class Trial:
    """A case that is being tried on a machine."""

    def __init__(self, machine: Machine, case: Case, folder: pathlib.Path) -> None:
        self._machine = machine
        self._case = case
        self._fault: Fault = FAULTS[case.fault]
        self._finding = Finding(case)
        migrations = {"migrations": "down"} if case.release == "migration" else {}
        target = TARGETS[case.playbook]
        self._controller = Controller(machine, folder, {**migrations, **target, "reason": "the fault suite"})
        self._leaks: list[str] = []
        self._broken = False

    def run(self) -> Finding:
        machine = self._machine
        machine.prepare(self._case.off)
        if self._fault.full:
            machine.make_small(self._fault.full)
        self._approve = {}
        if self._case.playbook == "database":
            self._approve = {"approve": self._backup().approval}
            machine.damage_data()
        self._secrets = machine.secrets()
        self._before = machine.state()
        began = time.time()
        try:
            with Prober(machine.site, pages=3, ready=0, signups=1) as prober:
                time.sleep(0.3)
                hit = self._disturb()
                if hit:
                    self._recover()
                self._repair()
                time.sleep(0.3)
            self._finding.seconds = time.time() - began
            if hit:
                self._judge(prober, began)
        finally:
            self._controller.close()
            self._repair()
            machine.make_normal()
        return self._finding

    def _backup(self) -> Backup:
        """Made once: what a rollback goes back to, and what somebody types who agrees to it."""
        machine = self._machine
        if machine.backup is None:
            state = machine.state()
            rc, said = self._controller.play("backup")
            if rc != 0:
                raise MachineError(f"no backup could be made: {said[-800:]}")
            _rc, said = self._controller.play("database_rollback")
            approval = re.search(r"approve=(\w+)", said)
            if approval is None:
                raise MachineError(f"it is not said how to approve: {said[-800:]}")
            machine.backup = Backup(state, approval.group(1))
            machine.prepare(self._case.off)
        return machine.backup

    # The disturbed run

    def _disturb(self) -> bool:
        gate = BAD_GATE_SECONDS if self._fault.lasts or self._fault.name == "target_unhealthy" else GATE_SECONDS
        with (
            Watcher(self._machine, self._fault, self._case.point, self._secrets) as watcher,
            self._controller.start(f"{PLAYED.get(self._case.playbook, self._case.playbook)}_rollback", gate, **self._approve) as play,
        ):
            self._look_at(play)
            hit = watcher.wait_for("hit", PATIENCE_SECONDS, lambda: play.over)
            if hit is None:
                return self._missed(f"the run ended without coming by {self._case.point}: {play.said[-600:]}")
            self._broken = True
            ahead = self._strike(watcher, play, hit)
            self._rc = play.wait(PATIENCE_SECONDS)
            self._said = play.said
            if hit["script"]:
                raise MachineError(f"the fault could not be injected: {hit['said']}")
            self._leaks += watcher.leaks
        return ahead == 0 or self._missed(f"the run was {ahead} lines further when the fault struck")

    def _missed(self, why: str) -> bool:
        self._finding.invariants["moment_hit"] = False
        self._finding.notes.append(why)
        return False

    def _strike(self, watcher: Watcher, play: Play, hit: dict[str, t.Any]) -> int:
        """Do what is not done on the host; returns how far the run was ahead of its moment."""
        if self._fault.strikes == "machine":
            self._machine.lose_power()
            return int(hit["ahead"])
        if self._fault.signal:
            play.strike(self._fault.signal)
        released = watcher.release()
        return int((released if released is not None and self._fault.signal else hit)["ahead"])

    def _look_at(self, play: Play) -> None:
        """Look for secrets among the arguments of the controller's processes, until it ends."""

        def look() -> None:
            while not play.over:
                words = play.arguments()
                self._leaks += [f"{name} in the controller's arguments" for name, secret in self._secrets.items() if secret in words]
                time.sleep(0.1)

        threading.Thread(target=look, daemon=True).start()

    # Afterwards

    def _recover(self) -> None:
        found = self._finding
        self._judge_status("status_true")
        self._repair()
        seen = self._machine.observe()
        found.outcome = invariants.outcome_of(self._rc, seen)
        found.invariants["command_ends"] = self._rc is not None
        found.invariants["exit_status_true"] = self._fault.strikes == "controller" or invariants.exit_status_true(self._rc, seen)
        pages = self._settled(seen)
        found.invariants["never_half"] = invariants.never_half(pages, seen)
        if not found.invariants["never_half"]:
            found.notes.append(f"half: down {seen['down']}, version {invariants.version_of(seen)}, {pages}")
        whole = pages.healthy(invariants.version_of(seen)) and invariants.workers_exact(seen, self._case.off)
        if whole and seen["lock"] is None and seen["waiting"] is None and not invariants.unfinished(seen):
            return
        if whole and seen["lock"] is None and seen["waiting"] is None and found.outcome == "failed":
            found.outcome = f"failed, as before ({invariants.version_of(seen)})"
            return
        extra = {"take_over": REASON} if seen["lock"] is not None else {}
        rc, said = self._controller.play(self._case.recovery, **extra)
        found.outcome += f", {self._case.recovery} {'ended well' if rc == 0 else 'FAILED'}"
        found.invariants["recovery_ends_well"] = rc == 0
        if rc != 0:
            found.notes.append(said[-3000:])

    def _settled(self, seen: t.Mapping[str, t.Any]) -> invariants.Site:
        """The pages, once a repaired service has come to itself again."""
        deadline = time.monotonic() + (10 if self._fault.lasts else 0)
        while True:
            pages = self._machine.pages(2)
            if invariants.never_half(pages, seen) or time.monotonic() > deadline:
                return pages
            time.sleep(0.3)

    def _repair(self) -> None:
        if self._broken and self._fault.repair:
            self._machine.root(self._fault.repair)
        self._broken = False

    def _judge_status(self, name: str) -> None:
        """Does status.yml say what is the case? Where nobody can reach the host it is repaired first."""
        if self._fault.name == "network_lost":
            self._repair()
        seen = self._machine.observe()
        self._finding.invariants["run_ends_on_host"] = seen["quiet"]
        rc, said = self._controller.play("status")
        lies = invariants.status_lies(said, seen, self._machine.observe()) if rc == 0 else [f"status.yml ended with {rc}: {said[-800:]}"]
        self._finding.invariants[name] = not lies
        self._finding.notes += [f"{name}: {lie}" for lie in lies]

    def _judge(self, prober: Prober, began: float) -> None:
        found, machine, off = self._finding, self._machine, self._case.off
        self._judge_status("status_true_at_the_end")
        seen = machine.observe()
        pages = machine.pages()
        answers = sorted((answer for answer in prober.answers if answer.path == PAGE), key=lambda answer: answer.t)
        in_time = [(answer.status, answer.version) for answer in answers if answer.error != "TimeoutError"]
        acknowledged = [answer.id for answer in prober.answers if answer.id is not None]
        after, rows_kept = self._data(invariants.last_run(seen).get("outcome") == "rolled_back", acknowledged)
        problems = {run: problem for run, text in seen["journals"].items() if (problem := invariants.chain_problem(text))}
        found.invariants |= {
            "moment_hit": True,
            "healthy_in_the_end": pages.healthy(invariants.version_of(seen)) and not seen["down"],
            "rows_kept": rows_kept,
            "jobs_kept": self._fault.forgets or invariants.jobs_kept(self._before, after),
            "workers_exact": invariants.workers_exact(seen, off),
            "version_as_claimed": invariants.as_claimed(seen) and not seen["changed"],
            "closing_told": invariants.closing_told(seen, self._controller.reports()),
            "lock_free": seen["lock"] is None and seen["waiting"] is None,
            "journal_intact": (bool(seen["journals"]) or not seen["last_run"]) and not problems,  # no run, no journal
            "visitors_spared": self._fault.lasts or invariants.visitors_spared(in_time),
            "no_secret": not self._secrets_found(began),
        }
        found.notes += [f"journal of {run}: {problem}" for run, problem in problems.items()]
        if not found.good:
            found.notes.append(json.dumps({"units": seen["units"], "head": seen["tags"], "down": seen["down"], "last": seen["last_run"]}))
            found.notes.append(f"users of {PAGE}: {sorted(set(in_time), key=str)}")
            found.notes.append(f"the disturbed run ended with {self._rc}: {self._said[-3000:]}")

    def _data(self, rolled_back: bool, acknowledged: t.Sequence[int]) -> tuple[dict[str, t.Any], bool]:
        """What the host has now, and whether no row is missing: all that came after a backup is in the database that it replaced."""
        machine = self._machine
        found = machine.kept_users(acknowledged)
        if machine.backup is None or self._case.playbook != "database" or not rolled_back:
            after = machine.state(self._before)
            # what was written after a swap that was taken back is in the database that came with it
            found += [number for database in machine.left_again() for number in machine.kept_users(acknowledged, database)]
            return after, invariants.rows_kept(self._before, after, acknowledged, found)
        after = machine.state(machine.backup.state)
        replaced = machine.replaced()
        if len(replaced) != 1:
            self._finding.notes.append(f"one replaced database was expected: {replaced}")
            return after, False
        whole = invariants.same_rows(self._before["tables"], machine.rows(replaced[0], self._before))
        found += machine.kept_users(acknowledged, replaced[0])
        return after, whole and invariants.rows_kept(machine.backup.state, after, acknowledged, found)

    def _secrets_found(self, began: float) -> list[str]:
        written = {"the host's logs and files": self._machine.logs(began), "what the controller wrote": self._controller.written()}
        found = [f"{name} in {where}" for where, text in written.items() for name, secret in self._secrets.items() if secret in text]
        found += self._leaks
        self._finding.notes += [f"secret: {leak}" for leak in sorted(set(found))]
        return found


def attempt(machine: Machine, case: Case, keep: pathlib.Path) -> Finding:
    """Try a case; what it left on the controller is kept when something is not as it must be."""
    with tempfile.TemporaryDirectory(prefix="lastgood-") as scratch:
        folder = pathlib.Path(scratch) / "controller"
        folder.mkdir()
        finding = Trial(machine, case, folder).run()
        if not finding.good:
            kept = keep / str(case).replace("/", "-").replace(" ", "_").replace(":", "_")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("cp", "tmp"))
    return finding
