# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What a person wants to know before a rollback, and a run does not need. Each number says what it was made from.

from __future__ import annotations

import os
import statistics
import time
import typing as t

from . import _backup_catalogue
from ._code import code_of
from ._composer import LOCK_FILE, versions
from ._dotenv import parse
from ._errors import RollbackError
from ._plan import Request, compute
from ._plan_kept import keep
from ._plan_prediction import predict, samples
from ._run import Folder, free_bytes, holder
from ._service_group import recall
from ._units import Systemd, Unit

if t.TYPE_CHECKING:
    from ._code import Code
    from ._command import Runner

_BACKUPS = 5
_LISTED = 200

Plan = dict[str, t.Any]


def in_detail(runner: Runner, request: Request, watch_seconds: int, *, check_mode: bool) -> Plan:
    """The plan with everything around it; kept on the host when it could be applied."""
    application = request.application
    folder = Folder.of(application["state_directory"], application["name"])
    plan = compute(runner, request)
    repository = code_of(runner, application)
    found = {
        "files": _files(repository, plan),
        "packages": _packages(runner, repository, plan),
        "missing_settings": _missing_settings(runner, application, plan),
        "services": _services(runner, application, recall(os.path.join(folder.root, "workers.json"))),
        "backup": _backup(application, planned=plan["backup"]),
        "disk": _disk(application, with_backup=plan["backup"]),
        "prediction": predict(samples(os.path.join(folder.root, "runs")), plan, _phases(application, plan), watch_seconds),
        "approval": _approval(application, request.severity),
        "lock": holder(folder),
        "changed_files": plan["covers"]["local_changes"]["files"],
    }
    kept, why_not = _keep(folder, plan, check_mode=check_mode)
    return {**plan, "details": found, "kept": kept, "not_kept": why_not}


def _keep(folder: Folder, plan: Plan, *, check_mode: bool) -> tuple[str | None, str]:
    if plan["refusals"]:
        return None, "it would be refused"
    if plan["nothing_to_do"]:
        return None, "there is nothing to do"
    if check_mode:
        return None, "in check mode nothing is written"
    try:
        return keep(folder, plan), ""
    except RollbackError as error:
        return None, error.message


def _files(repository: Code, plan: Plan) -> dict[str, t.Any]:
    difference = repository.difference(plan["from_commit"], plan["to_commit"])
    sides = {"added": difference.added, "removed": difference.deleted, "changed": difference.modified}
    return {
        "counts": {name: len(files) for name, files in sides.items()},
        "names": {name: list(files[:_LISTED]) for name, files in sides.items()},
        "listed_at_most": _LISTED,
    }


def _packages(runner: Runner, repository: Code, plan: Plan) -> list[dict[str, str | None]]:
    """PHP packages that will not be the same: as installed now, as the target wants them."""
    lock = f"{plan['to_commit']}:{LOCK_FILE}"
    installed = runner.run(["cat", f"{repository.path}/vendor/composer/installed.json"], user=repository.user, check=False)
    try:
        before = versions(installed.stdout if installed.rc == 0 else None)
        after = versions(repository.contents([lock]).get(lock))
    except RollbackError:
        return []  # the plan itself says what is wrong with them
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [{"name": name, "before": _version(before, after, name), "after": _version(after, before, name)} for name in changed]


def _version(here: t.Mapping[str, tuple[str, str]], there: t.Mapping[str, tuple[str, str]], name: str) -> str | None:
    """A version; with the beginning of its reference where that is all that differs."""
    if name not in here:
        return None
    version, reference = here[name]
    same = name in there and there[name][0] == version
    return f"{version} ({reference[:7]})" if same else version


def _missing_settings(runner: Runner, application: t.Mapping[str, t.Any], plan: Plan) -> list[str]:
    """Settings that only the target's example names and that the application does not have."""
    wanted = plan["config_keys"]["target"]
    if not wanted:
        return []
    settings = parse(runner.run(["cat", plan["environment_file"]], user=application["user"]).stdout)
    return [key for key in wanted if key not in settings]


