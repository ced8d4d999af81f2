# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that was killed and that nobody comes for: the host notices by itself."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES, SECRET_PATH
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"reopened", "abandoned"}
requirement = pytest.mark.requirement


def reopened(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.expected == "reopened"


def last_run(rehearsed: Rehearsed) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", rehearsed.record.after["durable"]["last_run.json"])


def test_it_is_recorded_as_abandoned(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == -9
    assert last_run(rehearsed)["outcome"] == "abandoned"
    assert last_run(rehearsed)["abandoned"]["silent_seconds"] >= 5
    assert last_run(rehearsed)["abandoned"]["action"] == ("reopen" if reopened(rehearsed) else "alarm")


def test_the_alarm_is_in_the_systemd_journal(rehearsed: Rehearsed, host: Host) -> None:
    said = host.check_output("journalctl --unit=lastgood-chom.service --priority=crit --output=cat --no-pager")
    alarms = [line for line in said.splitlines() if last_run(rehearsed)["run"] in line]
    assert len(alarms) == 1
    assert alarms[0].startswith("ROLLBACK ABANDONED: chom on ")
    said_why = "the site is open as before" if reopened(rehearsed) else "since the run had begun: git_version_switch switched"
    assert said_why in alarms[0]


@only(reopened)
def test_the_code_is_the_one_from_before(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.after["checkout"]["head"] == rehearsed.record.before["checkout"]["head"]


@only(reopened)
def test_users_are_let_in_again(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.after["maintenance"] is False
    for path in PAGES:
        assert rehearsed.record.outside[path]["status"] == 200, path
    pages = sorted((answer for answer in rehearsed.record.users if answer.path == "/"), key=lambda answer: answer.t)
    assert {answer.status for answer in pages} >= {200, 503}
    assert pages[-1].status == 200


@only(reopened)
def test_exactly_the_workers_that_ran_run_again(rehearsed: Rehearsed) -> None:
    units = rehearsed.record.after["units"]
    running = [name for name, unit in units.items() if name.startswith("chom-queue-") and unit["ActiveState"] == "active"]
    assert sorted(running) == sorted(rehearsed.ran)
    assert units["chom-scheduler.timer"]["ActiveState"] == "active"


@only(reopened)
def test_the_lock_is_free_and_nothing_waits(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert (durable["lock"], durable["workers.json"]) == (None, None)


@only(lambda rehearsed: not reopened(rehearsed))
def test_once_the_code_was_switched_everything_is_left_as_it_is(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert durable["lock"]["run"] == last_run(rehearsed)["run"]
    assert rehearsed.record.after["maintenance"] is True
    assert {rehearsed.record.outside[path]["status"] for path in PAGES} == {200, 503}
    for name, unit in rehearsed.record.after["units"].items():
        if name.startswith("chom-"):
            assert unit["ActiveState"] == "inactive", name


def test_afterwards_nothing_is_left_of_the_timer_and_no_secret(rehearsed: Rehearsed, host: Host) -> None:
    """The last run of the case was resumed and closed."""
    assert rehearsed.case.runs[-1].expected == "resumed"
    assert host.run("systemctl is-active lastgood-chom.timer").stdout.strip() == "inactive"
    assert host.run(f"grep -rl {SECRET_PATH} /var/lib/lastgood").stdout == ""
    assert host.file("/var/lib/lastgood/chom/freeze").exists
