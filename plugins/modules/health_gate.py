#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health_gate
short_description: Decide by evidence whether an application is healthy
version_added: 0.1.0
author: lastgood contributors (!UNKNOWN)
description:
  - Asks a list of probes at the same time, round after round, until every one has been good several times in a row
    or a deadline is over.
  - The gate runs on the managed host itself and needs nothing but Python there.
  - It never passes without data. An empty list of probes, an answer that cannot be read, a query without a result
    and a log that does not exist are failures.
  - It asks an application that is in Laravel's maintenance mode from behind it, by the bypass secret that is on the host.
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
    details:
      - In check mode it does what it does with O(mode=measure), since what the gate would judge has not been done.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A probe that writes removes again what it wrote.
options:
  probes:
    description:
      - What to ask. Options that do not belong to the type of a probe are refused.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the probe is called in messages and results; each name only once.
        type: str
        required: true
      type:
        description:
          - The kind of probe.
          - V(http) asks a page.
          - V(tcp) opens a connection.
          - V(units) asks systemd.
          - V(log) counts entries that should not be in a log.
          - V(redis) logs in to Redis, sends C(PING) and counts jobs.
          - V(sql) asks the application's database, in a session that cannot write.
          - V(resources) measures processors, memory and disk of the host.
          - V(prometheus) asks a query of Prometheus.
          - V(alertmanager) counts the alerts that fire.
        type: str
        required: true
        choices: [http, tcp, units, log, redis, sql, resources, prometheus, alertmanager]
      required:
        description: Whether the gate can fail because of this probe. Otherwise it is only reported.
        type: bool
        default: true
      successes:
        description:
          - How often in a row this probe must be good.
          - The default is O(successes), or V(1) for a probe that writes.
        type: int
      timeout:
        description: Seconds that one request may take, instead of O(timeout).
        type: float
      url:
        description:
          - The address to ask, for O(probes[].type=http).
          - The address of the service, for O(probes[].type=prometheus) and O(probes[].type=alertmanager).
        type: str
      path:
        description: The address to ask, counted from O(base_url), for O(probes[].type=http).
        type: str
      method:
        description:
          - The HTTP method, for O(probes[].type=http). The default is V(GET). All but V(GET) and V(HEAD) count as writing.
          - A probe that writes is asked when all that read are good, once, and after a failure less and less often.
        type: str
      headers:
        description: Headers to send, for O(probes[].type=http), O(probes[].type=prometheus) and O(probes[].type=alertmanager).
        type: dict
      body:
        description:
          - What to send, for O(probes[].type=http). A text is sent as it is, anything else as JSON.
          - Here, in the address, the headers and O(probes[].form) the word V({unique}) stands for a mark that is
            different at every attempt and starts with V(lastgood-), and V({token}) for what O(probes[].token) found.
        type: raw
      form:
        description: Form fields to send, for O(probes[].type=http).
        type: dict
      token:
        description:
          - A page to ask first, with the same cookies, to find a token in it, such as the CSRF token of a form.
          - For O(probes[].type=http).
        type: dict
        suboptions:
          url:
            description: The address of the page.
            type: str
          path:
            description: The address of the page, counted from that of the probe.
            type: str
          headers:
            description: Headers to send.
            type: dict
          pattern:
            description: Regular expression whose first group is the token. The default finds Laravel's hidden field C(_token).
            type: str
      cleanup:
        description:
          - A request that removes what the probe wrote, sent also when the answer was wrong or missing.
          - V({unique}) and V({token}) are the ones of the probe. Any other word in braces is a dotted path
            into the JSON of the probe's answer, such as V({id}) or V({data.id}).
          - When this fails, so does the probe, and it is not asked again.
          - For O(probes[].type=http).
        type: dict
        suboptions:
          url:
            description: The address to send it to.
            type: str
          path:
            description: The address to send it to, counted from that of the probe.
            type: str
          method:
            description: The HTTP method.
            type: str
            default: DELETE
          headers:
            description: Headers to send.
            type: dict
          body:
            description: What to send. A text is sent as it is, anything else as JSON.
            type: raw
          form:
            description: Form fields to send.
            type: dict
          status:
            description: The status codes that mean that it is gone.
            type: list
            elements: int
            default: [200, 202, 204]
      connect_to:
        description:
          - Instead of O(connect_to), for O(probes[].type=http).
          - Like O(connect_to), which is not used there, for O(probes[].type=prometheus) and O(probes[].type=alertmanager).
        type: str
      verify_tls:
        description:
          - Instead of O(verify_tls), for O(probes[].type=http), O(probes[].type=prometheus) and
            O(probes[].type=alertmanager).
        type: bool
      bypass:
        description:
          - Whether to go through maintenance mode when O(maintenance_file) exists, for O(probes[].type=http).
          - The default is V(true). With V(false) the probe sees what users see.
        type: bool
      status:
        description: Status codes that are good, for O(probes[].type=http). The default is V([200]).
        type: list
        elements: int
      response_headers:
        description:
          - Headers that the answer must have, each with the accepted value or a list of accepted values, compared exactly.
          - For O(probes[].type=http). A header that holds the version is the proof of which one runs.
        type: dict
      json:
        description: Dotted paths into the JSON of the answer with the values they must have, for O(probes[].type=http).
        type: dict
      contains:
        description: Texts that the answer must contain, for O(probes[].type=http).
        type: list
        elements: str
      lacks:
        description: Texts that the answer must not contain, for O(probes[].type=http).
        type: list
        elements: str
      maximum_seconds:
        description: Every answer must be complete in less time than this, for O(probes[].type=http).
        type: float
      samples:
        description: Requests that make one attempt, for O(probes[].type=http). The default is V(1).
        type: int
      follow_redirects:
        description: Whether to judge the page that a redirect leads to, for O(probes[].type=http). The default is V(false).
        type: bool
      host:
        description:
          - Where to connect, for O(probes[].type=tcp) and O(probes[].type=redis).
          - The default is V(127.0.0.1), or for V(redis) what O(environment_file) says.
        type: str
      port:
        description:
          - Where to connect, for O(probes[].type=tcp) and O(probes[].type=redis).
          - The default for V(redis) is what O(environment_file) says, or V(6379).
        type: int
      units:
        description:
          - Units that must be active, for O(probes[].type=units).
          - A name may have C(*), C(?) or C([]). Such a pattern must find something, and all that it finds must be active. Units that
            were stopped may be unknown to systemd, so O(probes[].minimum_active) is better than a bare pattern.
        type: list
        elements: str
      minimum_active:
        description:
          - How many of the units that the patterns find must be active, instead of all, for O(probes[].type=units).
        type: int
      allow_restarts:
        description:
          - Whether a unit may end well and be started again by systemd, for O(probes[].type=units). Otherwise a restart between two
            rounds is a failure.
          - The default is V(false), but V(true) behind maintenance mode. There Laravel's workers with C(--max-time) end again and again
            once the machine has been up for longer than that.
        type: bool
      file:
        description:
          - The full path of the log, for O(probes[].type=log). Its last part may have C(*), C(?) or C([]), as for a log with
            one file a day. Let it match the rotated files too, and no entry is missed when the log is rotated.
        type: str
      user:
        description: The user who may read the log, for O(probes[].type=log). The default is the user who runs the module.
        type: str
      since:
        description:
          - From which moment on entries count, for O(probes[].type=log).
          - V(start) is the start of the module. V(attempt) is the attempt before, so that the probe becomes good again once
            nothing more goes wrong. Otherwise a time in ISO 8601, in UTC unless it says otherwise.
          - The default is V(start), without any regard to times. A time is compared with those in the log.
        type: str
      position:
        description: From which bytes on entries count, instead of O(probes[].since), as an earlier RV(probes[].measured) had it. For O(probes[].type=log).
        type: dict
      timezone:
        description:
          - The time zone of the times in the log, V(UTC), V(local), an offset such as V(+02:00) or a name such as V(Europe/Berlin).
          - For O(probes[].type=log) with a time as O(probes[].since). The default is V(UTC), as Laravel's is.
        type: str
      pattern:
        description:
          - Regular expression that finds the first line of an entry, for O(probes[].type=log). The default is the format of Laravel.
          - Groups called C(level) and C(time) are compared with O(probes[].levels) and O(probes[].since); without them every line
            that is found counts.
        type: str
      levels:
        description: Levels that count, for O(probes[].type=log). The default is V([ERROR, CRITICAL, ALERT, EMERGENCY]).
        type: list
        elements: str
      ignore:
        description: Regular expressions for entries that do not count, for O(probes[].type=log).
        type: list
        elements: str
      missing:
        description:
          - What to think of a log that does not exist, for O(probes[].type=log).
          - V(fail), the default, takes it for a failure, V(empty) for a log without entries.
        type: str
        choices: [fail, empty]
      maximum_per_minute:
        description: How many entries a minute there may be, for O(probes[].type=log). The first minute counts as a whole one.
        type: float
      maximum:
        description:
          - How many entries there may be, for O(probes[].type=log). The default is V(0), or none with O(probes[].maximum_per_minute).
          - How many alerts may fire, for O(probes[].type=alertmanager). The default is V(0).
          - The largest good value, for O(probes[].type=sql) and O(probes[].type=prometheus).
        type: float
      minimum:
        description: The smallest good value, for O(probes[].type=sql) and O(probes[].type=prometheus).
        type: float
      expected:
        description:
          - The only good value, for O(probes[].type=sql) and O(probes[].type=prometheus).
          - Of V(sql) the first column of the first row counts, of V(prometheus) every result.
        type: str
      query:
        description:
          - What to ask, for O(probes[].type=sql) and O(probes[].type=prometheus). No row or no result is a failure.
          - The default for V(sql) is C(SELECT 1). The session can only read.
        type: str
      filter:
        description: Matchers that choose the alerts, such as C(job="chom"), for O(probes[].type=alertmanager).
        type: list
        elements: str
      socket:
        description: The path of a socket to connect to, for O(probes[].type=redis).
        type: str
      username:
        description: Who logs in, for O(probes[].type=redis). The default is what O(environment_file) says.
        type: str
      password:
        description: The password for the login, for O(probes[].type=redis). The default is what O(environment_file) says.
        type: str
      database:
        description: The number of the database, for O(probes[].type=redis). The default is what O(environment_file) says, or V(0).
        type: int
      queues:
        description: Queues whose waiting, delayed and reserved jobs are counted, for O(probes[].type=redis).
        type: list
        elements: str
      prefix:
        description:
          - What the application puts before each key, for O(probes[].type=redis) with O(probes[].queues).
          - The default is the C(REDIS_PREFIX) of O(environment_file) or what Laravel makes of the C(APP_NAME).
        type: str
      maximum_waiting:
        description: How many jobs may wait in each of the queues, for O(probes[].type=redis).
        type: int
      cpu_used_percent:
        description: Less than this share of the processors may be in use during a second, for O(probes[].type=resources).
        type: float
      memory_used_percent:
        description: Less than this share of the memory may be in use, for O(probes[].type=resources).
        type: float
      disk_used_percent:
        description: Less than this share of the file system may be in use, for O(probes[].type=resources).
        type: float
      disk:
        description: A path on the file system that is measured, for O(probes[].type=resources). The default is V(/).
        type: str
  mode:
    description:
      - With V(gate) the task succeeds as soon as every probe has been good O(successes) times in a row, and fails at the O(deadline).
      - With V(watch) the probes are asked for O(duration) seconds. It fails as soon as one was bad O(failures) times in a row.
      - With V(measure) the probes that only read are asked once and the answers are reported. Probes that write are left out and
        named in RV(skipped_probes). The task does not fail.
    type: str
    choices: [gate, watch, measure]
    default: gate
  successes:
    description: How often in a row each probe must be good.
    type: int
    default: 2
  failures:
    description: O(mode=watch) fails when a probe was bad this often in a row.
    type: int
    default: 3
  interval:
    description: Seconds from the beginning of one round to that of the next. A round that takes longer is followed by the next at once.
    type: float
    default: 0.2
  deadline:
    description: Seconds after which O(mode=gate) gives up. What was asked before gets up to a second more.
    type: float
    default: 30
  duration:
    description: Seconds that O(mode=watch) lasts.
    type: float
    default: 300
  timeout:
    description: Seconds that one request of a probe may take.
    type: float
    default: 5
  base_url:
    description: The address of the application, for probes that only give a path.
    type: str
  connect_to:
    description:
      - Connect to this address, with or without a port, instead of looking up the host of the URL, which is still sent
        as the Host header. So a virtual host can be asked on the machine itself.
    type: str
  verify_tls:
    description: Whether certificates must be valid.
    type: bool
    default: true
  maintenance_file:
    description:
      - The file that Laravel writes when it goes down, C(storage/framework/down) in the application.
      - If it exists, its secret lets the HTTP probes through. If it has none, the gate fails.
    type: path
  maintenance_user:
    description: The user who may read O(maintenance_file). The default is the user who runs the module.
    type: str
  environment_file:
    description:
      - The application's C(.env), from which the probes of type V(redis) and V(sql) take the login. Nothing of it is shown.
    type: path
  environment_user:
    description: The user who may read O(environment_file). The default is the user who runs the module.
    type: str
