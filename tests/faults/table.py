# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings as a document."""

from __future__ import annotations

import typing as t

from ansible_collections.lastgood.rollback.tests.faults.faults import FAULTS
from ansible_collections.lastgood.rollback.tests.faults.phases import points

_INTRODUCTION = """# Faults

Made by `make faults`; do not edit. Each run is disturbed at a moment, on a real host: `begun` when the journal announces a phase and its work
has not started, `inside` in the middle of its work, `ended` when the journal says that it is done. The run is held there until the fault is in
place, so that no moment is missed; a missed one counts as a failure. Then `status.yml` is asked, what lasts is repaired, and `resume.yml` or
`undo.yml` brings the run to an end where it did not come to one by itself. At last the host is judged from outside, by code that does not use
the collection.

How to read a cell: what became of the disturbed run, how somebody recovered, and the seconds from the start of the run to the healthy site.

| word | meaning |
|---|---|
| interrupted | the run was cut off; lock and journal are on the host |
| rolled_back | it went on to its good end all the same |
| failed, as before | it failed, put everything back and said so; nobody has to recover |
| failed | it failed with the site open |
| held | it failed and kept the site in maintenance |
| resume, undo | by which playbook somebody recovered |
| **WRONG** | what was not as it must be |

What must be true of every case:
"""

_MEANING = {
    "moment_hit": "the fault struck at its moment",
    "command_ends": "the disturbed command ends by itself within two minutes",
    "run_ends_on_host": "nothing works on the host for longer than a minute afterwards",
    "exit_status_true": "its exit status is 0 only when it did what it should",
    "status_true": "`status.yml` says what is the case: version, open or closed, lock, units, unfinished",
    "status_true_at_the_end": "and once more after the recovery",
    "recovery_ends_well": "where somebody had to recover, the playbook for that ended with status 0",
    "never_half": "after the fault all pages are the maintenance page, or all are the version that is checked out",
    "visitors_spared": "from the first maintenance page on visitors get that page or a whole one (where the fault itself stops no service)",
    "healthy_in_the_end": "all pages answer 200 with the version that is checked out",
    "rows_kept": "every row from before is as it was, every acknowledged sign-up is there; after a rollback of the database "
    "every row is as in the backup, and everything that was replaced is in the database that was kept",
    "jobs_kept": "waiting jobs and sessions are as they were (a power failure takes from Redis what it had not saved)",
    "workers_exact": "exactly the workers run that ran before; one that was off stays off",
    "version_as_claimed": "the checkout is what `last_run.json` claims, without changes",
    "closing_told": "where a journal says that its run closed the site and opened it again, the report says for how long",
    "lock_free": "nobody holds the lock, no worker waits to be started",
    "journal_intact": "the chain of every journal, computed anew, is whole",
    "no_secret": "no password and no key in logs, journals, reports, arguments of processes, temporary files",
}


def document(findings: t.Sequence[t.Mapping[str, t.Any]], wanted: int) -> str:
    """The whole of docs/faults.md."""
    bad = sum(not all(finding["invariants"].values()) for finding in findings)
    parts = [_INTRODUCTION.rstrip("\n"), "\n".join(f"- `{name}`: {text}" for name, text in _MEANING.items())]
    untried = f" {wanted - len(findings)} more were not tried." if wanted > len(findings) else ""
    parts.append(f"{len(findings)} of {wanted} cases were tried, {bad} of them went wrong.{untried}")
    parts.append("\n".join(["| fault | what happens |", "|---|---|", *(f"| {fault.name} | {fault.text} |" for fault in FAULTS.values())]))
    for playbook in dict.fromkeys(finding["playbook"] for finding in findings):
        parts.append(f"## {playbook.capitalize()} rollback")
        for fault in FAULTS:
            rows = [finding for finding in findings if (finding["playbook"], finding["fault"]) == (playbook, fault)]
            if rows:
                parts.append(f"### {playbook}: {fault}\n\n{_table(rows)}")
    return "\n\n".join(parts) + "\n"


def _table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    order = {str(point): number for number, point in enumerate(points())}
    lines = ["| phase | outcome | seconds |", "|---|---|---|"]
    lines += [f"| {row['phase']} | {outcome(row)} | {row['seconds']:.1f} |" for row in sorted(rows, key=lambda row: order[row["phase"]])]
    return "\n".join(lines)


def outcome(finding: t.Mapping[str, t.Any]) -> str:
    wrong = [name for name, true in finding["invariants"].items() if not true]
    return f"{finding['outcome']} **WRONG: {', '.join(wrong)}**" if wrong else str(finding["outcome"])
