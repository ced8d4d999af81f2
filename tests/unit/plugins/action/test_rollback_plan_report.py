# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

requirement = pytest.mark.requirement
ESTIMATE = {"seconds": None, "basis": "nothing", "runs": 0, "spread": None}


@pytest.fixture
def args(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    plan = {
        "application": "chom",
        "severity": "standard",
        "nothing_to_do": False,
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "given by the operator",
        "commits": [],
        "files": 0,
        "lock_files": [],
        "database": None,
        "restore_point": None,
        "dependencies_change": False,
        "migrations": {"unknown_to_target": [], "not_applied": [], "decision": "stop", "down": []},
        "config_keys": {"running": [], "target": []},
        "pending": [],
        "local_changes": "refuse",
        "backup": False,
        "refusals": [],
        "digest": "d" * 64,
        "kept": "/state/plans/d.json",
        "not_kept": "",
        "details": {
            "files": {"counts": {"added": 0, "removed": 0, "changed": 0}, "names": {}, "listed_at_most": 200},
            "packages": [],
            "missing_settings": [],
            "services": [],
            "backup": {"planned": False, "directory": None, "bytes": None, "seconds": None, "newest": None, "basis": "no folder"},
            "disk": [],
            "prediction": {"closed": ESTIMATE, "total": ESTIMATE, "phases": []},
            "approval": {"approvers": ["ada", "bob"], "basis": "named in the profile"},
            "lock": None,
            "changed_files": [],
        },
    }
    identity = {"actor": "on-call", "controller": "laptop", "folder": str(tmp_path / "reports/chom/p1")}
    return {"plan": plan, "identity": identity}


@requirement("G-09")
def test_shows_writes_and_says_what_to_type(act: t.Any, args: dict[str, t.Any]) -> None:
    result = act("rollback_plan_report", args)
    folder = pathlib.Path(args["identity"]["folder"])
    assert not result.get("failed")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    found = json.loads((folder / "plan.json").read_text())
    assert (found["digest"], found["host"], found["details"]["approval"]["approvers"]) == ("d" * 64, "chom", ["ada", "bob"])
    assert (folder / "plan.md").read_text().startswith("# PLAN of a rollback (standard): chom")
    *_lines, apply, look = result["lastgood_text"].splitlines()
    assert apply == f"NEXT: ansible-playbook playbooks/standard_rollback.yml -e plan={'d' * 64}   # do exactly this"
    assert look == f"NEXT: less {folder}/plan.md   # the whole plan"
    assert "must approve:    ada, bob (named in the profile)" in result["lastgood_text"]


def test_each_host_has_a_page_of_its_own(act: t.Any, args: dict[str, t.Any]) -> None:
    for host in ("web1", "web2"):
        act("rollback_plan_report", args, inventory_hostname=host, ansible_play_hosts_all=["web1", "web2"])
    assert {path.name for path in pathlib.Path(args["identity"]["folder"]).iterdir()} == {
        f"plan-{host}.{kind}" for host in ("web1", "web2") for kind in ("md", "json")
    }


def test_undecided_migrations_lead_to_the_two_plans_that_decide(act: t.Any, args: dict[str, t.Any]) -> None:
    args["plan"]["migrations"]["unknown_to_target"] = [{"name": "m1", "reversible": True, "destructive": False}]
    args["plan"].update(kept=None, not_kept="it would be refused", refusals=[{"reason": "Say what.", "next_command": "standard_rollback"}])
    text = act("rollback_plan_report", args)["lastgood_text"]
    again = "NEXT: ansible-playbook playbooks/plan.yml -e severity=standard -e target=v1.2.3 -e migrations="
    assert f"{again}down   # a plan that takes the migrations down" in text
    assert f"{again}keep   # a plan that leaves the schema as it is" in text
    assert "standard_rollback" not in text


def test_other_refusals_lead_to_what_helps(act: t.Any, args: dict[str, t.Any]) -> None:
    refusals = [{"reason": "Full.", "next_command": "df -h"}, {"reason": "Odd.", "next_command": None}]
    args["plan"].update(kept=None, not_kept="it would be refused", refusals=refusals)
    text = act("rollback_plan_report", args)["lastgood_text"]
    assert "NEXT: df -h" in text
    assert "-e plan=" not in text


def test_check_mode_writes_nothing(act: t.Any, args: dict[str, t.Any]) -> None:
    result = act("rollback_plan_report", args, check=True)
    assert "PLAN of a rollback" in result["lastgood_text"]
    assert result["lastgood_text"].endswith("The page is NOT WRITTEN, since this is check mode.")
    assert not pathlib.Path(args["identity"]["folder"]).exists()


def test_a_plan_that_cannot_be_written_is_shown_all_the_same(act: t.Any, args: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "reports").write_text("")
    result = act("rollback_plan_report", args)
    assert "NOT WRITTEN to" in result["lastgood_text"]
    assert f"-e plan={'d' * 64}" in result["lastgood_text"]
