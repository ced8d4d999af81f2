# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import copy
import difflib
import os
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._errors import RollbackError
from ._probes_spec import PROBE
from ._profile_rules import implausible
from ._versions import RELEASE_PATTERN

Options = dict[str, dict[str, t.Any]]

PHASES = (
    "total", "preflight", "plan", "lock", "announce", "prepare", "protect", "restore beside", "count loss", "close traffic", "quiesce writers",
    "swap database", "migrate down", "switch code", "migrate up", "configure", "rebuild caches", "start services", "gate", "reopen",
    "start workers", "watch", "close run", "report",
)  # fmt: skip

_BUDGETS: dict[str, dict[str, int]] = {
    "emergency": {
        "total": 300,
        "close traffic": 5,
        "quiesce writers": 5,
        "switch code": 30,
        "rebuild caches": 20,
        "start services": 5,
        "start workers": 5,
        "gate": 10,
        "reopen": 5,
    },
    "standard": {"total": 900},
    "database": {"total": 1800},
    "full_system": {"total": 3600},
}


def _names(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "list", "elements": "str", "default": [], **more}


def _group(options: Options) -> dict[str, t.Any]:
    return {"type": "dict", "default": {}, "apply_defaults": True, "options": options}


_COMPARED: Options = {
    "name": {"type": "str", "required": True},
    "key": _names(),
    "timestamp": {"type": "str"},
    "sums": _names(),
}

APPLICATION: Options = {
    "name": {"type": "str", "required": True},
    "framework": {"type": "str", "choices": ["laravel"], "default": "laravel"},
    "layout": {"type": "str", "choices": ["git", "releases"], "default": "git"},
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
            "deploy_path": {"type": "str"},
            "trial": {"type": "bool", "default": True},
            "fastcgi": {"type": "str"},
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
    "configuration": _group({"files": _names()}),
    "caches": _names(default=["packages", "config", "route", "view", "event"], choices=["config", "route", "view", "event", "packages"]),
    "backup": _group(
        {
            "engine": {"type": "str", "choices": ["mysql", "postgresql", "sqlite"]},
            "form": {"type": "str", "choices": ["logical", "physical"], "default": "logical"},
            "directory": {"type": "str"},
            "minimum_free": {"type": "str", "default": "64M"},
            "keep_newest": {"type": "int"},
            "keep_days": {"type": "float"},
            "encryption": {"type": "str", "choices": ["age", "gpg"]},
            "recipients": _names(),
            "gpg_home": {"type": "str"},
            "identity_file": {"type": "str"},
        }
    ),
    "database": _group(
        {
            "administrator": _group(
                {
                    "user": {"type": "str"},
                    "password": {"type": "str", "no_log": True},
                    "host": {"type": "str"},
                    "port": {"type": "int"},
                    "unix_socket": {"type": "str"},
                }
            ),
            "loss": {"type": "list", "elements": "dict", "default": [], "options": _COMPARED},
            "transient": _names(),
            "assertions": _names(),
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
            "probes": {"type": "list", "elements": "dict", "required": True, **PROBE},
            "verify_probes": {"type": "list", "elements": "dict", "default": [], **PROBE},
            "outside_url": {"type": "str"},
            "successes": {"type": "int", "default": 2},
            "interval": {"type": "float", "default": 0.1},
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
    "dead_man": _group(
        {
            "seconds": {"type": "int", "default": 300},
            "action": {"type": "str", "choices": ["alarm", "reopen"], "default": "alarm"},
        }
    ),
    "freeze": _group({"hours": {"type": "float", "default": 24}}),
    "notify": _group(
        {
            "webhook_url": {"type": "str", "no_log": True},
            "channel": {"type": "str", "default": "#incidents"},
            "timeout": {"type": "int", "default": 5},
        }
    ),
    "on_failed_gate": {"type": "str", "choices": ["hold", "undo"], "default": "hold"},
    "budgets": {"type": "dict", "default": {}},
}


def normalised(profile: t.Any) -> dict[str, t.Any]:
    """The application profile with all defaults; every mistake in it is named at once, secrets are not."""
    if not isinstance(profile, dict) or not profile:
        raise RollbackError(
            "There is no application profile: set the variable rollback_application in the inventory.",
            next_command="compare with inventories/chom/group_vars/chom.yml",
        )
    given = _without_nothing(profile, APPLICATION)
    mistakes = list(_unknown_keys(given, APPLICATION, "rollback_application"))
    ready: dict[str, t.Any] = {}
    if not mistakes:
        checked = ArgumentSpecValidator(copy.deepcopy(APPLICATION)).validate(given)
        ready = checked.validated_parameters
        mistakes = [str(message) for message in checked.error_messages] or list(_budget_mistakes(ready["budgets"]))
    if not mistakes:
        _fill(ready)
        mistakes = list(implausible(ready))
    if mistakes:
        mistakes = [_without(_secrets(given), text) for text in mistakes]
        raise RollbackError(f"The application profile is not valid: {'; '.join(mistakes)}.", facts={"mistakes": mistakes})
    return ready


def _without_nothing(value: t.Any, options: Options) -> t.Any:
    """A copy in which an option without a value is not there: in YAML that is what `key:` alone says."""
    if isinstance(value, list):
        return [_without_nothing(entry, options) for entry in value]
    if not isinstance(value, dict):
        return value
    below = {key: option["options"] for key, option in options.items() if "options" in option}
    return {key: _without_nothing(entry, below[key]) if key in below else entry for key, entry in value.items() if entry is not None}


def _unknown_keys(given: t.Mapping[str, t.Any], options: Options, where: str) -> t.Iterator[str]:
    for key, value in given.items():
        if key not in options:
            near = difflib.get_close_matches(str(key), options, n=1)
            hint = f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(options))})"
            yield f"{where}.{key} is unknown{hint}"
        elif options[key].get("options"):
            many = options[key].get("type") == "list"
            if many and not isinstance(value, list):
                yield f"{where}.{key} must be a list"
                continue
            for number, entry in enumerate(value if many else [value], 1):
                called = entry.get("name", number) if isinstance(entry, dict) else number
                name = f"{where}.{key}[{called}]" if many else f"{where}.{key}"
                if isinstance(entry, dict):
                    yield from _unknown_keys(entry, options[key]["options"], name)
                else:
                    yield f"{name} must be a mapping"


