#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_plan_report
short_description: Show a plan to people, and write it where they find it again
version_added: 0.1.0
description:
  - Prints a plan that was made with details, what may hurt first, and the command that does exactly what it says.
  - Writes C(plan.md) and C(plan.json) into a folder of its own on the controller, beside the reports of runs.
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
    support: none
  action:
    support: full
options:
  identity:
    description: The identity of the run, as M(lastgood.rollback.application_profile) returns it.
    type: dict
    required: true
  plan:
    description: The result of M(lastgood.rollback.rollback_plan) with O(lastgood.rollback.rollback_plan#module:details=true).
    type: dict
    required: true
  loss:
    description: What would be lost, in words, as far as that is known before a backup is loaded; only with a database that goes back.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the plan
  lastgood.rollback.rollback_plan_report:
    identity: "{{ rollback_identity }}"
    plan: "{{ plan }}"
"""

RETURN = r"""
report:
  description: Path of the Markdown page on the controller.
  returned: success
  type: str
lastgood_text:
  description: The lines that are shown.
  returned: success
  type: str
"""
