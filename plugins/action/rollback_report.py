# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import glob
import json
import os
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.lastgood.rollback.plugins.module_utils._journal import parse, phases
from ansible_collections.lastgood.rollback.plugins.plugin_utils._failure import with_journal
from ansible_collections.lastgood.rollback.plugins.plugin_utils._report import compose, headline, markdown, write

_NO_REPORT = ("nothing_to_do", "unknown")
_FOLLOW_UP = [
    "Keep watching metrics, logs and error rates for 4 hours (CHOM-8.1-24).",
    "Do not deploy the version that was left until its cause is found.",
    "Find the root cause within 24 hours, hold the post-mortem within 48 (CHOM-8.2, CHOM-8.3).",
]


class ActionModule(ActionBase):
    """Writes the report of a run on the controller, from what was measured, and says how it ended."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        if self._task.check_mode:
            text = f"CHECK MODE: nothing was changed; {wanted['plan']['application']} would go to {wanted['plan']['target']}."
            return {"changed": False, "lastgood_text": text, "msg": text, "_ansible_verbose_always": True}
        folder = wanted["identity"]["folder"]
        mine = str((task_vars or {}).get("inventory_hostname", "unknown"))
        each_host = _each_host(wanted, mine, task_vars or {})
        facts = {
            **wanted,
            "steps": with_journal(wanted["steps"], phases(parse(wanted.get("journal") or "").entries)),
            "hosts": [mine],
            "each_host": each_host,
            "next_steps": wanted.get("next_steps") or _FOLLOW_UP,
            "notifications": _notifications(folder),
        }
        report = compose(facts, time.time())
        first = next((entry["host"] for entry in each_host if entry["outcome"] not in _NO_REPORT), mine)
        if mine != first:
            folder = os.path.join(folder, os.path.basename(mine))
        place = os.path.join(folder, "report.md")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            write(os.path.join(folder, "report.json"), json.dumps(report, indent=2) + "\n")
            write(place, markdown(report))
            if wanted.get("journal"):
                write(os.path.join(folder, "journal.jsonl"), wanted["journal"])
        except OSError as error:  # how the run ended must be shown all the same
            place = f"NOT WRITTEN to {place}: {error.strerror}"
        text = _closing_lines(report, place)
        return {
            "changed": False,
            "report": place,
            "ansible_facts": {"rollback_ended": {"outcome": report["outcome"], "state": report["state"]}},
            "lastgood_text": text,
            "lastgood_verdict": _verdict(report),
            "msg": text,
            "_ansible_verbose_always": True,
        }


def _each_host(wanted: dict[str, t.Any], mine: str, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """How the run ended on each of several hosts; nobody knows what became of one that did not say so."""
    hosts = task_vars.get("ansible_play_hosts_all", [])  # the batch lacks some after a failure
    return [
        {
            "host": host,
            **({"outcome": wanted["outcome"], "state": wanted["state"]} if host == mine else _end_of(wanted, task_vars["hostvars"][host])),
        }
        for host in (hosts if len(hosts) > 1 else [])
    ]


def _end_of(wanted: dict[str, t.Any], known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    record = known.get(str(wanted.get("closed")), {}).get("record", {})
    if record:
        return {"outcome": record["outcome"], "state": record.get("state", "")}
    if known.get("preflight_plan", {}).get("nothing_to_do"):
        return {"outcome": "nothing_to_do", "state": "It was at the target already."}
    return {"outcome": "unknown", "state": "This run has not reached it yet, or has lost it: see status.yml."}


def _notifications(folder: str) -> list[dict[str, t.Any]]:
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "notification-*.json"))):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found


def _verdict(report: dict[str, t.Any]) -> str:
    """How it ended, in one line."""
    word = headline(report["outcome"])
    told = f"The application is {word}: "
    state = report["state"]
    if state.startswith(told):
        state = state[len(told) :]
        state = state[:1].upper() + state[1:]
    return f"{word}: {report['application']} on {', '.join(report['hosts'])}. {state}"


def _closing_lines(report: dict[str, t.Any], path: str) -> str:
    closed = report["closed_seconds"]
    shut = "" if closed is None else f" It was closed to users for {closed} s."
    way = (
        report["target"]
        if report["database"] and report["from_version"] == report["target"]
        else f"{report['from_version']} -> {report['target']}"
    )
    budget = f" (budget {report['budget_seconds']} s)" if report["budget_seconds"] else ""
    return "\n".join(
        [
            f"{headline(report['outcome'])}: {report['application']} {way} in {report['duration_seconds']} s{budget}.{shut}",
            report["state"],
            f"Report: {path}",
        ]
    )
