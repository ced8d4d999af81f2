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
  - A second run is refused and told who holds the lock, since when, until when it counts as alive, and how to take over.
  - With O(dead_man), a timer of systemd watches the run from the host itself. When the run shows no sign of life for that long, the timer
    records it as abandoned, raises the alarm, and opens the site again where that is asked for and nothing was changed yet.
    Where the timer cannot be armed the run goes on, with a warning and the command that would change it.
  - O(state=closed) records the outcome, disarms the timer and gives the lock back. With O(freeze_hours), a run that rolled back leaves the
    application frozen for deployments, see O(state=unfrozen).
  - After a rollback the version that was left is bad in the ledger, and the one that was reached is verified, when the ledger has it; an undo takes
    that back.
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
    description: Id of the run; letters, digits, C(_) and C(-). Required unless O(state=unfrozen).
    type: str
  state:
    description:
      - Whether the run begins or ends, or whether the application may be deployed again.
      - V(released) gives back the lock of a run that has nothing left to do, since it was cut off before it began or after it was closed.
    type: str
    choices: [opened, closed, unfrozen, released]
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
    description: Take the lock from a run that is dead, for this reason. The lock of a run that is doing something at this moment is never taken.
    type: str
  take_over_from:
    description: The run that this one follows. When another one has begun since, this one is refused, whatever O(take_over) says.
    type: str
  dead_man:
    description: Have the host itself watch the run.
    type: dict
    suboptions:
      seconds:
        description: The length of the lease, seconds without a sign of life after which the run counts as dead.
        type: int
        required: true
      action:
        description:
          - V(alarm) records and tells.
          - V(reopen) also starts the workers that ran and opens the site, if the journal proves that nothing was switched or migrated yet and
            the site was open before the run.
        type: str
        choices: [alarm, reopen]
        default: alarm
      path:
        description: The application's directory.
        type: path
        required: true
      user:
        description: The application's user.
        type: str
        required: true
      php:
        description: The PHP program.
        type: str
        default: php
      verify_url:
        description: The address that proves that the site is open.
        type: str
      webhook_url:
        description: Where to post the alarm, a secret. It lies in the run's folder, readable by its owner only, until the run is closed.
        type: str
      channel:
        description: The channel of the message.
        type: str
      timeout:
        description: How many seconds the message may take.
        type: int
        default: 5
  deploy_path:
    description:
      - Deployer's C(deploy_path). While a run holds the lock or a freeze is on, C(.dep/deploy.lock) in it keeps Deployer from deploying.
      - A lock there that is somebody else's is never overwritten; without O(take_over) the run is refused.
    type: path
  freeze_hours:
    description: How long the application is frozen for deployments when O(outcome=rolled_back); 0 for not at all.
    type: float
    default: 0
  log_file:
    description: The application's log, whose end is kept as evidence.
    type: path
  log_lines:
    description: How many lines of O(log_file) are kept (CHOM-5.1-04).
    type: int
    default: 500
  user:
    description: The user who may read O(log_file), and to whom O(deploy_path) belongs.
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
    freeze_hours: 24

- name: Allow deployments again
  lastgood.rollback.rollback_run:
    application: chom
    state: unfrozen
    facts:
      actor: on-call
      reason: v1.2.5 repairs it
"""

RETURN = r"""
folder:
  description: The run's folder on the host.
  returned: O(state=opened) and O(state=closed)
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
watched:
  description: Whether the dead-man timer is armed; null when systemd took too long to say so, see M(lastgood.rollback.rollback_info).
  returned: O(state=opened) with O(dead_man), not in check mode
  type: bool
unwatched_because:
  description: Why it is not.
  returned: when it is not
  type: str
to_be_watched:
  description: The command that has to be allowed, or to work, for the timer to be armed.
  returned: when it is not
  type: str
problems:
  description: What could not be done before the lock was given back, such as the freeze.
  returned: when there are any
  type: list
  elements: str
freeze:
  description: The freeze that was laid on the application, or lifted.
  returned: when there is one
  type: dict
record:
  description: What is recorded about the run now.
  returned: O(state=opened) and O(state=closed), not in check mode
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

from ..module_utils._clock import utc
from ..module_utils._command import Runner
from ..module_utils._dead_man import ARGUMENTS as DEAD_MAN
from ..module_utils._dead_man import Arming, forget
from ..module_utils._deploy_lock import lay, remove
from ..module_utils._errors import RollbackError
from ..module_utils._freeze import freeze, frozen, lift
from ..module_utils._journal import text_of
from ..module_utils._ledger import conclude_run
from ..module_utils._run import (
    Folder,
    acquire,
    amended,
    closed,
    closing,
    give_back,
    holder,
    left_over,
    locked,
    opened,
    read_json,
    release,
    timer_at_work,
)
from ..module_utils._watch import disarm
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    for name in ("application", "run"):
        if options[name] is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}", options[name]):
            raise RollbackError(f"{options[name]!r} cannot be used as {name}: only letters, digits, _ and - are allowed.")
    folder = Folder.of(options["state_directory"], options["application"])
    if options["state"] == "unfrozen":
        return _unfreeze(runner, folder, options, check_mode=module.check_mode)
    if options["state"] == "closed":
        result = _close(runner, folder, options, check_mode=module.check_mode)
        for problem in result.get("problems", []):
            module.warn(problem)
        return result
    if options["state"] == "released":
        return _release(runner, folder, options, check_mode=module.check_mode)
    result = _open(runner, folder, options, check_mode=module.check_mode)
    if result.get("watched") is False:
        module.warn(
            f"NOBODY WATCHES THIS RUN: should it die, nothing on this host raises the alarm. {result['unwatched_because']} "
            f"What would change it: {result['to_be_watched']}"
        )
    return result


