# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.plugin_utils import _report

requirement = pytest.mark.requirement
NOW = 1_763_781_300.0  # 2025-11-22T03:15:00Z


def step(started: str, seconds: float = 1.0, **more: t.Any) -> dict[str, t.Any]:
    return {"started": f"2025-11-22T03:{started}Z", "seconds": seconds, "changed": True, **more}


@pytest.fixture
def facts() -> dict[str, t.Any]:
    """What a whole standard rollback hands over."""
    plan = {
        "application": "chom",
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "given by the operator",
        "commits": ["444444 Release 1.2.4"],
        "budgets": {"total": 900, "gate": 10},
    }
    return {
        "outcome": "rolled_back",
        "state": "The application runs v1.2.3 and is open.",
        "hosts": ["chom"],
        "plan": plan,
        "identity": {"severity": "standard", "run": "r1", "actor": "on-call", "controller": "laptop", "began": NOW - 60.25},
        "reason": "every page answers 500",
        "incident": "INC-7",
        "steps": {
            "gate": step(
                "14:40.000", probes=[{"name": "home", "type": "http", "passed": True, "last_error": None, "measured": {"seconds": 0.1}}]
            ),
            "lock": step("14:00.500"),
            "protect": step("14:05.000", path="/b/x.sql.zst", backup={"bytes": 5, "sha256": "abc", "tables": {"users": 3, "sites": 4}}),
            "quiesce writers": step("14:10.000", interrupted=["w2.service"]),
            "close traffic": step("14:20.000", at="2025-11-22T03:14:20.250Z"),
            "migrate down": {"skipped": True, "changed": False},
            "switch code": step("14:30.000", changed=False),
            "reopen": step("14:50.000", at="2025-11-22T03:14:51.000Z"),
            "watch": step("14:52.000", passed=True, rounds=60, availability=99.5),
            "caches": {},
        },
        "failure": {},
        "next_steps": ["Keep watching."],
        "notifications": [{"event": "started", "delivered": True}, {"event": "finished", "delivered": False, "error": "timed out"}],
    }


RESTORE = {
    "restore beside": step("14:03.000"),
    "count loss": step(
        "14:20.500",
        totals={"new": 2, "changed": 1, "deleted": 0, "tables": ["users"]},
        text="users: 2 new, 1 changed.",
        salvage="/s/loss",
    ),
    "swap database": step("14:21.000", kept="chom__kept_1"),
}


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


@requirement(
    "CHOM-8.1-05",
    "CHOM-8.1-06",
    "CHOM-8.1-07",
    "CHOM-8.1-08",
    "CHOM-8.1-09",
    "CHOM-8.1-10",
    "CHOM-8.1-11",
    "CHOM-8.1-12",
    "CHOM-8.1-13",
    "CHOM-8.1-14",
    "CHOM-8.1-22",
    "CHOM-CL-23",
)
def test_holds_what_the_procedure_asks_for(facts: dict[str, t.Any]) -> None:
    report = _report.compose(facts, NOW)
    text = _report.markdown(report)
    assert (report["began"], report["ended"], report["duration_seconds"]) == ("2025-11-22T03:13:59Z", "2025-11-22T03:15:00Z", 60.2)
    for word in (
        "ROLLED BACK", "| Type | standard |", "on-call on laptop", "60.2 s of 900 s", "every page answers 500", "INC-7", "v1.2.3 (`333333333333`)",
        "v1.2.4 (`444444444444`)", "1. Keep watching.", "- 444444 Release 1.2.4", "30.75 s, measured on the host",
    ):  # fmt: skip
        assert word in text


@requirement("CHOM-8.1-12")
def test_actions_stand_in_the_order_of_the_clock_with_their_budgets(facts: dict[str, t.Any]) -> None:
    phases = _report.compose(facts, NOW)["phases"]
    assert [phase["phase"] for phase in phases] == [
        "lock", "protect", "quiesce writers", "close traffic", "switch code", "gate", "reopen", "watch",
    ]  # fmt: skip
    assert next(phase for phase in phases if phase["phase"] == "gate")["budget"] == 10
    assert [phase["outcome"] for phase in phases if phase["phase"] in ("switch code", "gate")] == ["ok", "changed"]
    facts["steps"]["gate"]["failed"] = True
    assert lines(_report.markdown(_report.compose(facts, NOW)), "| gate |")[0].endswith("| 1.00 | 10 | failed |")


