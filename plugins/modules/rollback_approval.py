#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_approval
short_description: Let a run that takes data away go on only when somebody agreed to exactly its plan
version_added: 0.1.0
description:
  - Shows which data will be lost. Fails when O(given) is not the digest of what would be taken away, and says how to agree.
  - What is agreed to is the application, the versions, the backup with its checksum, the tables and the migrations. Another backup needs
    another agreement.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._attributes.controller
attributes:
  check_mode:
    support: full
    details: In check mode nobody has to agree.
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    support: full
options:
  plan:
    description: The result of M(lastgood.rollback.rollback_plan), with a database.
    type: dict
    required: true
  loss:
    description: The result of M(lastgood.rollback.data_loss).
    type: dict
    required: true
  given:
    description: The digest that somebody agreed to, or at least its first 12 characters.
    type: str
  command:
    description: What was typed, without the approval.
    type: str
    required: true
  state:
    description: What a refusal leaves behind, in words.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Approve
  lastgood.rollback.rollback_approval:
    plan: "{{ plan }}"
    loss: "{{ loss }}"
    given: "{{ approve | default('') }}"
    command: ansible-playbook playbooks/database_rollback.yml -e backup=chom-20261122T021956.123Z
    state: The restored database waits beside the live one.
"""

RETURN = r"""
next_command:
  description: How to agree.
  returned: failure
  type: str
  sample: ansible-playbook playbooks/database_rollback.yml -e backup=chom-20261122T021956.123Z -e approve=3f2a9c0d41be
"""
