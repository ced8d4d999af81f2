# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Show a rollback phase by phase, with elapsed time and budget
version_added: 0.1.0
description:
  - Tasks named C(Phase | What it does) are shown under their phase, each with what it took.
  - At the end of a phase its elapsed time is shown, and its budget where it has one.
  - Budgets come from the RV(lastgood.rollback.rollback_plan#module:budgets) of the plan.
  - Other tasks are shown as the default callback does. With C(-v) and more, all results are shown too.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout callback in the configuration
"""

import textwrap
import time
import typing as t

from ansible import constants as C  # noqa: N812 - the name everybody uses for it
from ansible.plugins.callback.default import CallbackModule as Default

_WIDTH = 66
_SHOWN = tuple(f"lastgood.rollback.rollback_{name}" for name in ("summary", "report", "plan_report"))  # only what they say is of interest
_WHOLE_WORDS: dict[str, t.Any] = {"break_long_words": False, "break_on_hyphens": False}


def _silent(task: t.Any) -> bool:
    """Bookkeeping that says nothing to a person."""
    quiet = (*C._ACTION_SET_FACT, *C._ACTION_ALL_INCLUDES)
    return task.action in quiet or task.get_name().split(" : ")[-1].startswith("Validating arguments")


def _message(found: dict[str, t.Any]) -> str:
    """What failed, the state, the next command: each on a line of its own."""
    if not found.get("reason"):
        return str(found.get("msg", "no message"))
    lines = [found["reason"], f"State: {found['system_state']}" if found.get("system_state") else ""]
    if found.get("next_command"):
        lines.append(f"Next: {found['next_command']}")
    return "\n".join(line for line in lines if line)


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lastgood.rollback.phases"

    def __init__(self) -> None:
        super().__init__()
        self._phase = ""
        self._phase_began = 0.0
        self._run_began = time.monotonic()
        self._task_began = 0.0
        self._title = ""
        self._budgets: dict[str, t.Any] = {}
        self._shown = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._run_began = time.monotonic()

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._end_phase()
        mode = " (check mode: nothing is changed)" if play.check_mode else ""
        self._display.display(f"\n{play.get_name().strip()}{mode}", color=C.COLOR_HIGHLIGHT)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self._begin(task)

    def _begin(self, task: t.Any) -> None:
        # Roles put their own name and a colon before a task's name.
        name = task.get_name().split(" : ", 1)[-1].strip()
        phase, separator, title = name.partition(" | ")
        if not separator:
            phase, title = "", name
        if phase != self._phase:
            self._end_phase()
            self._phase, self._phase_began, self._shown = phase, time.monotonic(), False
        self._title = title
        self._task_began = time.monotonic()

    def _open_phase(self) -> None:
        if self._phase and not self._shown:
            self._shown = True
            elapsed = time.monotonic() - self._run_began
            self._display.display(f"  {elapsed:6.1f} s  {self._phase.lower()}", color=C.COLOR_HIGHLIGHT)

    def _end_phase(self) -> None:
        if not (self._phase and self._shown):
            return
        took = time.monotonic() - self._phase_began
        budget = self._budgets.get(self._phase.lower())
        if budget:
            over = took > float(budget)
            text = f"{took:.1f} s of {budget} s" + (" - OVER BUDGET" if over else "")
            self._display.display(f"{'':12}{text}", color=C.COLOR_WARN if over else C.COLOR_VERBOSE)
        self._phase = ""

    def _line(self, result: t.Any, word: str, colour: str) -> None:
        self._open_phase()
        took = time.monotonic() - self._task_began
        host = result._host.get_name()
        self._display.display(f"{'':12}{self._title:<{_WIDTH}} {word:<8} {took:5.1f} s  {host}", color=colour)

    def _say(self, text: t.Any) -> None:
        self._open_phase()
        for line in str(text).splitlines():
            self._display.display(f"{'':12}{line}")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        found = result._result
        if isinstance(found.get("budgets"), dict):
            self._budgets = found["budgets"]
        if result._task.action in (*C._ACTION_DEBUG, *_SHOWN):
            self._say(found.get("msg", ""))
            return
        if self._display.verbosity == 0 and _silent(result._task):
            return
        changed = bool(found.get("changed"))
        word = ("would" if result._task.check_mode else "changed") if changed else "ok"
        self._line(result, word, C.COLOR_CHANGED if changed else C.COLOR_OK)
        self._say(found.get("lastgood_text", ""))
        if self._display.verbosity > 0:
            self._display.display(self._dump_results(found))
        self._handle_warnings(found)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        if self._display.verbosity > 0:
            self._line(result, "skipped", C.COLOR_SKIP)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        found = result._result
        self._line(result, "FAILED", C.COLOR_ERROR)
        for line in _message(found).splitlines():
            text = textwrap.fill(line, 110, initial_indent=" " * 14, subsequent_indent=" " * 16, **_WHOLE_WORDS)
            self._display.display(text, color=C.COLOR_ERROR)
        if self._display.verbosity > 0:
            self._display.display(self._dump_results(found))
        self._handle_warnings(found)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        if self._display.verbosity > 0:
            self._line(result, f"item {self._get_item_label(result._result)}", C.COLOR_OK)

    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        return

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self.v2_runner_on_failed(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._line(result, "UNREACHABLE", C.COLOR_UNREACHABLE)
        self._display.display(f"{'':14}{result._result.get('msg', '')}", color=C.COLOR_UNREACHABLE)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end_phase()
        took = time.monotonic() - self._run_began
        self._display.display(f"  {took:6.1f} s  end\n", color=C.COLOR_VERBOSE)

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        return