"""

EXAMPLES = r"""
- name: Let nobody in before the application works behind maintenance mode
  lastgood.rollback.health_gate:
    base_url: http://chom.test
    connect_to: 127.0.0.1
    maintenance_file: /var/www/chom/storage/framework/down
    maintenance_user: www-data
    probes:
      - name: ready
        type: http
        path: /health/ready
        json:
          status: ok
      - name: version
        type: http
        path: /health/basic
        response_headers:
          X-App-Version: 1.2.3
      - name: login page
        type: http
        path: /login
        contains: [csrf]
      - name: sign-up
        type: http
        method: POST
        path: /api/users
        body:
          name: "{unique}"
          email: "{unique}@example.invalid"
        status: [201]
        cleanup:
          path: /api/users/{id}
      - name: services
        type: units
        units: [nginx, php8.4-fpm, mariadb, redis-server, chom-queue-worker]

- name: Watch the application for five minutes after it was opened again
  lastgood.rollback.health_gate:
    mode: watch
    duration: 300
    interval: 5
    probes:
      - name: home
        type: http
        url: https://chom.example.com/
        samples: 10
        maximum_seconds: 1
"""

RETURN = r"""
passed:
  description: Whether every required probe was good.
  returned: always
  type: bool
  sample: true
rounds:
  description: How often the probes were asked.
  returned: when the probes were asked
  type: int
  sample: 2
