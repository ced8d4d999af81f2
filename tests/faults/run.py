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
import contextlib
import json
import os
import pathlib
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
from ansible_collections.lastgood.rollback.tests.tools.excerpt import excerpt  # noqa: E402

BUILD = ROOT / "build"
OUTPUT = BUILD / "faults.json"
KEPT = BUILD / "faults"
DOCUMENT = ROOT / "docs/faults.md"
SKIPPED = 77
ATTEMPTS = 3
LOOK_SECONDS = 3
BUSY_SHARE = 0.25


def _idle_share() -> float:
    """Which part of the next seconds the processors had nothing to do; the load average would still count what ended before."""

    def ticks() -> tuple[int, int]:
        everything = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return everything[3] + everything[4], sum(everything)

    idle, total = ticks()
    time.sleep(LOOK_SECONDS)
    idle_then, total_then = ticks()
    return (idle_then - idle) / max(1, total_then - total)


class Lanes:
    """One host for each release and layout that cases begin with, side by side; each is given its cases one after the other."""

    def __init__(self, cases: t.Sequence[Case], prefix: str, minutes: float | None, keep: t.Callable[[Finding], None]) -> None:
        self._keep = keep
        self._began = time.monotonic()
        self._ends = self._began + 60 * minutes if minutes else float("inf")
        self._cases = cases
        self._count = 0
        self._side_by_side = 1 if _idle_share() < BUSY_SHARE else 2  # a busy machine is not made busier
        self._saying = threading.Lock()
        self._stopped = threading.Event()
        self._machines = {
            case.host: Machine(f"{prefix}-{case.host}", case.release, KEPT, layout="releases" if case.host == "releases" else "git")
            for case in {case.host: case for case in cases}.values()
        }

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            for machine in self._machines.values():
                stack.callback(machine.destroy)
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(self._side_by_side))
            stack.callback(self._stopped.set)
            lanes = [pool.submit(self._lane, host) for host in self._machines]
            for lane in concurrent.futures.as_completed(lanes):
                lane.result()

    def _lane(self, host: str) -> None:
        machine = self._machines[host]
        whole = False
        for case in self._cases:
            if case.host != host or self._stopped.is_set() or time.monotonic() > self._ends:
                continue
            if not whole:
                machine.create()
            whole = self._try(machine, case).good

    def _try(self, machine: Machine, case: Case) -> Finding:
        """A moment that was missed is waited for again, a few times."""
        for _attempt in range(ATTEMPTS):
            try:
                finding = attempt(machine, case, KEPT)
            except MachineError as error:
                finding = Finding(case, "not judged", invariants={"moment_hit": False}, notes=[f"the test host failed: {error}"])
            if finding.outcome != "missed":
                break
        with self._saying:
            self._count += 1
            self._keep(finding)
            self._tell(finding)
        return finding

    def _tell(self, finding: Finding) -> None:
        wrong = _wrong(finding.invariants)
        count = f"{self._count}/{len(self._cases)}"
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
    parser.add_argument("--document", action="store_true", help="only write docs/faults.md anew from build/faults.json")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    parser.add_argument("--hosts", default="faults", metavar="PREFIX", help="how the test hosts' names begin")
    return parser


def main() -> int:
    options = _parser().parse_args()
    cases = matrix.chosen(matrix.core() if options.core else matrix.whole(), options.only, options.playbook)
    if options.list:
        print(*cases, f"{len(cases)} cases", sep="\n")
        return 0
    if options.document:
        DOCUMENT.write_text(table.document(json.loads(OUTPUT.read_text()), len(matrix.whole())))
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
    findings = list(earlier)

    def keep(finding: Finding) -> None:
        findings.append(finding.as_json())
        OUTPUT.write_text(json.dumps(findings, indent=1) + "\n")

    if cases:
        Lanes(cases, options.hosts, options.minutes, keep).run()
    if not (options.core or options.only or options.playbook):
        DOCUMENT.write_text(table.document(findings, len(matrix.whole())))
    return _sum_up(findings, len(earlier) + len(cases))


def _name(finding: dict[str, t.Any]) -> str:
    return f"{finding['fault']}:{finding['phase']} {finding['playbook']}"


def _wrong(invariants: t.Mapping[str, bool]) -> list[str]:
    return [name for name, true in invariants.items() if not true]


def _sum_up(findings: t.Sequence[dict[str, t.Any]], wanted: int) -> int:
    """Why cases failed, one line, and the exit status: what was not tried has not passed."""
    bad = [finding for finding in findings if _wrong(finding["invariants"])]
    for finding in bad:
        print(f"why {_name(finding)} failed:\n{finding['outcome']}  WRONG: {', '.join(_wrong(finding['invariants']))}")
        print(*(line for note in finding["notes"] for line in excerpt(note.splitlines())), sep="\n")
    untried = wanted - len(findings)
    print(f"{len(findings) - len(bad)} passed, {len(bad)} failed" + (f", {untried} not tried" if untried else ""))
    return 1 if bad or untried else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: the test hosts were removed; --go-on tries the cases that are left")
