#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_switch
short_description: Point the current link of an application at another of its releases
version_added: 0.1.0
description:
  - For applications that lie in C(releases/<id>/), C(shared/) and a link to the release that runs, as Deployer, Capistrano and
    Ansistrano leave them.
  - The link is replaced in one moment, so that there is never a moment without a release. No file of a release is moved or copied.
  - The target is named by its folder, its version or its commit. When a folder was changed says nothing and is never asked.
  - What the version is, is read from C(VERSION) in the release, from Deployer's C(.dep/releases_log) or from Capistrano's C(revisions.log);
    the commit from C(REVISION).
  - A release is refused when its deployment did not finish, when it lacks files that the running one has, when its packages are not those
    of its lock file or need another PHP, when a link of it leads nowhere or past what the releases share, or when it belongs to
    another user.
  - A link that leads to a release that was deleted is repaired by switching. A folder in the place of the link is refused.
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
    description: The link to the release that runs, an absolute path such as C(/var/www/shop/current). Beside it is C(releases).
    type: path
    required: true
  user:
    description: The user who owns the releases. Every command runs as this user. Default is the owner of the folder that holds O(path).
    type: str
  target:
    description:
      - With O(archive), the name of the release that is made of it.
      - Else the name of a folder below C(releases), a version, or a commit (7 to 40 hexadecimal digits); tried in this order.
      - Where several releases have the same version or commit, the one that runs is meant, else the one that was deployed last. A whole commit is
        always the one that was deployed last; the others of it are called C(commit+folder) in plans and records.
    type: str
    required: true
  state:
    description:
      - Whether only to look (V(resolved)), with the same refusals, or to switch.
      - V(prepared) makes the release of O(archive) and does not switch to it. Without O(archive) it does what V(resolved) does.
    type: str
    choices: [resolved, prepared, switched]
    default: switched
  prepared:
    description:
      - The RV(switch) of an earlier call, or of the plan. It is refused when another release runs or the target is another one by now.
      - What that call checked is not checked again.
    type: dict
    suboptions:
      from_release:
        description: The release that ran.
        type: str
        required: true
      release:
        description: The release to go to.
        type: str
        required: true
      from_commit:
        description: Its commit.
        type: str
      commit:
        description: The commit to go to.
        type: str
        required: true
  archive:
    description:
      - An archive that C(tar) can read, or a folder such as a backup of a release, on the host. A release is made of it beside those
        that are there, under the name O(target); nothing is ever copied over the running one.
      - What the running release shares with others is linked into it, whatever the archive holds in its place. It is checked like every other
        release, and only then gets its name. When that fails nothing is left of it.
      - A release that was made of the same archive before is taken as it is.
    type: path
  checksum:
    description: The SHA-256 that O(archive) must have.
    type: str
  lock_files:
    description: SHA-256 checksums of lock files that the release must have, by their names, such as a restore point keeps them.
    type: dict
    default: {}
  mark_bad:
    description:
      - Whether the release that is left gets Deployer's mark C(BAD_RELEASE), so that Deployer's own rollback passes it over.
      - Such a mark is taken off again when this module goes back there.
    type: bool
    default: false
  php:
    description: The PHP program that has to satisfy the release's packages.
    type: str
    default: php
"""

EXAMPLES = r"""
- name: See whether a release could be gone back to
  lastgood.rollback.release_switch:
    path: /var/www/shop/current
    target: v1.2.3
    state: resolved

- name: Go back to the release in releases/41
  lastgood.rollback.release_switch:
    path: /var/www/shop/current
    target: "41"
    mark_bad: true

- name: Go back to what a backup holds, as a new release
  lastgood.rollback.release_switch:
    path: /opt/shop/current
    archive: /opt/shop/backups/v2.9.0.tar.gz
    checksum: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    target: v2.9.0
"""

RETURN = r"""
switch:
  description: From where to where, to be handed to O(prepared).
  returned: success
  type: dict
  sample: {from_release: "42", release: "41", from_commit: 4f1c9e0, commit: 9ab31d2}
from_version:
  description: The version of the release that ran, or its name.
  returned: success
  type: str
  sample: v1.2.4
release_path:
  description: The folder of the target.
  returned: success
  type: str
  sample: /var/www/shop/releases/41
checks:
  description: What about the target was found to be right; nothing with O(prepared).
  returned: success
  type: list
  elements: str
code_unchanged:
  description: Whether the link still leads where it led.
  returned: failure of O(state=switched)
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._release_switch import run
from ..module_utils._wiring import JOURNAL, conclude


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "path": {"type": "path", "required": True},
            "user": {"type": "str"},
            "target": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["resolved", "prepared", "switched"], "default": "switched"},
            "prepared": {
                "type": "dict",
                "options": {
                    "from_release": {"type": "str", "required": True},
                    "release": {"type": "str", "required": True},
                    "from_commit": {"type": "str"},
                    "commit": {"type": "str", "required": True},
                },
            },
            "archive": {"type": "path"},
            "checksum": {"type": "str"},
            "lock_files": {"type": "dict", "default": {}},
            "mark_bad": {"type": "bool", "default": False},
            "php": {"type": "str", "default": "php"},
        },
        mutually_exclusive=[("archive", "prepared")],
        required_by={"checksum": ["archive"]},
        supports_check_mode=True,
    )
    conclude(module, lambda module, runner: run(runner, module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
