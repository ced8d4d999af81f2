# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What the monitoring says: Prometheus and Alertmanager.

from __future__ import annotations

import json
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ._probes import ProbeError, one_line
from ._probes_http_client import Request, Route, send
from ._probes_limits import Limits


@dataclass(frozen=True)
class Service:
    """The address of a monitoring service."""

    url: str
    headers: t.Mapping[str, str] = field(default_factory=dict)
    route: Route = field(default_factory=Route)

    def ask(self, path: str, parameters: t.Sequence[tuple[str, str]], seconds: float) -> t.Any:
        """The JSON at a path; anything but an answer with status 200 is a failure."""
        url = f"{self.url.rstrip('/')}{path}?{urllib.parse.urlencode(parameters)}"
        response = send(Request("GET", url, self.headers), self.route, seconds)
        if response.status != 200:
            raise ProbeError(f"{path} gave status {response.status}: {one_line(response.text, 120)}")
        try:
            return json.loads(response.text)
        except ValueError:
            raise ProbeError(f"{path} did not give JSON") from None


class PrometheusProbe:
    """Asks a query whose every result must keep the limits; no result is a failure."""

    def __init__(self, service: Service, query: str, limits: Limits) -> None:
        self._service = service
        self._query = query
        self._limits = limits

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        results = samples(self._service.ask("/api/v1/query", [("query", self._query)], seconds))
        if not results:
            raise ProbeError("the query gave no result, so there is no data")
        values = {"results": [{"labels": labels, "value": value} for labels, value in results]}
        for labels, value in results:
            problem = self._limits.fault(value)
            if problem:
                raise ProbeError(f"{one_line(labels, 120)} is {problem}", values)
        return values


class AlertsProbe:
    """Counts the alerts that fire and are neither silenced nor inhibited."""

    def __init__(self, service: Service, matchers: t.Sequence[str], maximum: int) -> None:
        self._service = service
        self._matchers = matchers
        self._maximum = maximum

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        states = [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")]
        filters = [("filter", matcher) for matcher in self._matchers]
        names = firing(self._service.ask("/api/v2/alerts", states + filters, seconds))
        values = {"alerts": names}
        if len(names) > self._maximum:
            raise ProbeError(f"{len(names)} alerts fire, expected at most {self._maximum}: {', '.join(names[:5])}", values)
        return values


def samples(answer: t.Any) -> list[tuple[str, str]]:
    """The labels and the value of each result of an instant query."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or answer.get("status") != "success":
        raise ProbeError("the answer is not that of Prometheus")
    result = data.get("result")
    if data.get("resultType") in ("scalar", "string"):
        return [("scalar", str(result[1]))] if result else []
    if data.get("resultType") != "vector" or not isinstance(result, list):
        raise ProbeError(f"the query gives a {data.get('resultType')}, expected one value for each series")
    return [(_labels(series["metric"]), str(series["value"][1])) for series in result]


def firing(answer: t.Any) -> list[str]:
    """The names of the alerts in an answer of Alertmanager."""
    if not isinstance(answer, list):
        raise ProbeError("the answer is not that of Alertmanager")
    return sorted(str(alert.get("labels", {}).get("alertname", "unnamed")) for alert in answer)


def _labels(metric: t.Mapping[str, str]) -> str:
    name = metric.get("__name__", "")
    rest = ",".join(f'{key}="{value}"' for key, value in sorted(metric.items()) if key != "__name__")
    return f"{name}{{{rest}}}"
