# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A client for Redis: one connection, one command at a time; an error reply is an error.

from __future__ import annotations

import socket
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, field

_LARGEST_REPLY = 64 * 1024 * 1024


class RedisError(Exception):
    """Redis could not be reached, or replied with an error; the text never holds a password."""


@dataclass(frozen=True)
class Server:
    """Where a Redis server is and how to log in; the password stays out of every printed form."""

    host: str = "127.0.0.1"
    port: int = 6379
    socket: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False

    @property
    def place(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


def from_settings(settings: t.Mapping[str, str]) -> Server:
    """The Redis login in an application's settings, with Laravel's names and defaults; raises ValueError."""
    url = settings.get("REDIS_URL") or ""
    if url:
        return _from_url(url)
    host = settings.get("REDIS_HOST") or "127.0.0.1"
    scheme, _separator, rest = host.rpartition("://")
    path = host[5:] if host.startswith("unix:") else host
    return Server(
        host=rest,
        port=_number(settings.get("REDIS_PORT") or "6379", "REDIS_PORT"),
        socket=path if path.startswith("/") else "",
        username=settings.get("REDIS_USERNAME") or "",
        password=settings.get("REDIS_PASSWORD") or "",
        database=_number(settings.get("REDIS_DB") or "0", "REDIS_DB"),
        tls=scheme in ("tls", "rediss", "ssl") or settings.get("REDIS_SCHEME") == "tls",
    )


def _from_url(url: str) -> Server:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise ValueError("the Redis address (REDIS_URL) cannot be read") from None
    if parts.scheme not in ("redis", "tcp", "tls", "rediss"):
        raise ValueError(f"REDIS_URL begins with {parts.scheme!r}, which is not known")
    return Server(
        host=parts.hostname or "127.0.0.1",
        port=port,
        username=urllib.parse.unquote(parts.username or ""),
        password=urllib.parse.unquote(parts.password or ""),
        database=_number(parts.path.strip("/") or "0", "REDIS_URL"),
        tls=parts.scheme in ("tls", "rediss"),
    )


def _number(text: str, name: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{name} is not a number")
    return int(text)


class Connection:
    """An open, authenticated connection; use it in a with statement."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._channel = _open(server, seconds)
        self._buffer = b""
        try:
            if server.password:
                self.command("AUTH", *([server.username] if server.username else []), server.password)
            if server.database:
                self.command("SELECT", str(server.database))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def command(self, *words: str) -> t.Any:
        """Send a command and return its reply; raise RedisError for an error reply."""
        self._channel.settimeout(self._left())
        self._channel.sendall(encoded(words))
        return self._reply()

    def _reply(self) -> t.Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "replace")
        if kind == b"-":
            raise RedisError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._exactly(int(rest)).decode("utf-8", "replace")
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _entry in range(int(rest))]
        raise RedisError("the reply is not that of a Redis server")

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _end, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size + 2:
            self._receive()
        data, self._buffer = self._buffer[:size], self._buffer[size + 2 :]
        return data

    def _receive(self) -> None:
        self._channel.settimeout(self._left())
        chunk = self._channel.recv(65536)
        if not chunk:
            raise RedisError("the connection was closed before the reply was complete")
        self._buffer += chunk
        if len(self._buffer) > _LARGEST_REPLY:
            raise RedisError("the reply is too long")

    def _left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


def encoded(words: t.Sequence[str]) -> bytes:
    """A command as Redis reads it."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _open(server: Server, seconds: float) -> socket.socket:
    if server.socket:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(seconds)
        try:
            channel.connect(server.socket)
        except OSError:
            channel.close()
            raise
        return channel
    channel = socket.create_connection((server.host, server.port), timeout=seconds)
    if not server.tls:
        return channel
    import ssl

    try:
        return ssl.create_default_context().wrap_socket(channel, server_hostname=server.host)
    except OSError:
        channel.close()
        raise
