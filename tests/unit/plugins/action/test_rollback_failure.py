# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

STEPS = dict.fromkeys(["lock", "quiesce writers", "close traffic", "migrate down", "switch code", "reopen", "start workers"])


@pytest.fixture
def args() -> dict[str, t.Any]:
    return {
        "task": "lastgood.rollback.verify : Gate | Ask the application",
        "result": {"msg": "2 probes failed. Nothing was changed.", "reason": "2 probes failed.", "next_command": "systemctl status x"},
        "playbook": "standard_rollback",
        "plan": {"target": "v1.2.3", "from_version": "v1.2.4"},
        "steps": {name: {"changed": True} for name in STEPS} | {"reopen": {}, "start workers": {}},
    }


@pytest.mark.requirement("G-12")
def test_says_what_failed_what_state_this_is_and_what_to_type(act: t.Any, args: dict[str, t.Any]) -> None:
    failure = act("rollback_failure", args)["ansible_facts"]["rollback_failure"]
    assert failure["task"] == "Gate | Ask the application"
    assert failure["message"] == "2 probes failed."
    assert failure["outcome"] == "held"
    assert "HELD IN MAINTENANCE" in failure["state"]
    assert not failure["start_workers"]
    assert failure["next"][0] == "systemctl status x"
    assert failure["next"][1].startswith("ansible-playbook playbooks/resume.yml ")


def test_to_try_again_takes_the_same_decisions(act: t.Any, args: dict[str, t.Any]) -> None:
    args["plan"].update(migrations={"decision": "down"}, local_changes="save")
    args["steps"] = {name: {} for name in STEPS} | {"lock": {"changed": True}}
    failure = act("rollback_failure", args)["ansible_facts"]["rollback_failure"]
    assert "-e target=v1.2.3 -e migrations=down -e local_changes=save " in failure["next"][-1]


def test_what_nobody_agreed_to_is_refused_with_the_way_to_agree(act: t.Any, args: dict[str, t.Any]) -> None:
    args["steps"] = {name: {} for name in STEPS} | {"lock": {"changed": True}}
    args["result"] = {"refused": True, "reason": "Nobody agreed.", "state": "The side waits.", "next_command": "playbook -e approve=3f2a"}
    failure = act("rollback_failure", args)["ansible_facts"]["rollback_failure"]
    assert (failure["outcome"], failure["state"], failure["next"]) == ("refused", "The side waits.", ["playbook -e approve=3f2a"])
    assert not any(failure[what] for what in ("reopen", "start_workers", "undo"))


def test_what_an_earlier_run_reached_is_what_runs(act: t.Any, args: dict[str, t.Any]) -> None:
    done = {"changed": True, "failed": False}
    phases = dict.fromkeys(("lock", "quiesce writers", "close traffic", "switch code"), done)
    args["origin"] = {"from_version": "v1.2.4", "was_down": False, "phases": phases}
    args["plan"] = {"target": "v1.2.2", "from_version": "v1.2.3", "in_maintenance": True}
    args["steps"] = {name: {} for name in STEPS} | {"lock": done}
    failure = act("rollback_failure", args)["ansible_facts"]["rollback_failure"]
    assert failure["outcome"] == "held"
    assert "The code is v1.2.3." in failure["state"]
    assert any("undo.yml   # go back to v1.2.4" in command for command in failure["next"])


def test_a_failure_without_words_has_some(act: t.Any, args: dict[str, t.Any]) -> None:
    failure = act("rollback_failure", {**args, "result": {}})["ansible_facts"]["rollback_failure"]
    assert failure["message"] == "no message"
    assert all(text.startswith("ansible-playbook") for text in failure["next"])


@pytest.mark.parametrize(("policy", "undo"), [("undo", True), ("hold", False)])
def test_the_policy_decides_whether_it_goes_back(act: t.Any, args: dict[str, t.Any], policy: str, undo: bool) -> None:
    assert act("rollback_failure", {**args, "on_failed_gate": policy})["ansible_facts"]["rollback_failure"]["undo"] is undo


def test_a_resumed_run_goes_back_to_where_the_first_began(act: t.Any, args: dict[str, t.Any]) -> None:
    origin = {"from_version": "v1.2.5", "was_down": False, "phases": {"close traffic": {"changed": True}}}
    failed = {**args["steps"], "switch code": {"failed": True, "code_unchanged": True}, "migrate down": {}}
    args["steps"] = {**failed, "close traffic": {"changed": False, "was_down": True}}
    failure = act("rollback_failure", {**args, "origin": origin})["ansible_facts"]["rollback_failure"]
    assert failure["state"] == "The application still runs v1.2.5, open to users as before."
    assert failure["reopen"]


