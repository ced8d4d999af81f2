# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import os
import typing as t

from ._code import code_of
from ._dead_man import armed
from ._discovery import discover
from ._errors import RollbackError
from ._freeze import frozen
from ._journal import phases, read
from ._left_behind import astray, carried, deployed_since, in_maintenance
from ._progress import read as progress
from ._restore_point import listed
from ._restore_record import RECORD
from ._run import Folder, holder, lease, left_over, read_json, sign_of_life, unfinished
from ._units import Systemd
from ._versions import name_of

if t.TYPE_CHECKING:
    from ._code import Code
    from ._command import Runner
    from ._git import WorkTree


_NEWEST = 5


def survey(runner: Runner, application: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What runs now, whether users are let in, and what rollbacks left behind; only looks."""
    folder = Folder.of(application["state_directory"], application["name"])
    damaged: list[RollbackError] = []
    last = _whole(folder.last_run, damaged)
    remembered = _whole(os.path.join(folder.root, "workers.json"), damaged)
    restore = _whole(os.path.join(folder.root, RECORD), damaged)
    repository = code_of(runner, application)
    tree = repository.work_tree()
    held, closed = holder(folder), in_maintenance(runner, application)
    journal = _journal_state(folder, last)
    now = {"layout": application["layout"], "commit": tree.commit, "closed": closed}
    left = carried(last or {}, (journal or {}).get("phases", {}), **now)
    began = (last or {}).get("undoes") or left
    return {
        **_code(application, repository, tree),
        "maintenance": closed,
        "units": _units(runner, application),
        "astray": astray(runner, application),
        "lock": None if held is None else {**held, **lease(folder, held)},
        "left_over": None if damaged else left_over(folder),
        "watched": None if held is None else armed(runner, application["name"]),
        "freeze": frozen(folder),
        "last_run": last,
        "unfinished": unfinished(last),
        "journal": journal,
        "carried": left,
        "lacks": _lacks(application, repository, began),
        "deployed_since": last is not None and not unfinished(last) and deployed_since(last, began, tree),
        "progress": progress(folder.root, *([folder.run(last["run"])] if last and last.get("run") else [])),
        "restore": restore,
        "damaged": [{"reason": error.message, "next_command": error.next_command} for error in damaged],
        "workers_waiting": sorted((remembered or {}).get("units", [])),
        "ledger": _ledger(repository, folder, application["releases"]["pattern"]),
    }


def _whole(path: str, damaged: list[RollbackError]) -> dict[str, t.Any] | None:
    """A record; one that is damaged is named, and what else there is is shown all the same."""
    try:
        return read_json(path)
    except RollbackError as error:
        damaged.append(error)
        return None


def _ledger(repository: Code, folder: Folder, pattern: str) -> dict[str, t.Any]:
    """Its newest entries; where there are none, what seems to have run before there was a ledger."""
    found = listed(repository, folder, _NEWEST)
    return found if found["restore_points"] else {**found, "discovered": discover(repository, None, pattern)[:_NEWEST]}


def _journal_state(folder: Folder, last: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Whether the last run's journal can be trusted, and when it last wrote."""
    found = read(folder.run(last["run"])) if last and last.get("run") else None
    if found is None:
        return None
    return {
        "entries": len(found.entries),
        "broken": found.broken,
        "torn": found.torn,
        "phases": phases(found.entries),
        "sign_of_life": sign_of_life(folder, (last or {})["run"]),
    }


def _code(application: t.Mapping[str, t.Any], repository: Code, tree: WorkTree) -> dict[str, t.Any]:
    return {
        "version": name_of(tree.commit, repository.tags(), application["releases"]["pattern"]),
        "release": tree.release,
        "missing": tree.missing,
        "commit": tree.commit,
        "branch": tree.branch,
        "changed_files": list(tree.changed_files),
    }


def _lacks(application: t.Mapping[str, t.Any], repository: Code, began: t.Mapping[str, t.Any]) -> str | None:
    """The version that an undo would have to go back to, when its release was removed; a checkout can fetch what it lacks."""
    wanted = began.get("from_release") or began["from_commit"]
    gone = application["layout"] == "releases" and wanted and repository.resolve(wanted) is None
    return str(began["from_version"]) if gone else None


def _units(runner: Runner, application: t.Mapping[str, t.Any]) -> dict[str, str]:
    services = application["services"]
    names = [*services["required"], *services["workers"], *services["schedulers"]]
    systemd = Systemd(runner)
    return {name: unit.state for name, unit in systemd.show(systemd.expand(names)).items()}
