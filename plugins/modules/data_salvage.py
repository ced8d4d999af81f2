#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: data_salvage
short_description: Put rows back that were saved before a restore
version_added: 0.1.0
description:
  - Puts the rows that P(lastgood.rollback.data_loss#module) saved into the live database, all in one transaction, parents before their
    children. When anything of it fails, nothing of it is done.
  - A row whose key is not there is inserted. One that is there with the same content is passed over. One whose key has other content
    by now is a conflict, and left unless O(conflicts=overwrite).
  - Before anything is done, each file is compared with the checksum in the manifest.
  - Rows that were deleted since the restore point came back with the restore. They are not deleted again.
  - The rows go into temporary tables of the session first, which needs the privilege for those. PostgreSQL's counters for new keys are
    moved behind the keys that were put back; other servers do that by themselves.
  - Triggers of the tables run for the rows that are put back, which is said in a warning.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._database
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - mariadb or mysql (for O(engine=mysql))
  - psql 11 or newer (for O(engine=postgresql))
  - python3 with its module sqlite3 (for O(engine=sqlite))
options:
  salvage:
    description: The folder with the saved rows, as RV(lastgood.rollback.data_loss#module:salvage).
    type: path
    required: true
  tables:
    description: The tables whose rows are put back. Default is all that were saved.
    type: list
    elements: str
    default: []
  conflicts:
    description:
      - What becomes of rows whose key has other content by now.
      - P(lastgood.rollback.db_restore#module) lets counters go on where they were, so that new rows have other numbers than those that
        were saved. After a restore by other means numbers are given again, and V(overwrite) would put an old order in the place of a new
        one, so look at RV(tables) in check mode first.
    type: str
    choices: [keep, overwrite]
    default: keep
  timeout:
    description: Seconds after which it is given up.
    type: int
    default: 600
seealso:
  - module: lastgood.rollback.data_loss
"""

EXAMPLES = r"""
- name: Put the orders back that came in after the backup
  lastgood.rollback.data_salvage:
    environment_file: /var/www/chom/.env
    salvage: /var/backups/chom/chom-20261122T101500.000Z-salvage
    tables: [customers, orders]
  become: true
"""

RETURN = r"""
tables:
  description:
    - What became, or in check mode would become, of the saved rows of each table.
    - C(present) were there already, C(blocked) are left because another unique key of theirs is taken. C(conflict_keys) has the keys
      of the first 20 rows that differ.
    - C(without) names columns that the table does not have now. C(reason) says why no row of a table can be put back, else it is null.
  returned: success
  type: list
  elements: dict
  sample:
    - name: orders
      rows: 15
      inserted: 12
      present: 0
      overwritten: 0
      conflicts: 3
      conflict_keys: [["1"], ["2"], ["3"]]
      blocked: 0
      without: []
      reason: null
text:
  description: The same in words, a line for each table.
  returned: success
  type: str
  sample: "orders: 12 inserted, 0 there already, 3 left because the key has other content now."
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._database_credentials import LOGIN, from_options
from ..module_utils._salvage_replay import read, replay, text
from ..module_utils._tables_engines import tables_of
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    engine = tables_of(from_options(options, runner), runner, options["environment_user"])
    saved = read(options["salvage"], engine.engine, options["tables"])
    overwrite = options["conflicts"] == "overwrite"
    found, triggers = replay(engine, saved, overwrite=overwrite, apply=not module.check_mode, timeout=options["timeout"])
    if triggers:
        module.warn(f"These tables have triggers, which run for each row that is put back: {', '.join(triggers)}.")
    told = text(found)
    return {
        "changed": any(one.inserted or one.overwritten for one in found),
        "tables": [one.as_dict() for one in found],
        "text": told,
        "diff": {"before": "", "after": f"{told}\n"},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            **LOGIN,
            "salvage": {"type": "path", "required": True},
            "tables": {"type": "list", "elements": "str", "default": []},
            "conflicts": {"type": "str", "choices": ["keep", "overwrite"], "default": "keep"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
