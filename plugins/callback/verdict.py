# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict
type: notification
short_description: End a run with one line for each application that says how it ended
version_added: 0.1.0
description:
  - The line begins with C(ROLLED BACK), C(NOTHING TO DO), C(UNDONE), C(ABORTED), C(HELD IN MAINTENANCE), C(REFUSED), C(FAILED) or C(UNKNOWN).
  - It is shown after what the stdout callback says last, whichever that is.
  - Where one host refuses for all, each of the others has a line, too, when nothing was changed on it.
  - Of a host that could not be reached, or where a run ended without saying how, the state is C(UNKNOWN), and the line says how to find out.
author:
  - lastgood contributors (@lastgood)
requirements:
  - named in C(callbacks_enabled) in the configuration
"""

import atexit
import os
import re
import typing as t

from ansible import constants as C  # noqa: N812 - the name everybody uses for it
from ansible.plugins.callback import CallbackBase

_VERDICT = re.compile(
    r"^(ROLLED BACK|NOTHING TO DO|UNDONE|ABORTED|HELD IN MAINTENANCE|REFUSED|FAILED|UNKNOWN|UNFROZEN|NOT FROZEN)[:,.] .*", re.MULTILINE
)
_GOOD = ("ROLLED BACK", "NOTHING TO DO", "UNDONE", "ABORTED:", "UNFROZEN", "NOT FROZEN")
_LOCKING = "lastgood.rollback.rollback_run"
_ASK = "Next: ansible-playbook playbooks/status.yml -l {0}"
_GO_ON = ", then playbooks/resume.yml to go on, or playbooks/undo.yml to go back"


def _verdict(found: t.Mapping[str, t.Any]) -> str | None:
    """What a result says about how a run ended; None when it says nothing about that."""
    if found.get("lastgood_verdict"):
        return str(found["lastgood_verdict"])
    said = _VERDICT.search(str(found.get("msg", "")))
    return said.group(0) if said else None


def _title(task: t.Any) -> str:
    return str(task.get_name().split(" : ", 1)[-1])


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "lastgood.rollback.verdict"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._verdicts: dict[str, str] = {}
        self._begun: set[str] = set()  # where a run had the lock
        self._together = False  # whether one host's failure ends the play for all
        self._refused: set[str] = set()  # for all hosts
        self._doing: dict[str, str] = {}  # the task that each host was at last, from the first of ours on
        self._asked: set[str] = set()  # where a run may have the lock
        self._process = os.getpid()
        atexit.register(self._interrupted)  # who interrupts Ansible gets no statistics

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._doing.clear()
        self._asked.clear()

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        name = host.get_name()
        if name in self._doing or task.action.startswith("lastgood.rollback."):
            self._doing[name] = _title(task)
        if task.action == _LOCKING and not task.check_mode:
            self._asked.add(name)

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._together = bool(play.any_errors_fatal)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        host = result._host.get_name()
        if result._task.action == _LOCKING and result._result.get("changed") and not result._task.check_mode:
            self._begun.add(host)
        self._note(host, result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        if result._task.action == _LOCKING:
            self._asked -= {result._host.get_name()} - self._begun

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        host = result._host.get_name()
        self._note(host, result)
        if self._together and self._verdicts.get(host, "").startswith("REFUSED"):
            self._refused.add(host)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        host = result._host.get_name()
        if result._task.action == _LOCKING:  # whether it took the lock before it was lost nobody knows
            self._begun.add(host)
        what = "the connection was lost at" if host in self._begun else "it could not be reached at"
        left = (
            "What was closed stays closed; a step that was going on there may still end."
            if host in self._begun
            else "This run changed nothing there."
        )
        self._verdicts[host] = f"UNKNOWN on host {host}: {what}: {_title(result._task)}. {left} {_ASK.format(host)}"

    def _note(self, host: str, result: t.Any) -> None:
        verdict = _verdict(result._result)
        if verdict:
            self._verdicts[host] = verdict if host in verdict else f"{verdict} (host {host})"

    def _interrupted(self) -> None:
        """Ctrl-C, or an error of Ansible itself: nothing was said about how it ended."""
        if os.getpid() != self._process:
            return
        for host, title in sorted(self._doing.items()):
            verdict = None if host in self._asked else self._verdicts.get(host)
            left = (
                "The site may be closed, and a step may still be going on there." if host in self._asked else "No rollback had begun there."
            )
            after = f"{_ASK.format(host)}{_GO_ON if host in self._asked else ''}"
            self._display.display(verdict or f"UNKNOWN on host {host}: interrupted at: {title}. {left} {after}", color=C.COLOR_ERROR)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._doing.clear()
        by = ", ".join(sorted(self._refused))
        for host in sorted(stats.processed):
            verdict = self._verdicts.get(host)
            touched = host in self._begun or stats.changed.get(host) or stats.failures.get(host)  # what failed may have changed something
            if verdict is None and by and not touched:
                verdict = f"REFUSED: nothing was changed on {host}, since {by} refused."
            if verdict is None and host in self._begun:
                verdict = f"UNKNOWN on host {host}: the run ended without saying how. {_ASK.format(host)}"
            if verdict:
                bad = bool(stats.failures.get(host) or stats.dark.get(host)) or not verdict.startswith(_GOOD)
                self._display.display(verdict, color=C.COLOR_ERROR if bad else C.COLOR_OK)
