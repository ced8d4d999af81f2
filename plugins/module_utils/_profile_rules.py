# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What an application profile must fulfil beyond its types.

from __future__ import annotations

import re
import typing as t
from urllib.parse import urlsplit

from . import _probes_options
from ._errors import RollbackError
from ._probes_units import is_pattern

Profile = t.Mapping[str, t.Any]

VERSION_PROBE = "running version"

_NEED_THE_HOST = ("log", "redis", "sql")
_FREEZE_HOURS = 24 * 365
_POSITIVE = {
    "composer": ("timeout",),
    "health": ("successes", "interval", "deadline"),
    "watch": ("interval", "failures"),
    "dead_man": ("seconds",),
    "notify": ("timeout",),
    "maintenance": ("retry",),
}


def implausible(ready: Profile) -> t.Iterator[str]:
    """Every rule that a complete profile breaks."""
    yield from _names(ready)
    yield from _places(ready)
    yield from _numbers(ready)
    yield from _backup(ready["backup"])
    yield from _services(ready["services"])
    yield from _health(ready["health"])


def _names(ready: Profile) -> t.Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", ready["name"]):
        yield "name must be lower-case letters, digits, _ and -"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", ready["user"]):
        yield "user must be the name of a user"
    try:
        re.compile(ready["releases"]["pattern"])
    except re.error as error:
        yield f"releases.pattern is not a regular expression: {error}"


def _places(ready: Profile) -> t.Iterator[str]:
    paths = {name: ready[name] for name in ("path", "environment_file", "log_file", "state_directory")}
    paths.update({f"backup.{name}": ready["backup"][name] for name in ("directory", "gpg_home", "identity_file")})
    paths.update({f"configuration.files ({path})": path for path in ready["configuration"]["files"]})
    paths["releases.deploy_path"] = ready["releases"]["deploy_path"]
    paths["composer.cache_directory"] = ready["composer"]["cache_directory"]
    for name, path in paths.items():
        if path is not None and (not path.startswith("/") or ".." in path.split("/") or not path.isprintable()):
            yield f"{name} must be an absolute path"
    addresses = {f"health.{name}": ready["health"][name] for name in ("base_url", "outside_url")}
    addresses["maintenance.verify_url"] = ready["maintenance"]["verify_url"]
    addresses["notify.webhook_url"] = ready["notify"]["webhook_url"]
    for name, address in addresses.items():
        if address and not _is_address(address):
            yield f"{name} must be an http or https address"


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        return False


def _numbers(ready: Profile) -> t.Iterator[str]:
    for group, names in _POSITIVE.items():
        for name in names:
            if ready[group][name] <= 0:
                yield f"{group}.{name} must be more than 0"
    if not 0 <= ready["freeze"]["hours"] <= _FREEZE_HOURS:
        yield f"freeze.hours must be 0 (no freeze) to {_FREEZE_HOURS}"


def _backup(backup: Profile) -> t.Iterator[str]:
    if backup["keep_newest"] is not None and backup["keep_newest"] < 1:
        yield "backup.keep_newest must be at least 1"
    if backup["keep_days"] is not None and backup["keep_days"] < 0:
        yield "backup.keep_days must be at least 0"
    if bool(backup["encryption"]) != bool(backup["recipients"]):
        yield "backup.encryption and backup.recipients need each other"


def _services(services: Profile) -> t.Iterator[str]:
    if services["workers"] and not services["reload"]:
        yield "services.reload is empty: without reloading PHP-FPM the old code stays in memory"
    for name in services["reload"]:
        if is_pattern(name):
            yield f"services.reload has the pattern {name}; name the units"


def _health(health: Profile) -> t.Iterator[str]:
    if not health["probes"]:
        yield "health.probes is empty: a gate without probes would pass on no evidence"
    if not (health["version_probe"]["json"] or health["version_probe"]["header"]):
        yield "health.version_probe needs json or header, the place where the application says its version"
    every = [*health["probes"], *health["verify_probes"]]
    if any(probe["name"] == VERSION_PROBE for probe in every):
        yield f"health.probes: the name {VERSION_PROBE!r} is taken by the proof of the version"
    for probes in (health["probes"], every):
        if probes:
            trouble = _trouble(probes, health)
            if trouble:
                yield f"health.probes: {trouble}"
                return


def _trouble(probes: t.Sequence[t.Mapping[str, t.Any]], health: Profile) -> str | None:
    """Why the gate would refuse to ask these probes; those that look at the host when they are made are not tried."""
    try:
        _probes_options.check(probes)
        around = _probes_options.Surroundings(t.cast("t.Any", None), base_url=health["base_url"], connect_to=health["connect_to"])
        _probes_options.build([probe for probe in probes if probe["type"] not in _NEED_THE_HOST], around)
    except RollbackError as error:
        return error.message.rstrip(".")
    return None
