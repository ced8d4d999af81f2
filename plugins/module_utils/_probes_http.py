# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import json
import re
import statistics
import time
import typing as t
import urllib.parse
import uuid
from dataclasses import dataclass, field, replace

from . import _probes_http_rules as rules
from ._probes import ProbeError
from ._probes_http_client import Request, Response, Route, check_url, send

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_LARAVEL_TOKEN = r'name="_token"[^>]*\bvalue="([^"]+)"'


@dataclass(frozen=True)
class Draft:
    """A request whose texts may still hold {places}."""

    method: str
    url: str
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: t.Any = None
    form: t.Mapping[str, t.Any] | None = None

    @property
    def places(self) -> set[str]:
        parts = (self.url, dict(self.headers), self.body, dict(self.form or {}))
        return set().union(*(rules.places(part) for part in parts))

    def request(self, words: t.Mapping[str, str], cookies: t.Mapping[str, str]) -> Request:
        headers = rules.fill(dict(self.headers), words)
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        url = rules.fill(self.url, words, quoted=True)
        if self.form is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            return Request(self.method, url, headers, urllib.parse.urlencode(rules.fill(dict(self.form), words)).encode())
        if self.body is None:
            return Request(self.method, url, headers, None)
        body = rules.fill(self.body, words)
        if not isinstance(body, str):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        return Request(self.method, url, headers, body.encode())


@dataclass(frozen=True)
class Page:
    """An HTTP probe: a request, what its answer must be, and how to undo what it wrote."""

    draft: Draft
    expected: rules.Expectations
    route: Route = field(default_factory=Route)
    cookies: t.Mapping[str, str] = field(default_factory=dict)
    samples: int = 1
    timeout: float = 5.0
    follow_redirects: bool = False
    token: tuple[Draft, str] | None = None
    cleanup: tuple[Draft, t.Sequence[int]] | None = None