def _budget_mistakes(budgets: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    known: Options = {severity: {"options": {phase: {} for phase in PHASES}} for severity in _BUDGETS}
    yield from _unknown_keys(budgets, known, "rollback_application.budgets")
    for severity, given in budgets.items():
        for phase, seconds in given.items() if isinstance(given, dict) else ():
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
                yield f"budgets.{severity}.{phase} must be a number of seconds"


def _fill(ready: dict[str, t.Any]) -> None:
    ready["environment_file"] = ready["environment_file"] or f"{ready['path']}/.env"
    ready["log_file"] = ready["log_file"] or f"{ready['path']}/storage/logs/laravel.log"
    if ready["layout"] == "releases":
        ready["releases"]["deploy_path"] = ready["releases"]["deploy_path"] or os.path.dirname(os.path.normpath(ready["path"]))
    ready["budgets"] = {severity: {**budgets, **ready["budgets"].get(severity, {})} for severity, budgets in _BUDGETS.items()}
    ready["database"]["loss"] = _without_nothing(ready["database"]["loss"], _COMPARED)
    for name in ("probes", "verify_probes"):
        ready["health"][name] = _without_nothing(ready["health"][name], PROBE["options"])


def _secrets(value: t.Any, hidden: bool = False) -> t.Iterator[str]:
    """Every text of a profile that may be a secret, also where it was put by mistake."""
    if isinstance(value, dict):
        yield from (key for key in value if hidden and "://" in str(key))
        for key, entry in value.items():
            yield from _secrets(entry, hidden or key in ("notify", "webhook_url", "password", "token"))
    elif isinstance(value, list):
        for entry in value:
            yield from _secrets(entry, hidden)
    elif hidden and len(str(value)) > 3:
        yield str(value)


def _without(secrets: t.Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "********")
    return text
