# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# From the options of a probe to something that can be asked. Each kind of probe is imported only when it is used.

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

from . import _probes_bypass
from ._clock import Clock
from ._errors import RollbackError
from ._probes import Ask, Probe

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._fastcgi import Entry
    from ._probes_monitoring import Service

Options = t.Mapping[str, t.Any]

_SHARED = {"name", "type", "successes", "timeout", "required"}
_HTTP = {
    "url", "path", "method", "headers", "body", "form", "token", "cleanup", "connect_to", "verify_tls", "bypass",
    "status", "response_headers", "json", "contains", "lacks", "maximum_seconds", "samples", "follow_redirects",
}  # fmt: skip
_LIMITS = {"expected", "minimum", "maximum"}
_SERVICE = {"url", "headers", "connect_to", "verify_tls"}
_OPTIONS_OF = {
    "http": _HTTP,
    "tcp": {"host", "port"},
    "units": {"units", "minimum_active", "allow_restarts"},
    "log": {
        "file",
        "user",
        "since",
        "position",
        "timezone",
        "pattern",
        "levels",
        "ignore",
        "maximum",
        "maximum_per_minute",
        "missing",
    },
    "redis": {"host", "port", "socket", "username", "password", "database", "queues", "prefix", "maximum_waiting"},
    "sql": {"query", *_LIMITS},
    "resources": {"cpu_used_percent", "memory_used_percent", "disk_used_percent", "disk"},
    "prometheus": {"query", *_LIMITS, *_SERVICE},
    "alertmanager": {"filter", "maximum", *_SERVICE},
}


@dataclass(frozen=True)
class Surroundings:
    """What all probes of a gate share."""

    runner: Runner
    clock: Clock = field(default_factory=Clock)
    base_url: str | None = None
    connect_to: str | None = None
    verify_tls: bool = True
    timeout: float = 5.0
    successes: int = 1
    maintenance_file: str | None = None
    maintenance_user: str | None = None
    environment_file: str | None = None
    environment_user: str | None = None
    keep_secret: t.Callable[[str], None] = lambda _secret: None
    entry: Entry | None = None  # to PHP-FPM, where pages are not asked through the web server

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """The application's own settings, read once; none when no environment file is given."""
        if self.environment_file is None:
            return {}
        from . import _dotenv

        user = self.environment_user
        done = self.runner.run(["cat", "--", self.environment_file], user=user, timeout=20, check=False)
        if done.rc != 0:
            why = done.stderr.strip() or "no reason given"
            raise RollbackError(f"{self.environment_file} could not be read as {user or self.runner.me}: {why}.")
        return {name: _dotenv.plain(value) for name, value in _dotenv.parse(done.stdout).items()}