class PageProbe:
    """Asks a page; remembers how long its answers took."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._latencies: list[float] = []

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        values: dict[str, t.Any] = {}
        ends = time.monotonic() + seconds
        for _sample in range(self._page.samples):
            response, problem, final = _Visit(self._page, min(self._page.timeout, ends - time.monotonic())).run()
            values = {"status": response.status, **self._measured(response, problem)}
            if problem is not None:
                raise ProbeError(problem, values, final=final)
        return values

    def _measured(self, response: Response, problem: str | None) -> dict[str, t.Any]:
        """Latencies and the asked-for headers; a failure is not a sample, but a late good answer is one."""
        if response.status in self._page.expected.status:
            self._latencies.append(response.seconds)
        measured: dict[str, t.Any] = {"samples": len(self._latencies)}
        if self._latencies:
            measured["minimum_seconds"] = round(min(self._latencies), 4)
            measured["median_seconds"] = round(statistics.median(self._latencies), 4)
            measured["maximum_seconds"] = round(max(self._latencies), 4)
        if self._page.expected.headers:
            measured["headers"] = {name: ", ".join(response.all(name)) for name in self._page.expected.headers}
        return measured


class _Visit:
    """One pass through a page: fetch the token, ask, judge, clean up."""

    def __init__(self, page: Page, seconds: float) -> None:
        self._page = page
        self._ends = time.monotonic() + seconds
        self._cookies = dict(page.cookies)
        self._words = {"unique": f"lastgood-{uuid.uuid4().hex[:16]}"}

    def run(self) -> tuple[Response, str | None, bool]:
        """The answer, what is wrong with it, and whether trying again would do harm."""
        if self._page.token:
            self._fetch_token(*self._page.token)
        try:
            response = self._follow(self._send(self._page.draft))
        except ProbeError:
            self._clean_up(None)  # a request without an answer may have written all the same
            raise
        problem = rules.fault(response, self._page.expected)
        leftover = self._clean_up(response)
        if problem is None and leftover:
            return response, leftover, True
        if leftover and (response.status < 300 or response.status >= 500):
            return response, f"{problem}; {leftover}", False
        return response, problem, False

    def _follow(self, response: Response) -> Response:
        """The answer at the end of a chain of redirects, when they are to be followed; its seconds are those of all."""
        url, spent = rules.fill(self._page.draft.url, self._words, quoted=True), response.seconds
        for _hop in range(_MOST_REDIRECTS):
            location = response.all("Location")
            if not self._page.follow_redirects or not location or response.status not in _REDIRECTS:
                return response
            host, url = urllib.parse.urlsplit(url).hostname, urllib.parse.urljoin(url, location[0])
            if urllib.parse.urlsplit(url).hostname != host:  # it must not see headers and cookies that are not for it
                raise ProbeError(f"redirected away from {host}")
            response = self._send(Draft("GET", url, self._page.draft.headers))
            spent += response.seconds
            response = replace(response, seconds=spent)
        raise ProbeError(f"more than {_MOST_REDIRECTS} redirects")

    def _send(self, draft: Draft) -> Response:
        response = send(draft.request(self._words, self._cookies), self._page.route, self._ends - time.monotonic())
        for cookie in response.all("Set-Cookie"):
            name, _equals, value = cookie.partition(";")[0].strip().partition("=")
            self._cookies[name] = value
        return response

    def _fetch_token(self, draft: Draft, pattern: str) -> None:
        response = self._send(draft)
        found = re.search(pattern, response.text)
        if response.status != 200 or not found:
            raise ProbeError(f"no token found: {draft.method} {_path(draft.url)} gave status {response.status}")
        self._words["token"] = found.group(1)

    def _clean_up(self, response: Response | None) -> str | None:
        """Remove what was written; what went wrong with that, or None."""
        if self._page.cleanup is None:
            return None
        draft, accepted = self._page.cleanup
        mark = self._words["unique"]
        if response is not None:
            self._words.update(rules.words_from(rules.document_of(response), draft.places - set(self._words)))
        missing = sorted(draft.places - set(self._words))
        if missing:
            return f"{mark} was not removed again: the answer has no {', '.join(missing)}"
        try:
            status = self._send(draft).status
        except ProbeError as failed:
            return f"{mark} was not removed again: {failed}"
        return None if status in accepted else f"{mark} was not removed again: status {status}"


def _path(url: str) -> str:
    return urllib.parse.urlsplit(url).path or "/"


def page_from(
    options: t.Mapping[str, t.Any],
    base_url: str | None,
    route: Route,
    cookie: t.Mapping[str, str],
    timeout: float,
) -> Page:
    """A page from the options of one probe; raises ValueError for what cannot be meant."""
    draft = _draft(options, base_url)
    token, cleanup = options.get("token"), options.get("cleanup")
    return Page(
        draft=draft,
        expected=rules.Expectations(
            status=options.get("status") or (200,),
            headers={name: _as_list(value) for name, value in (options.get("response_headers") or {}).items()},
            json=options.get("json") or {},
            contains=options.get("contains") or (),
            lacks=options.get("lacks") or (),
            maximum_seconds=options.get("maximum_seconds"),
        ),
        route=route,
        cookies=cookie,
        samples=options.get("samples") or 1,
        timeout=timeout,
        follow_redirects=bool(options.get("follow_redirects")),
        token=(_draft(token, draft.url), token.get("pattern") or _LARAVEL_TOKEN) if token else None,
        cleanup=(_draft(cleanup, draft.url), cleanup["status"]) if cleanup else None,
    )


def _draft(options: t.Mapping[str, t.Any], base_url: str | None) -> Draft:
    url = options.get("url") or urllib.parse.urljoin(base_url or "", options.get("path") or "")
    check_url(url)
    return Draft(
        method=(options.get("method") or "GET").upper(),
        url=url,
        headers={name: str(value) for name, value in (options.get("headers") or {}).items()},
        body=options.get("body"),
        form=options.get("form"),
    )


def _as_list(value: t.Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else [str(value)]
