# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown to the person who started a run."""

from __future__ import annotations

import typing as t

import pytest


@pytest.fixture
def plan() -> dict[str, t.Any]:
    return {
        "application": "chom",
        "nothing_to_do": False,
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "newest release tag below",
        "commits": ["a", "b"],
        "files": 7,
        "lock_files": ["composer.lock"],
        "dependencies_change": True,
        "migrations": {"down": [], "unknown_to_target": [], "not_applied": []},
        "config_keys": {"running": ["NEW_KEY"], "target": []},
        "pending": ["run r1 ended as held"],
    }


def shown(act: t.Any, **args: t.Any) -> str:
    return t.cast("str", act("rollback_summary", args)["lastgood_text"])


@pytest.mark.requirement("CHOM-5.1-06", "CHOM-5.3-04", "CHOM-CL-07")
def test_a_plan_says_where_to_and_why(act: t.Any, plan: dict[str, t.Any]) -> None:
    text = shown(act, plan=plan)
    for word in (
        "v1.2.4 (444444444444) -> v1.2.3 (333333333333)",
        "newest release tag below",
        "leaves 2 commit(s) behind, 7 files differ, lock files: composer.lock",
        "built beside the live ones",
        "only in the running version: NEW_KEY",
        "run r1 ended as held",
    ):
        assert word in text


@pytest.mark.requirement("CHOM-5.2-06", "CHOM-5.3-10")
@pytest.mark.parametrize(
    ("migrations", "words"),
    [
        ({"down": ["m1"], "unknown_to_target": [{"name": "m1"}], "not_applied": []}, "will go down: m1"),
        ({"down": [], "unknown_to_target": [{"name": "m1"}], "not_applied": []}, "kept as told: m1"),
        ({"down": [], "unknown_to_target": [], "not_applied": []}, "knows all that the database has"),
        ({"down": [], "unknown_to_target": [], "not_applied": ["m0"]}, "WARNING: the target has migrations that the database lacks: m0"),
    ],
)
def test_a_plan_says_what_becomes_of_the_schema(act: t.Any, plan: dict[str, t.Any], migrations: dict[str, t.Any], words: str) -> None:
    assert words in shown(act, plan={**plan, "migrations": migrations})


def test_nothing_to_do_is_one_line(act: t.Any, plan: dict[str, t.Any]) -> None:
    assert shown(act, plan={**plan, "nothing_to_do": True}).startswith("NOTHING TO DO: chom runs v1.2.3 already")


def test_a_status_says_what_is_not_as_it_should_be(act: t.Any) -> None:
    status = {
        "version": "v1.2.3",
        "commit": "3" * 40,
        "maintenance": True,
        "changed_files": ["README.md"],
        "units": {"nginx.service": "active (running)", "w.service": "failed (failed)"},
        "workers_waiting": ["w.service"],
        "lock": {"actor": "on-call", "since": "now", "run": "r1"},
        "last_run": {
            "run": "r1",
            "severity": "emergency",
            "from_version": "v1.2.4",
            "target": "v1.2.3",
            "outcome": "held",
            "closed": "then",
        },
        "unfinished": True,
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
        "playbooks/resume.yml   # go on to v1.2.3",
        "playbooks/undo.yml   # go back to v1.2.4",
        "journal: 7 entries, DAMAGED: line 8 was changed",
        "at work at this moment: db_backup since then",
    ):
        assert word in text
    assert "nginx" not in text


def test_a_status_without_a_history(act: t.Any) -> None:
    status: dict[str, t.Any] = {
        "version": "v1.2.3",
        "commit": "3" * 40,
        "maintenance": False,
        "changed_files": [],
        "units": {"nginx.service": "active (running)"},
        "workers_waiting": [],
        "lock": None,
        "last_run": None,
        "unfinished": False,
    }
    text = shown(act, status=status)
    for word in ("open to users", "all 1 active", "lock: free", "none is recorded"):
        assert word in text


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
