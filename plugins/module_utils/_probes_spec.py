# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The options of a probe: those of the module health_gate, and those of the probes in an application profile.

from __future__ import annotations

import typing as t

_ADDRESS: dict[str, t.Any] = {"url": {"type": "str"}, "path": {"type": "str"}, "headers": {"type": "dict"}}
_CONTENT: dict[str, t.Any] = {"body": {"type": "raw"}, "form": {"type": "dict"}}
_ONE_ADDRESS: dict[str, t.Any] = {"mutually_exclusive": [("url", "path")]}
_ONE_CONTENT: dict[str, t.Any] = {"mutually_exclusive": [("url", "path"), ("body", "form")]}
_TYPES = ["http", "tcp", "units", "log", "redis", "sql", "resources", "prometheus", "alertmanager"]

_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "required": True, "choices": _TYPES},
    "required": {"type": "bool", "default": True},
    "successes": {"type": "int"},
    "timeout": {"type": "float"},
    **_ADDRESS,
    **_CONTENT,
    "method": {"type": "str"},
    "token": {
        "type": "dict",
        "no_log": False,
        "options": {**_ADDRESS, "pattern": {"type": "str"}},
        **_ONE_ADDRESS,
    },
    "cleanup": {
        "type": "dict",
        "options": {
            **_ADDRESS,
            **_CONTENT,
            "method": {"type": "str", "default": "DELETE"},
            "status": {"type": "list", "elements": "int", "default": [200, 202, 204]},
        },
        **_ONE_CONTENT,
    },
    "connect_to": {"type": "str"},
    "verify_tls": {"type": "bool"},
    "bypass": {"type": "bool"},
    "status": {"type": "list", "elements": "int"},
    "response_headers": {"type": "dict"},
    "json": {"type": "dict"},
    "contains": {"type": "list", "elements": "str"},
    "lacks": {"type": "list", "elements": "str"},
    "maximum_seconds": {"type": "float"},
    "samples": {"type": "int"},
    "follow_redirects": {"type": "bool"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "units": {"type": "list", "elements": "str"},
    "minimum_active": {"type": "int"},
    "allow_restarts": {"type": "bool"},
    "file": {"type": "str"},
    "user": {"type": "str"},
    "since": {"type": "str"},
    "position": {"type": "dict"},
    "timezone": {"type": "str"},
    "pattern": {"type": "str"},
    "levels": {"type": "list", "elements": "str"},
    "ignore": {"type": "list", "elements": "str"},
    "missing": {"type": "str", "choices": ["fail", "empty"]},
    "maximum_per_minute": {"type": "float"},
    "maximum": {"type": "float"},
    "minimum": {"type": "float"},
    "expected": {"type": "str"},
    "query": {"type": "str"},
    "filter": {"type": "list", "elements": "str"},
    "socket": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "database": {"type": "int"},
    "queues": {"type": "list", "elements": "str"},
    "prefix": {"type": "str"},
    "maximum_waiting": {"type": "int"},
    "cpu_used_percent": {"type": "float"},
    "memory_used_percent": {"type": "float"},
    "disk_used_percent": {"type": "float"},
    "disk": {"type": "str"},
}
_NEEDED: list[t.Any] = [
    ("type", "http", ("url", "path"), True),
    ("type", "tcp", ("port",)),
    ("type", "units", ("units",)),
    ("type", "log", ("file",)),
    ("type", "prometheus", ("url", "query")),
    ("type", "alertmanager", ("url",)),
]

PROBE: dict[str, t.Any] = {
    "options": _OPTIONS,
    "required_if": _NEEDED,
    "mutually_exclusive": [("url", "path"), ("body", "form"), ("since", "position")],
}
