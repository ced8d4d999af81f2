# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to PHP-FPM itself."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from fpm import END, FakeFpm, record
from local_runner import Local, install
from servers import Reply, closed_port

from ansible_collections.lastgood.rollback.plugins.module_utils._fastcgi import Entry, Unanswered, exchange_with
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_client import Request, Response, Route, send

PUBLIC = "/srv/shop/releases/10/public"


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    return install(monkeypatch)


@pytest.fixture
def fpm(tmp_path: pathlib.Path) -> t.Iterator[FakeFpm]:
    server = FakeFpm(tmp_path / "fpm.sock")
    yield server
    server.close()


def ask(address: str, local: Local, request: Request | None = None, *, user: str | None = None, seconds: float = 5) -> Response:
    entry = Entry(exchange_with(local.runner(None), address, user), PUBLIC)
    return send(request or Request("GET", "http://shop.test/"), Route(entry=entry), seconds)


def test_asks_as_nginx_would_for_that_folder(fpm: FakeFpm, local: Local) -> None:
    ask(fpm.address, local, Request("GET", "https://shop.test/a%20b?c=d&e", {"X-Tenant": "one"}))
    asked = fpm.asked[0]
    assert (asked["SCRIPT_FILENAME"], asked["DOCUMENT_ROOT"], asked["SCRIPT_NAME"]) == (f"{PUBLIC}/index.php", PUBLIC, "/index.php")
    assert (asked["REQUEST_METHOD"], asked["REQUEST_URI"], asked["QUERY_STRING"]) == ("GET", "/a%20b?c=d&e", "c=d&e")
    assert (asked["HTTP_HOST"], asked["SERVER_NAME"], asked["SERVER_PORT"], asked["HTTPS"]) == ("shop.test", "shop.test", "443", "on")
    assert asked["HTTP_X_TENANT"] == "one"
    assert asked["REDIRECT_STATUS"] == "200", "PHP refuses without it when it was built so"


def test_plain_http_is_not_called_secure(fpm: FakeFpm, local: Local) -> None:
    ask(fpm.address, local)
    assert "HTTPS" not in fpm.asked[0]
    assert (fpm.asked[0]["REQUEST_SCHEME"], fpm.asked[0]["SERVER_PORT"]) == ("http", "80")


def test_reads_the_answer_without_what_php_says_beside_it(fpm: FakeFpm, local: Local) -> None:
    fpm.answering = lambda _asked: Reply("grüße " * 20000, 503, {"X-App-Version": "1.2.3"})
    found = ask(fpm.address, local)
    assert (found.status, found.all("x-app-version"), found.text) == (503, ["1.2.3"], "grüße " * 20000)
    assert found.seconds > 0


def test_an_answer_without_a_status_is_good(fpm: FakeFpm, local: Local) -> None:
    assert ask(fpm.address, local).status == 200


def test_sends_long_values_and_bodies_whole(fpm: FakeFpm, local: Local) -> None:
    body = os.urandom(150_000)
    ask(fpm.address, local, Request("POST", "http://shop.test/", {"Content-Type": "text/plain", "Cookie": "c" * 300}, body))
    assert fpm.bodies == [body]
    assert (fpm.asked[0]["CONTENT_LENGTH"], fpm.asked[0]["CONTENT_TYPE"]) == ("150000", "text/plain")
    assert fpm.asked[0]["HTTP_COOKIE"] == "c" * 300


def test_asks_a_host_and_a_port(local: Local) -> None:
    server = FakeFpm()
    assert ask(server.address, local).status == 200
    server.close()


def test_asks_as_another_user_where_only_that_one_may(fpm: FakeFpm, local: Local) -> None:
    fpm.answering = lambda _asked: Reply(b"\xff\x00\xfe".decode("utf-8", "surrogateescape"))
    local.me = "deploy"
    assert ask(fpm.address, local, user="www-data").body == b"\xff\x00\xfe"
    assert local.lines() == ["attendant www-data"]


@pytest.mark.parametrize("user", [None, "www-data"])
def test_nobody_there_is_no_answer(local: Local, tmp_path: pathlib.Path, user: str | None) -> None:
    local.me = "deploy"
    with pytest.raises(Unanswered, match=r"PHP-FPM at .*none.sock.*: no such file or directory"):
        ask(str(tmp_path / "none.sock"), local, user=user)


def test_a_closed_port_is_no_answer(local: Local) -> None:
    with pytest.raises(Unanswered, match="connection refused"):
        ask(f"127.0.0.1:{closed_port()}", local)


@pytest.mark.parametrize("user", [None, "www-data"])
def test_silence_is_no_answer(fpm: FakeFpm, local: Local, user: str | None) -> None:
    local.me = "deploy"
    fpm.answering = lambda _asked: Reply(delay=5)
    with pytest.raises(Unanswered, match=r"no answer within|timed out"):
        ask(fpm.address, local, user=user, seconds=0.2)


@pytest.mark.parametrize(
    ("came", "kind", "words"),
    [
        (b"", Unanswered, "ended the connection without an answer"),
        (record(3, b"\x00\x00\x00\x00\x02\x00\x00\x00"), Unanswered, "refused the question"),
        (record(6, b"Status: 200 OK\r\n\r\nhalf"), ProbeError, "broke off"),
        (record(6, b"nonsense") + END, ProbeError, "no proper answer"),
        (record(6, b"Status: abc\r\n\r\n") + END, ProbeError, "no proper answer"),
        (record(6, b"Status: 200 OK\r\n\r\nwhole") + END[:9], ProbeError, "broke off"),
    ],
    ids=["nothing", "overloaded", "cut off", "no headers", "no status", "cut off at its end"],
)
def test_what_is_no_answer_is_not_taken_for_one(fpm: FakeFpm, local: Local, came: bytes, kind: type[Exception], words: str) -> None:
    fpm.answering = lambda _asked: came
    with pytest.raises(ProbeError, match=words) as raised:
        ask(fpm.address, local)
    assert isinstance(raised.value, Unanswered) == (kind is Unanswered)
