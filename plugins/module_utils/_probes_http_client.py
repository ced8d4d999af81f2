# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# One HTTP request, sent where it is told to be sent: no proxies, no redirects, no retries.

from __future__ import annotations

import socket
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ._probes import ProbeError, one_line, reason

if t.TYPE_CHECKING:
    import http.client

    from ._fastcgi import Entry

_LARGEST_BODY = 2 * 1024 * 1024
_SCHEMES = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Response:
    status: int
    headers: t.Sequence[tuple[str, str]]
    body: bytes
    seconds: float

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Route:
    """How to get there: connect_to replaces the address that the URL's host stands for, entry the web server."""

    connect_to: str | None = None
    verify_tls: bool = True
    entry: Entry | None = None


def check_url(url: str) -> None:
    """Raise ValueError unless the URL can be asked."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https address")
    if parts.username or parts.password:
        raise ValueError("an address must not hold a user name or password; use headers")
    if parts.port == 0:
        raise ValueError(f"{url!r} has no port that one can connect to")


def send(request: Request, route: Route, seconds: float) -> Response:
    """Send a request and read its answer, all within the seconds given."""
    if route.entry is not None:
        return route.entry.send(request, seconds)
    import http.client  # costs a fifth of a module's start: only who asks pages pays for it

    parts = urllib.parse.urlsplit(request.url)
    address = _address(parts, route)
    started = time.monotonic()
    ends = started + seconds
    connection: http.client.HTTPConnection | None = None
    try:
        channel = _connect(parts, address, route, ends)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.sock = channel
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(request.method, target, body=request.body, headers=_headers(request, parts))
        answer = connection.getresponse()
        body = _read(answer, channel, ends)
        return Response(answer.status, answer.getheaders(), body, time.monotonic() - started)
    except OSError as error:
        raise ProbeError(f"{address[0]}:{address[1]}: {reason(error, seconds)}") from error
    except http.client.HTTPException as error:
        raise ProbeError(f"no proper HTTP answer: {type(error).__name__} {one_line(str(error), 80)}".strip()) from error
    finally:
        if connection is not None:
            connection.close()


def _address(parts: urllib.parse.SplitResult, route: Route) -> tuple[str, int]:
    port = parts.port or _SCHEMES[parts.scheme]
    if not route.connect_to:
        return parts.hostname or "", port
    other = urllib.parse.urlsplit(f"//{route.connect_to}")
    return other.hostname or route.connect_to, other.port or port


def _connect(parts: urllib.parse.SplitResult, address: tuple[str, int], route: Route, ends: float) -> socket.socket:
    channel = socket.create_connection(address, timeout=_left(ends))
    if parts.scheme == "http":
        return channel
    import ssl

    context = ssl.create_default_context()
    if not route.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        channel.settimeout(_left(ends))
        return context.wrap_socket(channel, server_hostname=parts.hostname)
    except OSError:
        channel.close()
        raise


def _headers(request: Request, parts: urllib.parse.SplitResult) -> dict[str, str]:
    given = {name.lower() for name in request.headers}
    usual = {"Host": parts.netloc, "User-Agent": "lastgood-health-gate", "Accept": "*/*", "Connection": "close"}
    return {**{name: value for name, value in usual.items() if name.lower() not in given}, **request.headers}


def _read(answer: http.client.HTTPResponse, channel: socket.socket, ends: float) -> bytes:
    expected = answer.length  # None when the end of the connection ends the body
    wanted = _LARGEST_BODY if expected is None else min(expected, _LARGEST_BODY)
    body = b""
    while len(body) < wanted:
        channel.settimeout(_left(ends))
        chunk = answer.read1(min(65536, wanted - len(body)))
        if not chunk:
            break
        body += chunk
    if expected is not None and len(body) < wanted:
        raise ProbeError(f"the answer broke off after {len(body)} of {expected} bytes")
    return body


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
