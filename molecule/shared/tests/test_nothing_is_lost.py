# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""However a run ends: what users had before it, and what was acknowledged to them during it, is there afterwards."""

from __future__ import annotations

import time

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import LATER, PARKED, Machine
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only

EXPECTED = {
    "rolled_back", "nothing_to_do", "refused", "held", "checked", "interrupted", "cut_off", "resumed", "undone", "aborted", "went_back",
    "reopened", "abandoned", "switched", "unswitched",
}  # fmt: skip
requirement = pytest.mark.requirement


@requirement("CHOM-1.4-01")
def test_every_row_is_as_it_was(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["tables"], rehearsed.record.after["tables"]
    for table in ("organizations", "users", "sites", "processed_jobs", "failed_jobs"):
        assert (after[table]["rows"], after[table]["checksum"]) == (before[table]["rows"], before[table]["checksum"]), table
    assert after["organizations"]["rows"] >= 1000, "else nothing would have been compared"
    assert after["sites"]["rows"] >= 19900


@requirement("CHOM-1.4-01")
def test_waiting_and_delayed_jobs_are_as_they_were(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["queues"], rehearsed.record.after["queues"]
    assert len(before["parked"]) == PARKED
    assert after["parked"] == before["parked"]
    assert len(before["default:delayed"]) == 2 * LATER, "each with its moment"
    assert after["default:delayed"] == before["default:delayed"]


def test_sessions_are_as_they_were(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["sessions"], rehearsed.record.after["sessions"]
    assert len(before) >= 3
    assert {key: after.get(key) for key in before} == before


@only(lambda rehearsed: rehearsed.run.expected == "rolled_back")
@requirement("CHOM-7.2-06")
def test_a_visitor_s_session_goes_on_where_it_was(rehearsed: Rehearsed) -> None:
    answers = sorted((answer for answer in rehearsed.record.users if answer.path == "/session"), key=lambda answer: answer.t)
    counts = [answer.count or 0 for answer in answers if answer.status == 200]
    assert len(counts) >= 2
    assert counts == sorted(set(counts)), "a new session would begin at 1 again"


@only(lambda rehearsed: rehearsed.last and rehearsed.run.expected == "rolled_back")
@requirement("CHOM-1.4-01")
def test_every_acknowledged_sign_up_exists(rehearsed: Rehearsed) -> None:
    acknowledged = {str(identifier) for run in _runs(rehearsed) for identifier in run.users().acknowledged}
    assert acknowledged, "nobody could sign up, not even at the end"
    rows = rehearsed.machine.rows(f"SELECT id FROM users WHERE id IN ({', '.join(acknowledged)})")
    assert {number for (number,) in rows} == acknowledged


@only(lambda rehearsed: rehearsed.last and rehearsed.run.expected == "rolled_back" and not rehearsed.case.off)
@requirement("CHOM-1.4-01")
def test_every_job_of_an_acknowledged_sign_up_is_done_once(rehearsed: Rehearsed) -> None:
    """A job may also have failed while the release was there whose jobs fail; it is in failed_jobs then."""
    acknowledged = {str(identifier) for run in _runs(rehearsed) for identifier in run.users().acknowledged}
    done: dict[str, int] = {}
    for _attempt in range(60):
        done = _jobs_done(rehearsed.machine, acknowledged)
        if all(done.get(identifier, 0) >= 5 for identifier in acknowledged):
            break
        time.sleep(0.25)
    assert {identifier: done.get(identifier, 0) for identifier in acknowledged} == dict.fromkeys(acknowledged, 5)


def _runs(rehearsed: Rehearsed) -> list[Rehearsed]:
    return [Rehearsed(rehearsed.name, rehearsed.case, run) for run in rehearsed.case.runs if run.expected != "refused"]


def _jobs_done(machine: Machine, acknowledged: set[str]) -> dict[str, int]:
    numbers = ", ".join(f"'{identifier}'" for identifier in acknowledged)
    rows = machine.rows(f"SELECT subject, COUNT(*) FROM processed_jobs WHERE kind <> 'task' AND subject IN ({numbers}) GROUP BY subject")
    done = {subject: int(count) for subject, count in rows}
    for (payload,) in machine.rows("SELECT payload FROM failed_jobs"):
        for identifier in acknowledged:
            if f'"subject";s:{len(identifier)}:"{identifier}"' in payload.replace("\\", ""):
                done[identifier] = done.get(identifier, 0) + 1
    return done


@only(lambda rehearsed: rehearsed.run.job_at_work)
def test_a_job_at_work_is_finished_once_by_the_code_that_began_it(rehearsed: Rehearsed) -> None:
    since = rehearsed.record.before["tables"]["processed_jobs"]["last"]
    asked = f"SELECT version FROM processed_jobs WHERE id > {since} AND kind = 'task' AND queue = 'reports' ORDER BY id LIMIT 1"
    assert rehearsed.machine.rows(asked) == [["1.2.4"]]
