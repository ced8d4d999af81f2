# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two tables went back to a backup and the others stayed; what was lost by that was put back."""

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES, read_record
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only
from ansible_collections.lastgood.rollback.plugins.plugin_utils._report import moment

EXPECTED = {"tables_restored", "replayed"}
requirement = pytest.mark.requirement


def restored(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.expected == "tables_restored"


def test_the_command_ends_well_and_the_site_is_open(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == 0, rehearsed.record.output
    for path in PAGES:
        assert rehearsed.record.outside[path]["status"] == 200, path


@only(restored)
@requirement("CHOM-6.2-09", "D-008")
def test_the_two_tables_are_those_of_the_backup(rehearsed: Rehearsed) -> None:
    then, after = read_record(rehearsed.name, "controlled").before["tables"], rehearsed.record.after["tables"]
    assert rehearsed.record.before["tables"]["sites"]["rows"] == 19900, "they were damaged"
    assert (after["sites"]["rows"], after["sites"]["checksum"]) == (then["sites"]["rows"], then["sites"]["checksum"])


@only(restored)
def test_the_other_tables_stay_as_they_are(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["tables"], rehearsed.record.after["tables"]
    for table in ("organizations", "failed_jobs"):
        assert (after[table]["rows"], after[table]["checksum"]) == (before[table]["rows"], before[table]["checksum"]), table


@only(restored)
def test_no_number_is_given_to_a_second_user(rehearsed: Rehearsed) -> None:
    opened = max(answer.t for answer in rehearsed.record.users if answer.path == "/" and answer.status == 503)
    numbers = [(answer.t > opened, answer.id) for answer in rehearsed.record.users if answer.id is not None]
    lost, new = ([number for after, number in numbers if after is wanted] for wanted in (False, True))
    assert lost, "nobody signed up before the site was closed"
    assert new, "nobody signed up after it was opened"
    assert min(new) > max(lost)


@only(restored)
@requirement("CHOM-8.1-15")
def test_the_report_says_what_was_lost_and_until_when_that_was_counted(rehearsed: Rehearsed) -> None:
    found = rehearsed.record.report["json"]["database"]
    assert found["loss"]["totals"]["deleted"] == 100
    early = "database_rollback_patience" in rehearsed.run.extra
    assert bool(found["compared_before_closing"]) is early
    assert (f"are only in `{found['kept']}`" in rehearsed.record.report["markdown"]) is early


@only(lambda rehearsed: not restored(rehearsed))
@requirement("CHOM-1.4-01")
def test_whoever_signed_up_is_there_again(rehearsed: Rehearsed) -> None:
    restoring = read_record(rehearsed.name, "restored")
    compared = moment(restoring.report["json"]["database"]["compared_before_closing"])
    opened = max(answer.t for answer in restoring.users if answer.path == "/" and answer.status == 503)
    saved = [answer for answer in restoring.users if answer.ended < compared or answer.t > opened]
    acknowledged = {str(answer.id) for answer in [*saved, *read_record(rehearsed.name, "replayed").users] if answer.id is not None}
    rows = {number for (number,) in rehearsed.machine.rows("SELECT id FROM users")}
    assert acknowledged
    assert acknowledged <= rows
