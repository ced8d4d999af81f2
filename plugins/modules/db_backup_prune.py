#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: db_backup_prune
short_description: Remove old database backups that nothing needs any more
version_added: 0.1.0
description:
  - B(Removes) backups that M(lastgood.rollback.db_backup) made of one application. A backup goes only when there are O(keep_newest) newer ones of the
    same database with the same label B(and) it is older than O(keep_days). All others stay, and the result says why.
  - Whatever the two numbers say, these stay - a backup that a restore point, a kept plan, the record of a restore or the last run names; the newest
    backup of each database whose checksum is right, which is read for that; a newer one whose checksum is wrong; everything while a run is open or was
    interrupted; and whatever has no manifest that can be read, belongs to another application or was not made by M(lastgood.rollback.db_backup).
  - Where it cannot be known what is needed, since the ledger or the manifest of a restore point was changed or cannot be read, nothing is removed.
  - A backup loses its manifest first, so that an interruption never leaves something that looks like a backup. The next call finishes what was begun.
  - No run begins and no restore works while backups are removed.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  directory:
    description: Where the backups are.
    type: path
    required: true
  application:
    description: The application whose backups are meant.
    type: str
    required: true
  keep_newest:
    description: How many backups of each database stay with each label, however old they are; at least 1.
    type: int
    required: true
  keep_days:
    description: For how many days each backup stays, however many there are.
    type: float
    required: true
  label:
    description: Remove only backups with this label.
    type: str
  state_directory:
    description: The folder with the state of all applications. What is in it for O(application) says which backups are needed; it must exist.
    type: path
    default: /var/lib/lastgood
  record:
    description: The record of the application's restores, where M(lastgood.rollback.db_restore) was given another than usual.
    type: path
seealso:
  - module: lastgood.rollback.db_backup
  - module: lastgood.rollback.db_backup_info
"""

EXAMPLES = r"""
- name: Keep two weeks of nightly backups, and never less than ten
  lastgood.rollback.db_backup_prune:
    directory: /var/backups/chom
    application: chom
    label: nightly
    keep_newest: 10
    keep_days: 14
"""

RETURN = r"""
removed:
  description: The backups that were removed, or in check mode would be, newest first; before them those whose removal was only finished.
  returned: success
  type: list
  elements: dict
  sample:
    - id: chom-20261022T021956.123Z-nightly
      path: /var/backups/chom/chom-20261022T021956.123Z-nightly.sql.zst
      manifest: /var/backups/chom/chom-20261022T021956.123Z-nightly.manifest.json
      label: nightly
      bytes: 41691936
      age_days: 31.2
kept:
  description: The backups that stay, newest first, each with all that keeps it.
  returned: success
  type: list
  elements: dict
  sample:
    - id: chom-20261020T021956.123Z-nightly
      path: /var/backups/chom/chom-20261020T021956.123Z-nightly.sql.zst
      manifest: /var/backups/chom/chom-20261020T021956.123Z-nightly.manifest.json
      label: nightly
      bytes: 41691936
      age_days: 33.2
      reasons: ["the restore point 20261020T030000000Z-5d1c0a7be2f4 (v1.2.3) names it"]
ignored:
  description: Files that look like backups and are none, with the reason. They stay.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /var/backups/chom/old.sql.gz
      reason: it has no manifest that fits
freed_bytes:
  description: The size of the removed backups.
  returned: success
  type: int
  sample: 41691936
lastgood_text:
  description: All of that in words.
  returned: success
  type: str
  sample: "removed: chom-20261022T021956.123Z-nightly"
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup_prune import NOT_REMOVED, Policy, Prune
from ..module_utils._command import Runner
from ..module_utils._errors import RollbackError
from ..module_utils._restore_record import RECORD, Record
from ..module_utils._run import Folder
from ..module_utils._wiring import conclude


def _pruned(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    if options["keep_newest"] < 1 or options["keep_days"] < 0:
        raise RollbackError("keep_newest must be at least 1, and keep_days at least 0.")
    folder = Folder.of(options["state_directory"], options["application"])
    record = Record(options["record"] or os.path.join(folder.root, RECORD))
    policy = Policy(options["application"], options["keep_newest"], options["keep_days"], options["label"])
    result = Prune(options["directory"], folder, record, policy, time.time()).run(module.check_mode)
    gone = "".join(f"{backup['path']}\n" for backup in result["removed"])
    text = "\n".join(_words(result, "would go" if module.check_mode else "removed"))
    return {**result, "changed": bool(gone), "diff": {"before": gone, "after": ""}, "lastgood_text": text}


def _words(result: dict[str, t.Any], what: str) -> t.Iterator[str]:
    for backup in result["removed"]:
        yield f"{what}: {backup['id']}"
    for backup in result["kept"]:
        yield f"stays: {backup['id']}, since {'; '.join(backup['reasons'])}"
    for other in result["ignored"]:
        yield f"stays: {other['path']}, since {other['reason']}"
    yield f"{len(result['removed'])} backups {what}, {result['freed_bytes']} bytes"


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    try:
        return _pruned(module)
    except RollbackError as error:
        error.state = error.state if error.facts.get("changed") else NOT_REMOVED
        raise


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "application": {"type": "str", "required": True},
            "keep_newest": {"type": "int", "required": True},
            "keep_days": {"type": "float", "required": True},
            "label": {"type": "str"},
            "state_directory": {"type": "path", "default": "/var/lib/lastgood"},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
