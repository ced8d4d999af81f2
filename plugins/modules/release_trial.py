#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_trial
short_description: Ask a release through PHP-FPM before users get it
version_added: 0.1.0
description:
  - Sends questions to PHP-FPM itself, with the parameters that the web server would send if it served the release already. So
    what answers is what users would get, the settings, extensions and rights of PHP-FPM included, while users are on another release.
  - Fails when one of the answers is not good.
  - Only pages that are read are asked for, one after the other, until each was good once. Probes that write, those of other types, those with a
    C(url) of their own and files of the public folder, which the web server serves without PHP, are left to M(lastgood.rollback.health_gate).
  - How long an answer takes is left to it, too. The release shares the processes of PHP-FPM with the one that users get, which may be slow.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
    details: Asks the same questions.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  probes:
    description: What to ask, in the words of M(lastgood.rollback.health_gate).
    type: list
    elements: dict
    required: true
  path:
    description: The folder of the release.
    type: path
    required: true
  public:
    description: The folder below it in which C(index.php) lies.
    type: str
    default: public
  address:
    description: Where PHP-FPM listens, the path of a socket or a host and a port, such as C(/run/php/php8.4-fpm.sock) or C(127.0.0.1:9000).
    type: str
    required: true
  user:
    description: Who may open the socket. Default is the user of the connection.
    type: str
  base_url:
    description: The address of the site, from which the application learns its name.
    type: str
    required: true
  timeout:
    description: Seconds that one question may take.
    type: float
    default: 10
  interval:
    description: Seconds from the beginning of a round of questions to that of the next.
    type: float
    default: 0.2
  deadline:
    description:
      - Seconds after which no further question is asked.
      - A probe that was answered badly three times ends it before.
    type: float
    default: 30
  unanswered:
    description:
      - Whether the module fails when no answer was bad and some are missing, because PHP-FPM does not run or has no process to spare. That
        says nothing about the release.
      - With V(accepted) it is a warning then, and RV(answered) is false.
    type: str
    choices: [refused, accepted]
    default: refused
"""

EXAMPLES = r"""
- name: Ask the release that is to be switched to
  lastgood.rollback.release_trial:
    path: /var/www/shop/releases/41
    address: /run/php/php8.4-fpm.sock
    user: www-data
    base_url: https://shop.example
    probes:
      - {name: ready, type: http, path: /health/ready, json: {status: ok}}
      - {name: home page, type: http, path: /}
"""

RETURN = r"""
answered:
  description: Whether PHP-FPM answered. False when what is not good is the lack of an answer.
  returned: always
  type: bool
probes:
  description: What each probe found, as M(lastgood.rollback.health_gate) returns it.
  returned: always
  type: list
  elements: dict
skipped_probes:
  description: Names of the probes that cannot be asked this way.
  returned: success
  type: list
  elements: str
  sample: [sign-up, services]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _release_trial
from ..module_utils._clock import Clock
from ..module_utils._command import Runner
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    outcome, others = _release_trial.run(runner, module.params, Clock())
    accepted = _release_trial.judge(outcome, module.params)
    if accepted:
        module.warn(f"{accepted} It is asked when users have got it.")
    tallies = outcome.tallies if outcome else []
    return {
        "changed": False,
        "answered": accepted is None,
        "probes": [tally.as_result() for tally in tallies],
        "skipped_probes": others,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "path": {"type": "path", "required": True},
            "public": {"type": "str", "default": "public"},
            "address": {"type": "str", "required": True},
            "user": {"type": "str"},
            "base_url": {"type": "str", "required": True},
            "probes": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "float", "default": 10},
            "interval": {"type": "float", "default": 0.2},
            "deadline": {"type": "float", "default": 30},
            "unanswered": {"type": "str", "choices": ["refused", "accepted"], "default": "refused"},
        },
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