availability:
  description: Percent of good answers among all that the required probes gave.
  returned: when the probes were asked
  type: float
  sample: 100.0
probes:
  description: What each probe found.
  returned: when the probes were asked
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: home
    type:
      description: Its type.
      type: str
      sample: http
    required:
      description: Whether the gate can fail because of it.
      type: bool
      sample: true
    passed:
      description: Whether its last answers were good, often enough in a row.
      type: bool
      sample: true
    attempts:
      description: How often it was asked.
      type: int
      sample: 2
    successes:
      description: How often it was good.
      type: int
      sample: 2
    last_error:
      description: Its last failure, also when it is good by now.
      type: str
      sample: status 503, expected 200
    measured:
      description: What it measured last.
      type: dict
      sample:
        status: 200
        samples: 2
        minimum_seconds: 0.0121
        median_seconds: 0.0134
        maximum_seconds: 0.0147
skipped_probes:
  description: The probes that were left out because they write.
  returned: in check mode and with O(mode=measure)
  type: list
  elements: str
  sample: [sign-up]
seconds:
  description: How long the module took.
  returned: always
  type: float
  sample: 0.312
started:
  description: When the module began.
  returned: always
  type: str
  sample: "2026-11-22T03:04:05.678Z"
ended:
  description: When the module ended.
  returned: always
  type: str
  sample: "2026-11-22T03:04:05.990Z"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _probes, _probes_options, _probes_spec
