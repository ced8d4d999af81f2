#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_plan
short_description: Find out what a rollback would do, and refuse what could not work
version_added: 0.1.0
description:
  - Resolves and verifies the target, computes what would change, and checks the host, all without changing anything.
  - When no target is given, the last good version is taken. That is the verified version that ran last, is not bad and is intact on this host.
  - Where the ledger knows no verified version, it is the newest release tag that is an ancestor of the running commit and does not point at it.
    Pre-releases, other tags and versions known to be bad are ignored. A version that was reached by a rollback is not left again by itself.
  - Migrations that the database has and the target does not know stop the plan unless O(migrations) says what to do.
  - All failing checks are reported together.
  - Every plan has a digest, which covers what matters for the decision and nothing that changes by itself. With O(plan) the run does
    exactly what that plan says, or refuses and says what differs.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The difference shown is the one that the rollback would make.
  idempotent:
    support: full
options:
  application:
    description: The application profile as P(lastgood.rollback.application_profile#module) returns it.
    type: dict
    required: true
  severity:
    description:
      - The kind of rollback. With V(database) the code stays as it is and the database goes back, with V(full_system) both do.
    type: str
    choices: [emergency, standard, database, full_system]
    default: standard
  target:
    description: Tag or commit to go to, or V(last_good). Only with O(severity=emergency) may it be left out, which means V(last_good).
    type: str
  migrations:
    description:
      - What to do about applied migrations that the target does not know.
      - V(stop) refuses. V(down) plans to take them down before the switch. V(keep) leaves the schema as it is.
      - V(up) is for O(database), and plans to apply the migrations that the target has and the backup lacks.
    type: str
    choices: [stop, down, keep, up]
    default: stop
  local_changes:
    description: What to do about tracked files that were changed by hand.
    type: str
    choices: [refuse, save]
    default: refuse
  backup:
    description: Whether the database will be backed up.
    type: bool
    default: true
  database:
    description:
      - Which backup the database goes back to. When several fit, it is the newest of them; without anything that describes one none is taken.
      - Without this option the database stays as it is.
      - With O(severity=full_system) it is the one that the restore point of the target has on record, unless another is described.
    type: dict
    suboptions:
      backup:
        description: Its identifier.
        type: str
      before:
        description: It was finished before this moment. ISO 8601 with a time zone.
        type: str
      version:
        description: It was made while this version ran.
        type: str
      label:
        description: It has this label.
        type: str
      tables:
        description: Only these tables go back; all of them when none is named.
        type: list
        elements: str
        default: []
      restored_by:
        description:
          - The host of the application that restores the database for all, when it is another one than this.
          - Then nothing about the backup is planned here. The site is closed, and the caches are built anew.
        type: str
  plan:
    description:
      - The digest of a plan that was made with O(details=true) on this host, or at least its first 12 characters.
      - Target, migrations and local changes are taken from that plan. When what would be done now is not the same, nothing is done.
    type: str
  details:
    description:
      - Whether to find out everything that somebody may want to know before, which takes a second longer.
      - What would be refused becomes part of the plan instead of a failure.
      - A plan that could be applied is kept in C(plans/) of the application's state folder, the newest 10 are. Nothing else is written.
    type: bool
    default: false
  watch_seconds:
    description: How long the result will be watched after reopening, which is part of the predicted time.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Plan
  lastgood.rollback.rollback_plan:
    application: "{{ rollback_profile }}"
    target: v1.2.3
  register: plan

- name: Do exactly what was planned
  lastgood.rollback.rollback_plan:
    application: "{{ rollback_profile }}"
    plan: 3f2a9c0d41be
"""

RETURN = r"""
target:
  description: The tag or commit to go to.
  returned: success
  type: str
  sample: v1.2.3
reason:
  description: Why it was chosen.
  returned: success
  type: str
nothing_to_do:
  description: Whether the application is at the target already and no earlier run left anything undone.
  returned: success
  type: bool
pending:
  description: What an earlier run left undone.
  returned: success
  type: list
  elements: str
environment_file:
  description: Where the settings can be read until the switch. With releases, by way of the target when the link leads to a release that is gone.
  returned: success
  type: str
migrations:
  description: The difference between the database's schema and the target's.
  returned: success
  type: dict
  contains:
    unknown_to_target:
      description: Applied migrations the target does not know, with C(name), C(reversible) and C(destructive).
      type: list
      elements: dict
    not_applied:
      description: Migrations of the target that the database does not have.
      type: list
      elements: str
    down:
      description: Migrations that will go down, in that order.
      type: list
      elements: str
restored_by:
  description: The host that restores the database, when it is another one than this.
  returned: success
  type: str
  sample: ""
database:
  description: The backup that the database goes back to, with C(tables) when only some do; null when it stays as it is.
  returned: success
  type: dict
  contains:
    backup:
      description: What its manifest says.
      type: dict
    tables:
      description: The tables that go back; empty for all.
      type: list
      elements: str
    taken_after_bad:
      description: The bad version that ran when it was begun; null when the ledger knows of none.
      type: dict
    of_running_version:
      description: Whether it was made while the version that runs now was running already.
      type: bool
restore_point:
  description: The entry of the ledger whose configuration comes back; null when the configuration stays as it is.
  returned: success
  type: str
approval:
  description:
    - SHA-256 of what somebody has to agree to. It covers the versions, the backup, the tables and the migrations, and nothing that changes by itself
      while a system is broken, such as which units run. Only with a database.
  returned: success
  type: str
code:
  description: What the last run did about versions, for those that come after one about the database; only with a database.
  returned: success
  type: dict
command:
  description: What somebody types to have exactly this done; only with a database.
  returned: success
  type: str
closes:
  description: Whether users get the maintenance page for a while. A link that is switched in one moment needs none, a schema that changes does.
  returned: success
  type: bool
release_path:
  description: The folder of the release that the target is.
  returned: success and the layout is V(releases)
  type: str
  sample: /var/www/shop/releases/41
identity:
  description:
    - What tells whether the target is the same on another host, C(commit), C(version) and C(content), as far as this host knows them.
    - With V(git) it is the commit. C(content) is a checksum of all files of a release, without its packages.
  returned: success
  type: dict
  sample: {commit: null, version: v1.2.3, content: 9b1c0f5e}
entry:
  description:
    - How M(lastgood.rollback.release_trial) asks the target before users get it, by its C(address), C(public) and C(user).
    - Nothing where that is not known, or not wanted.
  returned: success and the layout is V(releases)
  type: dict
  sample: {address: /run/php/php8.4-fpm.sock, public: public, user: www-data}
concerns:
  description: What is not as it should be and does not keep the rollback from succeeding; each is a warning, too.
  returned: success and the layout is V(releases)
  type: list
  elements: str
budgets:
  description: Seconds that each phase and the whole may take.
  returned: success
  type: dict
version_probes:
  description: A probe for M(lastgood.rollback.health_gate) that proves that the target is what answers.
  returned: success
  type: list
  elements: dict
digest:
  description: SHA-256 of what matters for the decision.
  returned: success
  type: str
  sample: 3f2a9c0d41be7c1f0e5b6a97d8c2f3a4b5c6d7e8f90112233445566778899aab
local_changes:
  description: What will be done about tracked files that were changed by hand.
  returned: success
  type: str
  sample: refuse
details:
  description:
    - What only a person needs. Files, packages with their versions, configuration, units and what becomes of them, the backup to expect,
      free disk, predicted seconds with their basis, who has to approve.
  returned: success and O(details=true)
  type: dict
refusals:
  description: What this rollback would be refused for, each with C(reason) and C(next_command).
  returned: success and O(details=true)
  type: list
  elements: dict
covers:
  description: What the digest is made from.
  returned: success and O(details=true)
  type: dict
kept:
  description: Path of the plan on the host; V(null) when it could not be applied, or could not be kept.
  returned: success and O(details=true)
  type: str
differences:
  description: What differs from the plan that was to be applied.
  returned: failure because of O(plan)
  type: list
  elements: str
lastgood_text:
  description: The plan in words, which is shown to the person who started the run.
  returned: success
  type: str
checks:
  description: Names of the checks that passed.
  returned: success
  type: list
  elements: str
problems:
  description: What the failing checks found.
  returned: failure
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._plan import Request, compute
from ..module_utils._plan_text import in_words
from ..module_utils._wiring import conclude

_DATABASE: dict[str, t.Any] = {
    "backup": {"type": "str"},
    "before": {"type": "str"},
    "version": {"type": "str"},
    "label": {"type": "str"},
    "tables": {"type": "list", "elements": "str", "default": []},
    "restored_by": {"type": "str"},
}
_ONLY_IN_DETAIL = ("covers", "refusals")


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = dict(module.params)
    wanted, watch_seconds = options.pop("plan"), options.pop("watch_seconds")
    request = Request(**options)
    if request.details:  # imported only where it is used: an emergency does not wait for it
        from ..module_utils._plan_details import in_detail

        return {**in_detail(runner, request, watch_seconds, check_mode=module.check_mode), "changed": False}
    plan = compute(runner, request) if wanted is None else _as_planned(runner, request, wanted)
    for concern in plan.get("concerns", []):
        module.warn(f"{concern}.")
    shown = {name: value for name, value in plan.items() if name not in _ONLY_IN_DETAIL}
    return {**shown, "lastgood_text": "\n".join(in_words(plan)), "changed": False}


def _as_planned(runner: Runner, request: Request, wanted: str) -> dict[str, t.Any]:
    from ..module_utils._plan_kept import exactly

    return exactly(request, wanted, lambda bound: compute(runner, bound))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "application": {"type": "dict", "required": True},
            "severity": {"type": "str", "choices": ["emergency", "standard", "database", "full_system"], "default": "standard"},
            "target": {"type": "str"},
            "migrations": {"type": "str", "choices": ["stop", "down", "keep", "up"], "default": "stop"},
            "local_changes": {"type": "str", "choices": ["refuse", "save"], "default": "refuse"},
            "backup": {"type": "bool", "default": True},
            "database": {"type": "dict", "options": _DATABASE},
            "plan": {"type": "str"},
            "details": {"type": "bool", "default": False},
            "watch_seconds": {"type": "int", "default": 0},
        },
        mutually_exclusive=[("plan", "details")],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
