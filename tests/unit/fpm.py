# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PHP-FPM that answers as a test tells it to; reads FastCGI by itself, so that it does not share our mistakes."""

from __future__ import annotations

import contextlib
import pathlib
import socketserver
import struct
import threading
import time
import typing as t

from servers import Reply

Answering = t.Callable[[dict[str, str]], Reply | bytes]


class FakeFpm:
    """Listens on a socket; keeps the parameters and the body of each question. Bytes are written as they are."""

    def __init__(self, socket: pathlib.Path | None = None, answering: Answering = lambda _asked: Reply()) -> None:
        self.asked: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answering = answering
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                streams = {4: b"", 5: b""}
                kind, content = _read(self.rfile)
                assert (kind, content[:3]) == (1, b"\x00\x01\x00"), "it begins as a responder and does not keep the connection"
                while kind != 5 or content:
                    kind, content = _read(self.rfile)
                    streams[kind] += content
                outer.asked.append(_parameters(streams[4]))
                outer.bodies.append(streams[5])
                reply = outer.answering(outer.asked[-1])
                with contextlib.suppress(OSError):
                    self.wfile.write(reply if isinstance(reply, bytes) else _answer(reply))

        self._server: t.Any
        if socket is None:
            self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            self.address = f"127.0.0.1:{self._server.server_address[1]}"
        else:
            self._server = socketserver.ThreadingUnixStreamServer(str(socket), Handler)
            self.address = str(socket)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _read(source: t.Any) -> tuple[int, bytes]:
    _version, kind, number, size, padding = struct.unpack(">BBHHBx", source.read(8))
    assert number == 1
    return kind, source.read(size + padding)[:size]


def _parameters(content: bytes) -> dict[str, str]:
    found, place = {}, 0
    while place < len(content):
        sizes = []
        for _each in ("name", "value"):
            long = content[place] >= 128
            sizes.append(struct.unpack(">I", content[place : place + 4])[0] & 0x7FFFFFFF if long else content[place])
            place += 4 if long else 1
        texts = [content[place : place + sizes[0]], content[place + sizes[0] : place + sum(sizes)]]
        place += sum(sizes)
        found[texts[0].decode()] = texts[1].decode()
    return found


def record(kind: int, content: bytes, padding: int = 0) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), padding) + content + b"\x00" * padding


END = record(3, struct.pack(">IB3x", 0, 0))


def _answer(reply: Reply) -> bytes:
    """In pieces with padding, as PHP-FPM does it, and with a word on its standard error between the first two."""
    time.sleep(reply.delay)
    head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    status = "" if reply.status == 200 else f"Status: {reply.status} Whatever\r\n"
    output = f"{status}Content-type: text/html\r\n{head}\r\n{reply.body}".encode("utf-8", "surrogateescape")
    parts = [output[place : place + 60000] for place in range(20, len(output), 60000)]
    return record(6, output[:20], 4) + record(7, b"PHP message: a secret") + b"".join(record(6, part) for part in parts) + END
