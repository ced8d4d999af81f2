# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What the dead-man timer does, on the host alone: no controller, no Ansible. It looks at the run that holds the lock; when that
# run showed no sign of life for the length of its lease it records that, raises the alarm, and opens the site again where that is
# allowed and provably safe.

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import typing as t
import urllib.request

from . import _journal
from ._clock import Clock, utc
from ._command import Runner
from ._deploy_lock import remove
from ._errors import RollbackError
from ._freeze import frozen
from ._run import WATCH, Folder, abandoned, amended, guard, holder, lease, read_json, release, sign_of_life

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

REOPENED = "dead-man timer reopened"
_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
# After these, and no others, code, data and configuration are as they were.
_HARMLESS = {
    "data_loss",
    "db_backup",
    "db_restore beside",
    "git_version_switch prepared",
    "laravel_maintenance down",
    "release_switch prepared",
    "release_switch resolved",
    "release_trial",
    "service_group stopped",
    REOPENED,
}

Orders = t.Mapping[str, t.Any]


class _Programs:
    """What the runner needs of a module."""

    def get_bin_path(self, program: str) -> str | None:
        return shutil.which(program, path=_PATH)


def unit(application: str) -> str:
    return f"lastgood-{application}"


def look(folder: Folder, runner: Runner, say: t.Callable[[str, str], None]) -> str:
    """Decide what has become of the run that holds the lock, and act; returns what it found."""
    with guard(folder):
        held = holder(folder)
        run = (held or {}).get("run")
        if held is None:
            disarm(runner, os.path.basename(folder.root))
            return "idle"
        if not isinstance(run, str) or not os.path.isdir(folder.run(run)):
            say("warning", f"The lock {folder.lock} names no run; somebody has to look at it.")
            return "unknown"
        if lease(folder, held)["alive"]:
            return "alive"
        if _settled(folder, run):
            return "abandoned"
        orders = read_json(folder.orders(run)) or {}
        why_not = _obstacle(folder, runner, run, orders)
        detail = _give_up(folder, run, why_not)
    if why_not is None:
        detail = _reopen(folder, runner, run, orders, detail)
    text = _told(folder, run, held, detail)
    say("crit", text)
    _post(folder, run, orders, text, say)
    if detail.get("reopened"):
        _forget(folder, run)
        if frozen(folder) is None:
            remove(runner, orders)
        release(folder, run)
        return "reopened"
    return "abandoned"


def _settled(folder: Folder, run: str) -> bool:
    """Whether this was recorded already; a timer that was killed while it did something begins anew."""
    found = _journal.read(folder.run(run))
    last = found.entries[-1] if found and found.entries else {}
    return last.get("by") == WATCH and last.get("event") != "intent"


def _give_up(folder: Folder, run: str, why_not: str | None) -> dict[str, t.Any]:
    """Record it; from here until the site is open again the lock is not given to anybody."""
    sign = sign_of_life(folder, run)
    detail: dict[str, t.Any] = {"silent_seconds": sign.get("seconds_ago"), "last_step": sign.get("step")}
    detail.update({"action": "alarm", "why": why_not} if why_not else {"action": "reopen"})
    try:
        abandoned(folder, run, detail)
        if why_not is None:
            intent = {"event": "intent", "step": REOPENED, "at": utc(), "by": WATCH, "process": _journal.this_process()}
            _journal.append(folder.run(run), intent)
    except RollbackError as error:  # a damaged journal: the record says it all the same
        detail["journal_problem"] = error.message
        amended(folder, run, {"outcome": "abandoned", "abandoned": {"at": utc(), **detail}})
    return detail


def _obstacle(folder: Folder, runner: Runner, run: str, orders: Orders) -> str | None:
    """Why the site cannot be opened again without a person; None when it is proven that nothing was changed yet."""
    if orders.get("action") != "reopen":
        return "the profile asks for an alarm only"
    record = read_json(folder.record(run)) or {}
    if record.get("follows") or record.get("origin") or record.get("taken_over"):
        return "the run goes on where another one stopped, whose changes its journal does not show"
    found = _journal.read(folder.run(run))
    if found is None or found.broken:
        return f"the journal is damaged: {found.broken if found else 'it is missing'}"
    touched = sorted({str(entry["step"]) for entry in found.entries if entry.get("step")} - _HARMLESS)
    if touched:
        return f"the run had begun: {', '.join(touched)}"
    return _was_closed(runner, found.entries, orders)


def _was_closed(runner: Runner, entries: t.Sequence[_journal.Entry], orders: Orders) -> str | None:
    """Why it is not certain that the site was open before the run."""
    closing = [entry for entry in entries if entry.get("step") == "laravel_maintenance down"]
    if not closing:
        marker = f"{orders['path']}/storage/framework/down"
        there = runner.run(["test", "-e", marker], user=orders["user"], check=False, timeout=10).rc != 1
        return "the site is closed, but not by this run" if there else None
    if closing[-1].get("event") != "result":
        return "closing the site was interrupted, so that it is not known whether it was open before"
    if (closing[-1].get("facts") or {}).get("was_down") is not False:
        return "the site was closed before the run already"
    return None


