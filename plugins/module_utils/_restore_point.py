# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A restore point: what runs now, written down so that it can be compared and gone back to.

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import typing as t

from . import _ledger
from ._backup_catalogue import newest_of_schema
from ._backup_catalogue import read as read_backups
from ._clock import utc
from ._code import code_of
from ._contents import as_bytes, digest, hashed, read, write_new
from ._database_credentials import from_dotenv
from ._dotenv import parse
from ._errors import RollbackError
from ._git import LOCK_FILES
from ._ledger import compact
from ._migrations import applied
from ._run import Folder, make_private, read_json, write_json
from ._units import Systemd
from ._versions import commit_of, name_of

if t.TYPE_CHECKING:
    from ._code import Code
    from ._command import Runner
    from ._ledger import Point
    from ._units import Unit

_MANIFEST = "manifest.json"
_KEPT = 20

Application = t.Mapping[str, t.Any]
Manifest = dict[str, t.Any]


def folder_of(folder: Folder, point: str) -> str:
    return os.path.join(folder.root, "restore_points", point)


# What runs now


def look(runner: Runner, application: Application) -> tuple[Manifest, dict[str, str]]:
    """What makes up the running version, and the contents of its configuration files by their paths."""
    repository = code_of(runner, application)
    tree = repository.work_tree()
    if tree.changed_files:
        raise RollbackError(
            f"{repository.path} has local changes in {len(tree.changed_files)} tracked files: what runs is no version that can be gone back to.",
            state="Nothing was recorded.",
            next_command=f"sudo -u {repository.user} git -C {repository.path} status",
        )
    units = units_of(runner, application)
    texts = _texts(runner, application, units)
    locks = repository.contents([f"{tree.commit}:{name}" for name in LOCK_FILES])
    files = {path: _described(runner, application, path, text) for path, text in texts.items()}
    migrations = sorted(held.name for held in applied(runner, _credentials(runner, application)))
    manifest = {
        "application": application["name"],
        "commit": commit_of(tree.commit),
        "version": name_of(tree.commit, repository.tags(), application["releases"]["pattern"]),
        "lock_files": {name.partition(":")[2]: digest(text) for name, text in locks.items()},
        "migrations": migrations,
        "files": files,
        "units": {name: unit.state for name, unit in units.items()},
        "backup": _newest_backup(application, migrations),
    }
    same = {name: manifest[name] for name in ("commit", "lock_files", "migrations")}
    contents = {path: (about["sha256"], about["mode"], about["owner"]) for path, about in files.items()}
    return {**manifest, "content": digest(json.dumps([same, contents], sort_keys=True))}, texts


def _credentials(runner: Runner, application: Application) -> t.Any:
    return from_dotenv(runner, application["environment_file"], application["user"])


def units_of(runner: Runner, application: Application) -> dict[str, Unit]:
    services = application["services"]
    systemd = Systemd(runner)
    return systemd.show(systemd.expand([*services["workers"], *services["schedulers"], *services["reload"], *services["required"]]))


def configuration_files(application: Application, units: t.Mapping[str, Unit]) -> list[str]:
    """What makes up the configuration: .env, what the profile names, the workers' own unit files."""
    named = [application["environment_file"], *application["configuration"]["files"]]
    mine = [path for unit in units.values() for path in unit.files if path.startswith("/etc/")]  # others belong to packages
    return list(dict.fromkeys([*named, *mine]))


def _texts(runner: Runner, application: Application, units: t.Mapping[str, Unit]) -> dict[str, str]:
    """Configuration as the application's user can read it."""
    found = {}
    for path in configuration_files(application, units):
        done = runner.run(["cat", "--", path], user=application["user"], check=False)
        if done.rc:
            raise RollbackError(
                f"The configuration file {path} cannot be read by {application['user']}: {done.output}.",
                state="Nothing was recorded.",
                next_command=f"sudo -u {application['user']} cat {path}, or take it out of the profile (configuration.files)",
            )
        found[path] = done.stdout
    return found