from ..module_utils._clock import Clock
from ..module_utils._command import Runner
from ..module_utils._errors import RollbackError
from ..module_utils._wiring import JOURNAL, conclude

_ARGUMENTS: dict[str, t.Any] = {
    **JOURNAL,
    "probes": {"type": "list", "elements": "dict", "required": True, **_probes_spec.PROBE},
    "mode": {"type": "str", "choices": ["gate", "watch", "measure"], "default": "gate"},
    "successes": {"type": "int", "default": 2},
    "failures": {"type": "int", "default": 3},
    "interval": {"type": "float", "default": 0.2},
    "deadline": {"type": "float", "default": 30},
    "duration": {"type": "float", "default": 300},
    "timeout": {"type": "float", "default": 5},
    "base_url": {"type": "str"},
    "connect_to": {"type": "str"},
    "verify_tls": {"type": "bool", "default": True},
    "maintenance_file": {"type": "path"},
    "maintenance_user": {"type": "str"},
    "environment_file": {"type": "path"},
    "environment_user": {"type": "str"},
}

_SURROUNDINGS = (
    "base_url",
    "connect_to",
    "verify_tls",
    "timeout",
    "successes",
    "maintenance_file",
    "maintenance_user",
    "environment_file",
    "environment_user",
)
_CLOCK = Clock()


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    _probes_options.check_limits(options)
    _probes_options.check(options["probes"])
    measuring = module.check_mode or options["mode"] == "measure"
    asked = [probe for probe in options["probes"] if not (measuring and _probes_options.writes(probe))]
    around = _probes_options.Surroundings(
        runner=runner,
        clock=_CLOCK,
        keep_secret=module.no_log_values.add,
        **{name: options[name] for name in _SURROUNDINGS},
    )
    outcome = _ask(_probes_options.build(asked, around), options, measuring)
    facts = {
        "changed": False,
        "passed": outcome.passed,
        "rounds": outcome.rounds,
        "availability": outcome.availability,
        "probes": [tally.as_result() for tally in outcome.tallies],
    }
    if measuring:
        facts["skipped_probes"] = [probe["name"] for probe in options["probes"] if probe not in asked]
    elif not outcome.passed:
        raise RollbackError(outcome.summary, state="The gate itself changed nothing.", facts=facts)
    return {**facts, "msg": outcome.summary}


def _ask(probes: t.Sequence[_probes.Probe], options: dict[str, t.Any], measuring: bool) -> _probes.Outcome:
    means: dict[str, t.Any] = {"clock": _CLOCK, "together": _probes.Threads()}
    if measuring:
        return _probes.once(probes, **means)
    if options["mode"] == "watch":
        limits = {name: options[name] for name in ("duration", "interval", "failures")}
        return _probes.while_good(probes, **limits, **means)
    return _probes.until_good(probes, deadline=options["deadline"], interval=options["interval"], **means)


def main() -> None:
    module = AnsibleModule(argument_spec=_ARGUMENTS, supports_check_mode=True)
    conclude(module, _work)


if __name__ == "__main__":
    main()