def _reopen(folder: Folder, runner: Runner, run: str, orders: Orders, detail: dict[str, t.Any]) -> dict[str, t.Any]:
    """Bring everything back to how it was; when that fails the lock stays, and the alarm says why."""
    started = time.monotonic()
    done: dict[str, t.Any] = {"failed": False, "changed": True}
    try:
        detail["site"] = _open_site(runner, orders)  # first: workers behind maintenance mode do not stay up everywhere
        detail["started"] = _start_workers(folder, runner)
        detail["reopened"] = True
    except RollbackError as error:
        done = {"failed": True, "message": error.message}
        what = "the workers were to be started again, the site is open" if "site" in detail else "the site was to be opened again"
        detail = {**detail, "action": "alarm", "why": f"{what}, and that failed: {error.message}"}
    facts = {name: detail[name] for name in ("started", "site") if name in detail}
    seconds = round(time.monotonic() - started, 3)
    result = {"event": "result", "step": REOPENED, "at": utc(), "by": WATCH, "seconds": seconds, **done, "facts": facts}
    _journal.append(folder.run(run), result)
    state = {"reopened": True, "state": "Nothing was switched. The site is open and the workers run as before the run."}
    amended(folder, run, {"abandoned": {"at": utc(), **detail}, **(state if detail.get("reopened") else {})})
    return detail


def _start_workers(folder: Folder, runner: Runner) -> list[str]:
    from ._service_group import Group, Request, recall
    from ._units import Systemd

    remember = os.path.join(folder.root, "workers.json")
    names = recall(remember)
    if names:
        request = Request("started", names, [], remember, True, 60, "fail", 60, 1)
        Group(Systemd(runner), Clock(), check_mode=False).bring(request)
    return names


def _open_site(runner: Runner, orders: Orders) -> str:
    from ._artisan import application
    from ._maintenance import closing, switch

    app = application({"path": orders["path"], "user": orders["user"], "php": orders["php"]})
    nothing = dict.fromkeys(("storage_path", "refresh", "except_paths", "render", "secret"))
    page = {"verify_url": orders.get("verify_url"), "verify_connect_to": "127.0.0.1", "verify_tls": True, "verify_seconds": 5}
    how = {"state": "up", "method": "auto", "driver": "auto", "status": 503, "retry": 60, "page_text": ""}
    outcome = switch(runner, app, closing({**nothing, **page, **how}, app), check_mode=False)
    return "opened" if outcome.report["changed"] else "was open"


def _told(folder: Folder, run: str, held: t.Mapping[str, t.Any], detail: t.Mapping[str, t.Any]) -> str:
    where = f"{os.path.basename(folder.root)} on {os.uname().nodename}"
    silent = f"nothing was heard of it for {detail.get('silent_seconds') or 0:g} s, last: {detail.get('last_step')}"
    if detail.get("reopened"):
        after = "Nothing was switched yet: the workers that ran run again, the site is open as before, the lock is free."
    else:
        users = "" if detail.get("site") else " Users may be looking at the maintenance page."
        after = f"Nobody goes on with it, and it was left as it is, since {detail.get('why')}.{users}"
    who = f"run {run} of {held.get('actor', 'somebody')} on {held.get('controller', 'an unknown machine')}"
    return f"ROLLBACK ABANDONED: {where}, {who}: {silent}. {after} Next: ansible-playbook playbooks/status.yml"


def _post(folder: Folder, run: str, orders: Orders, text: str, say: t.Callable[[str, str], None]) -> None:
    """Tell the team where the notifications of the run go; the address is a secret and in no message."""
    try:
        with open(folder.webhook(run), encoding="utf-8") as file:
            url = file.read().strip()
    except OSError:
        return
    payload: dict[str, t.Any] = {
        "text": text,
        "attachments": [{"color": "danger", "fields": [{"title": "Run", "value": run, "short": True}]}],
    }
    if orders.get("channel"):
        payload["channel"] = orders["channel"]
    delivered, trouble = False, ""
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError
        request = urllib.request.Request(url, json.dumps(payload).encode(), {"Content-Type": "application/json"})
        with urllib.request.build_opener().open(request, timeout=orders.get("timeout") or 5) as answer:
            delivered = 200 <= answer.status < 300
    except Exception as error:  # what it says may hold the address
        trouble = type(error).__name__
    amended(folder, run, {"abandoned": {**(read_json(folder.record(run)) or {}).get("abandoned", {}), "notified": delivered}})
    if not delivered:
        say("warning", f"The message about run {run} was not delivered. {trouble}".strip())


def _forget(folder: Folder, run: str) -> None:
    if os.path.exists(folder.webhook(run)):
        os.unlink(folder.webhook(run))


def disarm(runner: Runner, application: str) -> bool:
    return runner.run(["systemctl", "stop", f"{unit(application)}.timer"], user="root", check=False, timeout=10).rc == 0


def _say(level: str, text: str) -> None:
    """Into the systemd journal, which is where a unit's output goes."""
    number = {"crit": 2, "warning": 4}[level]
    sys.stdout.write(f"<{number}>{text}\n")
    sys.stdout.flush()


def main() -> None:
    root = os.path.dirname(os.path.abspath(sys.argv[0]))
    try:
        look(Folder(root), Runner(t.cast("AnsibleModule", _Programs())), _say)
    except RollbackError as error:
        _say("crit", f"The dead-man timer of {os.path.basename(root)} cannot do its work: {error.message}")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