def _described(runner: Runner, application: Application, path: str, text: str) -> dict[str, t.Any]:
    mode, owner, group = runner.run(["stat", "--format=%a %U %G", "--", path], user=application["user"]).stdout.split()
    return {"sha256": digest(text), "mode": mode, "owner": owner, "group": group, "bytes": len(as_bytes(text))}


def _newest_backup(application: Application, migrations: t.Collection[str]) -> dict[str, t.Any] | None:
    """The newest one whose schema this version can have had: one with a migration that is not applied now belongs to another version."""
    directory = application["backup"]["directory"]
    if not directory or not os.path.isdir(directory):
        return None
    backups, _ignored = read_backups(directory, 0)
    wanted = ("id", "path", "started", "sha256", "bytes", "application_version")
    fits = newest_of_schema(backups, application["name"], migrations)
    return {name: fits.get(name) for name in wanted} if fits else None


# Recording it


def record(runner: Runner, application: Application, who: t.Mapping[str, t.Any], *, verified: bool, check_mode: bool) -> dict[str, t.Any]:
    """Write down what runs now; what the ledger has already is only said to be verified."""
    folder = Folder.of(application["state_directory"], application["name"])
    manifest, texts = look(runner, application)
    ledger = _ledger.read(folder.root).trusted()
    known = [point for point in ledger.of(manifest["commit"]) if point.state != "superseded"]
    same = [point for point in known if point.content == manifest["content"] and not damage(folder, point)]
    if same and (not verified or same[-1].state == "verified"):
        return {"changed": False, "restore_point": same[-1].as_result(), "manifest": manifest}
    if check_mode:
        return {"changed": True, "manifest": manifest}
    at = utc()
    if same:
        _ledger.mark(folder.root, same[-1], "verified", at, who)
        return {"changed": True, "restore_point": _named(folder, same[-1].id).as_result(), "manifest": manifest}
    folder.create()
    begun = [point for point in known if point.state == "started"]
    name = begun[-1].id if begun else f"{compact(at)}-{manifest['commit'][:12]}"
    seal = _keep(folder, name, {**manifest, "id": name, "recorded": at}, texts)
    snapshot = {"since": at, "manifest": seal, "content": manifest["content"]}
    if begun:
        _ledger.mark(folder.root, begun[-1], "live", at, who, **snapshot)
    else:
        facts = {"id": name, "commit": manifest["commit"], "version": manifest["version"], "source": "recorded", "at": at}
        _ledger.record(folder.root, {**facts, **snapshot}, "live", who)
    if verified:
        _ledger.mark(folder.root, _named(folder, name), "verified", at, who)
    for point in known:
        if point.state == "live" and point.manifest:
            _ledger.mark(folder.root, point, "superseded", at, {**who, "reason": f"{name} has what changed since"})
    _forget_old(folder)
    return {"changed": True, "restore_point": _named(folder, name).as_result(), "manifest": manifest}


