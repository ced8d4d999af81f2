#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_failure
short_description: Work out what a failed run leaves behind
version_added: 0.1.0
description:
  - Decides from the results of the steps which safe state can be reached, and what to type next.
  - As long as neither the schema nor the code was touched, everything goes back to how it was. After that traffic stays closed.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._attributes.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    support: full
options:
  task:
    description: Name of the task that failed; empty when it was one of another host.
    type: str
    required: true
  result:
    description: Its result; empty when it was one of another host.
    type: dict
    required: true
  playbook:
    description: Name of the playbook, for the commands that are proposed.
    type: str
    required: true
  plan:
    description: The result of M(lastgood.rollback.rollback_plan).
    type: dict
    required: true
  steps:
    description: Results of the steps by the name of their phase; empty for those that were not reached.
    type: dict
    required: true
  journal:
    description:
      - What the journal on the host says of the phases, as M(lastgood.rollback.rollback_info) returns it. It is asked about a step whose answer was lost
        on its way, and which came to a good end all the same.
    type: dict
  variables:
    description:
      - Names of the variables in which each host keeps the results of its steps, by the name of their phase. With it the hosts of a run decide
        together. As long as none was touched each goes back by itself. After that all stay closed, or all go back.
    type: dict
  origin:
    description:
      - Where it all began, when this run was to finish another one that was interrupted.
      - C(phases) is what was done until now, C(was_down) whether the application was closed before, C(from_version) what it ran.
    type: dict
  on_failed_gate:
    description:
      - With V(undo), a target that was reached whole and is not good is left again when users had something before. The fact then
        says C(undo).
    type: str
    choices: [hold, undo]
    default: hold
"""

EXAMPLES = r"""
- name: Work out the state
  lastgood.rollback.rollback_failure:
    task: "{{ ansible_failed_task.name }}"
    result: "{{ ansible_failed_result }}"
    playbook: standard_rollback
    plan: "{{ rollback_plan }}"
    steps: "{{ steps }}"
"""

RETURN = r"""
ansible_facts:
  description: The fact C(rollback_failure) with C(outcome), C(state), C(next), and whether to start workers, close, reopen or undo.
  returned: success
  type: dict
"""
