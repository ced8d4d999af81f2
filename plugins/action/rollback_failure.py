# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.lastgood.rollback.plugins.plugin_utils._failure import LOST, judge, next_commands


class ActionModule(ActionBase):
    """Works out what a failed run leaves behind and which way leads to a safe state."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        plan = wanted["plan"]
        lost = wanted["result"].get("lost_lock")
        verdict = LOST if lost else judge(wanted["steps"], plan["target"], plan["from_version"])
        commands = [] if lost else next_commands(verdict, wanted["playbook"], plan["target"], plan["from_version"])
        own = wanted["result"].get("next_command")
        failure = {
            **dataclasses.asdict(verdict),
            "task": str(wanted["task"]).rsplit(" : ", maxsplit=1)[-1],
            "message": str(wanted["result"].get("reason") or wanted["result"].get("msg", "no message")),
            "next": [own, *commands] if own else commands,
        }
        return {"changed": False, "ansible_facts": {"rollback_failure": failure}}
