#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_run
short_description: Open and close a rollback, one at a time for each application
version_added: 0.1.0
description:
  - O(state=opened) takes the application's lock on the managed host, atomically, records what the run is about and keeps evidence
    of the state that was found (end of the application's log, states of the units, commit).
  - A second run is refused and told who holds the lock, since when, and how to take over.
  - O(state=closed) records the outcome and gives the lock back. After a rollback the version that was left is bad in the ledger, and the one that
    was reached is verified, when the ledger has it; an undo takes that back.
  - Everything lies in C(<state_directory>/<application>/), readable by the user of the connection only.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  application:
    description: Name of the application; letters, digits, C(_) and C(-).
    type: str
    required: true
  state_directory:
    description: Where the durable state of all applications lies on the host.
    type: path
    default: /var/lib/lastgood
  run:
    description: Id of the run; letters, digits, C(_) and C(-).
    type: str
    required: true
  state:
    description: Whether the run begins or ends.
    type: str
    choices: [opened, closed]
    required: true
  facts:
    description: What to record about the run (actor, controller, reason, incident, severity, from, target and so on). No secrets.
    type: dict
    default: {}
  targets:
    description:
      - The commit that each host of the application is to go to, by the names of the hosts. O(state=opened) refuses when they are not the same.
    type: dict
    default: {}
  take_over:
    description: Take the lock from a run that is dead, for this reason.
    type: str
  log_file:
    description: The application's log, whose end is kept as evidence.
    type: path
  log_lines:
    description: How many lines of O(log_file) are kept (CHOM-5.1-04).
    type: int
    default: 500
  user:
    description: The user who may read O(log_file).
    type: str
  units:
    description: Systemd units whose state is kept as evidence.
    type: list
    elements: str
    default: []
  outcome:
    description: How the run ended. Required for O(state=closed).
    type: str
    choices: [rolled_back, nothing_to_do, held, refused, failed, undone, aborted]
"""

EXAMPLES = r"""
- name: Open a run
  lastgood.rollback.rollback_run:
    application: chom
    run: 20261122T031500Z-standard
    state: opened
    facts:
      actor: on-call
      reason: every page answers 500
      target: v1.2.3
    log_file: /var/www/chom/storage/logs/laravel.log
    user: www-data

- name: Close it
  lastgood.rollback.rollback_run:
    application: chom
    run: 20261122T031500Z-standard
    state: closed
    outcome: rolled_back
"""

RETURN = r"""
folder:
  description: The run's folder on the host.
  returned: success
  type: str
  sample: /var/lib/lastgood/chom/runs/20261122T031500Z-standard
evidence:
  description: Files that were kept, with their size in bytes.
  returned: O(state=opened)
  type: dict
  sample: {application.log: 48231, units.txt: 912}
taken_over:
  description: The run from which the lock was taken.
  returned: when it was
  type: dict
record:
  description: What is recorded about the run now.
  returned: success, not in check mode
  type: dict
journal:
  description: The run's journal, JSON lines, to be kept elsewhere too.
  returned: O(state=closed), not in check mode
  type: str
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._errors import RollbackError
from ..module_utils._journal import text_of
from ..module_utils._ledger import conclude_run
from ..module_utils._run import Folder, acquire, closed, closing, holder, locked, opened, read_json, release
from ..module_utils._wiring import conclude, utc


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    for name in ("application", "run"):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}", options[name]):
            raise RollbackError(f"{options[name]!r} cannot be used as {name}: only letters, digits, _ and - are allowed.")
    folder = Folder.of(options["state_directory"], options["application"])
    if options["state"] == "opened":
        return _open(runner, folder, options, check_mode=module.check_mode)
    return _close(folder, options, check_mode=module.check_mode)


