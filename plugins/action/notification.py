# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

# Runs in its own process, so that a slow receiver delays nothing. The address and the message come on standard input:
# the address is a secret and must not appear among the arguments.
_SENDER = """
import json, os, sys, time, urllib.error, urllib.request
order = json.load(sys.stdin)
outcome = {"event": order["event"], "delivered": False}
started = time.monotonic()
try:
    if not order["url"].startswith(("http://", "https://")):
        raise OSError("the address does not begin with http:// or https://")
    request = urllib.request.Request(
        order["url"], data=json.dumps(order["payload"]).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.build_opener().open(request, timeout=order["timeout"]) as answer:
        outcome.update(delivered=200 <= answer.status < 300, status=answer.status)
except urllib.error.HTTPError as error:
    outcome.update(status=error.code, error=f"HTTP {error.code}")
except OSError as error:
    outcome["error"] = str(getattr(error, "reason", error)) or type(error).__name__
except Exception as error:  # what it says may hold the address
    outcome["error"] = type(error).__name__
outcome["seconds"] = round(time.monotonic() - started, 3)
if order["record"]:
    with open(order["record"] + ".new", "w") as file:
        json.dump(outcome, file)
    os.replace(order["record"] + ".new", order["record"])
json.dump(outcome, sys.stdout)
"""


class ActionModule(ActionBase):
    """Posts a message to a Slack-compatible webhook; a message that does not arrive is recorded, it never fails a run."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        if not wanted.get("webhook_url"):
            return {"changed": False, "skipped": True, "skipped_reason": "no webhook is configured"}
        if self._task.check_mode:
            return {"changed": False, "event": wanted["event"], "msg": "would be sent"}
        order = {
            "url": wanted["webhook_url"],
            "event": wanted["event"],
            "payload": _payload(wanted),
            "timeout": float(wanted.get("timeout", 5)),
            "record": wanted.get("record"),
        }
        try:
            return {"changed": False, **_send(order, wait=boolean(wanted.get("wait", True)))}
        except OSError as error:
            return {"changed": False, "event": order["event"], "delivered": False, "error": str(error.strerror)}


def _send(order: dict[str, t.Any], *, wait: bool) -> dict[str, t.Any]:
    if order["record"]:
        os.makedirs(os.path.dirname(order["record"]), mode=0o700, exist_ok=True)
    sender = subprocess.Popen(
        [sys.executable, "-c", _SENDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if wait else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    if wait:
        return _outcome(sender, order)
    if sender.stdin is not None:
        sender.stdin.write(json.dumps(order))
        sender.stdin.close()
    return {"event": order["event"], "msg": "sending"}


def _outcome(sender: subprocess.Popen[str], order: dict[str, t.Any]) -> dict[str, t.Any]:
    try:
        said, _nothing = sender.communicate(json.dumps(order), timeout=2 * order["timeout"] + 5)
        return t.cast("dict[str, t.Any]", json.loads(said))
    except (subprocess.TimeoutExpired, ValueError):
        sender.kill()
        return {"event": order["event"], "delivered": False, "error": "the sender did not end"}


def _payload(wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    payload: dict[str, t.Any] = {"text": wanted["text"]}
    if wanted.get("channel"):
        payload["channel"] = wanted["channel"]
    if wanted.get("fields"):
        fields = [{"title": name, "value": str(value), "short": True} for name, value in wanted["fields"].items()]
        payload["attachments"] = [{"color": wanted.get("colour", "#439FE0"), "fields": fields}]
    return payload
