#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration_restore
short_description: Take an application's configuration back to a restore point, or change single settings of it
version_added: 0.1.0
description:
  - Puts the files of a restore point's snapshot in place again (C(.env), nginx site, PHP-FPM pool, unit files), or gives settings of the C(.env)
    other values. The code stays as it is.
  - All of it or nothing. A snapshot that is not what was recorded is refused before anything is touched. When a program that reads a file refuses
    it (C(nginx -t), C(php-fpm --test), C(systemd-analyze verify), and for the C(.env) the rules of phpdotenv), each file is again what it was.
  - Each file is replaced in one moment and keeps its owner, mode and access control lists. What it replaces is kept, for the user of the connection
    only, and O(state=reverted) puts it back.
  - A file is written by the application's user or the user of the connection where it belongs to them, else as root with exact commands, which the
    guide of rights lists. Which of them sudoers lacks is said before anything is touched.
  - Files that the snapshot does not know are left alone.
  - Reloads nothing but systemd's own view of units that changed; RV(reload) and the application's caches are for whoever calls it.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Values of the C(.env) are shown as hashes that mean nothing outside of this diff; in other files what looks like a secret is hidden.
  idempotent:
    support: full
options:
  application:
    description: The application profile as P(lastgood.rollback.application_profile#module) returns it.
    type: dict
    required: true
  state:
    description:
      - V(restored) goes to O(restore_point) or O(keys).
      - V(reverted) puts back what O(change) replaced, unless somebody has changed one of its files since, or what was there before is not valid.
    type: str
    choices: [restored, reverted]
    default: restored
  restore_point:
    description:
      - Id of an entry of the ledger, or its version or commit for the newest of several; see M(lastgood.rollback.restore_point_info).
      - V(last_good) is the newest verified one of the version that runs, since a configuration of another version need not fit the code.
    type: str
  files:
    description: Only these files of the snapshot.
    type: list
    elements: path
  keys:
    description:
      - Settings of the C(.env) by name, instead of O(restore_point). Nothing but their lines changes. V(null) takes a setting away.
      - The values are secret to this module. On a command line others could read them; put them into a file (C(-e @file)).
    type: dict
  change:
    description:
      - Name under which what is replaced is kept; letters, digits, C(_) and C(-). When it is left out one is made.
      - A change of that name that was interrupted is put back first, so that all of it is done and tested as one.
      - Required for O(state=reverted).
    type: str
"""

EXAMPLES = r"""
- name: Show what the last good configuration would change
  lastgood.rollback.configuration_restore:
    application: "{{ rollback_profile }}"
    restore_point: last_good
  check_mode: true
  diff: true

- name: Restore the nginx site only
  lastgood.rollback.configuration_restore:
    application: "{{ rollback_profile }}"
    restore_point: 20261122T031500Z-722620b03305
    files: [/etc/nginx/sites-available/chom]
  register: restored

- name: Put back what that replaced
  lastgood.rollback.configuration_restore:
    application: "{{ rollback_profile }}"
    state: reverted
    change: "{{ restored.change }}"

- name: Change two settings
  lastgood.rollback.configuration_restore:
    application: "{{ rollback_profile }}"
    keys:
      APP_DEBUG: false
      FEATURE_NEW_CHECKOUT: null
"""

RETURN = r"""
files:
  description: What was done with each file, V(replaced), V(created), V(removed) or V(same).
  returned: success
  type: dict
  sample: {/var/www/chom/.env: replaced, /etc/nginx/sites-available/chom: same}
settings:
  description: The settings of the C(.env) that differ, with hashes of their values; null where a setting is not there.
  returned: success
  type: dict
  sample: {DB_PASSWORD: {before: 0c8f6a2f1e9b, after: 5a1be0a30cf2}}
restore_point:
  description: The entry of the ledger; null where there is none.
  returned: success
  type: dict
why:
  description: Where the configuration comes from.
  returned: success
  type: str
  sample: restore point 20261122T031500Z-722620b03305 (v1.2.3, verified), named
passed_over:
  description: Newer restore points that could not be used, and why.
  returned: success
  type: list
  elements: str
left_alone:
  description: Files of the configuration that the snapshot does not know.
  returned: success
  type: list
  elements: str
tests:
  description: Who accepted which files, and what they said.
  returned: success
  type: list
  elements: dict
  sample: [{by: nginx, files: [/etc/nginx/sites-available/chom], said: ""}]
untested:
  description: Changed files of which no program is known that could test them.
  returned: success
  type: list
  elements: str
reload:
  description: Units beside PHP-FPM that have to be reloaded for it.
  returned: success
  type: list
  elements: str
  sample: [nginx.service]
change:
  description: The name under which what was replaced is kept.
  returned: when something changed, not in check mode
  type: str
kept:
  description: Where it is kept.
  returned: when something changed, not in check mode
  type: str
version:
  description: The version that runs.
  returned: success
  type: str
commit:
  description: The commit that runs.
  returned: success
  type: str
put_back:
  description: Whether every file is again what it was.
  returned: on failure, when files were touched
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._configuration import restore, revert
from ..module_utils._wiring import JOURNAL, conclude

_NO_SECRETS = ("true", "false", "null", "production", "local")
_SHORTEST = 4


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    # Ansible would also cut short and everyday values out of every path, hash and time of the result.
    module.no_log_values = {value for value in module.no_log_values if len(value) >= _SHORTEST and value.lower() not in _NO_SECRETS}
    work = revert if module.params["state"] == "reverted" else restore
    return work(runner, module.params["application"], module.params, check_mode=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "application": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["restored", "reverted"], "default": "restored"},
            "restore_point": {"type": "str"},
            "files": {"type": "list", "elements": "path"},
            "keys": {"type": "dict", "no_log": True},
            "change": {"type": "str"},
        },
        mutually_exclusive=[("restore_point", "keys"), ("files", "keys")],
        required_if=[("state", "reverted", ["change"]), ("state", "restored", ["restore_point", "keys"], True)],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
