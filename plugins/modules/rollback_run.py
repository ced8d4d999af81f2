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
      - What each host of the application is to go to, by the names of the hosts, C(commit), C(version) and C(content) as far as it knows them.
      - O(state=opened) refuses when they are not the same, judged by the first of these that all of them know.
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
      - Nothing is written where that folder is not there, since Deployer makes it.
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

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._dead_man import ARGUMENTS as DEAD_MAN
from ..module_utils._errors import RollbackError
from ..module_utils._run import Folder
from ..module_utils._run_steps import close_run, open_run, release_run, unfreeze
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    for name in ("application", "run"):
        if options[name] is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}", options[name]):
            raise RollbackError(f"{options[name]!r} cannot be used as {name}: only letters, digits, _ and - are allowed.")
    folder = Folder.of(options["state_directory"], options["application"])
    if options["state"] == "unfrozen":
        return unfreeze(runner, folder, options, check_mode=module.check_mode)
    if options["state"] == "closed":
        result = close_run(runner, folder, options, check_mode=module.check_mode)
        for problem in result.get("problems", []):
            module.warn(problem)
        return result
    if options["state"] == "released":
        return release_run(runner, folder, options, check_mode=module.check_mode)
    result = open_run(runner, folder, options, check_mode=module.check_mode)
    if result.get("watched") is False:
        module.warn(
            f"NOBODY WATCHES THIS RUN: should it die, nothing on this host raises the alarm. {result['unwatched_because']} "
            f"What would change it: {result['to_be_watched']}"
        )
    return result


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
