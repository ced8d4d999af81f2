# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_http_rules as rules
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_client import Response
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_rules import Expectations

READY = {"status": "ok", "checks": {"database": True, "lag": 1.5}, "nodes": [{"id": 7}], "count": 3, "none": None}


def response(body: t.Any = "", status: int = 200, headers: t.Sequence[tuple[str, str]] = (), seconds: float = 0.1) -> Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, headers, text.encode(), seconds)


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(Expectations(json={"status": "ok"}), id="value"),
        pytest.param(Expectations(json={"checks.database": True}), id="dotted path"),
        pytest.param(Expectations(json={"nodes.0.id": 7}), id="list entry"),
        pytest.param(Expectations(json={"count": "3", "checks.lag": "1.5"}), id="numbers given as text"),
        pytest.param(Expectations(json={"none": None}), id="null"),
        pytest.param(Expectations(json={"nodes": [{"id": 7}]}), id="whole structure"),
        pytest.param(Expectations(contains=["status", '"ok"'], lacks=["error"]), id="texts"),
        pytest.param(Expectations(maximum_seconds=0.2), id="fast enough"),
        pytest.param(Expectations(status=(200, 204)), id="one of several"),
        pytest.param(Expectations(headers={"x-app-version": ["v1.2.3", "1.2.3"]}), id="header"),
    ],
)
def test_accepts(expected: Expectations) -> None:
    assert rules.fault(response(READY, headers=[("X-App-Version", "1.2.3")]), expected) is None


@pytest.mark.requirement("D-083")
@pytest.mark.parametrize(
    ("answer", "expected", "fault"),
    [
        pytest.param(response(status=500), Expectations(), "status 500, expected 200", id="status"),
        pytest.param(
            response(status=302, headers=[("Location", "https://x/login?token=abc")]),
            Expectations(status=(200, 204)),
            "status 302 to /login, expected 200 or 204",
            id="redirect without its query",
        ),
        pytest.param(
            response("<html>", headers=[("Content-Type", "text/html")]),
            Expectations(json={"status": "ok"}),
            "the answer is not JSON (Content-Type text/html)",
            id="not JSON",
        ),
        pytest.param(
            response({"status": "failed"}),
            Expectations(json={"status": "ok"}),
            'JSON status is "failed", expected "ok"',
            id="other value",
        ),
        pytest.param(response({}), Expectations(json={"a.b": 1}), "JSON a.b is missing, expected 1", id="missing in JSON"),
        pytest.param(response({"up": 1}), Expectations(json={"up": True}), "JSON up is 1, expected true", id="1 is not true"),
        pytest.param(response({"up": "1"}), Expectations(json={"up": 1}), 'JSON up is "1", expected 1', id="text is not a number"),
        pytest.param(
            response("hello"),
            Expectations(contains=["csrf"]),
            'the answer (5 characters) does not contain "csrf"',
            id="text missing",
        ),
        pytest.param(response("Whoops"), Expectations(lacks=["Whoops"]), 'the answer contains "Whoops"', id="unwanted text"),
        pytest.param(
            response(seconds=1.0),
            Expectations(maximum_seconds=1),
            "answered after 1.000 s, expected less than 1 s",
            id="too slow",
        ),
        pytest.param(
            response(),
            Expectations(headers={"X-App-Version": ["1.2.3"]}),
            "header X-App-Version is missing, expected 1.2.3",
            id="no header",
        ),
        pytest.param(
            response(headers=[("X-App-Version", "1.2.30")]),
            Expectations(headers={"X-App-Version": ["1.2.3", "v1.2.3"]}),
            "header X-App-Version is 1.2.30, expected 1.2.3 or v1.2.3",
            id="other version",
        ),
    ],
)
def test_says_what_is_wrong(answer: Response, expected: Expectations, fault: str) -> None:
    assert rules.fault(answer, expected) == fault


@pytest.mark.parametrize(
    ("template", "quoted", "filled"),
    [
        pytest.param("/users/{id}", True, "/users/a%2Fb", id="quoted for an address"),
        pytest.param("{id}", False, "a/b", id="plain for a body"),
        pytest.param({"a": ["{id}", 5, None]}, False, {"a": ["a/b", 5, None]}, id="nested"),
        pytest.param('{"id": "{id}"}', False, '{"id": "a/b"}', id="JSON text keeps its own braces"),
        pytest.param("{other}", False, "{other}", id="unknown names stay"),
    ],
)
def test_fills_places(template: t.Any, quoted: bool, filled: t.Any) -> None:
    assert rules.fill(template, {"id": "a/b"}, quoted=quoted) == filled


def test_finds_places_and_their_words() -> None:
    names = rules.places({"url": "/a/{nodes.0.id}/{status}", "list": ["{checks}", "{none}", "{gone}"], "number": 1})
    assert names == {"nodes.0.id", "status", "checks", "none", "gone"}
    assert rules.words_from(READY, names) == {"nodes.0.id": "7", "status": "ok"}
