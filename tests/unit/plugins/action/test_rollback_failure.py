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
    assert failure["next"][1].startswith("ansible-playbook playbooks/standard_rollback.yml -e target=v1.2.3")


def test_a_failure_without_words_has_some(act: t.Any, args: dict[str, t.Any]) -> None:
    failure = act("rollback_failure", {**args, "result": {}})["ansible_facts"]["rollback_failure"]
    assert failure["message"] == "no message"
    assert all(text.startswith("ansible-playbook") for text in failure["next"])


def test_a_run_that_lost_its_lock_claims_nothing_and_does_nothing_more(act: t.Any, args: dict[str, t.Any]) -> None:
    result = {"reason": "Run r1 has lost the lock.", "next_command": "ansible-playbook playbooks/status.yml", "lost_lock": True}
    failure = act("rollback_failure", {**args, "result": result})["ansible_facts"]["rollback_failure"]
    assert (failure["outcome"], failure["reopen"], failure["start_workers"]) == ("failed", False, False)
    assert failure["state"].startswith("This run lost the lock and did nothing after that.")
    assert failure["next"] == ["ansible-playbook playbooks/status.yml"]