def _unfreeze(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    reason = str(options["facts"].get("reason") or "").strip()
    if not reason:
        raise RollbackError("Why deployments are to be allowed again was not said.", next_command="-e reason=...")
    found = frozen(folder)
    if not check_mode:
        lift(folder, actor=str(options["facts"].get("actor", "somebody")), reason=reason)
        if holder(folder) is None:
            remove(runner, options)
    return {"changed": found is not None, "freeze": found}


def _release(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    run = options["run"]
    if check_mode or (holder(folder) or {}).get("run") != run:
        return {"changed": left_over(folder) == run}
    record = read_json(folder.record(run)) or {}
    if os.path.isdir(folder.run(run)) and "closed" not in record:
        closed(folder, run, "aborted", {"state": "It was cut off before it began."})
    changed = give_back(folder, run)
    forget(folder, run)
    if options["deploy_path"] and frozen(folder) is None:
        remove(runner, options)
    return {"changed": changed}


def _close(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    run = options["run"]
    record, differs = closing(folder, run, options["outcome"], options["facts"])
    mine = (holder(folder) or {}).get("run") == run and not timer_at_work(folder, run)
    changed = differs or mine
    result: dict[str, t.Any] = {"changed": changed, "folder": folder.run(run)}
    if check_mode:
        return result
    if changed:
        record = closed(folder, run, options["outcome"], options["facts"])
        result.update(_leave(runner, folder, record, options) if mine else {})
        forget(folder, run)
        release(folder, run)
    return {**result, "record": record, "journal": text_of(folder.run(run))}


def _leave(runner: Runner, folder: Folder, record: dict[str, t.Any], options: dict[str, t.Any]) -> dict[str, t.Any]:
    """What is to be done before the lock is given back; what fails of it is said, it does not keep the lock."""
    left: dict[str, t.Any] = {}
    problems = []
    steps: list[t.Callable[[], t.Any]] = [lambda: left.update(_frozen(folder, record, options)), lambda: conclude_run(folder.root, record)]
    if record.get("dead_man") and record.get("watched", True):
        steps.append(lambda: disarm(runner, options["application"]))
    if options["deploy_path"]:
        steps.append(lambda: None if frozen(folder) is not None else remove(runner, options))
    for step in steps:
        try:
            step()
        except RollbackError as error:
            problems.append(error.message)
    return {**left, "problems": problems} if problems else left


def _frozen(folder: Folder, record: dict[str, t.Any], options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Before the lock is given back, so that no deployment slips in between."""
    if options["outcome"] == "rolled_back" and options["freeze_hours"] > 0:
        return {"freeze": freeze(folder, record, options["freeze_hours"])}
    if options["outcome"] == "undone":
        lift(folder, actor=str(record.get("actor")), reason=f"undone by {record['run']}", run=record.get("follows"))
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
    return _begin(runner, folder, options)


def _begin(runner: Runner, folder: Folder, options: dict[str, t.Any]) -> dict[str, t.Any]:
    run, orders = options["run"], options["dead_man"]
    facts = {**options["facts"], "run": run}
    owner = {**{name: facts.get(name) for name in ("run", "actor", "controller", "target")}, "since": utc()}
    if orders:
        owner["lease"], facts["dead_man"] = orders["seconds"], {name: orders[name] for name in ("seconds", "action")}
    previous = acquire(folder, owner, take_over=options["take_over"], take_over_from=options["take_over_from"])
    if previous is not None:
        forget(folder, previous.get("run"))
        facts["taken_over"] = {"from": previous, "reason": options["take_over"]}
    try:
        deploying = lay(runner, options, actor=str(facts.get("actor")))
        if deploying:
            facts["deploying"] = deploying
        arming = Arming(runner, folder, options["application"]) if orders else None  # collected when the evidence is kept
        record = opened(folder, facts)
        if arming is not None:
            arming.prepare(run, {**orders, "deploy_path": options["deploy_path"]})
    except BaseException:
        release(folder, run)
        raise
    evidence = _keep_evidence(runner, folder.evidence(run), options)
    result = {"changed": True, "folder": folder.run(run), "evidence": evidence, "record": record}
    result.update({"taken_over": previous} if previous is not None else {})
    if arming is not None:
        result.update(arming.result())
        if result["watched"] is False:
            result["record"] = amended(folder, run, {name: result[name] for name in ("watched", "unwatched_because", "to_be_watched")})
    return result


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
            "run": {"type": "str"},
            "state": {"type": "str", "choices": ["opened", "closed", "unfrozen", "released"], "required": True},
            "facts": {"type": "dict", "default": {}},
            "targets": {"type": "dict", "default": {}},
            "take_over": {"type": "str"},
            "take_over_from": {"type": "str"},
            "dead_man": {"type": "dict", "options": DEAD_MAN},
            "deploy_path": {"type": "path"},
            "freeze_hours": {"type": "float", "default": 0},
            "log_file": {"type": "path"},
            "log_lines": {"type": "int", "default": 500},
            "user": {"type": "str"},
            "units": {"type": "list", "elements": "str", "default": []},
            "outcome": {"type": "str", "choices": ["rolled_back", "nothing_to_do", "held", "refused", "failed", "undone", "aborted"]},
        },
        required_if=[("state", "opened", ["run"]), ("state", "closed", ["run", "outcome"]), ("state", "released", ["run"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
