#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_point_info
short_description: Say which versions ran, which is last good, and what is different now
version_added: 0.1.0
description:
  - Lists the ledger of an application and says which entry the emergency rollback would go to, and why others were passed over.
  - Where there is no ledger yet, O(discover=true) says which versions seem to have run on this host, and how sure that is.
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
  compare:
    description: Id, version or commit of an entry with a snapshot, to be compared with what runs now.
    type: str
  discover:
    description: Whether to look for versions that ran before there was a ledger.
    type: bool
    default: false
  deploy_path:
    description:
      - Where Deployer, Capistrano or Ansistrano keep C(releases/). The default is the folder above the one that the application's path is in,
        when it holds C(releases).
    type: path
"""

EXAMPLES = r"""
- name: What would the emergency rollback go to
  lastgood.rollback.restore_point_info:
    application: "{{ rollback_profile }}"
  register: ledger

- name: What is different from v1.2.3
  lastgood.rollback.restore_point_info:
    application: "{{ rollback_profile }}"
    compare: v1.2.3
"""

RETURN = r"""
restore_points:
  description: The entries of the ledger, the newest first; C(trouble) is what keeps an entry from being gone back to, or null.
  returned: success
  type: list
  elements: dict
last_good:
  description: The entry that the emergency rollback would go to; null when there is none.
  returned: success
  type: dict
passed_over:
  description: Verified versions that are newer and cannot be gone back to, with the reason.
  returned: success
  type: list
  elements: str
broken:
  description: Why the ledger cannot be trusted; null when it is intact.
  returned: success
  type: str
differences:
  description:
    - What is different now. Values of settings are shown as hashes only, made with a salt of this call.
  returned: when O(compare) is given
  type: dict
discovered:
  description: Versions that seem to have run, the newest first, each with C(version), C(commit), C(since), C(source), C(sure) and C(why).
  returned: when O(discover=true)
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._code import code_of
from ..module_utils._command import Runner
from ..module_utils._discovery import discover
from ..module_utils._restore_point import compared, listed
from ..module_utils._run import Folder
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    application = options["application"]
    repository = code_of(runner, application)
    result = listed(repository, Folder.of(application["state_directory"], application["name"]))
    if options["compare"]:
        result["differences"] = compared(runner, application, options["compare"])
    if options["discover"]:
        result["discovered"] = discover(repository, options["deploy_path"], application["releases"]["pattern"])
    return {**result, "changed": False}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "dict", "required": True},
            "compare": {"type": "str"},
            "discover": {"type": "bool", "default": False},
            "deploy_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
