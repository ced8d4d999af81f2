# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration goes where it was told to go, takes effect everywhere, and nothing else changes; or all of it is as it was."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES, read_record
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only, unchanged

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"reconfigured", "given_back", "put_back"}
WORDS = {"reconfigured": "ROLLED BACK: ", "given_back": "UNDONE: ", "put_back": "UNDONE: "}
SECONDS = 45  # two cores, six of which are wanted
requirement = pytest.mark.requirement


def succeeds(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.expected != "put_back"


def configuration(state: dict[str, t.Any]) -> dict[str, str]:
    return {**state["configuration"], ".env": state["files"][".env"]}


def wrong_answers(rehearsed: Rehearsed) -> list[tuple[int, str | None]]:
    """What users got that was not a page; one that a busy machine is late with is none of it."""
    asked = [answer for answer in rehearsed.record.users if answer.path == "/" and answer.t >= rehearsed.record.began]
    return [(answer.status, answer.error) for answer in asked if answer.status != 200 and answer.error != "TimeoutError"]


def test_the_command_says_how_it_ended(rehearsed: Rehearsed) -> None:
    assert (rehearsed.record.rc == 0) == succeeds(rehearsed), rehearsed.record.output
    assert rehearsed.record.output.splitlines()[-1].startswith(WORDS[rehearsed.run.expected]), rehearsed.record.output
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words


@requirement("D-111")
def test_no_secret_is_said(rehearsed: Rehearsed) -> None:
    said = f"{rehearsed.record.output}{rehearsed.record.report['markdown']}{json.dumps(rehearsed.record.webhook)}"
    for secret in (*rehearsed.record.after["secrets"], "no-such-password"):
        assert secret not in said


@requirement("CHOM-9.5-03")
def test_code_schema_and_data_are_left_alone(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before, rehearsed.record.after
    for name in ("checkout", "migrations", "maintenance"):
        assert after[name] == before[name], name
    assert after["tables"]["sites"] == before["tables"]["sites"]


def test_nothing_is_left_to_do(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert (durable["lock"], durable["workers.json"]) == (None, None)
    assert durable["last_run.json"]["outcome"] == ("rolled_back" if rehearsed.run.expected == "reconfigured" else "undone")


def test_the_team_is_told_and_a_report_is_written(rehearsed: Rehearsed) -> None:
    report = rehearsed.record.report
    assert report["json"]["outcome"] == rehearsed.record.after["durable"]["last_run.json"]["outcome"]
    done = {phase["phase"]: phase["outcome"] for phase in report["json"]["phases"]}
    assert (done["put back"] if rehearsed.run.expected == "given_back" else done["configure"]) == (
        "failed" if rehearsed.run.name == "refused_by_nginx" else "changed"
    )
    assert WORDS[rehearsed.run.expected].strip(": ") in rehearsed.record.webhook[-1]["body"]["text"]


@only(succeeds)
@requirement("CHOM-9.5-07")
def test_every_page_is_good_and_nobody_saw_a_maintenance_page(rehearsed: Rehearsed) -> None:
    for path in PAGES:
        assert rehearsed.record.outside[path]["status"] == 200, path
    assert 503 not in {answer.status for answer in rehearsed.record.users if answer.path == "/"}


@only(succeeds)
@requirement("CHOM-9.5-06")
def test_workers_and_php_fpm_take_it_up_and_who_was_off_stays_off(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["units"], rehearsed.record.after["units"]
    running = [name for name, unit in after.items() if name.startswith("chom-queue-") and unit["ActiveState"] == "active"]
    assert sorted(running) == sorted(rehearsed.ran)
    assert all(after[name]["InvocationID"] != before[name]["InvocationID"] for name in running)
    assert after["php8.4-fpm.service"]["ActiveState"] == "active"
    assert after["chom-scheduler.timer"]["ActiveState"] == "active"


@only(lambda rehearsed: rehearsed.run.name == "healed")
@requirement("CHOM-9.5-01", "CHOM-9.5-03", "CHOM-9.5-04", "CHOM-9.5-05", "D-112")
def test_a_site_that_was_down_is_healed_in_seconds(rehearsed: Rehearsed) -> None:
    good = read_record(rehearsed.name, "good").after
    assert configuration(rehearsed.record.before) != configuration(good)
    assert configuration(rehearsed.record.after) == configuration(good)
    pages = [answer for answer in rehearsed.record.users if answer.path == "/"]
    assert {answer.status for answer in pages if answer.t < rehearsed.record.began}.isdisjoint({200})
    first = min(answer.t for answer in pages if answer.status == 200)
    assert first - rehearsed.record.began < SECONDS


@only(lambda rehearsed: rehearsed.run.name == "one_setting")
@requirement("D-107", "D-108")
def test_one_setting_is_one_line(rehearsed: Rehearsed) -> None:
    before, after = configuration(rehearsed.record.before), configuration(rehearsed.record.after)
    assert [name for name in before if after[name] != before[name]] in ([".env"], ["/var/www/chom/shared/.env"])
    assert wrong_answers(rehearsed) == []


@only(lambda rehearsed: rehearsed.run.expected == "given_back")
@requirement("G-10")
def test_undo_gives_back_what_was_there_before(rehearsed: Rehearsed) -> None:
    assert configuration(rehearsed.record.after) == configuration(read_record(rehearsed.name, "one_setting").before)
    assert wrong_answers(rehearsed) == []


@only(lambda rehearsed: rehearsed.run.expected == "put_back")
@requirement("D-113")
def test_what_was_refused_left_nothing_behind(rehearsed: Rehearsed) -> None:
    """Every file, units and their processes, rows, queues, sessions. Caches were made anew when the gate saw the new files."""
    found = unchanged(rehearsed.record.before, rehearsed.record.after)
    made_anew = () if rehearsed.run.name == "refused_by_nginx" else ("/files/bootstrap/cache/", "/files/storage/framework/views/")
    assert [each for each in found if not each.startswith(made_anew)] == []


@only(lambda rehearsed: rehearsed.run.name == "refused_by_nginx")
def test_a_syntax_error_is_noticed_by_nobody(rehearsed: Rehearsed) -> None:
    assert rehearsed.users().asked >= 5
    assert wrong_answers(rehearsed) == []


@only(lambda rehearsed: rehearsed.last)
def test_what_was_replaced_is_kept_for_its_owner_only(host: Host) -> None:
    found = host.check_output("find /var/lib/lastgood/chom/configuration -type f -printf '%m %u\\n'").splitlines()
    assert set(found) == {"600 deploy"}
