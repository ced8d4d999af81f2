# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interrupted run is brought to an end, or a finished one undone, from what stands on the host."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.cases import TARGET
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"resumed", "undone", "aborted", "went_back"}
OUTCOMES = {"resumed": "rolled_back", "went_back": "undone"}
requirement = pytest.mark.requirement


def version(rehearsed: Rehearsed) -> str:
    if rehearsed.run.expected == "aborted":  # the code stays as it was left
        return TARGET if TARGET in rehearsed.record.before["checkout"]["tags"] else "v1.2.4"
    return TARGET if rehearsed.run.expected == "resumed" else "v1.2.4"


def outcome(rehearsed: Rehearsed) -> str:
    return OUTCOMES.get(rehearsed.run.expected, rehearsed.run.expected)


def test_the_command_says_how_it_ended_and_ends_well_when_that_is_what_was_asked_for(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == (2 if rehearsed.run.expected == "went_back" else 0), rehearsed.record.output
    assert rehearsed.record.output.splitlines()[-1].startswith(outcome(rehearsed).replace("_", " ").upper()), rehearsed.record.output
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words


def test_the_version_is_the_one_that_is_claimed(rehearsed: Rehearsed) -> None:
    checkout = rehearsed.record.after["checkout"]
    assert version(rehearsed) in checkout["tags"]
    assert checkout["changed"] == []
    for path in PAGES:
        seen = rehearsed.record.outside[path]
        assert seen["status"] == 200, path
        assert seen["version"] in (None, version(rehearsed).removeprefix("v")), path


@requirement("G-10")
def test_exactly_the_workers_that_ran_before_the_first_run_run_again(rehearsed: Rehearsed) -> None:
    units = rehearsed.record.after["units"]
    running = [name for name, unit in units.items() if name.startswith("chom-queue-") and unit["ActiveState"] == "active"]
    assert sorted(running) == sorted(rehearsed.ran)
    assert units["chom-scheduler.timer"]["ActiveState"] == "active"


@requirement("G-02")
def test_nothing_is_left_to_do(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert (durable["lock"], durable["workers.json"]) == (None, None)
    assert durable["last_run.json"]["outcome"] == outcome(rehearsed)
    assert rehearsed.record.after["maintenance"] is False


def test_the_team_is_told_and_a_report_is_written(rehearsed: Rehearsed) -> None:
    report = rehearsed.record.report
    assert report["json"]["outcome"] == outcome(rehearsed)
    assert report["json"]["follows"] or rehearsed.run.expected == "resumed"
    assert outcome(rehearsed).replace("_", " ").upper() in rehearsed.record.webhook[-1]["body"]["text"]


@only(lambda rehearsed: rehearsed.run.expected == "went_back")
@requirement("G-12")
def test_a_rollback_whose_gate_fails_is_taken_back_and_says_both(rehearsed: Rehearsed) -> None:
    report = rehearsed.record.report
    assert report["json"]["failure"]["task"].startswith("Gate")
    assert "home page: status 500" in report["markdown"]
    assert [message["body"]["text"].partition(":")[0] for message in rehearsed.record.webhook] == [
        "STANDARD ROLLBACK STARTED", "UNDO STARTED", "UNDONE",
    ]  # fmt: skip
    assert sorted(rehearsed.record.before["migrations"]) == sorted(rehearsed.record.after["migrations"])


@only(lambda rehearsed: rehearsed.name == "undone_migration")
def test_the_schema_is_as_it_was_before_the_rollback(rehearsed: Rehearsed) -> None:
    assert "2026_01_02_000000_rename_users_name" not in rehearsed.record.before["migrations"]
    assert "2026_01_02_000000_rename_users_name" in rehearsed.record.after["migrations"]


@only(lambda rehearsed: rehearsed.last)
def test_the_journals_are_whole(host: Host) -> None:
    """Checked by what the documentation says about them."""
    found = host.check_output("sh -c 'ls /var/lib/lastgood/chom/runs/*/journal.jsonl'").split()
    assert found
    for path in found:
        previous = "0" * 64
        for number, line in enumerate(host.file(path).content_string.splitlines(), 1):
            entry = json.loads(line)
            claimed = entry.pop("hash")
            assert (entry["number"], entry["previous"]) == (number, previous), path
            assert hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == claimed, path
            previous = claimed


@only(lambda rehearsed: rehearsed.last)
def test_no_journal_holds_a_secret(rehearsed: Rehearsed, host: Host) -> None:
    file = host.file(f"{rehearsed.machine.application}/.env")
    settings = dict(line.partition("=")[::2] for line in file.content_string.splitlines() if "=" in line)
    secrets = [settings[name].strip("\"'") for name in ("APP_KEY", "DB_PASSWORD", "REDIS_PASSWORD")]
    text = host.check_output("sh -c 'cat /var/lib/lastgood/chom/runs/*/journal.jsonl'")
    assert all(len(secret) > 3 for secret in secrets)
    assert [secret for secret in secrets if secret in text] == []
