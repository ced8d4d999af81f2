# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A version that does not pass the gate is not shown to users, and a run that was killed can be picked up."""

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only

EXPECTED = {"held", "interrupted"}
requirement = pytest.mark.requirement


def held(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.expected == "held"


@only(held)
@requirement("CHOM-4.1-18")
def test_the_command_fails_and_says_what_to_type(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc not in (0, None), rehearsed.record.output
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words
    assert "Next: ansible-playbook playbooks/resume.yml" in rehearsed.record.words
    assert "Next: ansible-playbook playbooks/undo.yml" in rehearsed.record.words
    assert rehearsed.record.report["json"]["outcome"] == "held"
    assert "HELD IN MAINTENANCE" in rehearsed.record.webhook[-1]["body"]["text"] or "HELD" in rehearsed.record.webhook[-1]["body"]["text"]


@requirement("CHOM-4.1-16", "CHOM-4.1-18", "CHOM-4.2-09", "CHOM-5.2-16")
def test_users_get_the_maintenance_page(rehearsed: Rehearsed) -> None:
    for path in PAGES:
        assert rehearsed.record.outside[path]["status"] == (200 if path.startswith("/css/") else 503), path
    pages = sorted((answer for answer in rehearsed.record.users if answer.path == "/"), key=lambda answer: answer.t)
    closed = next(answer.ended for answer in pages if answer.status == 503)
    assert {answer.status for answer in pages if answer.t > closed} == {503}
    assert rehearsed.record.after["maintenance"] is True


def test_no_worker_runs_code_that_is_not_proven(rehearsed: Rehearsed) -> None:
    units = rehearsed.record.after["units"]
    for name, unit in units.items():
        if name.startswith("chom-"):
            assert unit["ActiveState"] == "inactive", name


def test_the_workers_that_ran_are_remembered(rehearsed: Rehearsed) -> None:
    remembered = rehearsed.record.after["durable"]["workers.json"]["units"]
    assert sorted(remembered) == sorted([*rehearsed.ran, "chom-scheduler.timer"])


@only(held)
def test_the_lock_is_free_and_the_outcome_is_recorded(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert durable["lock"] is None
    assert durable["last_run.json"]["outcome"] == "held"


@only(lambda rehearsed: not held(rehearsed))
def test_a_killed_run_keeps_the_lock(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert rehearsed.record.rc == -9
    assert durable["lock"]["run"] == durable["last_run.json"]["run"]
    assert durable["last_run.json"]["outcome"] == "interrupted"
