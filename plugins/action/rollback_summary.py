# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Shows a plan to the person who started the run."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        text = "\n".join(_lines(self._task.args["plan"]))
        return {"changed": False, "lastgood_text": text, "msg": text, "_ansible_verbose_always": True}


def _lines(plan: dict[str, t.Any]) -> t.Iterator[str]:
    if plan["nothing_to_do"]:
        yield f"NOTHING TO DO: {plan['application']} runs {plan['target']} already ({plan['reason']})."
        return
    yield f"{plan['application']}: {plan['from_version']} ({plan['from_commit'][:12]}) -> {plan['target']} ({plan['to_commit'][:12]})"
    yield f"target: {plan['reason']}"
    yield f"leaves {len(plan['commits'])} commit(s) behind, {plan['files']} files differ" + (
        f", lock files: {', '.join(plan['lock_files'])}" if plan["lock_files"] else ""
    )
    yield "dependencies: " + ("built beside the live ones" if plan["dependencies_change"] else "already right, nothing to build")
    yield from _migrations(plan["migrations"])
    for name, side in (("only in the running version", "running"), ("only in the target", "target")):
        if plan["config_keys"][side]:
            yield f"configuration keys {name}: {', '.join(plan['config_keys'][side])}"
    for line in plan["pending"]:
        yield f"left by an earlier run: {line}"


def _migrations(migrations: dict[str, t.Any]) -> t.Iterator[str]:
    if migrations["down"]:
        yield f"migrations that will go down: {', '.join(migrations['down'])}"
    elif migrations["unknown_to_target"]:
        names = ", ".join(entry["name"] for entry in migrations["unknown_to_target"])
        yield f"migrations the target does not know, kept as told: {names}"
    else:
        yield "migrations: the target knows all that the database has"
    if migrations["not_applied"]:
        yield f"WARNING: the target has migrations that the database lacks: {', '.join(migrations['not_applied'])}"
