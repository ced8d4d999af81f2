#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_point
short_description: Write down what runs, and what is known about it, so that it can be gone back to
version_added: 0.1.0
description:
  - Keeps the ledger of an application on its host, C(<state_directory>/<application>/ledger.jsonl); lines are only ever added, each bound
    to the one before it by a hash.
  - A restore point records the commit and its tag, hashes of the lock files, the applied migrations, the configuration files with their contents
    (for the user of the connection only), the states of the units, and the newest database backup whose schema fits.
  - A deployment calls it before it begins, and again when the new version is verified. The emergency rollback goes to the newest verified version.
  - What has not changed since is not recorded again.
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
    description: The application profile as P(lastgood.rollback.application_profile#module) returns it.
    type: dict
    required: true
  state:
    description:
      - V(live) records what runs now. V(verified) does so too and says that it is good; with O(name) it says so of that entry.
      - V(started) records that a deployment of O(version) has begun.
      - V(bad) and V(superseded) are said of O(name), or of what runs now. A bad version is never chosen by itself.
    type: str
    choices: [started, live, verified, bad, superseded]
    default: live
  name:
    description: Id, version or commit of an entry of the ledger; of several the newest.
    type: str
  version:
    description: Tag or commit that is being deployed. Required for O(state=started).
    type: str
  who:
    description: Who says so and why. C(reason) is required to call a version bad, or a bad one good.
    type: dict
    default: {}
    suboptions:
      actor:
        description: Who.
        type: str
      controller:
        description: From which machine.
        type: str
      reason:
        description: Why.
        type: str
      incident:
        description: The incident it belongs to.
        type: str
"""

EXAMPLES = r"""
- name: Record what runs before a deployment
  lastgood.rollback.restore_point:
    application: "{{ rollback_profile }}"

- name: The new version is good
  lastgood.rollback.restore_point:
    application: "{{ rollback_profile }}"
    state: verified
    who:
      actor: deployment
      reason: smoke tests passed

- name: Never go back to this one
  lastgood.rollback.restore_point:
    application: "{{ rollback_profile }}"
    state: bad
    name: v1.2.4
    who:
      reason: loses orders
"""

RETURN = r"""
restore_point:
  description: The entry of the ledger, with all that was said about it.
  returned: success, but not in check mode when it would be a new one
  type: dict
  sample: {id: 20261122T031500Z-722620b03305, version: v1.2.3, state: verified, snapshot: true}
manifest:
  description: What was found; hashes, no contents.
  returned: when what runs now was looked at
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _restore_point
from ..module_utils._command import Runner
from ..module_utils._errors import RollbackError
from ..module_utils._layout import layout_of
from ..module_utils._run import Folder
from ..module_utils._versions import commit_of
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    application, state, who = options["application"], options["state"], options["who"]
    folder = Folder.of(application["state_directory"], application["name"])
    layout = layout_of(runner, application)
    if state == "started":
        commit = layout.resolve(options["version"])
        return _restore_point.begin(folder, options["version"], commit, who, check_mode=module.check_mode)
    if options["name"] is None and state in ("live", "verified"):
        return _restore_point.record(runner, application, who, verified=state == "verified", check_mode=module.check_mode)
    if state == "bad" and not who.get("reason"):
        raise RollbackError("Say why the version is bad.", state="Nothing was changed.", next_command='add -e \'{"reason": "..."}\'')
    name = options["name"] if options["name"] is not None else commit_of(layout.code.work_tree().commit)
    return _restore_point.mark(folder, name, state, who, check_mode=module.check_mode)


def main() -> None:
    words = {name: {"type": "str"} for name in ("actor", "controller", "reason", "incident")}
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["started", "live", "verified", "bad", "superseded"], "default": "live"},
            "name": {"type": "str"},
            "version": {"type": "str"},
            "who": {"type": "dict", "default": {}, "options": words},
        },
        required_if=[("state", "started", ["version"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
