#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_report
short_description: Write the report of a run
version_added: 0.1.0
description:
  - Writes C(report.md) and C(report.json) into the folder of the run on the controller, from what was measured.
  - Prints the outcome as the last lines of the run.
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
    description: The result of M(lastgood.rollback.rollback_plan).
    type: dict
    required: true
  steps:
    description: Results of the steps by the name of their phase.
    type: dict
    required: true
  outcome:
    description: How the run ended.
    type: str
    required: true
    choices: [rolled_back, held, failed, refused, nothing_to_do, undone, aborted]
  state:
    description: What state the application is in, in a sentence.
    type: str
    required: true
  reason:
    description: Why the rollback was run.
    type: str
  incident:
    description: The incident it belongs to.
    type: str
  next_steps:
    description: What to do next. Default is what CHOM-8 asks for.
    type: list
    elements: str
  failure:
    description: What failed, when something did.
    type: dict
  journal:
    description: The text of the journal on the host, of which a copy is put beside the report.
    type: str
  closed:
    description:
      - Name of the variable in which each host keeps the result of M(lastgood.rollback.rollback_run) that closed the run. With several hosts the
        report says how it ended on each; the first writes C(report.md), each other one has a folder of its name beside it.
    type: str
  follows:
    description: The run that was undone or aborted.
    type: str
"""

EXAMPLES = r"""
- name: Write the report
  lastgood.rollback.rollback_report:
    identity: "{{ rollback_identity }}"
    plan: "{{ rollback_plan }}"
    steps: "{{ steps }}"
    outcome: rolled_back
    state: The application runs v1.2.3 and is open.
"""

RETURN = r"""
report:
  description: Path of the Markdown report on the controller.
  returned: success, not in check mode
  type: str
ansible_facts:
  description: The fact C(rollback_ended) with C(outcome) and C(state).
  returned: success, not in check mode
  type: dict
"""
