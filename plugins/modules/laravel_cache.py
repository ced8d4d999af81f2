#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: laravel_cache
short_description: Rebuild or clear the caches of a Laravel application in one process, as its owner
version_added: 0.1.0
description:
  - Rebuilds or clears the caches that Laravel makes of an application's configuration, routes, templates, events and packages.
  - All is done by one PHP process that boots the application once. Caches of another version are removed before it boots,
    since they can keep it from booting. Clearing works when the application cannot boot.
  - Afterwards the caches are looked at, so that a command that reports success without writing one is noticed.
  - The cache of the configuration holds secrets. It gets the access rights it had, or else those of the C(.env).
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
  - lastgood.rollback._laravel
attributes:
  check_mode:
    support: partial
    details: Whether a rebuilt cache would have another content is not known before, so O(state=rebuilt) always forecasts a change.
  diff_mode:
    support: full
    details: Shows the number of files and a checksum of their content.
  idempotent:
    support: full
    details: O(state=rebuilt) rebuilds unless O(keep_current) finds nothing to do, and reports a change only when the content is not what it was.
options:
  state:
    description: Whether the caches are to be fresh (V(rebuilt)) or not to be there (V(cleared)).
    type: str
    choices: [rebuilt, cleared]
    default: rebuilt
  caches:
    description: Which caches. V(packages) is the list of discovered packages and their service providers.
    type: list
    elements: str
    choices: [config, route, view, event, packages]
    default: [config, route, view, event, packages]
  keep_current:
    description:
      - With O(state=rebuilt), leave the caches as they are when all of them are there, are newer than all that they are made from, and were made
        where they lie. So a release that served users before is not delayed by making the same again.
      - Files of the application, its settings and the list of its packages count by when the system noted their last change (ctime), which
        neither an archive nor a copy can set back. Where anything is in doubt, the caches are rebuilt.
      - Compiled templates do not count, which other releases that share the storage may have thrown away. Laravel compiles what it needs.
      - Without V(config) in O(caches), or with O(application_cache=clear), it has no effect.
    type: bool
    default: false
  application_cache:
    description:
      - What to do with what the application itself keeps in its default cache store.
      - V(clear) empties it. On Redis that is everything in that database, so it is refused before anything
        is changed when queues or sessions are kept there as well.
    type: str
    choices: [keep, clear]
    default: keep
"""

EXAMPLES = r"""
- name: Rebuild all caches after the code was switched
  lastgood.rollback.laravel_cache:
    path: /var/www/chom

- name: Remove the caches of an application that cannot boot
  lastgood.rollback.laravel_cache:
    path: /var/www/chom
    state: cleared
"""

RETURN = r"""
caches:
  description: For each cache whether it is there now, whether its content changed, and the seconds that rebuilding it took.
  returned: success
  type: dict
  sample:
    config: {state: present, changed: true, seconds: 0.041}
application_cache:
  description: What was done with the application's cache store, V(keep) or V(clear).
  returned: success
  type: str
  sample: keep
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._artisan import ARGUMENTS, application
from ..module_utils._command import Runner
from ..module_utils._laravel_cache import CACHES, Wish, refresh
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    params = module.params
    wish = Wish(
        params["state"],
        [name for name in CACHES if name in params["caches"]],
        params["application_cache"] == "clear",
        params["keep_current"] and params["state"] == "rebuilt",
    )
    outcome = refresh(runner, application(params), wish, check_mode=module.check_mode)
    caches = {
        name: {
            "state": "present" if outcome.after[name] else "absent",
            "changed": outcome.changed(name),
            "seconds": outcome.seconds.get(name, 0.0),
        }
        for name in wish.caches
    }
    return {
        "changed": wish.clear_store or any(cache["changed"] for cache in caches.values()),
        "caches": caches,
        "application_cache": params["application_cache"],
        "diff": {"before": outcome.before, "after": outcome.after},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["rebuilt", "cleared"], "default": "rebuilt"},
            "caches": {"type": "list", "elements": "str", "choices": list(CACHES), "default": list(CACHES)},
            "keep_current": {"type": "bool", "default": False},
            "application_cache": {"type": "str", "choices": ["keep", "clear"], "default": "keep"},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
