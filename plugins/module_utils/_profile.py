# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import difflib
import re
import typing as t
from urllib.parse import urlsplit

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._errors import RollbackError
from ._versions import RELEASE_PATTERN

Options = t.Dict[str, t.Dict[str, t.Any]]

_BUDGETS: dict[str, dict[str, int]] = {
    "emergency": {
        "total": 300,
        "close traffic": 5,
        "quiesce writers": 5,
        "switch code": 30,
        "rebuild caches": 20,
        "start services": 10,
        "gate": 10,
        "reopen": 5,
    },
    "standard": {"total": 900},
}


def _names(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "list", "elements": "str", "default": [], **more}


def _group(options: Options) -> dict[str, t.Any]:
    return {"type": "dict", "default": {}, "apply_defaults": True, "options": options}


APPLICATION: Options = {
    "name": {"type": "str", "required": True},
    "framework": {"type": "str", "choices": ["laravel"], "default": "laravel"},
    "layout": {"type": "str", "choices": ["git"], "default": "git"},
    "path": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "php": {"type": "str", "default": "php"},
    "environment_file": {"type": "str"},
    "log_file": {"type": "str"},
    "state_directory": {"type": "str", "default": "/var/lib/lastgood"},
    "releases": _group(
        {
            "remote": {"type": "str", "default": "origin"},
            "pattern": {"type": "str", "default": RELEASE_PATTERN},
        }
    ),
    "composer": _group(
        {
            "program": {"type": "str", "default": "composer"},
            "cache_directory": {"type": "str"},
            "network": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 600},
        }
    ),
    "services": _group(
        {
            "workers": _names(),
            "schedulers": _names(),
            "reload": _names(),
            "required": _names(),
            "drain_timeout": {"type": "int", "default": 60},
        }
    ),
    "maintenance": _group(
        {
            "retry": {"type": "int", "default": 60},
            "render": {"type": "str"},
            "verify_url": {"type": "str"},
        }
    ),
    "caches": _names(default=["packages", "config", "route", "view", "event"]),
    "backup": _group(
        {
            "engine": {"type": "str", "choices": ["mysql", "sqlite"], "default": "mysql"},
            "directory": {"type": "str"},
            "minimum_free": {"type": "str", "default": "64M"},
        }
    ),
    "health": {
        "type": "dict",
        "required": True,
        "options": {
            "base_url": {"type": "str", "required": True},
            "connect_to": {"type": "str"},
            "version_probe": {
                "type": "dict",
                "required": True,
                "options": {"path": {"type": "str", "required": True}, "json": {"type": "str"}, "header": {"type": "str"}},
            },
            "probes": {"type": "list", "elements": "dict", "required": True},
            "verify_probes": {"type": "list", "elements": "dict", "default": []},
            "outside_url": {"type": "str"},
            "successes": {"type": "int", "default": 2},
            "interval": {"type": "float", "default": 0.2},
            "deadline": {"type": "int", "default": 60},
        },
    },
    "watch": _group(
        {
            "duration": {"type": "int", "default": 300},
            "interval": {"type": "float", "default": 5},
            "failures": {"type": "int", "default": 3},
        }
    ),
    "notify": _group(
        {
            "webhook_url": {"type": "str", "no_log": True},
            "channel": {"type": "str", "default": "#incidents"},
            "timeout": {"type": "int", "default": 5},
        }
    ),
    "budgets": {"type": "dict", "default": {}},
}


def normalised(profile: t.Any) -> dict[str, t.Any]:
    """The application profile with all defaults; every mistake in it is named at once."""
    if not isinstance(profile, dict) or not profile:
        raise RollbackError(
            "There is no application profile: set the variable rollback_application in the inventory.",
            next_command="compare with inventories/chom/group_vars/chom.yml",
        )
    mistakes = list(_unknown_keys(profile, APPLICATION, "rollback_application"))
    if not mistakes:
        checked = ArgumentSpecValidator(APPLICATION).validate(profile)
        mistakes = [str(message) for message in checked.error_messages]
    if mistakes:
        raise RollbackError(f"The application profile is not valid: {'; '.join(mistakes)}.", facts={"mistakes": mistakes})
    ready: dict[str, t.Any] = checked.validated_parameters
    _fill(ready)
    mistakes = list(_implausible(ready))
    if mistakes:
        raise RollbackError(f"The application profile is not valid: {'; '.join(mistakes)}.", facts={"mistakes": mistakes})
    return ready


def _unknown_keys(given: t.Mapping[str, t.Any], options: Options, where: str) -> t.Iterator[str]:
    for key, value in given.items():
        if key not in options:
            near = difflib.get_close_matches(str(key), options, n=1)
            hint = f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(options))})"
            yield f"{where}.{key} is unknown{hint}"
        elif isinstance(value, dict) and options[key].get("options"):
            yield from _unknown_keys(value, options[key]["options"], f"{where}.{key}")


def _fill(ready: dict[str, t.Any]) -> None:
    ready["environment_file"] = ready["environment_file"] or f"{ready['path']}/.env"
    ready["log_file"] = ready["log_file"] or f"{ready['path']}/storage/logs/laravel.log"
    ready["budgets"] = {severity: {**budgets, **ready["budgets"].get(severity, {})} for severity, budgets in _BUDGETS.items()}


def _implausible(ready: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if not re.match(r"^[a-z][a-z0-9_-]{0,40}$", ready["name"]):
        yield "name must be lower-case letters, digits, _ and -"
    for key in ("path", "environment_file", "log_file", "state_directory"):
        if not ready[key].startswith("/") or ".." in ready[key].split("/"):
            yield f"{key} must be an absolute path"
    for key in ("base_url", "outside_url"):
        address = ready["health"][key]
        if address and (urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname):
            yield f"health.{key} must be an http or https address"
    if not ready["health"]["probes"]:
        yield "health.probes is empty: a gate without probes would pass on no evidence"
    if not (ready["health"]["version_probe"]["json"] or ready["health"]["version_probe"]["header"]):
        yield "health.version_probe needs json or header, the place where the application says its version"
    if ready["services"]["workers"] and not ready["services"]["reload"]:
        yield "services.reload is empty: without reloading PHP-FPM the old code stays in memory"
    try:
        re.compile(ready["releases"]["pattern"])
    except re.error as error:
        yield f"releases.pattern is not a regular expression: {error}"
