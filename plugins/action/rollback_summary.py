# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Shows a status or a gate to the person who started the run."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        wanted = self._task.args
        text = "\n".join(_status(wanted["status"]) if "status" in wanted else _probes(wanted["gate"]))
        return {"changed": False, "lastgood_text": text, "msg": text, "_ansible_verbose_always": True}


def _status(status: dict[str, t.Any]) -> t.Iterator[str]:
    closed = "CLOSED to users (maintenance mode)" if status["maintenance"] else "open to users"
    gone = "WHOSE RELEASE WAS DELETED, so that every page fails; emergency_rollback.yml leaves it"
    where = f", release {status['release']}" if status.get("release") else ""
    yield f"runs {status['version']} ({status['commit'][:12]}{where}), {gone if status.get('missing') else closed}"
    if status["changed_files"]:
        yield f"changed by hand: {', '.join(status['changed_files'][:10])}"
    yield from _units(status)
    yield from _lock(status)
    yield from _ledger(status["ledger"])
    if status.get("progress"):
        yield f"at this moment: {status['progress']['text']}, as of {status['progress']['at']}"
    yield from _restore(status["restore"] or {})
    for each in status.get("damaged") or []:
        yield f"DAMAGED: {each['reason']}"
        yield f"NEXT: {each['next_command']}"
    last = status["last_run"]
    if last is None:
        yield "last rollback: not known" if status.get("damaged") else "last rollback: none is recorded on this host"
        return
    when = last.get("closed") or last.get("opened")
    yield f"last rollback: {(last.get('origin') or last).get('from_version')} -> {last.get('target')}, {last.get('outcome')} at {when} (run {last.get('run')})"
    if last.get("outcome") == "abandoned":
        given_up = last.get("abandoned") or {}
        after = "the site was opened again" if last.get("reopened") else f"it was left as it is, since {given_up.get('why')}"
        yield f"ABANDONED: the dead-man timer gave it up at {given_up.get('at')} after {given_up.get('silent_seconds')} s of silence; {after}"
    yield from _journal(status)
    if status["unfinished"] and last.get("severity") == "configuration":
        yield "NEXT: ansible-playbook playbooks/undo.yml   # put back the configuration from before"
    elif status["unfinished"]:
        yield f"NEXT: ansible-playbook playbooks/resume.yml   # go on to {last.get('target')}"
        if not last.get("undoes"):  # an undo can only be gone on with
            yield f"NEXT: ansible-playbook playbooks/undo.yml   # go back to {(last.get('origin') or last).get('from_version')}"
        yield "NEXT: ansible-playbook playbooks/abort.yml   # leave it there, as safely as it can be"


def _restore(found: dict[str, t.Any]) -> t.Iterator[str]:
    """What a restore of the database left beside the live one, and what to do about that."""
    stage, backup = found.get("stage"), (found.get("backup") or {}).get("id")
    if stage in ("swapping", "returning"):
        yield f"database: a swap was INTERRUPTED at {found.get('at')}: triggers, views or programs may be missing until it is completed"
    elif stage == "swapped":
        yield f"database: restored from {backup}; what it replaced is kept as {found.get('kept')}; database_release.yml removes it for ever"
    elif stage in ("loading", "proven", "returned"):
        yield f"database: not restored; {found.get('side')} beside it takes space ({stage}, {backup}); database_release.yml removes it for ever"


def _ledger(found: dict[str, t.Any]) -> t.Iterator[str]:
    if found["broken"]:
        yield f"ledger: DAMAGED: {found['broken']}"
        return
    if not found["restore_points"]:
        yield "ledger: empty; playbooks/restore_point.yml records what runs (see the guide: deployments should call it)"
        for each in found.get("discovered", []):
            yield f"  seems to have run: {each['version']:<12} since {each['since']} ({each['sure']}: {each['why']})"
        return
    good = found["last_good"]
    yield f"last good: {good['version']} (ran since {good['since']}, {good['id']})" if good else "last good: none is verified"
    yield from (f"passed over: {line}" for line in found["passed_over"])
    for point in found["restore_points"]:
        last = point["history"][-1]
        why = f": {last['reason']}" if last.get("reason") else ""
        trouble = f" - CANNOT BE GONE BACK TO: {point['trouble']}" if point["trouble"] else ""
        yield f"  {point['state']:<10} {point['version']:<12} {last['at']} by {last.get('actor', 'unknown')}{why}{trouble}"


def _units(status: dict[str, t.Any]) -> t.Iterator[str]:
    bad = {name: state for name, state in status["units"].items() if not state.startswith("active")}
    yield "units: " + (", ".join(f"{name} {state}" for name, state in bad.items()) or f"all {len(status['units'])} active")
    if status.get("astray"):
        yield f"RUN ANOTHER RELEASE: {'; '.join(status['astray'])}; a rollback to the release that runs renews them"
    if status["workers_waiting"]:
        yield f"stopped by a run and not started again: {', '.join(status['workers_waiting'])}"


def _lock(status: dict[str, t.Any]) -> t.Iterator[str]:
    lock, frozen = status["lock"], status.get("freeze")
    if lock is None:
        yield "lock: free"
    elif not lock.get("run"):
        yield 'lock: DAMAGED, nobody knows who holds it; when nobody is at work a run takes it over: -e \'{"take_over": "it is damaged"}\''
    else:
        word = "counts as alive until" if lock.get("alive") else "counts as dead since"
        yield f"lock: held by {lock.get('actor')} since {lock.get('since')} (run {lock.get('run')}), {word} {lock.get('expires')}"
        if status.get("left_over"):
            yield "NEXT: ansible-playbook playbooks/abort.yml   # give the lock back: its run was cut off before it began, or after it was closed"
        elif not status.get("watched"):
            yield "NOBODY WATCHES this run: no dead-man timer is armed on this host (it could not be, or the host was started anew)"
    if frozen is not None:
        why = f"until {frozen.get('expires')}: run {frozen.get('run')} rolled back, {frozen.get('reason')}"
        yield f"frozen for deployments {why if frozen.get('run') else 'by a freeze that is DAMAGED'}"
        yield "NEXT: ansible-playbook playbooks/unfreeze.yml -e reason=...   # when what was rolled back may be deployed again"


def _journal(status: dict[str, t.Any]) -> t.Iterator[str]:
    found = status.get("journal")
    if not found:
        return
    whole = f"DAMAGED: {found['broken']}" if found["broken"] else "its last line was cut off" if found["torn"] else "intact"
    yield f"journal: {found['entries']} entries, {whole}"
    sign = found["sign_of_life"]
    if sign.get("at_work"):
        yield f"at work at this moment: {sign['step']} since {sign['at']}"
    elif status["unfinished"] and sign:
        yield f"last sign of life: {sign['step']} at {sign['at']}"


def _probes(gate: dict[str, t.Any]) -> t.Iterator[str]:
    for probe in gate.get("probes", []):
        word = "ok    " if probe["passed"] else "FAILED" if probe["required"] else "WARN  "
        found = (probe.get("measured") or {}).items()
        values = ", ".join(f"{name} {value}" for name, value in found if not isinstance(value, (dict, list)))
        yield f"{word}  {probe['name']:<24} {probe.get('last_error') or values}"
