# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The journal of a run: JSON lines that are only ever added, each flushed to disk and bound to the one before it by a hash.

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError

NAME = "journal.jsonl"
_FIRST = "0" * 64

Entry = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Reading:
    """What a journal holds, and what is wrong with it."""

    entries: list[dict[str, t.Any]]
    broken: str | None = None  # why it cannot be trusted from there on
    torn: bool = False  # its last line was not written to its end: whoever wrote it was killed


def seal(entry: Entry, previous: str) -> dict[str, t.Any]:
    """The entry bound to the one before it."""
    bound = {**entry, "previous": previous}
    return {**bound, "hash": hashlib.sha256(_canonical(bound).encode()).hexdigest()}


def _canonical(entry: Entry) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def parse(text: str) -> Reading:
    """Read a journal's text and check the chain."""
    *lines, rest = text.split("\n")
    entries: list[dict[str, t.Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            expected = seal({key: value for key, value in entry.items() if key not in ("previous", "hash")}, _last_hash(entries))
        except (ValueError, AttributeError):
            return Reading(entries, f"line {number} is not an entry")
        if entry.get("previous") != expected["previous"]:
            return Reading(entries, f"line {number} does not follow the one before it")
        if entry.get("hash") != expected["hash"] or entry.get("number") != number:
            return Reading(entries, f"line {number} was changed")
        entries.append(entry)
    return Reading(entries, torn=bool(rest))


def _last_hash(entries: t.Sequence[Entry]) -> str:
    return str(entries[-1]["hash"]) if entries else _FIRST


def read(directory: str, name: str = NAME) -> Reading | None:
    """The journal in a run's folder, or another chain of entries; None when there is none."""
    path = os.path.join(directory, name)
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            return parse(file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RollbackError(f"{path} cannot be read: {error.strerror}.") from error


def text_of(directory: str) -> str:
    """The journal as it stands in its file, for a copy elsewhere; empty when there is none."""
    with contextlib.suppress(OSError), open(os.path.join(directory, NAME), encoding="utf-8", errors="replace", newline="\n") as file:
        return file.read()
    return ""


def append(directory: str, entry: Entry, name: str = NAME) -> dict[str, t.Any]:
    """Add an entry, whole and on disk, or fail; whoever comes after a torn line cuts it off first."""
    path = os.path.join(directory, name)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            found = parse(file.read().decode("utf-8", "replace"))
            if found.broken:
                raise RollbackError(f"{path} is damaged: {found.broken}.", next_command=f"less {path}")
            sealed = seal({"number": len(found.entries) + 1, **entry}, _last_hash(found.entries))
            if found.torn:
                _cut(file)
            file.seek(0, os.SEEK_END)
            file.write(f"{_canonical(sealed)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RollbackError(f"{path} cannot be written: {error.strerror}.") from error
    return sealed


def _cut(file: t.IO[bytes]) -> None:
    """Remove what follows the last whole line."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def create(directory: str, entry: Entry) -> dict[str, t.Any]:
    """Begin a journal; the folder's own entry is flushed too, so that the file is still there after a power failure."""
    written = append(directory, entry)
    descriptor = os.open(directory, os.O_RDONLY)
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder
        os.fsync(descriptor)
    os.close(descriptor)
    return written


def this_process() -> dict[str, int]:
    """Names this process so that no later one can be mistaken for it."""
    return {"id": os.getpid(), "began": _began(os.getpid()) or 0}


def _began(process: int) -> int | None:
    """When a process began, in ticks since the host started; None when there is no such process."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def at_work(entries: t.Sequence[Entry]) -> Entry | None:
    """The step that is being done at this moment; None when nobody does anything."""
    if not entries or entries[-1].get("event") != "intent":
        return None
    return entries[-1] if alive(entries[-1].get("process") or {}) else None


def alive(process: t.Mapping[str, t.Any]) -> bool:
    """Whether a process that named itself is still there."""
    return bool(process.get("id")) and _began(process["id"]) == process.get("began")


# The phase that a step belongs to.
_PHASES = {
    "git_version_switch prepared": "prepare",
    "release_trial": "prepare",
    "db_backup": "protect",
    "db_restore beside": "restore beside",
    "data_loss": "count loss",
    "service_group stopped": "quiesce writers",
    "laravel_maintenance down": "close traffic",
    "db_restore swapped": "swap database",
    "db_restore returned": "return database",
    "db_migration down": "migrate down",
    "git_version_switch switched": "switch code",
    "release_switch switched": "switch code",
    "configuration_restore restored": "configure",
    "configuration_restore reverted": "configure",
    "db_migration up": "migrate up",
    "laravel_cache rebuilt": "rebuild caches",
    "service_group reloaded": "start services",
    "service_group renewed": "start services",
    "health_gate": "gate",
    "laravel_maintenance up": "reopen",
    "service_group started": "start workers",
}


def phase_of(entry: Entry) -> str | None:
    return _PHASES.get(str(entry.get("step")))


def phases(entries: t.Sequence[Entry]) -> dict[str, dict[str, t.Any]]:
    """What a run did, phase by phase; a step that was begun and never ended has failed, and whatever it did may be half done."""
    found: dict[str, dict[str, t.Any]] = {"lock": {"changed": True}} if entries else {}
    for entry in entries:
        phase = phase_of(entry)
        if phase is None:
            continue
        if entry["event"] == "intent":
            found[phase] = {**found.get(phase, {}), "failed": True, "interrupted": True, "started": entry.get("at")}
        else:
            when = {"started": found.get(phase, {}).get("started"), "seconds": entry.get("seconds")}
            outcome = {"failed": bool(entry.get("failed")), "changed": bool(entry.get("changed"))}
            found[phase] = {**when, **outcome, **(entry.get("facts") or {})}
    return found