def _close(folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    run = options["run"]
    record, differs = closing(folder, run, options["outcome"], options["facts"])
    changed = differs or (holder(folder) or {}).get("run") == run
    result = {"changed": changed, "folder": folder.run(run)}
    if check_mode:
        return result
    if changed:
        record = closed(folder, run, options["outcome"], options["facts"])
        result.update(_remember(folder, record))
        release(folder, run)
    return {**result, "record": record, "journal": text_of(folder.run(run))}


def _remember(folder: Folder, record: dict[str, t.Any]) -> dict[str, t.Any]:
    """Tell the ledger what the run showed; a ledger that cannot be written keeps nobody from getting the lock."""
    try:
        conclude_run(folder.root, record)
    except RollbackError as error:
        return {"warnings": [f"The ledger does not know of this run: {error.message}"]}
    return {}


def _open(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    run = options["run"]
    _refuse_different(options["targets"])
    held = holder(folder)
    mine = held is not None and held.get("run") == run
    if check_mode:
        if held is not None and not mine and not options["take_over"]:
            raise locked(folder, held)
        return {"changed": not mine, "folder": folder.run(run), "evidence": {}}
    record = read_json(folder.record(run)) if mine else None
    if record is not None:
        return {"changed": False, "folder": folder.run(run), "evidence": _kept(folder.evidence(run)), "record": record}
    folder.create()
    facts = {**options["facts"], "run": run}
    owner = {**{name: facts.get(name) for name in ("run", "actor", "controller", "target")}, "since": utc()}
    previous = acquire(folder, owner, take_over=options["take_over"])
    if previous is not None:
        facts["taken_over"] = {"from": previous, "reason": options["take_over"]}
    try:
        record = opened(folder, facts)
    except BaseException:
        release(folder, run)
        raise
    result = {
        "changed": True,
        "folder": folder.run(run),
        "evidence": _keep_evidence(runner, folder.evidence(run), options),
        "record": record,
    }
    return {**result, "taken_over": previous} if previous is not None else result


def _refuse_different(targets: dict[str, t.Any]) -> None:
    """All hosts of an application go to the same commit, or none goes anywhere."""
    if len(set(targets.values())) > 1:
        raise RollbackError(
            f"The hosts do not agree on the target: {', '.join(f'{host} would go to {str(commit)[:12]}' for host, commit in sorted(targets.items()))}.",
            state="Nothing was changed on any of them.",
            next_command="run again with an explicit target: -e target=<tag or commit>",
        )


def _keep_evidence(runner: Runner, directory: str, options: dict[str, t.Any]) -> dict[str, int]:
    """Keep what a later analysis needs; evidence that cannot be had is noted, it does not stop a rollback."""
    wanted: dict[str, tuple[list[str], str | None]] = {}
    if options["log_file"]:
        wanted["application.log"] = ["tail", f"--lines={options['log_lines']}", "--", options["log_file"]], options["user"]
    if options["units"]:
        show = ["systemctl", "show", "--property=Id,ActiveState,SubState,MainPID,NRestarts", "--", *options["units"]]
        wanted["units.txt"] = show, None
    for name, (argv, user) in wanted.items():
        try:
            done = runner.run(argv, user=user, check=False, timeout=10)
            text = done.stdout if done.rc == 0 else f"not available: {done.output}\n"
        except RollbackError as error:
            text = f"not available: {error.message}\n"
        _write(os.path.join(directory, name), text)
    return _kept(directory)


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
    except OSError:
        return  # a full disk: the missing or short file shows in the sizes that are returned


def _kept(directory: str) -> dict[str, int]:
    return {name: os.stat(os.path.join(directory, name)).st_size for name in sorted(os.listdir(directory))}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "str", "required": True},
            "state_directory": {"type": "path", "default": "/var/lib/lastgood"},
            "run": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["opened", "closed"], "required": True},
            "facts": {"type": "dict", "default": {}},
            "targets": {"type": "dict", "default": {}},
            "take_over": {"type": "str"},
            "log_file": {"type": "path"},
            "log_lines": {"type": "int", "default": 500},
            "user": {"type": "str"},
            "units": {"type": "list", "elements": "str", "default": []},
            "outcome": {"type": "str", "choices": ["rolled_back", "nothing_to_do", "held", "refused", "failed", "undone", "aborted"]},
        },
        required_if=[("state", "closed", ["outcome"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
