#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_version_switch
short_description: Resolve, prepare and switch the version of an application that runs from a git checkout
version_added: 0.1.0
description:
  - Takes a checkout to a release tag or commit and proves that it is there.
  - O(state=resolved) only looks. It finds out what the target is and what would change, and refuses what could not work.
  - O(state=prepared) also builds the target's Composer dependencies beside the live ones, so that nothing is built during the switch.
  - O(state=switched) moves the files and swaps the dependencies. HEAD is detached at the resolved commit, no branch is moved.
  - The dependencies of the version that is left are kept inside the git directory, so that going back needs neither network nor time.
  - Composer runs with the options C(--no-dev --optimize-autoloader --no-scripts). Package discovery is left to
    M(lastgood.rollback.laravel_cache), which runs it on the live path.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
    details: >-
      In check mode O(state=prepared) and O(state=switched) look and forecast as O(state=resolved) does. A target that only the
      remote has is fetched even so, since nothing could be said about it otherwise.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description: The checkout, an absolute path.
    type: path
    required: true
  user:
    description: The user who owns the checkout. Every command that reads or changes it runs as this user. Default is the owner of O(path).
    type: str
  target:
    description:
      - A tag or a commit (7 to 40 hexadecimal digits). A tag wins over a commit. Branches are refused, since they move.
      - Only letters, digits and C(. _ + / -) are allowed, and the first must be a letter or digit.
    type: str
    required: true
  state:
    description: How far to go.
    type: str
    choices: [resolved, prepared, switched]
    default: switched
  prepared:
    description:
      - The RV(switch) of an earlier call, or of the plan. O(state=prepared) and O(state=switched) then do just that, without looking again.
      - It is refused when the checkout is no longer at the commit from which it was prepared.
    type: dict
    suboptions:
      from_commit:
        description: The commit that was checked out.
        type: str
        required: true
      commit:
        description: The commit to go to.
        type: str
        required: true
      dependencies:
        description: Whether the dependencies are to be swapped.
        type: bool
        required: true
      install:
        description: Whether packages are to be installed. Otherwise the live ones are copied, and only the class map is built anew.
        type: bool
        default: true
  remote:
    description: The remote that is asked when the checkout does not have the target. Empty to never ask.
    type: str
    default: origin
  local_changes:
    description:
      - What to do about tracked files that were changed by hand.
      - V(refuse) fails before anything is touched. V(save) writes them to a patch in O(patch_directory) and goes on.
    type: str
    choices: [refuse, save]
    default: refuse
  patch_directory:
    description: Where the patch goes, for O(local_changes=save). It must exist and belong to the user of the connection.
    type: path
  composer:
    description: The Composer program.
    type: str
    default: composer
  composer_cache_directory:
    description: Composer's cache, from which packages are installed without the network.
    type: path
  composer_network:
    description: Whether Composer may use the network when its cache does not hold everything. It always tries without first.
    type: bool
    default: true
  composer_timeout:
    description: Seconds that Composer may take.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: See what going back would change
  lastgood.rollback.git_version_switch:
    path: /var/www/chom
    target: v1.2.3
    state: resolved

- name: Build the dependencies while the site is still up
  lastgood.rollback.git_version_switch:
    path: /var/www/chom
    target: v1.2.3
    state: prepared
  register: prepared

- name: Switch
  lastgood.rollback.git_version_switch:
    path: /var/www/chom
    target: v1.2.3
    prepared: "{{ prepared.switch }}"
"""

RETURN = r"""
switch:
  description: From where to where, to be handed to O(prepared).
  returned: success
  type: dict
  sample: {from_commit: 4f1c9e0, commit: 9ab31d2, dependencies: true, install: true}
from_version:
  description: A tag of the commit that was checked out, or its first 12 digits.
  returned: success and O(prepared) not given
  type: str
  sample: v1.2.4
commits:
  description: Up to 50 commits that the running version has and the target has not, newest first.
  returned: success and O(prepared) not given
  type: list
  elements: str
files:
  description: Number of files that differ.
  returned: success and O(prepared) not given
  type: int
lock_files:
  description: Lock files of package managers that differ.
  returned: success and O(prepared) not given
  type: list
  elements: str
packages:
  description: What the installed packages lack for the target, as C(name version).
  returned: success and O(prepared) not given
  type: list
  elements: str
migrations:
  description: Names of the migrations that the target has.
  returned: success and O(prepared) not given
  type: list
  elements: str
config_keys:
  description: Keys of C(.env.example) that only the running version (C(running)) or only the target (C(target)) has.
  returned: success and O(prepared) not given
  type: dict
dependencies:
  description: How the dependencies were prepared.
  returned: O(state=prepared) and something to prepare
  type: str
  sample: installed offline
code_unchanged:
  description: Whether code and dependencies are proven to be what they were before a switch that failed.
  returned: failure of O(state=switched)
  type: bool
patch:
  description: The file that local changes were saved to.
  returned: when there were some
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._checkout import run
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
                    "from_commit": {"type": "str", "required": True},
                    "commit": {"type": "str", "required": True},
                    "dependencies": {"type": "bool", "required": True},
                    "install": {"type": "bool", "default": True},
                },
            },
            "remote": {"type": "str", "default": "origin"},
            "local_changes": {"type": "str", "choices": ["refuse", "save"], "default": "refuse"},
            "patch_directory": {"type": "path"},
            "composer": {"type": "str", "default": "composer"},
            "composer_cache_directory": {"type": "path"},
            "composer_network": {"type": "bool", "default": True},
            "composer_timeout": {"type": "int", "default": 600},
        },
        required_if=[("local_changes", "save", ["patch_directory"])],
        supports_check_mode=True,
    )
    conclude(module, lambda module, runner: run(runner, module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
