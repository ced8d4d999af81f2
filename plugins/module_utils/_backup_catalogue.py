# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Which backups a directory holds: those whose manifest and file agree. Everything else that looks like one is named with a reason.

from __future__ import annotations

import datetime
import json
import os
import re
import typing as t

from . import _backup
from ._dump_census import Census
from ._errors import CommandError, RollbackError
from ._packing import TOOLS, pieces, unpacking

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._ledger import Point
    from ._packing import Keys

_LOOKS_LIKE_A_BACKUP = re.compile(r"\.(sql|sqlite3?|db|dump|gz|bz2|xz|zst|tar|partial|bak)(\.|$)", re.IGNORECASE)
_WANTED = {"id": str, "file": str, "bytes": int, "sha256": str, "engine": str, "database": str, "started": str, "finished": str}
_SQLITE_HEADER = b"SQLite format 3\0"

Entry = dict[str, t.Any]


class Unusable(Exception):
    """Why a file is not a backup."""


def read(directory: str, now: float) -> tuple[list[Entry], list[dict[str, str]]]:
    """The backups of a directory, newest first, and what only looks like one, with the reason."""
    try:
        present = sorted(entry.name for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False))
    except OSError as error:
        raise RollbackError(f"The backup directory {directory} cannot be read: {error.strerror}.") from error
    backups: list[Entry] = []
    ignored: list[dict[str, str]] = []
    for name in present:
        if name.endswith(_backup.MANIFEST_SUFFIX):
            try:
                backups.append(_entry(directory, name, now))
            except Unusable as reason:
                ignored.append({"path": os.path.join(directory, name), "reason": str(reason)})
    claimed = {backup["file"] for backup in backups}
    ignored += [
        {"path": os.path.join(directory, name), "reason": _why_not(name)}
        for name in present
        if name not in claimed and not name.endswith(_backup.MANIFEST_SUFFIX) and _LOOKS_LIKE_A_BACKUP.search(name)
    ]
    return sorted(backups, key=lambda backup: (backup["started"], backup["id"]), reverse=True), ignored


def one(manifest: str, now: float) -> Entry:
    """The backup that a manifest describes; raise when there is none."""
    try:
        return _entry(*os.path.split(os.path.abspath(manifest)), now)
    except Unusable as reason:
        raise RollbackError(f"{manifest} is not the manifest of a backup: {reason}.") from None


def readable(manifest: str) -> Entry | None:
    """What a manifest says, wherever its file is; None when it is none."""
    try:
        return _manifest(manifest)
    except Unusable:
        return None


def fitting(backups: t.Iterable[Entry], before: str | None, **same: str | None) -> list[Entry]:
    """Those that were finished before a moment and whose manifests say the same; what is not given does not matter."""
    until = moment(before) if before else None
    wanted = {name: value for name, value in same.items() if value is not None}
    return [
        backup
        for backup in backups
        if (until is None or moment(backup["finished"]) < until) and all(backup.get(name) == value for name, value in wanted.items())
    ]


def newest_of_schema(backups: t.Iterable[Entry], application: str, migrations: t.Collection[str]) -> Entry | None:
    """The newest backup of an application with no migration beyond these; one that does not say which it holds may fit."""
    mine = (backup for backup in backups if backup.get("application") == application)
    return next((backup for backup in mine if set(backup.get("migrations") or ()) <= set(migrations)), None)


def moment(text: str) -> datetime.datetime:
    """An ISO 8601 time that says its time zone."""
    try:
        found = datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text.strip()))
    except ValueError:
        raise RollbackError(f"{text!r} is not a time in ISO 8601, such as 2026-11-22T10:00:00Z.") from None
    if found.tzinfo is None:
        raise RollbackError(f"The time {text!r} does not say its time zone; end it with Z for UTC, or with an offset such as +01:00.")
    return found


def taken_after_bad(backup: Entry, points: t.Sequence[Point]) -> dict[str, t.Any] | None:
    """The bad version that ran when a backup was begun: by the ledger, or, since that may have begun later, by the backup itself."""
    begun = moment(backup["started"])
    ran = [point for point in points if moment(point.since) <= begun and point.state != "started"]
    last = max(ran, key=lambda point: moment(point.since), default=None)
    named = [point for point in points if point.version == backup.get("application_version")]
    for point in [*([last] if last else []), *named[-1:]]:
        if point.state == "bad":
            return {"id": point.id, "version": point.version, "since": point.since, "reason": point.history[-1].get("reason")}
    return None


def verified(runner: Runner, backups: t.Iterable[Entry], keys: Keys) -> tuple[list[Entry], list[dict[str, str]]]:
    """Read each backup completely; returns those that hold what their manifests say, and the others with the reason."""
    runner.path("zstd")
    whole: list[Entry] = []
    damaged: list[dict[str, str]] = []
    for backup in backups:
        try:
            _open(runner, backup, keys)
            verify(runner, backup, keys)
        except Unusable as reason:
            damaged.append({"path": backup["path"], "reason": str(reason)})
        else:
            whole.append({**backup, "verified": True})
    return whole, damaged