def check(probes: t.Sequence[Options]) -> None:
    """Refuse what would otherwise be ignored: options of another type, names that say nothing, nothing at all."""
    if not probes:
        raise RollbackError("There are no probes, and nothing can be learned from asking nothing.")
    names = [probe["name"] for probe in probes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RollbackError(f"Several probes have the same name: {', '.join(twice)}.")
    if not any(probe["required"] for probe in probes):
        raise RollbackError("None of the probes is required, so the gate could not fail.")
    for probe in probes:
        for name in ("samples", "successes", "timeout"):
            _more_than_nothing(f"{name} of {probe['name']}", probe.get(name))
        given = {name for name, value in probe.items() if value is not None}
        foreign = sorted(given - _SHARED - _OPTIONS_OF[probe["type"]])
        if foreign:
            raise RollbackError(f"Probe {probe['name']} is of type {probe['type']}, which has no option {', '.join(foreign)}.")


def check_limits(options: Options) -> None:
    """Refuse limits with which the gate would ask nothing or never stop asking."""
    for name in ("successes", "failures", "interval", "timeout"):
        _more_than_nothing(name, options[name])


def _more_than_nothing(name: str, value: float | None) -> None:
    if value is not None and value <= 0:
        raise RollbackError(f"{name} must be more than 0.")


def writes(options: Options) -> bool:
    """Whether asking the probe changes something on the other side."""
    return options["type"] == "http" and (options.get("method") or "GET").upper() not in ("GET", "HEAD")


def build(probes: t.Sequence[Options], around: Surroundings) -> list[Probe]:
    """The probes, ready to be asked."""
    cookie = _bypass_cookie(probes, around)
    return [_probe(options, around, cookie) for options in probes]


def _probe(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Probe:
    try:
        ask = _BUILDERS[options["type"]](options, around, cookie)
    except ValueError as error:
        raise RollbackError(f"Probe {options['name']} cannot be asked: {error}.") from None
    return Probe(
        name=options["name"],
        type=options["type"],
        ask=ask,
        timeout=(options.get("timeout") or around.timeout) * (options.get("samples") or 1),
        successes=options.get("successes") or (1 if writes(options) else around.successes),
        required=options["required"],
        writes=writes(options),
    )


def _bypass_cookie(probes: t.Sequence[Options], around: Surroundings) -> dict[str, str]:
    """The cookie that leads through maintenance mode; none when nobody needs it or the application is up."""
    if around.maintenance_file is None or not any(_uses_bypass(probe) for probe in probes):
        return {}
    secret = _probes_bypass.read_secret(around.runner, around.maintenance_file, around.maintenance_user)
    if secret is None:
        return {}
    around.keep_secret(secret)
    return {_probes_bypass.NAME: _probes_bypass.value(secret, int(around.clock.wall()) + _probes_bypass.LIFETIME)}


def _uses_bypass(options: Options) -> bool:
    return options["type"] == "http" and options.get("bypass") is not False


def _http(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_http import PageProbe, page_from
    from ._probes_http_client import Route

    verify = options.get("verify_tls")
    route = Route(options.get("connect_to") or around.connect_to, around.verify_tls if verify is None else verify, around.entry)
    timeout = options.get("timeout") or around.timeout
    return PageProbe(page_from(options, around.base_url, route, cookie if _uses_bypass(options) else {}, timeout))


def _tcp(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_tcp import PortProbe

    return PortProbe(options.get("host") or "127.0.0.1", options["port"])


def _units(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_units import UnitsProbe, wanted

    allowed = options.get("allow_restarts")
    behind_maintenance = bool(cookie)
    restarts = behind_maintenance if allowed is None else allowed
    return UnitsProbe(around.runner, wanted(options["units"], options.get("minimum_active"), restarts))


def _log(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_log import LogProbe, log_from

    return LogProbe(around.runner, log_from(options), around.clock)


def _redis(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_redis import probe_from

    return probe_from(options, around.settings)


def _sql(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._database_credentials import from_settings
    from ._probes_limits import limits_from
    from ._probes_sql import SqlProbe

    if around.environment_file is None:
        raise ValueError("environment_file, which has the login, is not given")
    query = options.get("query")
    if query is None:
        options = {**options, "expected": "1"}
    login = from_settings(around.settings, around.environment_file, around.environment_user)
    return SqlProbe(around.runner, login, query or "SELECT 1", limits_from(options))


def _resources(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_resources import ResourcesProbe

    names = ("cpu_used_percent", "memory_used_percent", "disk_used_percent")
    limits = {name: options[name] for name in names if options.get(name) is not None}
    return ResourcesProbe(limits, options.get("disk") or "/", around.clock)


def _service(options: Options, around: Surroundings) -> Service:
    from ._probes_http_client import Route, check_url
    from ._probes_monitoring import Service

    check_url(options["url"])
    verify = options.get("verify_tls")
    route = Route(options.get("connect_to"), around.verify_tls if verify is None else verify)
    return Service(options["url"], options.get("headers") or {}, route)


def _prometheus(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_limits import limits_from
    from ._probes_monitoring import PrometheusProbe

    return PrometheusProbe(_service(options, around), options["query"], limits_from(options))


def _alertmanager(options: Options, around: Surroundings, cookie: t.Mapping[str, str]) -> Ask:
    from ._probes_monitoring import AlertsProbe

    return AlertsProbe(_service(options, around), options.get("filter") or (), int(options.get("maximum") or 0))


_BUILDERS: dict[str, t.Callable[[Options, Surroundings, t.Mapping[str, str]], Ask]] = {
    "http": _http,
    "tcp": _tcp,
    "units": _units,
    "log": _log,
    "redis": _redis,
    "sql": _sql,
    "resources": _resources,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
}
