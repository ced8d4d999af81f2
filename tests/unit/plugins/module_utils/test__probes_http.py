# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import typing as t

import pytest
from servers import Asked, Reply, Website, as_json

from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http import PageProbe, page_from
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_client import Route


class Accounts:
    """An application where one can sign up and be removed again."""

    def __init__(self) -> None:
        self.users: dict[int, str] = {}
        self.number = 41
        self.refuses_removal = False
        self.status = 201

    def __call__(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            headers = {"Set-Cookie": "session=s1; Path=/; HttpOnly"}
            return Reply('<input type="hidden" name="_token" value="t0k">', 200, headers)
        if asked.method == "POST":
            self.number += 1
            self.users[self.number] = asked.body
            return as_json({"user": {"id": self.number}}, self.status)
        if self.refuses_removal:
            return Reply("no", 403)
        return Reply("", 204 if self.users.pop(int(asked.target.rsplit("/", 1)[1]), None) else 404)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def site(accounts: Accounts) -> t.Iterator[Website]:
    website = Website(accounts)
    yield website
    website.close()


def probe(site: Website, cookies: dict[str, str] | None = None, **options: t.Any) -> PageProbe:
    return PageProbe(page_from({"path": "/", **options}, site.url, Route(), cookies or {}, 5))


def sign_up(site: Website, **options: t.Any) -> PageProbe:
    cleanup = {"path": "/users/{user.id}", "method": "DELETE", "status": [204]}
    given = {"method": "POST", "path": "/users", "status": [201], "body": {"mail": "{unique}@probe.invalid"}}
    return probe(site, **{**given, "cleanup": cleanup, **options})


@pytest.mark.requirement("D-097")
def test_a_write_is_unique_and_removed_again(site: Website, accounts: Accounts) -> None:
    ask = sign_up(site)
    assert ask(5)["status"] == 201
    assert ask(5)["status"] == 201
    assert accounts.users == {}
    first, removal, second, _removal = site.asked
    assert re.fullmatch(r"lastgood-[0-9a-f]{16}@probe\.invalid", json.loads(first.body)["mail"])
    assert first.body != second.body
    assert first.headers["Content-Type"] == "application/json"
    assert (removal.method, removal.target) == ("DELETE", "/users/42")


def test_a_wrong_answer_is_cleaned_up_too(site: Website, accounts: Accounts) -> None:
    accounts.status = 200
    with pytest.raises(ProbeError, match="status 200, expected 201") as caught:
        sign_up(site)(5)
    assert accounts.users == {}
    assert not caught.value.final


def test_what_a_broken_server_may_have_written_is_said(site: Website, accounts: Accounts) -> None:
    site.site = lambda _asked: Reply("Server Error", 500)
    with pytest.raises(ProbeError, match=r"status 500, expected 201; lastgood-\w+ was not removed again: .* no user\.id"):
        sign_up(site)(5)


def test_a_refused_write_left_nothing(site: Website) -> None:
    site.site = lambda _asked: as_json({"message": "invalid"}, 422)
    with pytest.raises(ProbeError) as caught:
        sign_up(site)(5)
    assert str(caught.value) == "status 422, expected 201"


def test_a_failed_cleanup_is_final_and_names_what_is_left(site: Website, accounts: Accounts) -> None:
    accounts.refuses_removal = True
    with pytest.raises(ProbeError, match=r"lastgood-\w+ was not removed again: status 403") as caught:
        sign_up(site)(5)
    assert caught.value.final


def test_a_cleanup_without_its_words_is_final(site: Website, accounts: Accounts) -> None:
    with pytest.raises(ProbeError, match=r"not removed again: the answer has no data\.id") as caught:
        sign_up(site, cleanup={"path": "/users/{data.id}", "method": "DELETE", "status": [204]})(5)
    assert caught.value.final


def test_a_write_without_an_answer_is_cleaned_up_by_its_mark(site: Website) -> None:
    site.site = lambda asked: Reply("", 200, delay=0.0) if asked.method == "DELETE" else Reply(announced=99)
    cleanup = {"path": "/marks/{unique}", "method": "DELETE", "status": [200]}
    with pytest.raises(ProbeError, match="broke off"):
        sign_up(site, cleanup=cleanup)(5)
    assert re.fullmatch(r"/marks/lastgood-\w+", site.asked[-1].target)


def test_a_form_is_sent_with_its_token_and_cookies(site: Website) -> None:
    form = {"_token": "{token}", "name": "a b&c"}
    options = {"method": "POST", "path": "/users", "status": [201], "form": form, "token": {"path": "/register"}}
    probe(site, {"laravel_maintenance": "pass"}, **options)(5)
    page, post = site.asked
    assert (page.target, page.headers["Cookie"]) == ("/register", "laravel_maintenance=pass")
    assert (post.body, post.headers["Cookie"]) == ("_token=t0k&name=a+b%26c", "laravel_maintenance=pass; session=s1")


def test_a_page_without_a_token_is_a_failure(site: Website) -> None:
    with pytest.raises(ProbeError, match="no token found: GET /register gave status 200"):
        sign_up(site, token={"path": "/register", "pattern": "nothing like that"})(5)


@pytest.mark.requirement("CHOM-7.3-01", "D-094")
def test_every_one_of_the_samples_must_be_fast(site: Website) -> None:
    delays = [0.0, 0.0, 0.3, 0.0]
    site.site = lambda _asked: Reply(delay=delays.pop(0))
    with pytest.raises(ProbeError, match=r"answered after 0\.3\d+ s, expected less than 0\.2 s") as caught:
        probe(site, samples=4, maximum_seconds=0.2)(10)
    assert caught.value.values["samples"] == 3
    assert caught.value.values["maximum_seconds"] > 0.3 > 0.2 > caught.value.values["median_seconds"]


def test_samples_share_the_time_that_is_left(site: Website) -> None:
    site.site = lambda _asked: Reply(delay=0.15)
    with pytest.raises(ProbeError, match=r"no answer within 0\.\d+ s"):
        probe(site, samples=3)(0.4)
    assert len(site.asked) == 3


def test_a_failure_is_not_a_sample(site: Website) -> None:
    replies = [Reply(), Reply(status=500), Reply()]
    site.site = lambda _asked: replies.pop(0)
    ask = probe(site)
    assert ask(5)["samples"] == 1
    with pytest.raises(ProbeError):
        ask(5)
    assert ask(5)["samples"] == 2


@pytest.mark.requirement("D-101")
def test_the_version_that_answered_is_a_value(site: Website) -> None:
    site.site = lambda _asked: Reply(headers={"X-App-Version": "1.2.4"})
    with pytest.raises(ProbeError, match=r"header X-App-Version is 1\.2\.4, expected 1\.2\.3") as caught:
        probe(site, response_headers={"X-App-Version": "1.2.3"})(5)
    assert caught.value.values["headers"] == {"X-App-Version": "1.2.4"}


def test_redirects_are_followed_only_when_told(site: Website) -> None:
    site.site = lambda asked: Reply("end") if asked.target == "/end?x=1" else Reply("", 302, {"Location": "/end?x=1"})
    with pytest.raises(ProbeError, match="status 302 to /end, expected 200"):
        probe(site, contains=["end"])(5)
    assert probe(site, contains=["end"], follow_redirects=True)(5)["status"] == 200


@pytest.mark.parametrize(
    ("location", "message"),
    [("/", "more than 5 redirects"), ("https://other.test/", r"redirected away from 127\.0\.0\.1"), ("x:y", "away from")],
)
def test_redirects_that_lead_nowhere_are_failures(site: Website, location: str, message: str) -> None:
    site.site = lambda _asked: Reply("", 302, {"Location": location})
    with pytest.raises(ProbeError, match=message):
        probe(site, follow_redirects=True)(5)


@pytest.mark.parametrize(
    ("options", "target"),
    [
        pytest.param({"path": "/health/ready"}, "/health/ready", id="path"),
        pytest.param({"path": "health?a=b"}, "/health?a=b", id="relative path"),
        pytest.param({"path": None}, "/", id="nothing but the base"),
    ],
)
def test_paths_count_from_the_base(site: Website, options: dict[str, t.Any], target: str) -> None:
    probe(site, **options)(5)
    assert site.asked[0].target == target


def test_a_path_without_a_base_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an http or https address"):
        page_from({"path": "/"}, None, Route(), {}, 5)
