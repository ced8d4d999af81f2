# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Which old backups go. What anything still names stays, and so does everything that cannot be judged.

from __future__ import annotations

import contextlib
import os
import stat
import typing as t
from dataclasses import dataclass

from . import _backup, _backup_catalogue, _ledger
from ._backup_catalogue import Entry
from ._errors import RollbackError
from ._journal import NAME as JOURNAL
from ._restore_point import snapshots
from ._run import Folder, guard, holder, read_json, unfinished

if t.TYPE_CHECKING:
    from ._restore_record import Record

# What a manifest is called once its backup is given up: whoever comes after an interruption knows what to finish.
REMOVED_SUFFIX = ".removed"
NOT_REMOVED = "No backup was removed."
_DAY = 86400


@dataclass(frozen=True)
class Policy:
    """What is old enough to go: only what both numbers say."""

    application: str
    keep_newest: int
    keep_days: float
    label: str | None = None


@dataclass(frozen=True)
class Prune:
    """One look at a directory of backups, and what is done about it."""

    directory: str
    folder: Folder
    record: Record
    policy: Policy
    now: float

    def run(self, check_mode: bool) -> dict[str, t.Any]:
        """Remove what may go; returns what went, and why everything else stayed."""
        if not os.path.isdir(self.folder.root):
            raise RollbackError(
                f"{self.folder.root} does not exist: what still needs a backup of {self.policy.application} cannot be known.",
                next_command="ansible-playbook playbooks/restore_point.yml, which begins the ledger; or name the right state_directory",
            )
        backups, ignored = _backup_catalogue.read(self.directory, self.now)
        good = proven(self._old_enough(backups), backups)  # reads whole files, so not while others wait
        with contextlib.nullcontext() if check_mode else self._alone():
            begun = [] if self._open_run() else list(self._begun())
            removed, kept = self._judged(backups, good)
            if not check_mode:
                self._remove(begun, removed)
        return {
            "removed": [*begun, *map(_shown, removed)],
            "kept": kept,
            "ignored": ignored,
            "freed_bytes": sum(backup["bytes"] for backup in removed),
        }

    @contextlib.contextmanager
    def _alone(self) -> t.Iterator[None]:
        """No restore is at work, and no run begins, while the block runs."""
        with self.record.alone(create=True), guard(self.folder):
            yield

    def _old_enough(self, backups: t.Iterable[Entry]) -> list[Entry]:
        return [backup for backup, reasons in self._reasons(backups) if not reasons]

    def _judged(self, backups: t.Sequence[Entry], good: t.Mapping[str, str]) -> tuple[list[Entry], list[dict[str, t.Any]]]:
        """Those that go, and the others with all that keeps them."""
        everything = self._open_run()
        named = list(self._named())
        removed, kept = [], []
        for backup, reasons in self._reasons(backups):
            if everything:
                reasons.append(everything)
            reasons += [who for who, text in named if backup["id"] in text]
            reasons += [good[backup["id"]]] if backup["id"] in good else []
            if reasons:
                kept.append({**_shown(backup), "reasons": reasons})
            else:
                removed.append(backup)
        return removed, kept

    def _reasons(self, backups: t.Iterable[Entry]) -> t.Iterator[tuple[Entry, list[str]]]:
        """Each backup, newest first, with what of the policy keeps it."""
        newer: dict[tuple[t.Any, ...], int] = {}
        for backup in backups:
            group = (backup["engine"], backup["database"], backup.get("label"))
            newer[group] = newer.get(group, 0) + (backup.get("application") == self.policy.application)
            yield backup, list(self._rules(backup, newer[group]))

    def _rules(self, backup: Entry, number: int) -> t.Iterator[str]:
        policy = self.policy
        if backup.get("application") != policy.application:
            yield f"it is not known to be of {policy.application}"
        elif number <= policy.keep_newest:
            yield f"it is one of the newest {policy.keep_newest} of its database and label"
        if policy.label is not None and backup.get("label") != policy.label:
            yield f"its label is not {policy.label}"
        if backup["age_seconds"] <= policy.keep_days * _DAY:
            yield f"it is not older than {policy.keep_days:g} days"
        if not _is_own(backup):
            yield f"{backup['file']} is not a file that db_backup makes"

    def _open_run(self) -> str | None:
        held, last = holder(self.folder), read_json(self.folder.last_run)
        if held is not None:
            return f"run {held.get('run', 'unknown')} is open"
        if unfinished(last):
            return f"run {(last or {}).get('run')} never came to its end"
        return None

    def _named(self) -> t.Iterator[tuple[str, str]]:
        """All that may name backups, as text: whatever the place, a backup that is named there is needed."""
        yield "the restore of the database names it", _text(self.record.path)
        for point, text in snapshots(self.folder, self._trusted_ledger()):
            yield f"the restore point {point.id} ({point.version}) names it", text
        last = read_json(self.folder.last_run) or {}
        for run in sorted({os.path.basename(str(said.get("run", ""))) for said in (last, last.get("origin") or {})} - {""}):
            yield f"the journal of run {run} names it", _text(os.path.join(self.folder.run(run), JOURNAL))
        yield "the record of the last run names it", _text(self.folder.last_run)
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(self.folder.plans)):
                yield f"the plan {name[:12]} names it", _text(os.path.join(self.folder.plans, name))

    def _trusted_ledger(self) -> _ledger.Ledger:
        found = _ledger.read(self.folder.root)
        if found.broken:
            raise RollbackError(
                f"The ledger is damaged: {found.broken}. Which backups its restore points need cannot be known.",
                next_command="ansible-playbook playbooks/status.yml",
            )
        return found

    def _begun(self) -> t.Iterator[dict[str, t.Any]]:
        """Removals that were interrupted: the file may be there, what says that it is a backup is not."""
        suffix = _backup.MANIFEST_SUFFIX + REMOVED_SUFFIX
        for name in sorted(os.listdir(self.directory)):
            manifest = os.path.join(self.directory, name)
            found = _backup_catalogue.readable(manifest) if name.endswith(suffix) else None
            if not found or found["id"] + suffix != name or found.get("application") != self.policy.application:
                continue
            path = os.path.join(self.directory, found["file"])
            own = found["file"] == os.path.basename(found["file"]) and found["file"].startswith(f"{found['id']}.")
            if own and not os.path.lexists(manifest[: -len(REMOVED_SUFFIX)]):
                yield {"id": found["id"], "path": path, "manifest": manifest, "label": found.get("label")}

    def _remove(self, begun: t.Iterable[Entry], backups: t.Iterable[Entry]) -> None:
        """Each stops being a backup before it stops being there, so that none is ever half a backup that looks whole."""
        done: list[str] = []
        path = self.directory
        try:
            for backup in [*begun, *backups]:
                path, manifest = backup["path"], backup["manifest"]
                if not manifest.endswith(REMOVED_SUFFIX):
                    os.rename(manifest, manifest + REMOVED_SUFFIX)
                    manifest += REMOVED_SUFFIX
                    _backup.flush_directory(self.directory)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                os.unlink(manifest)
                done.append(backup["id"])
            _backup.flush_directory(self.directory)
        except OSError as error:
            raise RollbackError(
                f"{path} could not be removed: {error.strerror}.",
                state=f"Removed were: {', '.join(done)}." if done else NOT_REMOVED,
                next_command="run again: what was begun is finished then",
                facts={"changed": bool(done)},
            ) from error


