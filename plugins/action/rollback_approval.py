# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

_LONG_ENOUGH = 12


class ActionModule(ActionBase):
    """Shows what will be lost, and lets a run go on only when somebody agreed to exactly this plan."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        plan, given = wanted["plan"], str(wanted.get("given") or "")
        text = "\n".join([*_lines(wanted), f"digest of what is to be agreed to: {plan['approval'][:_LONG_ENOUGH]}"])
        shown = {"changed": False, "lastgood_text": text, "msg": text, "_ansible_verbose_always": True}
        if self._task.check_mode or (len(given) >= _LONG_ENOUGH and plan["approval"].startswith(given)):
            return shown
        why = f"The approval {given!r} is for another plan" if given else "Nobody agreed to this plan yet"
        reason = f"{why}. This takes data away that came after the backup:\n{text}"
        return {
            **shown,
            "failed": True,
            "refused": True,
            "msg": reason,
            "reason": reason,
            "lastgood_text": "",
            "state": wanted["state"],
            "next_command": f"{wanted['command']} -e approve={plan['approval'][:_LONG_ENOUGH]}",
        }


def _lines(wanted: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    backup = wanted["plan"]["database"]["backup"]
    yield f"back to the data of {backup['started']} (backup {backup['id']})"
    yield wanted["loss"].get("text") or "no table was compared: what would be lost is not known"
