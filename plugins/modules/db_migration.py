#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: db_migration
short_description: Take the migrations of a bad release down while its code is still there, or up again
version_added: 0.1.0
description:
  - Runs the C(down) of exactly the named migrations of a Laravel application, one at a time, without questions.
  - It has to run before the code is switched, since only the running version has the files.
  - After each one the table C(migrations) is read again. Success is what that table says, not what the tool returned.
  - Migrations that were applied after a named one, and are not named themselves, are never touched. The module refuses instead.
  - With O(state=up) it applies them again, and no others. What the tables held that went down does not come back by that.
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
  idempotent:
    support: full
options:
  path:
    description: The application's directory, an absolute path.
    type: path
    required: true
  user:
    description: The application's user, who runs artisan. Default is the owner of O(path).
    type: str
  php:
    description: The PHP program.
    type: str
    default: php
  environment_file:
    description: The application's C(.env), from which the database login is read. Default is C(.env) in O(path).
    type: path
  names:
    description: The migrations to take down, or up again, in any order. Those that are there already are passed over.
    type: list
    elements: str
    required: true
  state:
    description: Whether they are to be taken down or applied.
    type: str
    choices: [down, up]
    default: down
"""

EXAMPLES = r"""
- name: Take down the migrations that v1.2.3 does not know
  lastgood.rollback.db_migration:
    path: /var/www/chom
    names:
      - 2026_01_02_000000_rename_users_name
"""

RETURN = r"""
down:
  description: The migrations that went down, or in check mode would, in that order.
  returned: success and O(state=down)
  type: list
  elements: str
  sample: [2026_01_02_000000_rename_users_name]
up:
  description: The migrations that were applied, or in check mode would be, in that order.
  returned: success and O(state=up)
  type: list
  elements: str
schema_unchanged:
  description: That it failed before anything was taken down.
  returned: failure before the first migration
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._checkout import owner
from ..module_utils._command import Runner
from ..module_utils._database_credentials import Credentials, from_dotenv
from ..module_utils._errors import RollbackError
from ..module_utils._migrations import applied, check_names, go_down, go_up, in_order, refuse_gaps
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    user = options["user"] or owner(options["path"])
    try:
        check_names(options["names"])
        credentials = from_dotenv(runner, options["environment_file"] or f"{options['path']}/.env", user)
        held = applied(runner, credentials)
        if options["state"] == "up":
            return _up(module, runner, credentials, user, [migration.name for migration in held])
        wanted = in_order(options["names"], held)
        refuse_gaps(held, wanted)
    except RollbackError as error:
        error.facts["schema_unchanged"] = True
        raise
    if wanted and not module.check_mode:
        go_down(runner, credentials, [options["php"], f"{options['path']}/artisan"], user, wanted)
    before = [migration.name for migration in held]
    after = [name for name in before if name not in wanted]
    return {
        "changed": bool(wanted),
        "down": wanted,
        "diff": {"before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"},
    }


def _up(module: AnsibleModule, runner: Runner, credentials: Credentials, user: str, before: list[str]) -> dict[str, t.Any]:
    options = module.params
    wanted = sorted({name for name in options["names"] if name not in before})
    if wanted and not module.check_mode:
        go_up(runner, credentials, options["path"], options["php"], user, wanted)
    diff = {"before": "\n".join(before) + "\n", "after": "\n".join([*reversed(wanted), *before]) + "\n"}
    return {"changed": bool(wanted), "up": wanted, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "path": {"type": "path", "required": True},
            "user": {"type": "str"},
            "php": {"type": "str", "default": "php"},
            "environment_file": {"type": "path"},
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["down", "up"], "default": "down"},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
