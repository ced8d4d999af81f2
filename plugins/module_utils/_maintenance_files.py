# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The two files with which Laravel knows that it is in maintenance mode. Run as a program of its own, as the application's
# owner: this file's text is handed to a Python without site packages, the order comes by standard input, and the secret
# never leaves that process. So it imports nothing but a little of the standard library.

from __future__ import annotations

import json
import os
import re
import sys
import time
import typing as t

_STUBS = (
    "vendor/laravel/framework/src/Illuminate/Foundation/Console/stubs/maintenance-mode.stub",
    "/usr/share/php/Illuminate/Foundation/Console/stubs/maintenance-mode.stub",
)
_EXCEPT = re.compile(r"(?:\$except\s*=|preventRequestsDuringMaintenance\(\s*(?:except:)?)\s*(?:\[|array\()(.*?)[\])]", re.S)
_COMMENT = re.compile(r"/\*.*?\*/|(?<![:'\"])//[^\n]*|^\s*#[^\n]*", re.S | re.M)
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"([^\"\\$]*)\"")
_DRIVER = re.compile(
    r"['\"]maintenance['\"]\s*=>\s*(?:\[|array\s*\()[^\])]*?['\"]driver['\"]\s*=>\s*"
    r"(?:env\(\s*['\"](?P<name>\w+)['\"]\s*(?:,\s*['\"](?P<default>\w+)['\"])?|['\"](?P<literal>\w+)['\"])",
    re.S,
)

Marker = dict[str, t.Any]


class RefusedError(Exception):
    """The order cannot be carried out; nothing was changed."""