def test_a_run_that_lost_its_lock_claims_nothing_and_does_nothing_more(act: t.Any, args: dict[str, t.Any]) -> None:
    result = {"reason": "Run r1 has lost the lock.", "next_command": "ansible-playbook playbooks/status.yml", "lost_lock": True}
    failure = act("rollback_failure", {**args, "result": result})["ansible_facts"]["rollback_failure"]
    assert (failure["outcome"], failure["reopen"], failure["start_workers"]) == ("failed", False, False)
    assert failure["state"].startswith("This run lost the lock and did nothing after that.")
    assert failure["next"] == ["ansible-playbook playbooks/status.yml"]


VARIABLES = {"lock": "opened", "close traffic": "closed", "switch code": "switched"}
TWO = ["chom", "web2"]


def test_a_host_on_which_nothing_failed_says_where_it_did(act: t.Any, args: dict[str, t.Any]) -> None:
    args.update(task="", result={}, variables=VARIABLES)
    args["steps"].update({"migrate down": {}, "switch code": {}})
    known = {
        "opened": {"changed": True},
        "closed": {"changed": True},
        "switched": {"failed": True},
        "ansible_failed_task": {"name": "code_rollback : Switch code | Go to the target"},
        "ansible_failed_result": {"reason": "The disk is full."},
    }
    result = act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})
    failure = result["ansible_facts"]["rollback_failure"]
    assert (failure["task"], failure["message"]) == ("Switch code | Go to the target (on web2)", "The disk is full.")
    assert (failure["outcome"], failure["reopen"]) == ("held", False)
    assert "since web2 cannot go back by itself" in failure["state"]


def test_to_try_again_takes_the_backup_that_another_host_chose(act: t.Any, args: dict[str, t.Any]) -> None:
    args.update(task="", result={}, variables=VARIABLES, playbook="database_rollback")
    args["steps"].update({"migrate down": {}, "switch code": {}})
    args["plan"].update(restored_by="web2", command="")
    command = "ansible-playbook playbooks/database_rollback.yml -e backup=b1"
    known = {"ansible_failed_task": {"name": "x"}, "ansible_failed_result": {}, "preflight_plan": {"command": command}}
    failure = act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})["ansible_facts"]["rollback_failure"]
    assert f"{command}   # try again" in failure["next"]


def test_a_host_that_is_gone_is_not_taken_for_one_that_is_fine(act: t.Any, args: dict[str, t.Any]) -> None:
    args.update(task="", result={}, variables=VARIABLES)
    args["steps"].update({"migrate down": {}, "switch code": {}})
    known = {"opened": {"changed": True}, "closed": {"changed": True}, "switched": {"unreachable": True}}
    failure = act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})["ansible_facts"]["rollback_failure"]
    assert failure["outcome"] == "held"
    assert failure["message"] == "The connection to the host web2 was lost."


def test_nobody_goes_back_without_a_host_that_is_gone(act: t.Any, args: dict[str, t.Any]) -> None:
    """What it serves is not known: of the version that the others would return to it may have the other one."""
    args.update(variables={**VARIABLES, "gate": "gate"}, on_failed_gate="undo")
    args["steps"]["close traffic"] = {"skipped": True}
    known = {"opened": {"changed": True}, "closed": {"skipped": True}, "switched": {"unreachable": True}}
    failure = act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})["ansible_facts"]["rollback_failure"]
    assert (failure["outcome"], failure["undo"], failure["close"]) == ("held", False, True)
    known["switched"] = {"changed": True}
    assert act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})["ansible_facts"]["rollback_failure"]["undo"]


def test_what_is_typed_next_is_about_the_host_that_is_held(act: t.Any, args: dict[str, t.Any]) -> None:
    args.update(task="", result={}, variables={**VARIABLES, "gate": "gate"})
    args["steps"].update({"close traffic": {"skipped": True}, "gate": {"changed": False}})
    known = {"opened": {"changed": True}, "closed": {"skipped": True}, "switched": {"changed": True}, "gate": {"failed": True}}
    failure = act("rollback_failure", args, ansible_play_hosts_all=TWO, hostvars={"web2": known})["ansible_facts"]["rollback_failure"]
    assert failure["outcome"] == "failed"
    assert failure["state"].endswith("It is not so on web2.")
    assert [command.split()[1] for command in failure["next"]] == ["playbooks/resume.yml", "playbooks/undo.yml"]


def test_without_other_hosts_it_decides_alone(act: t.Any, args: dict[str, t.Any]) -> None:
    alone = act("rollback_failure", args)
    assert act("rollback_failure", {**args, "variables": VARIABLES}, ansible_play_hosts_all=["chom"], hostvars={}) == alone
