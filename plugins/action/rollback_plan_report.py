# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible import context
from ansible.plugins.action import ActionBase

from ansible_collections.lastgood.rollback.plugins.plugin_utils._plan_report import (
    NOT_WRITTEN,
    compose,
    ending,
    lines,
    markdown,
    other_playbook,
)
from ansible_collections.lastgood.rollback.plugins.plugin_utils._report import write


class ActionModule(ActionBase):
    """Shows a plan, writes it on the controller, and says what to type to do exactly that."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        plan, identity = self._task.args["plan"], self._task.args["identity"]
        known = task_vars or {}
        host = str(known.get("inventory_hostname", "unknown"))
        report = compose(
            {"plan": plan, "identity": identity, "host": host, "loss": self._task.args.get("loss") or "", "next": _next(plan)}, time.time()
        )
        name = "plan" if len(known.get("ansible_play_hosts_all") or ()) < 2 else f"plan-{os.path.basename(host)}"
        place = f"{NOT_WRITTEN}, since this is check mode" if self._task.check_mode else _written(identity["folder"], name, report)
        text = "\n".join([*lines(report), *ending(report, place)])
        return {"changed": False, "report": place, "lastgood_text": text, "msg": text, "_ansible_verbose_always": True}


def _next(plan: dict[str, t.Any]) -> list[str]:
    """What to type to do exactly this; or to get a plan that can be done."""
    if plan["kept"]:
        command = other_playbook(context.CLIARGS, f"{plan['severity']}_rollback")
        return [f"{command} -e plan={plan['digest']}   # do exactly this"]
    if _undecided(plan) and not plan["database"]:
        command = f"{other_playbook(context.CLIARGS, 'plan')} -e severity={plan['severity']} -e target={plan['target']}"
        choices = {"down": "a plan that takes the migrations down", "keep": "a plan that leaves the schema as it is"}
        return [f"{command} -e migrations={choice}   # {what}" for choice, what in choices.items()]
    return list(dict.fromkeys(refusal["next_command"] for refusal in plan["refusals"] if refusal.get("next_command")))


def _undecided(plan: dict[str, t.Any]) -> bool:
    migrations = plan["migrations"] or {"unknown_to_target": []}
    return bool(migrations["unknown_to_target"]) and migrations["decision"] == "stop"


def _written(folder: str, name: str, report: dict[str, t.Any]) -> str:
    place = os.path.join(folder, f"{name}.md")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        write(os.path.join(folder, f"{name}.json"), json.dumps(report, indent=2) + "\n")
        write(place, markdown(report))
    except OSError as error:  # the plan must be shown all the same
        return f"{NOT_WRITTEN} to {place}: {error.strerror}"
    return place
