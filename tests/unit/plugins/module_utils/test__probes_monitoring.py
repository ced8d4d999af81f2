# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import urllib.parse

import pytest
from servers import Reply, Website, as_json

from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_limits import Limits
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_monitoring import (
    AlertsProbe,
    PrometheusProbe,
    Service,
)

UP = {"metric": {"__name__": "up", "job": "chom", "instance": "a"}, "value": [1.5, "1"]}
DOWN = {"metric": {"__name__": "up", "job": "chom", "instance": "b"}, "value": [1.5, "0"]}
QUERY = 'up{job="chom"}'


def vector(*series: dict[str, t.Any]) -> Reply:
    return as_json({"status": "success", "data": {"resultType": "vector", "result": list(series)}})


@pytest.fixture
def site() -> t.Iterator[Website]:
    website = Website()
    yield website
    website.close()


def prometheus(site: Website, reply: Reply, limits: Limits) -> dict[str, t.Any]:
    site.site = lambda _asked: reply
    return PrometheusProbe(Service(f"{site.url}/"), QUERY, limits)(5)


@pytest.mark.requirement("D-090", "CHOM-7.4-01")
def test_a_query_arrives_as_it_was_written(site: Website) -> None:
    values = prometheus(site, vector(UP), Limits(expected="1"))
    assert values["results"] == [{"labels": 'up{instance="a",job="chom"}', "value": "1"}]
    address = urllib.parse.urlsplit(site.asked[0].target)
    assert (address.path, urllib.parse.parse_qs(address.query)) == ("/api/v1/query", {"query": [QUERY]})


@pytest.mark.requirement("D-090")
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(vector(), "the query gave no result, so there is no data", id="no result"),
        pytest.param(vector(UP, DOWN), r'up\{instance="b",job="chom"\} is .0., expected .1.', id="one of two is down"),
        pytest.param(Reply("bad query", 400), "/api/v1/query gave status 400: bad query", id="error"),
        pytest.param(Reply("<html>"), "/api/v1/query did not give JSON", id="not JSON"),
        pytest.param(as_json([]), "the answer is not that of Prometheus", id="something else"),
        pytest.param(as_json({"status": "success", "data": {"resultType": "matrix", "result": []}}), "gives a matrix", id="matrix"),
    ],
)
def test_what_does_not_say_up_is_a_failure(site: Website, reply: Reply, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        prometheus(site, reply, Limits(expected="1"))


def test_a_single_number_is_a_result(site: Website) -> None:
    scalar = as_json({"status": "success", "data": {"resultType": "scalar", "result": [1.5, "3"]}})
    assert prometheus(site, scalar, Limits(maximum=3))["results"] == [{"labels": "scalar", "value": "3"}]


@pytest.mark.requirement("D-089", "CHOM-7.4-03")
def test_asks_for_alerts_that_fire(site: Website) -> None:
    site.site = lambda _asked: as_json([])
    assert AlertsProbe(Service(site.url), ['job="chom"'], 0)(5) == {"alerts": []}
    address = urllib.parse.urlsplit(site.asked[0].target)
    query = urllib.parse.parse_qs(address.query)
    assert address.path == "/api/v2/alerts"
    assert (query["active"], query["silenced"], query["filter"]) == (["true"], ["false"], ['job="chom"'])


@pytest.mark.requirement("D-089")
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(
            as_json([{"labels": {"alertname": "SiteDown"}}, {"labels": {}}]),
            "2 alerts fire, expected at most 0: SiteDown, unnamed",
            id="firing",
        ),
        pytest.param(Reply("gone", 410), "/api/v2/alerts gave status 410", id="removed interface"),
        pytest.param(as_json({"data": []}), "the answer is not that of Alertmanager", id="something else"),
    ],
)
def test_alerts_and_missing_answers_are_failures(site: Website, reply: Reply, message: str) -> None:
    site.site = lambda _asked: reply
    with pytest.raises(ProbeError, match=message):
        AlertsProbe(Service(site.url), [], 0)(5)
