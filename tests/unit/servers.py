# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small real servers on 127.0.0.1 that answer as a test tells them to."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import ssl
import threading
import time
import typing as t
from dataclasses import dataclass, field


@dataclass
class Asked:
    """A request as the server saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: str


@dataclass
class Reply:
    body: str = "fine"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    announced: int | None = None


Site = t.Callable[[Asked], Reply]


class Website:
    """An HTTP server; keeps what it was asked."""

    def __init__(self, site: Site | Reply | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.site = site if callable(site) else lambda _asked: site or Reply()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size).decode()
                asked = Asked(self.command, self.path, dict(self.headers.items()), body)
                outer.asked.append(asked)
                self.reply(outer.site(asked))

            def reply(self, reply: Reply) -> None:
                time.sleep(reply.delay)
                data = reply.body.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data) if reply.announced is None else reply.announced))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
                self.close_connection = True

            def log_message(self, *_words: t.Any) -> None:
                """Say nothing."""

        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_request: None
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def as_json(document: t.Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(document), status, {"Content-Type": "application/json", **headers})


class RawServer:
    """Reads once from each connection and writes fixed bytes back, one for each read."""

    def __init__(self, *replies: bytes) -> None:
        self.received: list[bytes] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                for reply in replies:
                    with contextlib.suppress(OSError):
                        outer.received.append(self.request.recv(65536))
                        self.request.sendall(reply)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeRedis:
    """A Redis server that knows AUTH, SELECT, PING, LLEN and ZCARD."""

    def __init__(self, *, password: str = "", username: str = "default", sizes: dict[str, int] | None = None, error: str = "") -> None:
        self.commands: list[list[str]] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                allowed = not password
                while header := self.rfile.readline():
                    words = []
                    for _word in range(int(header[1:])):
                        size = int(self.rfile.readline()[1:])
                        words.append(self.rfile.read(size + 2)[:-2].decode())
                    outer.commands.append(words)
                    name, *rest = words
                    if name == "AUTH":
                        allowed = rest in ([password], [username, password])
                        reply = "+OK" if allowed else "-WRONGPASS invalid username-password pair or user is disabled."
                    elif not allowed:
                        reply = "-NOAUTH Authentication required."
                    elif error:
                        reply = f"-{error}"
                    elif name in ("LLEN", "ZCARD"):
                        reply = f":{(sizes or {}).get(rest[0], 0)}"
                    else:
                        reply = "+PONG" if name == "PING" else "+OK"
                    self.wfile.write(f"{reply}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def closed_port() -> int:
    """A port that nobody listens on."""
    server = RawServer()
    server.close()
    return int(server.port)
