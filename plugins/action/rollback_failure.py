# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.lastgood.rollback.plugins.plugin_utils._failure import (
    LOST,
    Verdict,
    attempted,
    judge,
    next_commands,
    on_top,
    together,
    with_journal,
)


class ActionModule(ActionBase):
    """Works out what a failed run leaves behind and which way leads to a safe state."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        plan = wanted["plan"]
        others = self._others(task_vars or {})
        task, result = _what_failed(wanted, others)
        origin = wanted.get("origin") or {}
        steps = with_journal(wanted["steps"], wanted.get("journal") or {})
        steps = on_top(origin, steps) if origin else steps
        before = origin.get("from_version", plan["from_version"])
        # what an earlier run reached may be another version than the one that this run was to reach
        target = plan["target"] if not origin or attempted(wanted["steps"]["switch code"]) else plan["from_version"]
        undo = wanted.get("on_failed_gate") == "undo"
        was_down = bool(plan.get("in_maintenance"))
        verdict = _without_judging(result)
        commands = []
        if verdict is None:
            verdict = judge(steps, target, before, undo=undo, was_down=was_down)
            elsewhere = {host: _judged(_steps(wanted, known), plan["target"], before, undo=undo) for host, known in others.items()}
            verdict = together(verdict, judge(steps, target, before, was_down=was_down), elsewhere)
            held = next((each for each in (verdict, *elsewhere.values()) if each.outcome == "held"), verdict)
            restorer = others.get(plan.get("restored_by") or "", {})
            again = plan.get("command") or restorer.get("preflight_plan", {}).get("command", "")
            commands = next_commands(held, wanted["playbook"], plan["target"], before, _decisions(plan), again)
        own = result.get("next_command")
        failure = {
            **dataclasses.asdict(verdict),
            "task": task,
            "message": str(result.get("reason") or result.get("msg", "no message")),
            "next": [own, *commands] if own else commands,
        }
        return {"changed": False, "ansible_facts": {"rollback_failure": failure}}

    def _others(self, task_vars: dict[str, t.Any]) -> dict[str, t.Mapping[str, t.Any]]:
        """What is known about the hosts that the run is about beside this one."""
        if not self._task.args.get("variables"):
            return {}
        mine = task_vars.get("inventory_hostname")
        # not those of the batch: after a failure elsewhere Ansible no longer counts the hosts on which nothing failed
        return {host: task_vars["hostvars"][host] for host in task_vars.get("ansible_play_hosts_all", []) if host != mine}


def _without_judging(result: t.Mapping[str, t.Any]) -> Verdict | None:
    """What is clear from the failure alone: the run lost its lock, or nobody agreed to what it would take away."""
    if result.get("lost_lock"):
        return LOST
    return Verdict("refused", result["state"]) if result.get("refused") else None


def _lost(step: t.Mapping[str, t.Any]) -> bool:
    return bool(step.get("unreachable"))


def _judged(steps: dict[str, t.Any], target: str, before: str, *, undo: bool) -> Verdict:
    """What another host is left with; one that is lost does nothing more by itself."""
    known = {phase: {**step, "failed": True} if _lost(step) else step for phase, step in steps.items()}
    return judge(known, target, before, undo=undo and not any(map(_lost, steps.values())))


def _steps(wanted: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What another host's steps came to; of one that it did not reach nothing is known."""
    return {phase: known.get(wanted["variables"].get(phase), {}) for phase in wanted["steps"]}


def _what_failed(wanted: t.Mapping[str, t.Any], others: t.Mapping[str, t.Mapping[str, t.Any]]) -> tuple[str, t.Mapping[str, t.Any]]:
    """The task that failed here; where none did it was one on another host."""
    if wanted.get("task"):
        return _title(wanted["task"]), wanted["result"]
    for host, known in others.items():
        if "ansible_failed_task" in known:
            return f"{_title(known['ansible_failed_task']['name'])} (on {host})", known["ansible_failed_result"]
    lost = sorted(host for host, known in others.items() if any(map(_lost, _steps(wanted, known).values())))
    named = f"the host {', '.join(lost)}" if lost else "another host of the application"
    return "a host that cannot be reached any more", {"msg": f"The connection to {named} was lost."}


def _decisions(plan: t.Mapping[str, t.Any]) -> dict[str, str]:
    """What the operator decided that the playbook would not decide by itself."""
    decided = {"migrations": plan.get("migrations", {}).get("decision", "stop"), "local_changes": plan.get("local_changes", "refuse")}
    return {name: value for name, value in decided.items() if value not in ("stop", "refuse")}


def _title(name: t.Any) -> str:
    return str(name).rsplit(" : ", maxsplit=1)[-1]
