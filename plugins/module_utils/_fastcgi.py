# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A question that goes to PHP-FPM itself, as the web server would ask it for a folder that it does not serve.

from __future__ import annotations

import os
import socket
import struct
import time
import typing as t
import urllib.parse
from dataclasses import dataclass

from ._errors import RollbackError
from ._probes import ProbeError, one_line, reason
from ._probes_http_client import Request, Response

if t.TYPE_CHECKING:
    from ._command import Runner

_VERSION = 1
_BEGIN, _END, _PARAMETERS, _INPUT, _OUTPUT = 1, 3, 4, 5, 6
_RESPONDER = 1
_COMPLETE = 0
_HEADER = struct.Struct(">BBHHBx")
_LARGEST_RECORD = 65535
_LARGEST_ANSWER = 4 * 1024 * 1024
_SCRIPT = "/index.php"


class Unanswered(ProbeError):
    """PHP-FPM said nothing at all, which says nothing about the release that it was asked for."""


# Takes what is to be sent and the seconds it may take; returns all that came back.
Exchange = t.Callable[[bytes, float], bytes]


@dataclass(frozen=True)
class Entry:
    """Where PHP-FPM listens, and the public folder that it is asked for."""

    exchange: Exchange
    public: str

    def send(self, request: Request, seconds: float) -> Response:
        started = time.monotonic()
        came = self.exchange(b"".join(_records(request, self.public)), seconds)
        return _response(_output(came), time.monotonic() - started)


def exchange_with(runner: Runner, address: str, user: str | None) -> Exchange:
    """How to reach a socket: a path, or a host and a port; by a helper process where only another user may open it."""

    def directly(sent: bytes, seconds: float) -> bytes:
        try:
            return _exchanged(address, sent, seconds)
        except OSError as error:
            raise Unanswered(f"PHP-FPM at {address}: {reason(error, seconds)}") from error

    def as_user(sent: bytes, seconds: float) -> bytes:
        try:
            return runner.exchange(address, sent, user=str(user), seconds=seconds, most=_LARGEST_ANSWER)
        except RollbackError as error:
            said = one_line(error.message, 120)
            raise Unanswered(f"PHP-FPM at {address}, asked as {user}: {said[:1].lower()}{said[1:]}") from error

    return directly if user in (None, runner.me) or not address.startswith("/") else as_user


def _exchanged(address: str, sent: bytes, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    with _connected(address, seconds) as line:
        line.sendall(sent)
        came = b""
        while len(came) < _LARGEST_ANSWER:
            line.settimeout(max(0.001, ends - time.monotonic()))
            part = line.recv(65536)
            if not part:
                break
            came += part
        return came


def _connected(address: str, seconds: float) -> socket.socket:
    if not address.startswith("/"):
        host, _colon, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)
    line = socket.socket(socket.AF_UNIX)
    try:
        line.settimeout(seconds)
        line.connect(address)
    except OSError:
        line.close()
        raise
    return line


def _records(request: Request, public: str) -> t.Iterator[bytes]:
    yield _record(_BEGIN, struct.pack(">HB5x", _RESPONDER, 0))
    parameters = b"".join(_pair(name, value) for name, value in _parameters(request, public).items())
    for kind, content in ((_PARAMETERS, parameters), (_INPUT, request.body or b"")):
        for start in range(0, len(content), _LARGEST_RECORD):
            yield _record(kind, content[start : start + _LARGEST_RECORD])
        yield _record(kind, b"")


def _record(kind: int, content: bytes) -> bytes:
    return _HEADER.pack(_VERSION, kind, 1, len(content), 0) + content


def _pair(name: str, value: str) -> bytes:
    texts = [text.encode("utf-8", "surrogateescape") for text in (name, value)]
    return b"".join([*(_length(len(text)) for text in texts), *texts])


def _length(size: int) -> bytes:
    return bytes([size]) if size < 128 else struct.pack(">I", size | 0x80000000)


def _parameters(request: Request, public: str) -> dict[str, str]:
    """What nginx would send for the same question, were its root this folder."""
    parts = urllib.parse.urlsplit(request.url)
    headers = {"Host": parts.netloc, "User-Agent": "lastgood-release-trial", "Accept": "*/*", **request.headers}
    secure = parts.scheme == "https"
    known = {
        "SCRIPT_FILENAME": os.path.join(public, _SCRIPT[1:]),
        "SCRIPT_NAME": _SCRIPT,
        "DOCUMENT_URI": _SCRIPT,
        "DOCUMENT_ROOT": public,
        "REQUEST_URI": urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")),
        "QUERY_STRING": parts.query,
        "REQUEST_METHOD": request.method,
        "REQUEST_SCHEME": parts.scheme,
        "CONTENT_LENGTH": str(len(request.body)) if request.body else "",
        "CONTENT_TYPE": "",
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or (443 if secure else 80)),
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "nginx",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "0",
        "REDIRECT_STATUS": "200",
        **({"HTTPS": "on"} if secure else {}),
    }
    for name, value in headers.items():
        variable = name.upper().replace("-", "_")
        known[variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}"] = value
    return known


def _output(came: bytes) -> bytes:
    """What the script wrote; what PHP-FPM says beside that goes to the log, too."""
    if not came:
        raise Unanswered("PHP-FPM ended the connection without an answer")
    output, place = b"", 0
    while place + _HEADER.size <= len(came):
        _version, kind, _request, size, padding = _HEADER.unpack_from(came, place)
        content = came[place + _HEADER.size : place + _HEADER.size + size]
        if kind == _OUTPUT:
            output += content
        elif kind == _END and len(content) == size:
            if content[4:5] != bytes([_COMPLETE]):
                raise Unanswered("PHP-FPM refused the question")
            return output
        place += _HEADER.size + size + padding
    raise ProbeError("the answer of PHP-FPM broke off")


def _response(output: bytes, seconds: float) -> Response:
    head, _empty, body = output.partition(b"\r\n\r\n")
    lines = [line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n") if ":" in line]
    headers = [(name.strip(), value.strip()) for name, _colon, value in lines]
    status = next((value for name, value in headers if name.lower() == "status"), "200")[:3]
    if not headers or not status.isdigit():
        raise ProbeError(f"no proper answer of PHP-FPM: {one_line(head.decode('utf-8', 'replace'), 80)}")
    return Response(int(status), headers, body, seconds)
