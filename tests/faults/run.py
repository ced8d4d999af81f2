#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturb rollbacks at every phase and show that they never lose their way; docs/faults.md says what was found.

run.py                                   the whole matrix, then docs/faults.md
run.py --core                            the few cases that hurt most
run.py --only sigkill:gate               one fault at one phase; :gate/ended one moment; repeatable
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import shutil
import signal
import sys
import threading
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ansible/collections"))

from ansible_collections.lastgood.rollback.tests.faults import matrix, table  # noqa: E402 - found by the line above
from ansible_collections.lastgood.rollback.tests.faults.machine import Machine, MachineError  # noqa: E402
from ansible_collections.lastgood.rollback.tests.faults.trial import Case, Finding, attempt  # noqa: E402

BUILD = ROOT / "build"
OUTPUT = BUILD / "faults.json"
KEPT = BUILD / "faults"
DOCUMENT = ROOT / "docs/faults.md"
SKIPPED = 77


class Lanes:
    """One host for each release that cases begin with, side by side; each is given its cases one after the other."""

    def __init__(self, cases: t.Sequence[Case], prefix: str, minutes: float | None) -> None:
        self._began = time.monotonic()
        self._ends = self._began + 60 * minutes if minutes else float("inf")
        self._cases = cases
        self._findings: list[Finding] = []
        self._saying = threading.Lock()
        self._stopped = threading.Event()
        self._machines = {
            release: Machine(f"{prefix}-{release}", release, KEPT) for release in dict.fromkeys(case.release for case in cases)
        }

    def run(self) -> list[Finding]:
        try:
            with concurrent.futures.ThreadPoolExecutor(len(self._machines)) as pool:
                lanes = [pool.submit(self._lane, release) for release in self._machines]
                try:
                    concurrent.futures.wait(lanes, return_when=concurrent.futures.FIRST_EXCEPTION)
                except KeyboardInterrupt:
                    self._stopped.set()
                    raise
                for lane in lanes:
                    lane.result()
        finally:
            for machine in self._machines.values():
                machine.destroy()
        order = {case: number for number, case in enumerate(self._cases)}
        return sorted(self._findings, key=lambda finding: order[finding.case])

    def _lane(self, release: str) -> None:
        machine = self._machines[release]
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        mine = [case for case in self._cases if case.release == release]
        for case in mine:
            waiting.put(case)
        machine.create()
        while not waiting.empty() and not self._stopped.is_set() and time.monotonic() < self._ends:
            self._one(machine, waiting.get())

    def _one(self, machine: Machine, case: Case) -> None:
        try:
            finding = attempt(machine, case, KEPT)
        except MachineError as error:
            finding = Finding(case, "not judged", invariants={"moment_hit": False}, notes=[f"the test host failed: {error}"])
        with self._saying:
            self._findings.append(finding)
            self._tell(finding)
        if not finding.good and not self._stopped.is_set():
            machine.create()

    def _tell(self, finding: Finding) -> None:
        wrong = [name for name, true in finding.invariants.items() if not true]
        count = f"{len(self._findings)}/{len(self._cases)}"
        verdict = f"WRONG: {', '.join(wrong)}" if wrong else "ok"
        moment = time.monotonic() - self._began
        print(f"[{moment:5.0f} s] {count:>7}  {finding.case!s:50} {finding.seconds:5.1f} s  {finding.outcome}  {verdict}", flush=True)
        for note in finding.notes if wrong else ():
            print("".join(f"             | {line}\n" for line in note.splitlines()), end="", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="store_true", help="the few cases that hurt most")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT:PHASE", help="some cases of the whole matrix; repeatable")
    parser.add_argument("--playbook", choices=matrix.PLAYBOOKS, help="only this kind of rollback")
    parser.add_argument("--go-on", action="store_true", help="leave out the cases that build/faults.json has; keep what it says")
    parser.add_argument("--minutes", type=float, help="begin no case after so many minutes; --go-on goes on from there")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    parser.add_argument("--hosts", default="faults", metavar="PREFIX", help="how the test hosts' names begin")
    return parser


def main() -> int:
    options = _parser().parse_args()
    cases = matrix.chosen(matrix.core() if options.core else matrix.whole(), options.only, options.playbook)
    if options.list:
        print(*cases, f"{len(cases)} cases", sep="\n")
        return 0
    if os.geteuid() != 0:
        print("skipped: test hosts are podman containers started as root, and this is not root")
        return SKIPPED
    if not cases:
        print("no such case; --list shows all")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    earlier = json.loads(OUTPUT.read_text()) if options.go_on and OUTPUT.exists() else []
    names = {_name(finding) for finding in earlier}
    cases = [case for case in cases if str(case) not in names]
    findings = earlier + [finding.as_json() for finding in Lanes(cases, options.hosts, options.minutes).run()] if cases else earlier
    OUTPUT.write_text(json.dumps(findings, indent=1) + "\n")
    if not (options.core or options.only or options.playbook):
        DOCUMENT.write_text(table.document(findings, len(matrix.whole())))
    return _sum_up(findings, len(earlier) + len(cases))


def _name(finding: dict[str, t.Any]) -> str:
    return f"{finding['fault']}:{finding['phase']} {finding['playbook']}"


def _sum_up(findings: t.Sequence[dict[str, t.Any]], wanted: int) -> int:
    """One line, and the exit status: what was not tried has not passed."""
    bad = sum(not all(finding["invariants"].values()) for finding in findings)
    untried = wanted - len(findings)
    print(f"{len(findings) - bad} passed, {bad} failed" + (f", {untried} not tried" if untried else ""))
    return 1 if bad or untried else 0


if __name__ == "__main__":
    sys.exit(main())
