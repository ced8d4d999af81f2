# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# After a rollback nobody deploys what was just rolled back: a file that deployment scripts look at.

from __future__ import annotations

import datetime
import os
import time
import typing as t

from . import _journal
from ._clock import utc
from ._errors import RollbackError
from ._run import Folder, read_json, write_json


def freeze(folder: Folder, record: t.Mapping[str, t.Any], hours: float) -> dict[str, t.Any]:
    """Freeze the application for deployments; a later rollback's freeze replaces an earlier one."""
    now = time.time()
    frozen = {name: record.get(name) for name in ("run", "reason", "incident", "actor", "target")}
    frozen["from_version"] = (record.get("origin") or record).get("from_version")
    frozen.update({"since": _whole(now), "expires": _whole(now + hours * 3600)})
    write_json(folder.freeze, frozen)
    _journal.append(folder.root, {"event": "frozen", "at": utc(now), "run": frozen["run"], "expires": frozen["expires"]})
    return frozen


def frozen(folder: Folder) -> dict[str, t.Any] | None:
    """The freeze that is on; one whose time is over is none, one that cannot be read is one."""
    try:
        found = read_json(folder.freeze)
    except RollbackError:
        found = {}
    if found is None and not os.path.lexists(folder.freeze):
        return None
    found = found or {}
    until = found.get("expires")
    return None if isinstance(until, str) and until <= _whole(time.time()) else found


def lift(folder: Folder, *, actor: str, reason: str, run: str | None = None) -> dict[str, t.Any] | None:
    """End the freeze (that of the given run only) and record who did and why; returns what was lifted."""
    found = frozen(folder)
    if not os.path.lexists(folder.freeze) or (run is not None and (found or {}).get("run") != run):
        return None
    _journal.append(folder.root, {"event": "unfrozen", "at": utc(), "actor": actor, "reason": reason, "freeze": found})
    os.unlink(folder.freeze)
    return found


def _whole(moment: float) -> str:
    """To the second, so that a shell can compare it as text."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
