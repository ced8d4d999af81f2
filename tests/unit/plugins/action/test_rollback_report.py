# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest

requirement = pytest.mark.requirement


@pytest.fixture
def args(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    plan = {
        "application": "chom",
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "given by the operator",
        "commits": [],
        "budgets": {"total": 900},
    }
    identity = {
        "severity": "standard",
        "run": "r1",
        "actor": "on-call",
        "controller": "laptop",
        "began": time.time() - 5,
        "folder": str(tmp_path / "reports/chom/r1"),
    }
    steps = {
        "close traffic": {"started": "2026-01-01T00:00:00Z", "seconds": 1, "at": "2026-01-01T00:00:00Z"},
        "reopen": {"started": "2026-01-01T00:00:02Z", "seconds": 1, "at": "2026-01-01T00:00:02.5Z"},
    }
    return {
        "plan": plan,
        "identity": identity,
        "steps": steps,
        "outcome": "rolled_back",
        "state": "The application runs v1.2.3 and is open.",
        "reason": "500",
        "incident": "",
        "failure": {},
    }


@requirement("CHOM-8.1-05", "CHOM-8.1-22", "D-116")
def test_writes_both_forms_for_one_pair_of_eyes(act: t.Any, args: dict[str, t.Any]) -> None:
    result = act("rollback_report", args)
    folder = pathlib.Path(args["identity"]["folder"])
    assert json.loads((folder / "report.json").read_text())["hosts"] == ["chom"]
    text = (folder / "report.md").read_text()
    assert "# Rollback report: chom to v1.2.3" in text
    assert "for 4 hours" in text
    assert "post-mortem within 48" in text
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert result["report"] == str(folder / "report.md")


@requirement("CHOM-4.1-17")
def test_ends_with_how_it_ended(act: t.Any, args: dict[str, t.Any]) -> None:
    first, second, third = act("rollback_report", args)["lastgood_text"].splitlines()
    assert first.startswith("ROLLED BACK: chom v1.2.4 -> v1.2.3 in 5.")
    assert first.endswith("It was closed to users for 2.5 s.")
    assert second == "The application runs v1.2.3 and is open."
    assert third.startswith("Report: ")


def test_what_the_run_says_comes_next_replaces_the_usual(act: t.Any, args: dict[str, t.Any]) -> None:
    act("rollback_report", {**args, "outcome": "held", "next_steps": ["do this"]})
    text = (pathlib.Path(args["identity"]["folder"]) / "report.md").read_text()
    assert "1. do this" in text
    assert "4 hours" not in text


def test_tells_which_messages_arrived(act: t.Any, args: dict[str, t.Any]) -> None:
    folder = pathlib.Path(args["identity"]["folder"])
    folder.mkdir(parents=True)
    (folder / "notification-started.json").write_text('{"event": "started", "delivered": true}')
    (folder / "notification-broken.json").write_text("{")
    act("rollback_report", args)
    assert "started: delivered" in (folder / "report.md").read_text()


def test_odd_bytes_do_not_stop_it(act: t.Any, args: dict[str, t.Any]) -> None:
    args["plan"]["commits"] = ["abc caf\udce9"]
    act("rollback_report", {**args, "reason": "it\udcff broke"})
    assert (pathlib.Path(args["identity"]["folder"]) / "report.md").exists()


def test_a_report_that_cannot_be_written_hides_no_outcome(act: t.Any, args: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "reports").write_text("in the way")
    result = act("rollback_report", args)
    assert not result.get("failed")
    assert "ROLLED BACK" in result["lastgood_text"]
    assert "NOT WRITTEN" in result["lastgood_text"]


def test_check_mode_writes_nothing(act: t.Any, args: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    text = act("rollback_report", args, check=True)["lastgood_text"]
    assert text == "CHECK MODE: nothing was changed; chom would go to v1.2.3."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("outcome", "state", "line"),
    [
        ("rolled_back", "It is open.", "ROLLED BACK: chom on chom. It is open."),
        ("undone", "It is open.", "UNDONE: chom on chom. It is open."),
        ("aborted", "It is open.", "ABORTED: chom on chom. It is open."),
        (
            "held",
            "The application is HELD IN MAINTENANCE: users get the maintenance page.",
            "HELD IN MAINTENANCE: chom on chom. Users get the maintenance page.",
        ),
    ],
)
def test_hands_its_verdict_on(act: t.Any, args: dict[str, t.Any], outcome: str, state: str, line: str) -> None:
    result = act("rollback_report", {**args, "outcome": outcome, "state": state})
    assert result["lastgood_verdict"] == line
    assert result["ansible_facts"]["rollback_ended"] == {"outcome": outcome, "state": state}


def test_without_a_budget_none_is_named(act: t.Any, args: dict[str, t.Any]) -> None:
    args["plan"]["budgets"] = {}
    assert "(budget" not in act("rollback_report", args)["lastgood_text"]


def test_with_several_hosts_it_says_how_it_ended_on_each(act: t.Any, args: dict[str, t.Any]) -> None:
    folder = pathlib.Path(args["identity"]["folder"])
    args["closed"] = "over"
    known = {
        "web2": {"over": {"record": {"outcome": "rolled_back", "state": "It is open."}}},
        "web3": {"preflight_plan": {"nothing_to_do": True}},
        "web4": {},
    }
    hosts = {"ansible_play_hosts_all": ["chom", *known]}
    act("rollback_report", args, hostvars=known, **hosts)
    found = json.loads((folder / "report.json").read_text())["each_host"]
    assert [(entry["host"], entry["outcome"]) for entry in found] == [
        ("chom", "rolled_back"),
        ("web2", "rolled_back"),
        ("web3", "nothing_to_do"),
        ("web4", "unknown"),
    ]
    text = (folder / "report.md").read_text()
    assert "| web2 | ROLLED BACK | It is open. |" in text
    assert "| web4 | UNKNOWN | This run has not reached it yet" in text
    act("rollback_report", args, inventory_hostname="web2", hostvars={**known, "chom": known["web2"]}, **hosts)
    assert json.loads((folder / "web2/report.json").read_text())["hosts"] == ["web2"]
    assert json.loads((folder / "report.json").read_text())["hosts"] == ["chom"]