def proven(candidates: t.Iterable[Entry], backups: t.Iterable[Entry]) -> dict[str, str]:
    """For each database of which something may go: the newest backup whose checksum is right, and the newer ones, with what was found."""
    wanted = {_database(backup) for backup in candidates}
    found: dict[str, str] = {}
    for backup in backups:
        if _database(backup) in wanted:
            if _backup.sha256(backup["path"]) == backup["sha256"]:
                found[backup["id"]] = "it is the newest of its database whose checksum is right"
                wanted.discard(_database(backup))
            else:
                found[backup["id"]] = "its checksum differs from the manifest's: look at it, and remove it by hand"
    return found


def _database(backup: Entry) -> tuple[t.Any, ...]:
    return backup.get("application"), backup["engine"], backup["database"]


def _is_own(backup: Entry) -> bool:
    """Whether the file has the name that its backup gives it, and is a file."""
    return backup["file"].startswith(f"{backup['id']}.") and stat.S_ISREG(os.lstat(backup["path"]).st_mode)


def _shown(backup: Entry) -> dict[str, t.Any]:
    return {
        **{name: backup.get(name) for name in ("id", "path", "manifest", "label", "bytes")},
        "age_days": round(backup["age_seconds"] / _DAY, 1),
    }


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RollbackError(f"{path} cannot be read: {error.strerror}.") from error
