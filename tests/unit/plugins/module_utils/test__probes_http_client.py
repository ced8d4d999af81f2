# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import shutil
import ssl
import subprocess
import typing as t

import pytest
from servers import RawServer, Reply, Website, closed_port

from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_client import (
    Request,
    Route,
    check_url,
    send,
)


@pytest.fixture
def serve() -> t.Iterator[t.Callable[..., t.Any]]:
    running: list[t.Any] = []

    def start(server: t.Any) -> t.Any:
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


def test_reads_status_headers_and_body(serve: t.Any) -> None:
    site = serve(Website(Reply("hello", 201, {"X-App-Version": "1.2.3"})))
    response = send(Request("GET", f"{site.url}/a?b=c#d"), Route(), 5)
    assert (response.status, response.text, response.all("x-app-version")) == (201, "hello", ["1.2.3"])
    assert 0 < response.seconds < 5
    assert (site.asked[0].method, site.asked[0].target) == ("GET", "/a?b=c")


@pytest.mark.requirement("D-100")
def test_asks_a_virtual_host_on_the_machine_itself(serve: t.Any) -> None:
    site = serve(Website())
    send(Request("GET", "http://chom.test/"), Route(connect_to=f"127.0.0.1:{site.port}"), 5)
    assert site.asked[0].headers["Host"] == "chom.test"


def test_a_host_header_can_be_given(serve: t.Any) -> None:
    site = serve(Website())
    send(Request("GET", site.url, {"host": "other.test"}), Route(), 5)
    assert site.asked[0].headers["host"] == "other.test"
    assert "Host" not in site.asked[0].headers


def test_ignores_proxies_in_the_environment(serve: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = serve(Website())
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    assert send(Request("GET", site.url), Route(), 5).status == 200


def test_does_not_follow_redirects(serve: t.Any) -> None:
    site = serve(Website(Reply("", 302, {"Location": "/login"})))
    assert send(Request("GET", site.url), Route(), 5).status == 302
    assert len(site.asked) == 1


def test_sends_a_body(serve: t.Any) -> None:
    site = serve(Website())
    send(Request("POST", site.url, {"Content-Type": "text/plain"}, "grüße".encode()), Route(), 5)
    assert (site.asked[0].method, site.asked[0].body) == ("POST", "grüße")


def test_a_head_answer_has_no_body(serve: t.Any) -> None:
    site = serve(Website(Reply("hello")))
    assert send(Request("HEAD", site.url), Route(), 5).body == b""


@pytest.mark.requirement("D-094")
@pytest.mark.parametrize(
    ("server", "seconds", "text"),
    [
        pytest.param(lambda: Website(Reply(delay=1)), 0.1, r"no answer within 0\.1 s", id="slow answer"),
        pytest.param(lambda: Website(Reply("ab", announced=10)), 5, "the answer broke off after 2 of 10 bytes", id="cut off"),
        pytest.param(lambda: RawServer(b"SSH-2.0-x\r\n"), 5, "no proper HTTP answer: BadStatusLine", id="not HTTP"),
        pytest.param(lambda: RawServer(b""), 5, "remote end closed connection without response", id="closed at once"),
    ],
)
def test_a_bad_answer_is_a_failure(serve: t.Any, server: t.Any, seconds: float, text: str) -> None:
    port = serve(server()).port
    with pytest.raises(ProbeError, match=text):
        send(Request("GET", f"http://127.0.0.1:{port}/"), Route(), seconds)


def test_nobody_listening_is_a_failure() -> None:
    port = closed_port()
    with pytest.raises(ProbeError, match=f"127.0.0.1:{port}: connection refused"):
        send(Request("GET", f"http://127.0.0.1:{port}/"), Route(), 5)


def test_an_unknown_host_is_a_failure() -> None:
    with pytest.raises(ProbeError, match=r"nowhere\.invalid:80: "):
        send(Request("GET", "http://nowhere.invalid/"), Route(), 5)


def test_an_answer_that_drips_ends_in_time(serve: t.Any) -> None:
    site = serve(RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", b"x"))
    with pytest.raises(ProbeError, match=r"no answer within 0\.2 s"):
        send(Request("GET", f"http://127.0.0.1:{site.port}/"), Route(), 0.2)


@pytest.mark.parametrize("url", ["", "/path", "ftp://x/", "http://", "http://user:pw@x/", "http://x:port/"])
def test_refuses_addresses_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_url(url)


@pytest.fixture
def secure_site(tmp_path: pathlib.Path) -> t.Iterator[Website]:
    """A site whose certificate, for chom.test, nobody knows."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-subj", "/CN=chom.test", "-days", "1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    website = Website(tls=context)
    yield website
    website.close()


def test_asks_encrypted_pages(secure_site: Website) -> None:
    route = Route(f"127.0.0.1:{secure_site.port}", verify_tls=False)
    assert send(Request("GET", "https://chom.test/"), route, 5).status == 200


def test_a_certificate_that_is_not_valid_is_a_failure(secure_site: Website) -> None:
    with pytest.raises(ProbeError, match="certificate verify failed"):
        send(Request("GET", "https://chom.test/"), Route(f"127.0.0.1:{secure_site.port}"), 5)


def test_a_site_without_encryption_is_a_failure(serve: t.Any) -> None:
    site = serve(Website())
    with pytest.raises(ProbeError, match=f"127.0.0.1:{site.port}: "):
        send(Request("GET", f"https://127.0.0.1:{site.port}/"), Route(verify_tls=False), 2)