@requirement("CHOM-8.1-10")
@pytest.mark.parametrize(
    ("closed", "opened", "seconds"),
    [
        ({"at": "2025-11-22T03:14:20.250Z"}, {"at": "2025-11-22T03:14:51.000Z"}, 30.75),
        ({"at": "2025-11-22T03:14:20Z"}, {}, None),
        ({}, {"at": "2025-11-22T03:14:51Z"}, None),
        ({"at": "2025-11-22T03:14:20Z"}, {"at": None}, None),
        ({}, {}, None),
    ],
)
def test_how_long_it_was_closed_is_measured_or_not_said(closed: t.Any, opened: t.Any, seconds: float | None) -> None:
    assert _report.closed_seconds({"close traffic": closed, "reopen": opened}) == seconds
    assert _report.closed_seconds({}) is None


def test_a_site_that_is_still_closed_has_no_seconds(facts: dict[str, t.Any]) -> None:
    facts["steps"]["reopen"] = {}
    facts["outcome"] = "held"
    text = _report.markdown(_report.compose(facts, NOW))
    assert "| Closed to users | not closed or still closed |" in text
    assert "HELD IN MAINTENANCE" in text


@pytest.mark.parametrize("outcome", ["rolled_back", "held", "failed", "refused", "nothing_to_do", "undone", "aborted"])
def test_every_outcome_has_its_headline(facts: dict[str, t.Any], outcome: str) -> None:
    assert _report.headline(outcome) in _report.markdown(_report.compose({**facts, "outcome": outcome}, NOW))


def test_a_table_survives_what_is_put_into_it(facts: dict[str, t.Any]) -> None:
    (probe,) = facts["steps"]["gate"]["probes"]
    probe.update(passed=False, last_error="expected a|b\ngot `c` \\| d")
    (line,) = lines(_report.markdown(_report.compose(facts, NOW)), "| home |")
    assert line == r"| home | http | FAILED | expected a\|b got `c` \\\| d |"


def test_the_failure_is_quoted_whole(facts: dict[str, t.Any]) -> None:
    facts["failure"] = {"task": "Gate | Ask", "message": "2 of 7 probes failed:\n# home\n\nlogin"}
    text = _report.markdown(_report.compose(facts, NOW))
    assert "## What failed\n\nGate | Ask\n\n> 2 of 7 probes failed:\n> # home\n> \n> login" in text


@requirement("CHOM-8.1-15")
def test_says_what_became_of_the_data(facts: dict[str, t.Any]) -> None:
    text = _report.markdown(_report.compose(facts, NOW))
    assert "`/b/x.sql.zst`, 5 bytes, 7 rows in 2 tables, sha256 `abc`" in text
    assert "The database was not changed by this run" in text
    facts["steps"]["protect"] = {"skipped": True}
    assert "No backup was made" in _report.markdown(_report.compose(facts, NOW))


@requirement("CHOM-8.1-15")
@pytest.mark.parametrize("backup", [True, False])
def test_migrations_that_went_down_are_named_with_where_their_data_is(facts: dict[str, t.Any], backup: bool) -> None:
    facts["steps"]["migrate down"] = step("14:25.000", down=["m1", "m2"])
    if not backup:
        facts["steps"]["protect"] = {}
    text = _report.markdown(_report.compose(facts, NOW))
    assert "Migrations taken down: m1, m2." in text
    assert ("only in the backup" in text) == backup
    assert "was not changed" not in text


def test_a_migration_that_failed_is_not_called_no_change(facts: dict[str, t.Any]) -> None:
    facts["steps"]["migrate down"] = step("14:25.000", failed=True)
    text = _report.markdown(_report.compose(facts, NOW))
    assert "was not changed" not in text
    assert "when that failed" in text


def test_killed_workers_are_named(facts: dict[str, t.Any]) -> None:
    assert _report.compose(facts, NOW)["jobs_interrupted"] == ["w2.service"]


@requirement("D-130")
def test_messages_that_did_not_arrive_are_said(facts: dict[str, t.Any]) -> None:
    text = _report.markdown(_report.compose(facts, NOW))
    assert "started: delivered, finished: NOT delivered (timed out)" in text
    facts["notifications"] = []
    assert "none configured" in _report.markdown(_report.compose(facts, NOW))


def test_a_run_that_failed_at_once_has_a_report_too(facts: dict[str, t.Any]) -> None:
    facts.update(steps={"lock": step("14:00.500", failed=True)}, outcome="refused", incident="", next_steps=[])
    facts["plan"]["commits"] = []
    text = _report.markdown(_report.compose(facts, NOW))
    assert "The gate was not reached." in text
    assert "## Commits left behind\n\n- none" in text
    assert "Incident" not in text


