#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_group
short_description: Stop a group of systemd units gracefully, and start exactly those that ran
version_added: 0.1.0
description:
  - Stops, starts, restarts or reloads several units at the same time and proves that they are in the state asked for.
  - A unit that is being stopped may finish the job it is doing.
  - With O(remember) a stop writes down which units ran, and a start with O(remembered=true) starts exactly those. Units that
    were switched off stay off, also when the run is interrupted and repeated in between.
  - A unit counts as running when it is active, about to start again, or when systemd gave up on it because it failed.
  - Programs that do their work and end (C(Type=oneshot)), named or triggered by a timer that is named, are waited for and never stopped.
  - Asking systemd needs no privileges. As root only C(systemctl stop), C(start), C(restart) and C(reload) are run, with full
    unit names and no option. Where sudoers lists these commands with one unit each, they are run with one unit each.
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
    support: partial
    details: V(started) and V(stopped) are idempotent. The other states and O(reload) always act.
options:
  names:
    description:
      - Units, by name or by pattern such as C(chom-queue-*.service). C(.service) is added to a name without a kind.
      - A pattern stands for all units of the host that fit, running or not. One that fits nothing is refused.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(stopped) lets the units finish and stops them.
      - V(started) starts those that do not run. V(restarted) restarts them all.
      - V(reloaded) makes them read their configuration and code again. One that does not run is restarted instead.
      - V(renewed) reloads the units of O(reload) first. Then those of O(names) that run may finish, and are started again when they have
        within half a second. It waits no longer and proves nothing about them, which is left to a later V(started) with O(remembered=true).
    type: str
    choices: [stopped, started, restarted, reloaded, renewed]
    required: true
  reload:
    description: Units to reload in the same moment, such as C(php8.4-fpm). Not with O(state=stopped).
    type: list
    elements: str
    default: []
  remember:
    description:
      - A file on the host for the names of the units that ran. Its directory must exist and belong to the user of the connection.
      - O(state=stopped) and O(state=renewed) add to what the file holds already.
    type: path
  remembered:
    description:
      - Start the units that O(remember) names, in addition to O(names), and wait before for those that are still finishing.
        The file is removed once all of them run.
      - Without the file there is nothing to start, which is not an error.
    type: bool
    default: false
  drain_timeout:
    description:
      - Seconds within which the units must have finished what they are doing.
      - systemd itself kills a unit when its C(TimeoutStopSec) is over.
    type: float
    default: 60
  on_timeout:
    description:
      - What to do when they have not.
      - V(fail) starts again what was stopped and fails. V(kill) kills them.
    type: str
    choices: [fail, kill]
    default: fail
  timeout:
    description: Seconds within which started units must run.
    type: float
    default: 30
  release:
    description:
      - The link to the release that runs, such as C(/var/www/shop/current). Each unit that was started, now or by O(state=renewed), is then
        proven to work in that release, by the working directory of its process.
      - One that works in another release beside it is refused. One that works somewhere else, such as C(/), says nothing by that.
    type: path
  settle:
    description: Seconds for which units must have run without a restart to count as running.
    type: float
    default: 0.5
"""

EXAMPLES = r"""
- name: Stop the workers and the scheduler, and remember which ones ran
  lastgood.rollback.service_group:
    names:
      - chom-queue-*.service
      - chom-scheduler.timer
    state: stopped
    remember: /var/lib/lastgood/chom/workers.json

- name: Reload PHP-FPM and start exactly those again
  lastgood.rollback.service_group:
    state: started
    remember: /var/lib/lastgood/chom/workers.json
    remembered: true
    reload:
      - php8.4-fpm
"""

RETURN = r"""
units:
  description:
    - What each unit was doing before and after, in check mode what it would be doing, and what was done to it,
      one of V(none), V(stop), V(wait), V(kill), V(start), V(restart), V(reload).
  returned: when the units exist
  type: dict
  sample:
    chom-queue-worker.service: {before: active (running), after: inactive (dead), action: stop}
ran:
  description: The units that ran before.
  returned: when the units exist
  type: list
  elements: str
  sample: [chom-queue-worker.service]
interrupted:
  description: Units that were killed in the middle of their work, by O(on_timeout=kill) or by systemd. There is a warning too.
  returned: when the units exist
  type: list
  elements: str
  sample: []
remembered:
  description: The units that O(remember) holds, or held until they were started.
  returned: when the units exist
  type: list
  elements: str
  sample: [chom-queue-worker.service]
state:
  description: The state asked for.
  returned: when the units exist
  type: str
  sample: stopped
works_in:
  description: The folder that the process of each unit works in that was started.
  returned: O(release) is given
  type: dict
  sample: {shop-queue.service: /var/www/shop/releases/41}
waited:
  description: Seconds from the first order until the units were proven to be in their state.
  returned: when the units exist
  type: float
  sample: 0.31
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._clock import Clock
from ..module_utils._command import Runner
from ..module_utils._errors import RollbackError
from ..module_utils._service_group import Group, Request, facts, refuse_elsewhere
from ..module_utils._units import Systemd
from ..module_utils._wiring import JOURNAL, conclude


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    request = Request(**module.params)
    if request.state == "stopped" and (request.reload or request.remembered):
        raise RollbackError("reload and remembered belong to a start, not to state=stopped.")
    if request.state == "renewed" and request.remembered:
        raise RollbackError("remembered belongs to the start that comes after state=renewed.")
    if not (request.names or request.reload or request.remembered):
        raise RollbackError("There is nothing to do: names, reload and remembered are all empty.")
    systemd = Systemd(runner)
    outcome = Group(systemd, Clock(), check_mode=module.check_mode).bring(request)
    result = facts(outcome, request)
    if request.release and request.state not in ("stopped", "renewed") and not module.check_mode:
        result["works_in"] = refuse_elsewhere(systemd, outcome, request)
    for name in outcome.interrupted:
        module.warn(f"{name} was killed in the middle of its work.")
    before = {name: unit["before"] for name, unit in result["units"].items()}
    after = {name: unit["after"] for name, unit in result["units"].items()}
    return {"changed": bool(outcome.actions), **result, "diff": {"before": before, "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            "names": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["stopped", "started", "restarted", "reloaded", "renewed"], "required": True},
            "reload": {"type": "list", "elements": "str", "default": []},
            "remember": {"type": "path"},
            "remembered": {"type": "bool", "default": False},
            "drain_timeout": {"type": "float", "default": 60},
            "on_timeout": {"type": "str", "choices": ["fail", "kill"], "default": "fail"},
            "timeout": {"type": "float", "default": 30},
            "release": {"type": "path"},
            "settle": {"type": "float", "default": 0.5},
        },
        required_if=[("remembered", True, ["remember"]), ("state", "renewed", ["remember"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
