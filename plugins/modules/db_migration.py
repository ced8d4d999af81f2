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
  - Runs the C(down) of exactly the named migrations of an application, one at a time, without questions.
  - It has to run before the code is switched, since only the running version has the files.
  - After each one the table of the applied migrations is read again. Success is what that table says, not what the tool returned.
    With O(framework=command), where there may be none, it is what O(commands.status) says.
  - Migrations that were applied after a named one, and are not named themselves, are never touched. The module refuses instead.
  - DDL of MariaDB and MySQL cannot be taken back, so a migration can stop in the middle. When one does not go down, the module says
    which tables and columns are different from before. With O(framework=alembic), it also refuses to begin where the database holds a
    part of what a revision at the edge does, and not all of it. Both name the three ways on, complete it, reverse it or restore.
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
  framework:
    description: What keeps the migrations. O(state=up) is only for V(laravel).
    type: str
    choices: [laravel, alembic, command]
    default: laravel
  user:
    description: The application's user, who runs artisan, Alembic or the commands, in O(path). Default is the owner of O(path).
    type: str
  php:
    description: The PHP program.
    type: str
    default: php
  environment_file:
    description:
      - The application's C(.env), from which the database login is read. Default is C(.env) in O(path).
      - C(DATABASE_URL) is read, too. A database of SQLite is not supported.
    type: path
  names:
    description: The migrations to take down, or up again, in any order. Those that are there already are passed over.
    type: list
    elements: str
  target:
    description:
      - The migration that the target's code ends with, in place of O(names) with V(alembic) and V(command). What was applied after it
        is taken down. V(base) is none at all.
    type: str
  alembic:
    description: The program of Alembic, such as that in the application's virtual environment, with O(framework=alembic).
    type: str
    default: alembic
  configuration:
    description: The configuration of Alembic, relative to O(path).
    type: str
    default: alembic.ini
  version_table:
    description: The table in which Alembic keeps the applied revisions.
    type: str
    default: alembic_version
  commands:
    description: The commands of another tool, as lists of a program and its arguments, with O(framework=command).
    type: dict
    suboptions:
      status:
        description: Prints the applied migrations, one name on each line and nothing else, the oldest first.
        type: list
        elements: str
        required: true
      down:
        description:
          - Takes down what was applied after one migration, whose name stands in place of C({to}) (C(base) for none at all). The
            migration that goes down by that stands in place of C({name}).
        type: list
        elements: str
        required: true
      audit:
        description: Says what is wrong with the schema, before anything is done. Refused when it fails or prints anything.
        type: list
        elements: str
        default: []
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

- name: Take down what the target's last revision does not know
  lastgood.rollback.db_migration:
    framework: alembic
    path: /srv/tea
    alembic: /srv/tea/venv/bin/alembic
    target: 11e6ace5667b

- name: Take down a migration by the commands of another tool
  lastgood.rollback.db_migration:
    framework: command
    path: /srv/zekka
    commands:
      status: [npm, run, --silent, "migrate:applied"]
      down: [npm, run, "migrate:down-to", --, "{to}"]
    names: [20260102-rename]
"""

RETURN = r"""
delta:
  description:
    - Those that are to go down, in that order. With V(alembic), C(reversible) says whether its C(downgrade) does anything, and
      C(destructive) whether it drops tables or columns or deletes rows. With V(command) nobody knows that, and both are null.
  returned: O(framework=alembic) and O(framework=command), also with a failure by one that is not reversible
  type: list
  elements: dict
  sample: [{name: 357c4e95ccb7, reversible: true, destructive: true}]
partial:
  description:
    - A migration that is there in part. When one did not go down, C(changed) has the tables and columns that differ from before, null
      when nobody can say.
    - Of one that was found before anything was done, C(done) and C(not_done) say what is there and what is not, and C(recorded)
      whether it is recorded as applied.
  returned: failure by such a migration
  type: dict
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
from ..module_utils._migrations import applied, check_names, descend, go_up, schema
from ..module_utils._migrations_adapters import survey
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    user = options["user"] or owner(options["path"])
    options["names"] = options["names"] or []
    try:
        check_names([*options["names"], *([options["target"]] if options["target"] else [])])
        credentials = from_dotenv(runner, options["environment_file"] or f"{options['path']}/.env", user)
        if options["state"] == "up":
            return _up(module, runner, credentials, user)
        found = survey(runner, credentials, options, user)
    except RollbackError as error:
        error.facts["schema_unchanged"] = True
        raise
    if not module.check_mode:
        descend(found.tool, found.wanted, lambda: schema(runner, credentials))
    after = [name for name in found.applied if name not in found.wanted]
    return {
        "changed": bool(found.wanted),
        "down": found.wanted,
        "diff": {"before": "\n".join(found.applied) + "\n", "after": "\n".join(after) + "\n"},
        **({} if found.delta is None else {"delta": found.delta}),
    }


def _up(module: AnsibleModule, runner: Runner, credentials: Credentials, user: str) -> dict[str, t.Any]:
    options = module.params
    if options["framework"] != "laravel":
        raise RollbackError(f"With framework {options['framework']} migrations can only be taken down.")
    before = [migration.name for migration in applied(runner, credentials)]
    wanted = sorted({name for name in options["names"] if name not in before})
    if wanted and not module.check_mode:
        go_up(runner, credentials, options["path"], options["php"], user, wanted)
    diff = {"before": "\n".join(before) + "\n", "after": "\n".join([*reversed(wanted), *before]) + "\n"}
    return {"changed": bool(wanted), "up": wanted, "diff": diff}


_COMMANDS: dict[str, t.Any] = {
    "status": {"type": "list", "elements": "str", "required": True},
    "down": {"type": "list", "elements": "str", "required": True},
    "audit": {"type": "list", "elements": "str", "default": []},
}
_OTHERS: dict[str, t.Any] = {
    "framework": {"type": "str", "choices": ["laravel", "alembic", "command"], "default": "laravel"},
    "target": {"type": "str"},
    "alembic": {"type": "str", "default": "alembic"},
    "configuration": {"type": "str", "default": "alembic.ini"},
    "version_table": {"type": "str", "default": "alembic_version"},
    "commands": {"type": "dict", "options": _COMMANDS},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "path": {"type": "path", "required": True},
            "user": {"type": "str"},
            "php": {"type": "str", "default": "php"},
            "environment_file": {"type": "path"},
            "names": {"type": "list", "elements": "str"},
            "state": {"type": "str", "choices": ["down", "up"], "default": "down"},
            **_OTHERS,
        },
        mutually_exclusive=[("names", "target")],
        required_if=[("framework", "laravel", ["names"]), ("framework", "command", ["commands"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
