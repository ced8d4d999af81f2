# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown to the person who started a run."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.action import rollback_summary


def shown(act: t.Any, **args: t.Any) -> str:
    return t.cast("str", act("rollback_summary", args)["lastgood_text"])


LEDGER = {
    "restore_points": [
        {"version": "v1.2.4", "state": "bad", "history": [{"at": "june", "actor": "on-call", "reason": "loses orders"}], "trouble": None},
        {"version": "v1.2.3", "state": "verified", "history": [{"at": "may"}], "trouble": "its manifest was changed"},
    ],
    "last_good": {"version": "v1.2.2", "since": "may", "id": "p2"},
    "passed_over": ["v1.2.3 (p3): its manifest was changed"],
    "broken": None,
}


def test_a_damaged_record_is_shown_with_what_to_type(act: t.Any) -> None:
    status = {
        "version": "v1.2.3",
        "commit": "3" * 40,
        "maintenance": False,
        "changed_files": [],
        "units": {},
        "workers_waiting": [],
        "lock": None,
    }
    nothing = {"restore": None, "last_run": None, "unfinished": False, "ledger": {**LEDGER, "restore_points": []}}
    text = shown(act, status={**status, **nothing, "damaged": [{"reason": "last_run.json cannot be read.", "next_command": "mv it"}]})
    assert "DAMAGED: last_run.json cannot be read.\nNEXT: mv it\nlast rollback: not known" in text


def test_a_damaged_lock_and_a_damaged_freeze_are_called_so() -> None:
    text = "\n".join(rollback_summary._lock({"lock": {"alive": False, "expires": "then"}, "freeze": {}}))
    assert "lock: DAMAGED" in text
    assert "a freeze that is DAMAGED" in text
    assert "None" not in text


def test_a_status_says_what_is_not_as_it_should_be(act: t.Any) -> None:
    status = {
        "version": "v1.2.3",
        "commit": "3" * 40,
        "maintenance": True,
        "changed_files": ["README.md"],
        "units": {"nginx.service": "active (running)", "w.service": "failed (failed)"},
        "workers_waiting": ["w.service"],
        "progress": {"text": "db_restore of chom: loading, 1.0 GB of 2.0 GB (50 %)", "at": "noon"},
        "restore": {"stage": "swapped", "kept": "chom__kept_1", "backup": {"id": "b1"}},
        "lock": {"actor": "on-call", "since": "now", "run": "r1", "alive": False, "expires": "earlier"},
        "watched": False,
        "freeze": {"run": "r0", "reason": "500", "expires": "tomorrow"},
        "last_run": {
            "run": "r1",
            "severity": "emergency",
            "from_version": "v1.2.4",
            "target": "v1.2.3",
            "outcome": "abandoned",
            "closed": "then",
            "abandoned": {"at": "a while ago", "silent_seconds": 61, "why": "the profile asks for an alarm only"},
        },
        "unfinished": True,
        "ledger": LEDGER,
        "journal": {
            "entries": 7,
            "broken": "line 8 was changed",
            "torn": False,
            "sign_of_life": {"step": "db_backup", "at": "then", "at_work": True},
        },
    }
    text = shown(act, status=status)
    for word in (
        "CLOSED to users",
        "README.md",
        "w.service failed",
        "not started again: w.service",
        "held by on-call",
        "counts as dead since earlier",
        "NOBODY WATCHES this run",
        "frozen for deployments until tomorrow: run r0 rolled back, 500",
        "playbooks/unfreeze.yml",
        "ABANDONED: the dead-man timer gave it up at a while ago after 61 s of silence; it was left as it is, since the profile asks",
        "playbooks/resume.yml   # go on to v1.2.3",
        "playbooks/undo.yml   # go back to v1.2.4",
        "journal: 7 entries, DAMAGED: line 8 was changed",
        "at work at this moment: db_backup since then",
        "at this moment: db_restore of chom: loading, 1.0 GB of 2.0 GB (50 %), as of noon",
        "last good: v1.2.2 (ran since may, p2)",
        "passed over: v1.2.3 (p3): its manifest was changed",
        "bad        v1.2.4       june by on-call: loses orders",
        "CANNOT BE GONE BACK TO: its manifest was changed",
    ):
        assert word in text
    assert "nginx" not in text
    last = t.cast("dict[str, t.Any]", status["last_run"])
    status["last_run"] = {**last, "severity": "configuration"}
    assert "resume.yml" not in shown(act, status=status)
    assert "put back the configuration from before" in shown(act, status=status)
    status["last_run"] = {**last, "undoes": {"run": "r0"}}
    assert "undo.yml" not in shown(act, status=status), "an undo can only be gone on with"


def test_a_status_without_a_history(act: t.Any) -> None:
    status: dict[str, t.Any] = {
        "version": "v1.2.3",
        "commit": "3" * 40,
        "maintenance": False,
        "changed_files": [],
        "units": {"nginx.service": "active (running)"},
        "workers_waiting": [],
        "restore": None,
        "lock": None,
        "last_run": None,
        "unfinished": False,
        "ledger": {
            "restore_points": [],
            "last_good": None,
            "passed_over": [],
            "broken": None,
            "discovered": [{"version": "v1.2.2", "since": "may", "sure": "likely", "why": "it was checked out for 4 days"}],
        },
    }
    text = shown(act, status=status)
    for word in (
        "open to users",
        "all 1 active",
        "lock: free",
        "ledger: empty",
        "v1.2.2       since may (likely: it was checked out for 4 days)",
        "none is recorded",
    ):
        assert word in text


def test_a_status_says_that_the_ledger_was_changed() -> None:
    assert list(rollback_summary._ledger({**LEDGER, "broken": "line 3 was changed"})) == ["ledger: DAMAGED: line 3 was changed"]


def test_probes_are_listed_with_what_they_found(act: t.Any) -> None:
    probes = [
        {"name": "home", "passed": True, "required": True, "measured": {"seconds": 0.1}},
        {"name": "login", "passed": False, "required": True, "last_error": "status 500", "measured": {}},
        {"name": "cpu", "passed": False, "required": False, "last_error": "95 %", "measured": {}},
    ]
    first, second, third = shown(act, gate={"probes": probes}).splitlines()
    assert first.startswith("ok ")
    assert first.endswith("seconds 0.1")
    assert second.startswith("FAILED")
    assert second.endswith("status 500")
    assert third.startswith("WARN")


def test_a_lock_that_was_left_over_can_be_given_back() -> None:
    lock = {"actor": "on-call", "since": "now", "run": "r1", "alive": False, "expires": "earlier"}
    held, hint = rollback_summary._lock({"lock": lock, "left_over": "r1", "watched": False})
    assert "run r1" in held
    assert hint.startswith("NEXT: ansible-playbook playbooks/abort.yml")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"stage": "swapping", "at": "noon"}, "INTERRUPTED at noon"),
        ({"stage": "proven", "side": "chom__side", "backup": {"id": "b1"}}, "not restored; chom__side beside it takes space (proven, b1)"),
        ({"stage": "released"}, ""),
        ({}, ""),
    ],
)
def test_a_status_says_what_lies_beside_the_live_database(record: dict[str, t.Any], words: str) -> None:
    assert words in "\n".join(rollback_summary._restore(record))
    assert bool(list(rollback_summary._restore(record))) == bool(words)
