# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import time
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._profile import normalised


class ActionModule(ActionBase):
    """Checks the application profile on the controller, before any host is asked."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        profile = self._task.args.get("profile")
        try:
            application = normalised(profile)
        except RollbackError as error:
            return {"failed": True, **error.as_result()}
        refusal = _watch_refused(self._task.args.get("watch_seconds"))
        if refusal:
            return refusal
        application["notify"].pop("webhook_url")  # secrets: what needs them reads them where they are declared
        application["database"]["administrator"].pop("password")
        severity = str(self._task.args.get("severity", "rollback"))
        identity = _identity(severity, application["name"], task_vars or {}, self._task.args)
        facts = {"rollback_profile": application, "rollback_identity": identity}
        if not self._task.args.get("session"):
            return {"changed": False, "ansible_facts": facts}
        try:
            begun = self._begin_session([application["user"]], task_vars)
        except AnsibleConnectionFailure as error:  # as a failure, which a rescue and every callback can tell
            host = (task_vars or {}).get("inventory_hostname", "unknown")
            return {"failed": True, "unreached": True, "msg": _unreached(application["name"], host, str(error))}
        return {**begun, "ansible_facts": {**facts, **begun.get("ansible_facts", {})}}

    def _begin_session(self, users: list[str], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """In this task, since each task costs a tenth of a second before the recovery."""
        task = self._task.copy()
        task.action, task.args = "lastgood.rollback.rollback_session", {"users": users}
        action = self._shared_loader_obj.action_loader.get(
            task.action,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return t.cast("dict[str, t.Any]", action.run(task_vars=task_vars))


def _watch_refused(seconds: t.Any) -> dict[str, t.Any] | None:
    """What is no number would be no watch, without a word."""
    if seconds is None or str(seconds).strip().isdigit():
        return None
    message = f"watch_seconds is {str(seconds)!r}: how long to watch is said in whole seconds, 0 for not at all."
    error = RollbackError(message, state="Nothing was changed.", next_command="run again with, for example, -e watch_seconds=300")
    return {"failed": True, **error.as_result()}


def _began() -> float:
    """When this call of Ansible asked first: hosts that are rolled back together have one run, with one id."""
    place = os.path.join(constants.DEFAULT_LOCAL_TMP, "lastgood-began")
    aside = f"{place}.{os.getpid()}"
    try:
        os.makedirs(constants.DEFAULT_LOCAL_TMP, exist_ok=True)
        with open(aside, "w", encoding="ascii") as file:
            file.write(repr(time.time()))
        with contextlib.suppress(FileExistsError):
            os.link(aside, place)
        os.unlink(aside)
        with open(place, encoding="ascii") as file:
            return float(file.read())
    except (OSError, ValueError):
        return time.time()


def _unreached(application: str, host: str, why: str) -> str:
    return "\n".join(
        [
            f"UNKNOWN: the host {host} of {application} cannot be reached. This run changed nothing there.",
            why.strip(),
            f"Next: ansible-playbook playbooks/status.yml -l {host}   # when it can be reached again",
        ]
    )


def _identity(severity: str, application: str, task_vars: dict[str, t.Any], wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Who started what, from where, when: decided once, the same in the lock, the messages and the report."""
    began = _began()
    run = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(began))}-{severity}-{os.getppid()}"
    folder = os.path.join(os.path.abspath(str(wanted.get("report_directory", "reports"))), application, run)
    actor = task_vars.get("awx_user_name") or task_vars.get("tower_user_name") or os.environ.get("SUDO_USER")
    return {
        "run": run,
        "severity": severity,
        "actor": str(actor or getpass.getuser()),
        "controller": socket.gethostname(),
        "began": began,
        "folder": folder,
    }
