# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

from . import _redis
from ._probes import ProbeError, reason


class RedisProbe:
    """Logs in, sends PING and counts the jobs of the queues."""

    def __init__(self, server: _redis.Server, queues: t.Sequence[str] = (), prefix: str = "", maximum_waiting: int | None = None) -> None:
        self._server = server
        self._queues = queues
        self._prefix = prefix
        self._maximum = maximum_waiting

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        try:
            with _redis.Connection(self._server, seconds) as connection:
                pong = connection.command("PING")
                if pong != "PONG":
                    raise ProbeError(f"{self._server.place}: PING was answered with something else")
                counts = {name: self._count(connection, name) for name in self._queues}
        except _redis.RedisError as error:
            raise ProbeError(f"{self._server.place}: {str(error).rstrip('.')}") from error
        except OSError as error:
            raise ProbeError(f"{self._server.place}: {reason(error, seconds)}") from error
        values: dict[str, t.Any] = {"queues": counts} if counts else {}
        long = [f"{name} {count['waiting']}" for name, count in counts.items() if self._too_long(count)]
        if long:
            raise ProbeError(f"jobs are waiting: {', '.join(long)}, expected at most {self._maximum}", values)
        return values

    def _count(self, connection: _redis.Connection, name: str) -> dict[str, int]:
        key = f"{self._prefix}queues:{name}"
        return {
            "waiting": connection.command("LLEN", key),
            "delayed": connection.command("ZCARD", f"{key}:delayed"),
            "reserved": connection.command("ZCARD", f"{key}:reserved"),
        }

    def _too_long(self, count: t.Mapping[str, int]) -> bool:
        return self._maximum is not None and count["waiting"] > self._maximum


def laravel_prefix(settings: t.Mapping[str, str]) -> str:
    """What Laravel puts before each key unless the application's configuration says otherwise."""
    if "REDIS_PREFIX" in settings:
        return settings["REDIS_PREFIX"]
    name = (settings.get("APP_NAME") or "laravel").lower().replace("-", "_").replace("@", "_at_")
    name = re.sub(r"[_\s]+", "_", re.sub(r"[^\w\s]", "", name)).strip("_")
    return f"{name}_database_"


def probe_from(options: t.Mapping[str, t.Any], settings: t.Mapping[str, str]) -> RedisProbe:
    """A probe from its options and, for what they leave open, the application's settings; raises ValueError."""
    server = _redis.from_settings(settings)
    given = {
        "host": options.get("host"),
        "port": options.get("port"),
        "socket": options.get("socket"),
        "username": options.get("username"),
        "password": options.get("password"),
        "database": options.get("database"),
    }
    server = replace(server, **{name: value for name, value in given.items() if value is not None})
    if given["host"] is not None and given["socket"] is None:
        server = replace(server, socket="")
    prefix = options.get("prefix")
    return RedisProbe(
        server,
        options.get("queues") or (),
        laravel_prefix(settings) if prefix is None else prefix,
        options.get("maximum_waiting"),
    )