def begin(folder: Folder, version: str, commit: str, who: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Write down that a deployment of a version has begun; it is nothing to go back to until it ran."""
    known = [point for point in _ledger.read(folder.root).trusted().of(commit) if point.state != "superseded"]
    if known:
        return {"changed": False, "restore_point": known[-1].as_result()}
    if check_mode:
        return {"changed": True}
    folder.create()
    at = utc()
    name = f"{compact(at)}-{commit[:12]}"
    facts = {"id": name, "commit": commit_of(commit), "version": version, "since": at, "source": "deployment", "at": at}
    _ledger.record(folder.root, facts, "started", who)
    return {"changed": True, "restore_point": _named(folder, name).as_result()}


def mark(folder: Folder, name: str, state: str, who: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Say something about an entry of the ledger by hand."""
    point = _ledger.read(folder.root).trusted().find(name)
    if point.state == state:
        return {"changed": False, "restore_point": point.as_result()}
    _ledger.check(point, state, who)
    if not check_mode:
        _ledger.mark(folder.root, point, state, utc(), who)
        point = _named(folder, point.id)
    return {"changed": True, "restore_point": point.as_result()}


def _named(folder: Folder, name: str) -> Point:
    return _ledger.read(folder.root).find(name)


def _keep(folder: Folder, name: str, manifest: Manifest, texts: t.Mapping[str, str]) -> str:
    """Write the snapshot aside and give it its name last; returns the checksum of its manifest."""
    place, aside = folder_of(folder, name), f"{folder_of(folder, name)}.partial"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        make_private(os.path.join(aside, "files"))
        for number, (path, text) in enumerate(texts.items()):
            manifest["files"][path]["stored"] = f"files/{number:03d}"
            write_new(os.path.join(aside, "files", f"{number:03d}"), text)
        write_json(os.path.join(aside, _MANIFEST), manifest)
        os.replace(aside, place)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise RollbackError(f"The restore point cannot be written to {place}: {error.strerror}.", state="Nothing was recorded.") from error
    return _sum(os.path.join(place, _MANIFEST))


def _sum(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _forget_old(folder: Folder) -> None:
    """Only snapshots that were replaced by newer ones of the same version, and of those the oldest."""
    replaced = [point for point in _ledger.read(folder.root).points if point.state == "superseded" and point.manifest]
    for point in replaced[:-_KEPT]:
        shutil.rmtree(folder_of(folder, point.id), ignore_errors=True)


# Which one to go back to


def last_good(repository: Code, folder: Folder, ledger: _ledger.Ledger, running: str) -> tuple[Point | None, list[str]]:
    """The verified version that ran last, is not bad, does not run now and is intact; and those that were passed over, with the reason."""
    passed_over: list[str] = []
    for point in ledger.trusted().candidates(running):
        trouble = trouble_of(repository, folder, point)
        if trouble is None:
            return point, passed_over
        passed_over.append(f"{point.version} ({point.id}): {trouble}")
    return None, passed_over


def trouble_of(repository: Code, folder: Folder, point: Point) -> str | None:
    """What keeps a version from being gone back to on this host."""
    if repository.resolve(point.commit) is None:
        return f"its commit {point.commit[:12]} is not in {repository.home}"
    return damage(folder, point)


def listed(repository: Code, folder: Folder, newest: int | None = None) -> dict[str, t.Any]:
    """The ledger, or its newest entries, with what can be said about it now."""
    ledger = _ledger.read(folder.root)
    chosen, passed_over = (None, []) if ledger.broken else last_good(repository, folder, ledger, repository.work_tree().commit)
    return {
        "restore_points": [
            {**point.as_result(), "trouble": trouble_of(repository, folder, point)} for point in ledger.points[::-1][:newest]
        ],
        "last_good": chosen.as_result() if chosen else None,
        "passed_over": passed_over,
        "broken": ledger.broken,
    }


def compared(runner: Runner, application: Application, name: str) -> dict[str, t.Any]:
    """What is different between an entry and what runs now."""
    folder = Folder.of(application["state_directory"], application["name"])
    point = _ledger.read(folder.root).trusted().find(name)
    trouble = no_snapshot(folder, point)
    if trouble:
        raise RollbackError(f"The restore point {point.id} cannot be compared: {trouble}.")
    return _differences(folder, point, *look(runner, application))


def snapshot_of(folder: Folder, commit: str) -> dict[str, t.Any] | None:
    """The newest intact snapshot of a version, with its lock files and the database backup that was the newest fitting one then; None where there is none."""
    for point in reversed(_ledger.read(folder.root).trusted().of(commit)):
        if point.manifest and damage(folder, point) is None:
            manifest = read_json(os.path.join(folder_of(folder, point.id), _MANIFEST)) or {}
            return {"id": point.id, "backup": (manifest.get("backup") or {}).get("id"), "lock_files": manifest.get("lock_files") or {}}
    return None


# Whether it can be gone back to, and what would be different


def damage(folder: Folder, point: Point) -> str | None:
    """What keeps a snapshot from being what was recorded; None when it is whole, or when the entry never had one."""
    if point.manifest is None:
        return None
    place = folder_of(folder, point.id)
    try:
        if _sum(os.path.join(place, _MANIFEST)) != point.manifest:
            return "its manifest was changed"
        for path, about in (read_json(os.path.join(place, _MANIFEST)) or {}).get("files", {}).items():
            if _sum(os.path.join(place, about["stored"])) != about["sha256"]:
                return f"its copy of {path} was changed"
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"
    return None


def snapshots(folder: Folder, ledger: _ledger.Ledger) -> t.Iterator[tuple[Point, str]]:
    """The manifests of all snapshots that were not forgotten, as text; each is what was recorded, or none can be relied on."""
    for point in ledger.points:
        place = folder_of(folder, point.id)
        if point.manifest is None or not os.path.lexists(place):
            continue
        path = os.path.join(place, _MANIFEST)
        try:
            whole = _sum(path) == point.manifest
        except OSError:
            whole = False
        if not whole:
            raise RollbackError(
                f"The manifest {path} of the restore point {point.id} is not what was recorded: what that needs cannot be known.",
                next_command=f"rm -r {shlex.quote(place)}   # once it is clear that nobody needs this restore point",
            )
        yield point, read(path)


def no_snapshot(folder: Folder, point: Point) -> str | None:
    """Why an entry has no snapshot that can be used."""
    return "it has no snapshot" if point.manifest is None else damage(folder, point)


def kept_files(folder: Folder, point: Point) -> dict[str, tuple[str, dict[str, t.Any]]]:
    """The configuration of a snapshot, file by file: the text and what is recorded about it. All of it is what was recorded, or it is refused."""
    trouble = no_snapshot(folder, point)
    if trouble:
        raise RollbackError(
            f"The configuration of the restore point {point.id} cannot be used: {trouble}.",
            next_command="ansible-playbook playbooks/status.yml, which lists the ledger",
        )
    place = folder_of(folder, point.id)
    manifest = read_json(os.path.join(place, _MANIFEST)) or {}
    return {path: (read(os.path.join(place, about["stored"])), about) for path, about in manifest["files"].items()}


def _differences(folder: Folder, point: Point, now: Manifest, texts: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What is different now; values of settings only as hashes that cannot be compared with those of another call."""
    then = read_json(os.path.join(folder_of(folder, point.id), _MANIFEST)) or {}
    before, after = then.get("files", {}), now["files"]
    salt = os.urandom(16)
    changed = {}
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old and new and old["sha256"] == new["sha256"]:
            continue
        changed[path] = "only now" if not old else "only then" if not new else "changed"
    return {
        "code": then.get("commit") != now["commit"],
        "lock_files": sorted(name for name in {*then["lock_files"], *now["lock_files"]} if _differs(then, now, "lock_files", name)),
        "migrations": {
            "only_now": sorted(set(now["migrations"]) - set(then["migrations"])),
            "only_then": sorted(set(then["migrations"]) - set(now["migrations"])),
        },
        "files": changed,
        "settings": _settings(folder, point, then, texts, salt),
        "units": sorted(name for name in {*then["units"], *now["units"]} if _differs(then, now, "units", name)),
    }


def _differs(then: Manifest, now: Manifest, group: str, name: str) -> bool:
    return bool(then[group].get(name) != now[group].get(name))


def _settings(folder: Folder, point: Point, then: Manifest, texts: t.Mapping[str, str], salt: bytes) -> dict[str, dict[str, str | None]]:
    """The keys of .env files that differ, each with hashes of its value then and now."""
    found: dict[str, dict[str, str | None]] = {}
    for path, about in then["files"].items():
        if os.path.basename(path) != ".env":
            continue
        old = parse(read(os.path.join(folder_of(folder, point.id), about["stored"])))
        new = parse(texts.get(path, ""))
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                found[name] = {"then": hashed(old.get(name), salt), "now": hashed(new.get(name), salt)}
    return found
