# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data went back to a backup because somebody agreed to that; what came after it is nowhere lost."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.cases import TARGET
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES, Record, read_record
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"restored", "swapped_back"}
STATE = "/var/lib/lastgood/chom"
TABLES = ("organizations", "sites", "failed_jobs")
requirement = pytest.mark.requirement


def restored(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.expected == "restored"


def run(rehearsed: Rehearsed, name: str) -> Record:
    return read_record(rehearsed.name, name)


def word(rehearsed: Rehearsed) -> str:
    return "ROLLED BACK" if restored(rehearsed) else "UNDONE"


def test_the_command_ends_well_and_says_which_data_there_are(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == 0, rehearsed.record.output
    assert rehearsed.record.output.splitlines()[-1].startswith(f"{word(rehearsed)}: chom on ")
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words
    if restored(rehearsed):
        assert "Its data are those of 20" in rehearsed.record.words
        assert re.search(r"is kept as (chom|/var/lib/chom/chom\.sqlite)__kept_", rehearsed.record.words)


@only(restored)
@requirement("CHOM-6.2-09", "CHOM-6.2-10", "CHOM-6.2-11", "CHOM-6.2-12", "CHOM-6.2-21", "D-008", "D-009")
def test_the_data_are_those_of_the_backup(rehearsed: Rehearsed) -> None:
    then, before, after = (
        record["tables"] for record in (run(rehearsed, "controlled").before, rehearsed.record.before, rehearsed.record.after)
    )
    assert before["sites"]["rows"] == 19900, "they were damaged"
    for table in TABLES:
        assert (after[table]["rows"], after[table]["checksum"]) == (then[table]["rows"], then[table]["checksum"]), table


@only(lambda rehearsed: not restored(rehearsed))
def test_undo_brings_back_the_data_from_before_to_the_last_row(rehearsed: Rehearsed) -> None:
    before, after = run(rehearsed, "restored").before["tables"], rehearsed.record.after["tables"]
    for table in TABLES:
        assert after[table]["rows"] == before[table]["rows"], table
    if rehearsed.last:
        users = rehearsed.machine.rows(f"SELECT COUNT(*) FROM users WHERE id <= {before['users']['last']}")
        assert int(users[0][0]) == before["users"]["rows"]


@only(restored)
@requirement("CHOM-6.2-24", "CHOM-6.2-25", "CHOM-8.1-15", "CHOM-8.1-16", "CHOM-8.1-17")
def test_the_report_says_what_was_lost(rehearsed: Rehearsed) -> None:
    found = rehearsed.record.report["json"]["database"]
    assert found["swapped"]
    assert found["loss"]["totals"]["changed"] >= 10
    assert found["loss"]["totals"]["deleted"] >= 100
    assert {"sites", "organizations"} <= set(found["loss"]["totals"]["tables"])
    assert "What was replaced is kept as" in rehearsed.record.report["markdown"]


@only(lambda rehearsed: rehearsed.run.playbook in ("database_rollback", "undo"))  # with a crashed application nobody signs up
@requirement("CHOM-1.4-01", "CHOM-6.2-05")
def test_every_sign_up_that_is_not_in_the_data_that_come_is_saved_and_kept(rehearsed: Rehearsed, host: Host) -> None:
    """The database that went is still there, or undo made it the live one again, or what came after that keeps it once more."""
    closed = min(answer.t for answer in rehearsed.record.users if answer.path == "/" and answer.status == 503)
    acknowledged = {answer.id for answer in rehearsed.record.users if answer.id is not None and answer.ended < closed}
    assert acknowledged, "nobody signed up before the site was closed"
    salvage = rehearsed.record.report["json"]["database"]["loss"]["salvage"]
    assert salvage.startswith(f"{STATE}/runs/")
    assert host.file(salvage).mode == 0o700
    lines = host.check_output(f"cat {salvage}/*users.jsonl").splitlines()
    saved = {int(entry["row"]["id"]) for entry in map(json.loads, lines) if entry.get("kind") == "new"}
    assert acknowledged <= saved
    if restored(rehearsed) or rehearsed.last:  # else somebody released it after the undo
        places = [name for name in rehearsed.machine.databases if re.match(r"chom$|chom__(kept|side)", name)]
        rows = [{number for (number,) in rehearsed.machine.rows("SELECT id FROM users", place)} for place in places]
        assert any({str(number) for number in acknowledged} <= there for there in rows), places


def test_the_code_is_the_target_and_every_page_answers(rehearsed: Rehearsed) -> None:
    checkout = rehearsed.record.after["checkout"]
    assert TARGET in checkout["tags"]
    assert checkout["changed"] == []
    for path in PAGES:
        assert rehearsed.record.outside[path]["status"] == 200, path
    assert rehearsed.record.after["maintenance"] is False


@only(lambda rehearsed: rehearsed.run.playbook != "full_system_rollback")  # there the application crashes
def test_users_get_the_maintenance_page_or_a_whole_one(rehearsed: Rehearsed) -> None:
    answered = {answer.status for answer in rehearsed.record.users if answer.path == "/" and answer.error != "TimeoutError"}
    assert answered == {200, 503}


@requirement("CHOM-6.2-04", "CHOM-6.2-17")
def test_exactly_the_workers_that_ran_run_again_as_new_processes(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["units"], rehearsed.record.after["units"]
    running = [name for name, unit in after.items() if name.startswith("chom-queue-") and unit["ActiveState"] == "active"]
    assert sorted(running) == sorted(rehearsed.ran)
    assert all(after[name]["InvocationID"] != before[name]["InvocationID"] for name in rehearsed.ran)
