#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: db_backup_info
short_description: List the database backups in a directory
version_added: 0.1.0
description:
  - Lists the backups that M(lastgood.rollback.db_backup) made, newest first, with what their manifests say.
  - A backup counts only when its manifest is readable and its file has the size that the manifest says. Everything else that looks
    like a backup is listed as ignored, with the reason, and never chosen.
  - Nothing is chosen silently. Narrow the list down by options, and let a person or a play choose by the identifiers in RV(backups).
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
    support: full
requirements:
  - zstd (for O(verify))
  - age or gpg (for O(verify) of an encrypted backup)
options:
  directory:
    description: Where the backups are.
    type: path
    required: true
  application:
    description: List only backups of this application.
    type: str
  application_version:
    description: List only backups made while this version ran.
    type: str
  database:
    description: List only backups of this database.
    type: str
  label:
    description: List only backups with this label.
    type: str
  before:
    description:
      - List only backups that were finished before this moment, for example before an incident began.
      - ISO 8601 with a time zone, such as V(2026-11-22T02:00:00Z).
    type: str
  state_directory:
    description:
      - Where the ledgers of applications lie on this host. With it each backup of O(application) says whether it was taken after a bad version went live.
      - That does not keep it from being listed; O(before) and O(application_version) do.
    type: path
  verify:
    description:
      - Read each listed backup completely. Its checksum, the compression, the dump's last line and the number of rows of each table must
        be those of its manifest. A backup that fails is ignored.
      - This takes a few seconds for each gigabyte of uncompressed data.
    type: bool
    default: false
  identity_file:
    description:
      - For O(verify) of backups that were encrypted with age, its secret key. A file on the host that the user of the connection can read,
        without a passphrase, since nobody could be asked.
    type: path
  gpg_home:
    description:
      - For O(verify) of backups that were encrypted with gpg, GnuPG's folder with the secret key; usually that of the user of the connection.
        Nobody is asked for a passphrase, but one that gpg-agent has is used.
    type: path
seealso:
  - module: lastgood.rollback.db_backup
"""

EXAMPLES = r"""
- name: List the backups of version v1.2.3 from before the incident, and prove that they are whole
  lastgood.rollback.db_backup_info:
    directory: /var/backups/chom
    application_version: v1.2.3
    before: "2026-11-22T02:00:00Z"
    verify: true
  register: candidates

- name: Stop when there is none
  ansible.builtin.assert:
    that: candidates.backups | length > 0
    fail_msg: "No backup can be used. Ignored: {{ candidates.ignored }}"
"""

RETURN = r"""
backups:
  description:
    - The backups that fit, newest first, each with what its manifest says (see RV(lastgood.rollback.db_backup#module:backup)).
    - C(path) and C(manifest) are the full paths of its files, and C(age_seconds) says how old its data are.
    - C(taken_after_bad) names the version that ran when it was begun if the ledger calls that bad, or was to be the one that ran by its manifest; the
      data in it may be damaged. It is null when nothing bad is known, and only there with O(state_directory).
    - C(form) is V(logical) or V(physical), as O(lastgood.rollback.db_backup#module:form) says.
    - C(encrypted) says whether it takes a secret key to read it, and C(encryption.recipients) whose.
    - C(verified) is V(true) when O(verify) read it completely, else null.
  returned: success
  type: list
  elements: dict
  sample:
    - id: chom-20261122T021956.123Z-pre-rollback
      path: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.sql.zst
      manifest: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.manifest.json
      age_seconds: 3600
      verified: true
      encrypted: false
      taken_after_bad: {id: 20261122T013000000Z-5d1c0a7be2f4, version: v1.2.4, since: "2026-11-22T01:30:00.000Z", reason: loses orders}
      engine: mysql
      form: logical
      database: chom
      application: chom
      application_version: v1.2.4
      label: pre-rollback
      bytes: 41691936
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      tables: {users: 5000, organizations: 120, sites: 900, migrations: 4}
      started: "2026-11-22T02:19:56.123Z"
      finished: "2026-11-22T02:20:03.701Z"
ignored:
  description: Files that look like backups and are none, or cannot be trusted, with the reason. Filters do not apply to them.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /var/backups/chom/chom-20261120T010000.000Z.sql.zst.partial
      reason: it is still being written, or was interrupted
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _backup_catalogue
from ..module_utils._command import Runner
from ..module_utils._ledger import read as read_ledger
from ..module_utils._packing import Keys
from ..module_utils._run import Folder
from ..module_utils._wiring import conclude

_SAME = ("application", "application_version", "database", "label")


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    backups, ignored = _backup_catalogue.read(options["directory"], time.time())
    backups = _backup_catalogue.fitting(backups, options["before"], **{name: options[name] for name in _SAME})
    if options["verify"]:
        backups, damaged = _backup_catalogue.verified(runner, backups, Keys(options["identity_file"], options["gpg_home"]))
        ignored += damaged
    if options["state_directory"]:
        ledger = read_ledger(Folder.of(options["state_directory"], options["application"]).root).trusted()
        backups = [{**backup, "taken_after_bad": _backup_catalogue.taken_after_bad(backup, ledger.points)} for backup in backups]
    return {"changed": False, "backups": backups, "ignored": ignored}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "application": {"type": "str"},
            "application_version": {"type": "str"},
            "database": {"type": "str"},
            "label": {"type": "str"},
            "before": {"type": "str"},
            "state_directory": {"type": "path"},
            "verify": {"type": "bool", "default": False},
            "identity_file": {"type": "path"},
            "gpg_home": {"type": "path"},
        },
        required_by={"state_directory": ["application"]},
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
