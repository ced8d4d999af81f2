#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_info
short_description: Say what runs, whether users are let in, and what rollbacks left behind
version_added: 0.1.0
description:
  - Reads the checkout, the maintenance mode, the units, the lock and the record of the last run. Changes nothing.
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
options:
  application:
    description: The application profile as M(lastgood.rollback.application_profile) returns it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look
  lastgood.rollback.rollback_info:
    application: "{{ rollback_profile }}"
  register: status
"""

RETURN = r"""
version:
  description: The newest release tag of the commit that is checked out, else another tag of it, else its first 12 digits.
  returned: success
  type: str
  sample: v1.2.3
commit:
  description: The commit that is checked out.
  returned: success
  type: str
release:
  description: The folder of the release that runs, with C(layout=releases); else null.
  returned: success
  type: str
missing:
  description: Whether the link leads to a release that was deleted, so that every page fails.
  returned: success
  type: bool
astray:
  description: Workers that work in another release than the one that the link leads to, in words.
  returned: success
  type: list
  elements: str
changed_files:
  description: Tracked files that were changed by hand.
  returned: success
  type: list
  elements: str
maintenance:
  description: Whether the application is in maintenance mode.
  returned: success
  type: bool
units:
  description: The units of the profile and what systemd says about them.
  returned: success
  type: dict
  sample: {nginx.service: active (running)}
lock:
  description: Who holds the lock, C(expires) until when it counts as alive, and whether it does; null when nobody holds it.
  returned: success
  type: dict
watched:
  description: Whether the dead-man timer watches the run that holds the lock; null when nobody holds it.
  returned: success
  type: bool
freeze:
  description: Why, since when and until when the application is frozen for deployments; null when it is not.
  returned: success
  type: dict
carried:
  description:
    - What whoever goes on with the last run, undoes it or aborts it goes by. C(run), C(from_version), C(from_commit), C(from_release) and
      C(was_down) say where it began, or the first of those runs that it was to finish; C(phases) what they did, C(down) which migrations may
      be down by that.
  returned: success
  type: dict
lacks:
  description: The version that an undo of the last run would have to go back to, when its release was removed from C(releases); else null.
  returned: success
  type: str
deployed_since:
  description: Whether what runs is neither what the last run went to nor where it began, so that an undo would take a deployment away.
  returned: success
  type: bool
damaged:
  description: Records that cannot be read, each with C(reason) and C(next_command). What they would say is left out of the rest.
  returned: success
  type: list
  elements: dict
left_over:
  description: The run whose lock is there although it has nothing left to do; null when there is none.
  returned: success
  type: str
last_run:
  description: The record of the last run; null when there was none.
  returned: success
  type: dict
unfinished:
  description: Whether the last run never got to its end.
  returned: success
  type: bool
journal:
  description: The journal of the last run; null when it has none.
  returned: success
  type: dict
  contains:
    entries:
      description: How many entries can be trusted.
      type: int
    broken:
      description: Why it cannot be trusted from there on; null when it is intact.
      type: str
    torn:
      description: Whether its last line was cut off, since whoever wrote it was killed.
      type: bool
    phases:
      description: What came of each phase that was begun; C(interrupted) when it never ended.
      type: dict
    sign_of_life:
      description: The last step, when it was written, how many seconds ago, and whether it is being done at this moment.
      type: dict
      sample: {step: git_version_switch switched, at: "2026-11-22T03:15:09.120Z", seconds_ago: 4.2, at_work: false}
ledger:
  description:
    - The newest entries of the ledger, as M(lastgood.rollback.restore_point_info) returns them. Where there are none, C(discovered) is what seems to
      have run before.
  returned: success
  type: dict
progress:
  description: What a backup or a restore that is at work at this moment has done so far, renewed every few seconds; null when there is none.
  returned: success
  type: dict
  sample:
    {text: "db_restore of chom: loading, 1.5 GB of 4.0 GB (37 %)", step: db_restore of chom, doing: loading, bytes: 1500000000, of: 4000000000,
     since: "2026-11-22T03:15:09.120Z", at: "2026-11-22T03:16:11.340Z"}
restore:
  description: The record of the last restore of the database, with its C(stage), C(kept) and C(side); null when there was none.
  returned: success
  type: dict
workers_waiting:
  description: Units that a run stopped and that were not started again.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._status import survey
from ..module_utils._wiring import conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    return {**survey(runner, module.params["application"]), "changed": False}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"application": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
