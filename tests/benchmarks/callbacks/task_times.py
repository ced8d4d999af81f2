# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A callback of the benchmarks: writes when each task began and ended, a line of JSON each, to the file TASK_TIMES."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = open(os.environ["TASK_TIMES"], "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process

    def _write(self, event: str, task: str = "", **more: t.Any) -> None:
        print(json.dumps({"at": time.time(), "event": event, "task": task, **more}), file=self._file, flush=True)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._write("task", task.get_name().split(" : ")[-1])

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._write("ok", result._task.get_name().split(" : ")[-1], seconds=result._result.get("seconds"))

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._write("skipped", result._task.get_name().split(" : ")[-1])

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write("end")