def carry_out(order: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Look, decide, and unless only a forecast is wanted, act; report without the secret."""
    path = order["path"]
    if not os.path.isfile(os.path.join(path, "artisan")):
        raise RefusedError(f"{path} holds no Laravel application: there is no file artisan in it.")
    folder = os.path.join(order["storage"], "framework")
    if not os.path.isdir(folder):
        raise RefusedError(f"The folder {folder} does not exist.")
    marker = os.path.join(folder, "down")
    before = read_marker(marker)
    down_since = os.path.getmtime(marker) if before is not None else None
    after = None if order["state"] == "up" else wanted(order, before)
    stub = None if after is None else read_stub(path)
    written = [] if after is None else changes(folder, after, before, stub)
    removed = [name for name in ("down", "maintenance.php") if os.path.lexists(os.path.join(folder, name))] if after is None else []
    used = driver(path) if order["driver"] == "auto" else order["driver"]
    at = None
    if not order["forecast"] and not (order["wait_for_driver"] and used != "file"):
        at = put(folder, written, access_like(folder)) if after is not None else take_away(folder, removed)
        if after is not None and down_since is not None:
            at = down_since  # users have been kept out since then, by whomever
    return {
        "driver": used,
        "was_down": before is not None,
        "changed": bool(written or removed),
        "before": describe(before),
        "after": describe(after),
        "status": (after or before or {}).get("status"),
        "redirect": (after or {}).get("redirect"),
        "prerendered": stub is not None,
        "at": at,
    }


def read_marker(path: str) -> Marker | None:
    """What the marker says; an unreadable one still means that the application is down."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def wanted(order: t.Mapping[str, t.Any], before: Marker | None) -> Marker:
    """The marker to have. One that somebody else left is kept; it only gains what it lacks to be passed and to be safe."""
    fresh: Marker = {
        "except": excluded(order["path"]) if order["except"] is None else order["except"],
        "redirect": None,
        "retry": order["retry"] or None,
        "refresh": order["refresh"],
        "secret": None,
        "status": order["status"],
        "template": order["template"],
    }
    kept = before or {}
    marker = {**fresh, **kept} if kept else fresh
    for name in ("secret", "template", "status"):
        marker[name] = kept.get(name) or fresh[name]
    marker["secret"] = order["secret"] or marker["secret"] or os.urandom(24).hex()
    return marker


def describe(marker: Marker | None) -> dict[str, t.Any]:
    """A marker for people: everything but the secret and the page's text."""
    if marker is None:
        return {"state": "up"}
    shown = {key: value for key, value in marker.items() if key not in ("secret", "template")}
    page = marker.get("template")
    return {**shown, "state": "down", "secret": bool(marker.get("secret")), "template": f"{len(page)} characters" if page else None}


def changes(folder: str, after: Marker, before: Marker | None, stub: str | None) -> list[tuple[str, str]]:
    """The files to write, the marker last, as it is what closes the application."""
    found = []
    if stub is not None and read_text(os.path.join(folder, "maintenance.php")) != stub:
        found.append(("maintenance.php", stub))
    if after != before:
        found.append(("down", json.dumps(after, indent=4)))
    return found


def put(folder: str, files: t.Sequence[tuple[str, str]], access: tuple[int, int]) -> float:
    """Write each file aside and rename it, so that no request meets half of one."""
    for name, text in files:
        aside = os.path.join(folder, f".{name}.{os.getpid()}")
        mode, group = access if name == "down" else (0o644, -1)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            give(aside, mode, group)
            os.replace(aside, os.path.join(folder, name))
        except OSError:
            os.unlink(aside)
            raise
    return time.time()


def give(path: str, mode: int, group: int) -> None:
    """The marker holds a secret: not everybody may read it."""
    try:
        os.chown(path, -1, group)
    except PermissionError:
        mode |= (mode & 0o040) >> 3  # the group cannot be handed on: the web server must be able to read it all the same
    os.chmod(path, mode)


def access_like(folder: str) -> tuple[int, int]:
    """Mode and group for the marker: who may write in this folder (the web server has to) may read it, nobody else."""
    own = os.stat(folder)
    mode, group = 0o600, own.st_gid
    for name in ("", "views", "sessions", "cache"):
        try:
            found = os.stat(os.path.join(folder, name))
        except FileNotFoundError:
            continue
        if found.st_uid != own.st_uid:
            return 0o644, own.st_gid
        mode |= (found.st_mode & 0o022) << 1
        group = found.st_gid if found.st_mode & 0o020 else group
    return mode, group


def take_away(folder: str, names: t.Sequence[str]) -> float:
    for name in names:
        os.unlink(os.path.join(folder, name))
    return time.time()


def read_text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def read_stub(path: str) -> str | None:
    """The framework's own front gate: it answers before the application is loaded."""
    for stub in _STUBS:
        text = read_text(os.path.join(path, stub))
        if text:
            return text
    return None


def excluded(path: str) -> list[str]:
    """The paths that the application itself keeps open, read without starting it."""
    for name in ("app/Http/Middleware/PreventRequestsDuringMaintenance.php", "bootstrap/app.php"):
        text = read_text(os.path.join(path, name))
        found = _EXCEPT.search(_COMMENT.sub("", text)) if text else None
        if found:
            return [single or double for single, double in _STRING.findall(found.group(1))]
    return []


def driver(path: str) -> str:
    """The maintenance driver in the cached configuration, else in the configuration file, else the framework's default."""
    for name in ("bootstrap/cache/config.php", "config/app.php"):
        text = read_text(os.path.join(path, name))
        found = _DRIVER.search(_COMMENT.sub("", text)) if text else None
        if found:
            return found["literal"] or environment(path, found["name"]) or found["default"] or "file"
    return "file"


def environment(path: str, name: str) -> str | None:
    found = re.search(rf"^\s*(?:export\s+)?{name}\s*=\s*['\"]?(\w+)", read_text(os.path.join(path, ".env")) or "", re.M)
    return found.group(1) if found else None


def main() -> None:
    try:
        answer = carry_out(json.load(sys.stdin))
    except RefusedError as error:
        answer = {"error": str(error)}
    except OSError as error:
        answer = {"error": f"{error.filename}: {error.strerror}."}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