def test_an_undo_names_the_run_that_it_undid_and_the_migrations_that_are_applied_again(facts: dict[str, t.Any]) -> None:
    facts["identity"]["severity"] = "undo"
    facts["plan"]["budgets"] = {}
    facts["steps"]["migrate up"] = step("14:35.000", up=["m1", "m2"])
    report = _report.compose({**facts, "outcome": "undone", "follows": "r0"}, NOW)
    text = _report.markdown(report)
    assert report["follows"] == "r0"
    assert text.startswith("# Undo report: chom")
    for word in ("| Undone run | `r0` |", "| Duration | 60.2 s |", "Migrations applied again: m1, m2."):
        assert word in text
    assert "was not changed" not in text


def test_a_migration_that_does_not_go_up_is_not_called_no_change(facts: dict[str, t.Any]) -> None:
    facts["steps"]["migrate up"] = step("14:35.000", failed=True)
    assert "when that failed" in _report.markdown(_report.compose(facts, NOW))


@requirement("CHOM-8.1-15", "CHOM-8.1-16", "CHOM-8.1-17", "CHOM-6.2-25")
def test_says_what_going_back_with_the_database_lost_and_where_that_is(facts: dict[str, t.Any]) -> None:
    facts["plan"]["database"] = {"backup": {"id": "b1", "started": "2025-11-22T02:00:00Z"}, "tables": []}
    facts["steps"].update(RESTORE)
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "went back to 2025-11-22T02:00:00Z (backup `b1`). What was replaced is kept as `chom__kept_1`.")
    assert lines(text, "- Lost: 2 new, 1 changed, 0 deleted rows in 1 tables")
    assert lines(text, "users: 2 new, 1 changed.")
    assert lines(text, "were saved in `/s/loss`")
    assert not lines(text, "The database was not changed")


def test_what_was_not_there_is_not_said_to_be_kept(facts: dict[str, t.Any]) -> None:
    facts["plan"]["database"] = {"backup": {"id": "b1", "started": "2025-11-22T02:00:00Z"}, "tables": []}
    facts["steps"].update({**RESTORE, "swap database": {**RESTORE["swap database"], "kept": None}})
    assert lines(_report.markdown(_report.compose(facts, NOW)), "(backup `b1`). There was no database, or none with tables, before.")


def test_a_database_that_was_not_replaced_lost_nothing(facts: dict[str, t.Any]) -> None:
    facts["plan"]["database"] = {"backup": {"id": "b1", "started": "2025-11-22T02:00:00Z"}, "tables": ["users"]}
    facts["steps"].update({**RESTORE, "swap database": {**RESTORE["swap database"], "failed": True}})
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "The live database was not replaced by this run.")
    assert lines(text, "Would have been lost")


def test_rows_that_came_after_the_comparison_are_not_said_to_be_saved(facts: dict[str, t.Any]) -> None:
    facts["plan"]["database"] = {"backup": {"id": "b1", "started": "2025-11-22T02:00:00Z"}, "tables": []}
    facts["steps"].update(RESTORE)
    assert not lines(_report.markdown(_report.compose(facts, NOW)), "Rows written from then")
    facts["steps"]["count loss"] = {**RESTORE["count loss"], **step("14:19.000")}
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "was at 2025-11-22T03:14:19.000Z. Rows written from then until the site was closed are only in `chom__kept_1`.")


def test_an_undo_says_that_the_database_is_back(facts: dict[str, t.Any]) -> None:
    facts["steps"]["return database"] = step("14:25.000")
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "The database is the one from before the rollback again.")
    assert not lines(text, "the restored one has")
    facts["steps"]["count loss"] = {**RESTORE["count loss"], **step("14:19.000")}
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "In comparison, the restored one has: 2 new, 1 changed, 0 deleted rows in 1 tables")
    assert lines(text, "Rows written from then until the site was closed are only in the restored one.")


def test_a_loss_that_nobody_could_count_is_not_called_none(facts: dict[str, t.Any]) -> None:
    facts["plan"]["database"] = {"backup": {"id": "b1", "started": "2025-11-22T02:00:00Z"}, "tables": []}
    facts["steps"].update({**RESTORE, "count loss": {"text": "WHAT WOULD BE LOST IS NOT KNOWN: it is gone."}})
    text = _report.markdown(_report.compose(facts, NOW))
    assert lines(text, "- Lost: not known")
    assert lines(text, "it is gone.")
