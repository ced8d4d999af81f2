#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: laravel_maintenance
short_description: Close a Laravel application to visitors and open it again, even when it cannot boot
version_added: 0.1.0
description:
  - Puts an application into Laravel's maintenance mode, or ends it, as the application's owner.
  - The two files that Laravel itself would write are written directly, each in one step, so that it takes milliseconds and
    works when C(artisan) dies. They hold a page, which the framework's own front gate shows before anything of the application is loaded.
  - When the application keeps the maintenance mode in a cache, the application is told as well, by a program that boots it.
  - There is always a bypass secret. It is kept in C(storage/framework/down) only, and never part of a command line or a result.
  - An application that somebody else closed already stays as they closed it. It only gains a secret and a page when it has none.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
  - lastgood.rollback._laravel
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Neither the secret nor the page is shown.
  idempotent:
    support: full
options:
  state:
    description: Whether visitors are kept out (V(down)) or let in (V(up)).
    type: str
    choices: [down, up]
    required: true
  method:
    description:
      - V(file) only writes or removes the files, and never starts PHP.
      - V(artisan) also boots the application, tells its maintenance driver and its listeners, and fails when that does not work.
      - V(auto) does as V(file) when the driver is the file. Otherwise it does as V(artisan), except that a driver that cannot be
        told when closing is a warning, since the files keep this host's visitors out all the same.
    type: str
    choices: [auto, file, artisan]
    default: auto
  driver:
    description:
      - Where the application keeps its maintenance mode.
      - V(auto) finds out from C(bootstrap/cache/config.php), C(config/app.php) and C(.env) without starting the application.
    type: str
    choices: [auto, file, cache]
    default: auto
  secret:
    description: The bypass secret. Default is the one that is there, or else one made on the host.
    type: str
  retry:
    description: Seconds after which clients are asked to try again. V(0) to say nothing.
    type: int
    default: 60
  refresh:
    description: Seconds after which browsers are asked to reload the page. Default is to say nothing.
    type: int
  status:
    description: The HTTP status of the answer.
    type: int
    default: 503
  render:
    description:
      - A view of the application to show, such as C(errors::503). Rendering it boots the application.
      - When it cannot be rendered, a plain page is shown and a warning says why.
      - Default is the plain page.
    type: str
  page_text:
    description: What the plain page says.
    type: str
    default: This service is being maintained and will be back shortly.
  except_paths:
    description: Paths to keep open, as patterns like C(status/*). Default is what the application itself excepts.
    type: list
    elements: str
  storage_path:
    description: The application's storage directory. Default is C(storage) inside O(path).
    type: path
  verify_url:
    description:
      - A page to ask afterwards. It must give O(status) after closing, and must not give it after opening.
      - Default is to ask nothing.
    type: str
  verify_connect_to:
    description: The address, with or without a port, to ask instead of the one that the host name of O(verify_url) stands for.
    type: str
    default: 127.0.0.1
  verify_tls:
    description: Whether the certificate of an https page must be valid.
    type: bool
    default: true
  verify_seconds:
    description: Seconds within which the page must give the right answer.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Close the application and make sure that visitors see it closed
  lastgood.rollback.laravel_maintenance:
    path: /var/www/chom
    state: down
    verify_url: http://chom.test/

- name: Open the application
  lastgood.rollback.laravel_maintenance:
    path: /var/www/chom
    state: up
    verify_url: http://chom.test/

- name: Close it with the application's own page
  lastgood.rollback.laravel_maintenance:
    path: /var/www/chom
    state: down
    render: errors::503
"""

RETURN = r"""
state:
  description: Whether the application is closed (V(down)) or open (V(up)), in check mode whether it would be.
  returned: success
  type: str
  sample: down
was_down:
  description: Whether it was closed before.
  returned: success
  type: bool
method:
  description: How it was done, V(file) or V(artisan).
  returned: success
  type: str
  sample: file
at:
  description:
    - The moment from which on visitors were kept out or let in. When they were kept out already, since when.
    - When nothing had to be done to let them in, the moment at which that was seen.
  returned: success, not in check mode
  type: str
  sample: "2026-01-31T03:04:05.678Z"
page_status:
  description: The status that O(verify_url) gave.
  returned: success and O(verify_url) given, not in check mode
  type: int
  sample: 503
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._artisan import ARGUMENTS, application
from ..module_utils._clock import utc
from ..module_utils._command import Runner
from ..module_utils._maintenance import closing, switch
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    app = application(module.params)
    outcome = switch(runner, app, closing(module.params, app), check_mode=module.check_mode)
    report = outcome.report
    for warning in outcome.warnings:
        module.warn(warning)
    result = {
        "changed": report["changed"],
        "state": module.params["state"],
        "was_down": report["was_down"],
        "method": outcome.method,
        "diff": {"before": report["before"], "after": report["after"]},
    }
    if report["at"] is not None:
        result["at"] = utc(report["at"])
    if outcome.status is not None:
        result["page_status"] = outcome.status
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["down", "up"], "required": True},
            "method": {"type": "str", "choices": ["auto", "file", "artisan"], "default": "auto"},
            "driver": {"type": "str", "choices": ["auto", "file", "cache"], "default": "auto"},
            "secret": {"type": "str", "no_log": True},
            "retry": {"type": "int", "default": 60},
            "refresh": {"type": "int"},
            "status": {"type": "int", "default": 503},
            "render": {"type": "str"},
            "page_text": {"type": "str", "default": "This service is being maintained and will be back shortly."},
            "except_paths": {"type": "list", "elements": "str"},
            "storage_path": {"type": "path"},
            "verify_url": {"type": "str"},
            "verify_connect_to": {"type": "str", "default": "127.0.0.1"},
            "verify_tls": {"type": "bool", "default": True},
            "verify_seconds": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