def _open(runner: Runner, backup: Entry, keys: Keys) -> None:
    try:
        keys.check(runner, backup)
    except RollbackError as error:
        raise Unusable(error.message.rstrip(".")) from None


def verify(runner: Runner, backup: t.Mapping[str, t.Any], keys: Keys) -> None:
    """Read a backup completely; raise Unusable unless it holds what its manifest says."""
    verify_file(backup)
    if backup["form"] == "physical":
        _verify_parts(backup)
    elif backup["engine"] == "sqlite":
        _verify_sqlite(runner, backup, keys)
    elif backup["engine"] == "postgresql":
        _verify_archive(runner, backup, keys)
    else:
        _verify_dump(runner, backup, keys)


def verify_file(backup: t.Mapping[str, t.Any]) -> None:
    """Raise Unusable unless the file is, byte for byte, the one that the manifest was written for; enough for who loads and counts it anyway."""
    if _backup.sha256(backup["path"]) != backup["sha256"]:
        raise Unusable("its checksum differs from the manifest's")


def _entry(directory: str, name: str, now: float) -> Entry:
    found = _manifest(os.path.join(directory, name))
    if found["file"] != os.path.basename(found["file"]) or name != found["id"] + _backup.MANIFEST_SUFFIX:
        raise Unusable("it names another file than its own")
    path = os.path.join(directory, found["file"])
    try:
        size = os.lstat(path).st_size
    except FileNotFoundError:
        raise Unusable(f"its file {found['file']} is missing") from None
    if size != found["bytes"]:
        raise Unusable(f"its file {found['file']} has {size} bytes instead of {found['bytes']}")
    try:
        age = now - moment(found["started"]).timestamp()
        moment(found["finished"])
    except RollbackError as error:
        raise Unusable(error.message) from None
    more = {"path": path, "manifest": os.path.join(directory, name), "age_seconds": round(age), "verified": None}
    return {"form": "logical", **found, **more, "encrypted": bool(found.get("encryption"))}


def _manifest(path: str) -> Entry:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        raise Unusable("it is not a readable manifest") from None
    if not isinstance(found, dict) or found.get("format_version") != _backup.FORMAT_VERSION:
        raise Unusable(f"it is not a manifest of format version {_backup.FORMAT_VERSION}")
    missing = [key for key, kind in _WANTED.items() if not isinstance(found.get(key), kind)]
    if missing:
        raise Unusable(f"its manifest does not say {', '.join(missing)}")
    about = found.get("encryption")
    if about is not None and not (isinstance(about, dict) and about.get("tool") in TOOLS and isinstance(about.get("recipients"), list)):
        raise Unusable("its manifest does not say how it is encrypted")
    return found


def _why_not(name: str) -> str:
    if name.endswith(_backup.PARTIAL_SUFFIX):
        return "it is still being written, or was interrupted"
    return "it has no manifest that fits"


def _verify_dump(runner: Runner, backup: t.Mapping[str, t.Any], keys: Keys) -> None:
    census = Census()
    _unpack(runner, backup, keys, census.feed)
    if not census.complete:
        raise Unusable("its dump is not complete")
    if backup.get("rows_basis") == "dump" and census.rows != backup["tables"]:
        raise Unusable("its tables or rows differ from the manifest's")


def _verify_parts(backup: t.Mapping[str, t.Any]) -> None:
    """Each page of the files has a checksum too, which the server looks at when it takes them over."""
    parts = backup.get("parts") or []
    places = [sum(int(part["bytes"]) for part in parts[:number]) for number in range(len(parts) + 1)]
    if places != [*(part["offset"] for part in parts), backup["bytes"]]:
        raise Unusable("its parts are not those that its manifest names")


def _verify_sqlite(runner: Runner, backup: t.Mapping[str, t.Any], keys: Keys) -> None:
    size, header = 0, b""

    def look(chunk: bytes) -> None:
        nonlocal size, header
        size += len(chunk)
        header = (header + chunk)[: len(_SQLITE_HEADER)]

    _unpack(runner, backup, keys, look)
    if header != _SQLITE_HEADER or size != backup.get("uncompressed_bytes"):
        raise Unusable("it does not hold a whole SQLite database")


def _verify_archive(runner: Runner, backup: t.Mapping[str, t.Any], keys: Keys) -> None:
    """Let PostgreSQL's own program turn all of the archive into SQL, which goes nowhere."""
    runner.path("pg_restore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        unpack = unpacking(backup, keys)
        runner.pipeline([*unpack, ["pg_restore", "--format=custom", "--file=-"]], output=nowhere, watched=len(unpack) - 1)
    except CommandError as error:
        raise Unusable(f"its archive cannot be read: {error.stderr.strip() or error.message}") from None
    finally:
        os.close(nowhere)


def _unpack(runner: Runner, backup: t.Mapping[str, t.Any], keys: Keys, watch: t.Callable[[bytes], None]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for part in pieces(backup):
            stages = unpacking(backup, keys, part)
            runner.pipeline(stages, output=nowhere, watch=watch, watched=len(stages) - 1)
    except CommandError:
        raise Unusable("it cannot be decrypted and decompressed" if backup.get("encryption") else "it cannot be decompressed") from None
    finally:
        os.close(nowhere)