def _services(runner: Runner, application: t.Mapping[str, t.Any], waiting: t.Container[str]) -> list[dict[str, str]]:
    """Each unit with what becomes of it; waiting are those that an earlier run stopped and did not start again."""
    systemd = Systemd(runner)
    groups = application["services"]
    rows: list[dict[str, str]] = []
    for role, name in (("worker", "workers"), ("scheduler", "schedulers"), ("reload", "reload"), ("required", "required")):
        try:
            units = systemd.show(systemd.expand(groups[name]))
        except RollbackError as error:
            rows.append({"unit": ", ".join(groups[name]), "role": role, "state": error.message, "action": "not known"})
            continue
        rows += [
            {"unit": unit, "role": role, "state": found.state, "action": _action(role, found, unit in waiting)}
            for unit, found in units.items()
        ]
    return rows


def _action(role: str, unit: Unit, waits: bool) -> str:
    if role == "required":
        return "not touched"
    if role == "reload":
        return "reloaded" if unit.good else "restarted, since it does not run"
    if unit.errand:
        return "waited for" if not unit.gone else "not touched"
    if waits and not unit.wanted:
        return "stopped by an earlier run, started after reopening"
    return "stopped after the job in progress, started after reopening" if unit.wanted else "is off, stays off"


def _backup(application: t.Mapping[str, t.Any], *, planned: bool) -> dict[str, t.Any]:
    """What the backup before the switch will be like, judged by the newest that are there."""
    directory = application["backup"]["directory"]
    found: dict[str, t.Any] = {"planned": planned, "directory": directory, "bytes": None, "seconds": None, "newest": None, "runs": 0}
    if not directory:
        return {**found, "basis": "the profile names no backup folder"}
    try:
        backups = _backup_catalogue.read(directory, time.time())[0]
    except RollbackError as error:
        return {**found, "basis": error.message}
    mine = [backup for backup in backups if backup.get("application") == application["name"]][:_BACKUPS]
    if not mine:
        return {**found, "basis": f"no earlier backup of {application['name']} in {directory}"}
    moment = _backup_catalogue.moment
    newest = {name: mine[0].get(name) for name in ("path", "application_version", "label", "started", "age_seconds")}
    taken = [(moment(backup["finished"]) - moment(backup["started"])).total_seconds() for backup in mine]
    return {
        **found,
        "bytes": round(statistics.median(backup["bytes"] for backup in mine)),
        "seconds": round(statistics.median(taken), 2),
        "newest": newest,
        "runs": len(mine),
        "basis": f"median of the {len(mine)} newest backups in {directory}" if len(mine) > 1 else f"the only backup in {directory}",
    }


def _disk(application: t.Mapping[str, t.Any], *, with_backup: bool) -> list[dict[str, t.Any]]:
    places = {"code, dependencies, caches": application["path"], "records of runs": application["state_directory"]}
    if with_backup:
        places["backup"] = application["backup"]["directory"]
    return [{"path": path, "what": what, "free_bytes": _free(path)} for what, path in places.items()]


def _free(path: str) -> int:
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return free_bytes(path)


def _phases(application: t.Mapping[str, t.Any], plan: Plan) -> list[str]:
    """Those of the sequence that this rollback will go through and that its journal records."""
    services, migrations = application["services"], plan["migrations"] or {"down": []}
    restores, full = bool(plan["database"]), plan["severity"] == "full_system"
    comes = {
        "restore beside": restores,
        "count loss": restores,
        "prepare": plan["severity"] != "database" and (plan["dependencies_change"] or "release_path" in plan),
        "protect": plan["backup"],
        "quiesce writers": plan["closes"],  # with users on the site the workers are renewed with what serves them
        "close traffic": plan["closes"],
        "swap database": restores,
        "migrate down": migrations["down"],
        "switch code": True,
        "migrate up": migrations.get("up"),
        "configure": full and plan["restore_point"],
        "rebuild caches": True,
        "start services": services["reload"],
        "gate": True,
        "reopen": plan["closes"],
        "start workers": services["workers"] or services["schedulers"],
    }
    return [phase for phase, applies in comes.items() if applies]


def _approval(application: t.Mapping[str, t.Any], severity: str) -> dict[str, t.Any]:
    approvers = application.get("approvers") or []
    if severity == "emergency":
        return {"approvers": [], "basis": "an emergency waits for nobody"}
    basis = "named in the profile" if approvers else "the profile names no approvers"
    if severity in ("database", "full_system"):
        basis += "; somebody has to agree to what is lost, with -e approve= and what the first call prints"
    return {"approvers": approvers, "basis": basis}
