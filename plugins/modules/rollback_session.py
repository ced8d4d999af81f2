#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_session
short_description: Keep a Python ready on the host, so that the modules that follow start at once
version_added: 0.1.0
description:
  - Starting Python and importing what modules need takes most of the time of a module that does little. This module leaves a process of the
    user of the connection behind that has done so already. The other modules of this collection then run in copies of it, one process each.
  - It listens on a socket in a folder of its own that only this user can enter, and ends by itself when it was not used for a while.
  - Where Ansible keeps an ssh connection open (C(ControlPersist)) and the host allows it (C(AllowStreamLocalForwarding), the default of sshd), that
    connection leads to the socket directly, so that no task has to start a command on the host.
  - Nothing else changes. When the process is gone, cannot be used (C(become), C(async), C(environment), no pipelining), or was never there, modules
    run as always.
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
    support: none
    details: Each call leaves a process of its own behind, which ends by itself.
options:
  home:
    description: Where it makes its folder. Nobody but the user of the connection may be able to write there.
    type: path
    default: "~"
  idle:
    description: Seconds without a module after which the process ends.
    type: float
    default: 120
  users:
    description: Users as whom the modules that follow will run programs. Becoming one of them takes time, too.
    type: list
    elements: str
    default: []
  sources:
    description: What it imports ahead. The collection fills this in itself.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Keep a Python ready on the host
  lastgood.rollback.rollback_session:
"""

RETURN = r"""
ansible_facts:
  description: Where the process listens; the modules that follow find it there.
  returned: success
  type: dict
  contains:
    lastgood_session:
      description: The path of its socket. None where somebody else could write to the user's home, which is not safe.
      returned: success
      type: str
      sample: /home/deploy/.lastgood-x3k2m9_q/socket
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._session import begin
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, _runner: Runner) -> dict[str, t.Any]:
    return {"changed": False, "ansible_facts": {"lastgood_session": begin(**module.params)}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "default": "~"},
            "idle": {"type": "float", "default": 120.0},
            "users": {"type": "list", "elements": "str", "default": []},
            "sources": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
