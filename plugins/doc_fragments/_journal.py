# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """Where a module records what it does."""

    DOCUMENTATION = r"""
options:
  journal:
    description:
      - The folder of a run, as M(lastgood.rollback.rollback_run) returns it. What the module is about to do is written to the journal in it
        before, and what came of it after. Not in check mode.
      - Set it once for all modules with C(group/lastgood.rollback.journaled) in C(module_defaults).
    type: path
"""
