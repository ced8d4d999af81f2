# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """What modules say about themselves, said once."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change without changing it.
  diff_mode:
    description: Returns what changed, or in check mode what would change, in diff format.
  idempotent:
    description: When run again with the same options on the same state, it changes nothing.
  action_group:
    description: Use C(group/lastgood.rollback.rollback) in C(module_defaults) to set options that modules of this collection share.
    support: full
    membership:
      - lastgood.rollback.rollback
"""

    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Runs on the controller and does not connect to the host.
"""
