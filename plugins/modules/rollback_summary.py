#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_summary
short_description: Show a status or a gate's findings to the person who started the run
version_added: 0.1.0
description:
  - Prints in words what another module found out.
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
  status:
    description: The result of M(lastgood.rollback.rollback_info).
    type: dict
  gate:
    description: The result of M(lastgood.rollback.health_gate), instead of a status.
    type: dict
"""

EXAMPLES = r"""
- name: Show the status
  lastgood.rollback.rollback_summary:
    status: "{{ rollback_status }}"
"""

RETURN = r"""
lastgood_text:
  description: The lines that are shown.
  returned: success
  type: str
"""
