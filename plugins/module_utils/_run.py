# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import shutil
import time
import typing as t
from dataclasses import dataclass

from . import _journal
from ._errors import RollbackError
from ._wiring import utc

_GUARD_SECONDS = 5


@dataclass(frozen=True)
class Folder:
    """The durable state of an application on its host: the lock, the last run, a folder for each run."""

    root: str

    @classmethod
    def of(cls, state_directory: str, application: str) -> Folder:
        return cls(os.path.join(state_directory, application))

    @property
    def lock(self) -> str:
        return os.path.join(self.root, "lock")

    @property
    def last_run(self) -> str:
        return os.path.join(self.root, "last_run.json")

    @property
    def plans(self) -> str:
        return os.path.join(self.root, "plans")

    def run(self, run: str) -> str:
        return os.path.join(self.root, "runs", run)

    def record(self, run: str) -> str:
        return os.path.join(self.run(run), "run.json")

    def evidence(self, run: str) -> str:
        return os.path.join(self.run(run), "evidence")

    def create(self) -> None:
        try:
            make_private(os.path.join(self.root, "runs"))
        except OSError as error:
            me = getpass.getuser()
            raise RollbackError(
                f"{me} cannot write the state folder {self.root}: {error.strerror}.",
                next_command=f"sudo install -d -o {me} -m 0700 {os.path.dirname(self.root)}",
            ) from error


def make_private(path: str) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    if not path or os.path.isdir(path):
        return
    make_private(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):  # somebody else was quicker; if it is no folder, using it says so
        os.mkdir(path, 0o700)


def read_json(path: str) -> dict[str, t.Any] | None:
    """A JSON file; None when it does not exist or holds no object."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RollbackError(f"{path} cannot be read: {error}.") from error
    return found if isinstance(found, dict) else None


def write_json(path: str, value: t.Mapping[str, t.Any]) -> None:
    """Write aside, flush to disk, rename: readers see the old or the new file, whole."""
    aside = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise RollbackError(f"{path} cannot be written: {error.strerror}.") from error


def holder(folder: Folder) -> dict[str, t.Any] | None:
    """Who has the lock; nobody is None, an unreadable lock is somebody unknown."""
    if not os.path.lexists(folder.lock):
        return None
    try:
        return read_json(folder.lock) or {}
    except RollbackError:
        return {}


def acquire(folder: Folder, owner: t.Mapping[str, t.Any], *, take_over: str | None) -> dict[str, t.Any] | None:
    """Take the lock, or say who holds it; returns the owner it was taken from."""
    seen = holder(folder)
    with _guard(folder):
        held = holder(folder)
        if held is not None and held.get("run") == owner["run"]:
            return None
        if held is not None and (not take_over or held != seen):  # what changed meanwhile is not what was to be taken over
            raise locked(folder, held)
        if held is not None and sign_of_life(folder, held.get("run")).get("at_work"):
            raise locked(folder, held)
        _write_lock(folder, owner, replaces=held is not None)
    return held


def _write_lock(folder: Folder, owner: t.Mapping[str, t.Any], *, replaces: bool) -> None:
    aside = f"{folder.lock}.{owner['run']}"
    try:
        if replaces:
            os.rename(folder.lock, f"{folder.lock}.taken-over-{int(time.time())}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(owner, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, folder.lock)  # fails when the lock exists: this is the atomic step
    except FileExistsError:
        raise locked(folder, holder(folder)) from None
    except OSError as error:
        raise RollbackError(f"The lock {folder.lock} cannot be written: {error.strerror}.") from error
    finally:
        if os.path.exists(aside):
            os.unlink(aside)


@contextlib.contextmanager
def _guard(folder: Folder) -> t.Iterator[None]:
    """Look and act as one step among all that look at the lock."""
    try:
        descriptor = os.open(f"{folder.lock}.guard", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RollbackError(f"The lock {folder.lock} cannot be written: {error.strerror}.") from error
    try:
        deadline = time.monotonic() + _GUARD_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise locked(folder, holder(folder)) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def sign_of_life(folder: Folder, run: t.Any) -> dict[str, t.Any]:
    """The last thing that a run wrote into its journal, how long ago, and whether it is doing it at this moment."""
    if not isinstance(run, str) or not run or os.path.basename(run) != run:
        return {}
    path = os.path.join(folder.run(run), _journal.NAME)
    try:
        found = _journal.read(folder.run(run))
        age = time.time() - os.stat(path).st_mtime
    except (OSError, RollbackError):
        return {}
    if found is None or not found.entries:
        return {}
    last = found.entries[-1]
    step = last.get("step", last.get("event"))
    return {"step": step, "at": last.get("at"), "seconds_ago": round(age, 1), "at_work": _journal.at_work(found.entries) is not None}


def locked(folder: Folder, held: t.Mapping[str, t.Any] | None) -> RollbackError:
    who = held or {}
    sign = sign_of_life(folder, who.get("run"))
    if sign.get("at_work"):
        doing, after = f" It is at work at this moment: {sign['step']} since {sign['at']}.", "wait for it"
    else:
        doing = f" Its last sign of life was {sign['seconds_ago']:g} s ago: {sign['step']}." if sign else ""
        after = 'wait for it; if it is dead, run again with -e \'{"take_over": "why you are sure that it is dead"}\''
    return RollbackError(
        f"Another rollback holds the lock {folder.lock}: {who.get('actor', 'somebody')} since {who.get('since', 'an unknown time')}"
        f" (run {who.get('run', 'unknown')} from {who.get('controller', 'an unknown machine')}, to {who.get('target', 'an unknown target')}).{doing}",
        state="This run changed nothing.",
        next_command=after,
        facts={"lock": dict(who), "sign_of_life": sign},
    )


def release(folder: Folder, run: str) -> bool:
    """Give the lock back; a lock that belongs to another run by now is left alone."""
    with _guard(folder):
        if (holder(folder) or {}).get("run") != run:
            return False
        os.unlink(folder.lock)
    return True


def unfinished(last: t.Mapping[str, t.Any] | None) -> bool:
    """Whether the last run that touched the application never got to its end."""
    return last is not None and last.get("outcome") not in ("rolled_back", "nothing_to_do", "refused", "undone", "aborted")


def free_bytes(path: str) -> int:
    return shutil.disk_usage(path).free


def opened(folder: Folder, facts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Create a run's folder and record that it has begun; a run that never ends stays recorded as interrupted."""
    try:
        make_private(folder.evidence(facts["run"]))
    except OSError as error:
        raise RollbackError(f"{folder.run(facts['run'])} cannot be created: {error.strerror}.") from error
    record = {**facts, "opened": utc(), "outcome": "interrupted"}
    _journal.create(folder.run(facts["run"]), {"event": "opened", "at": record["opened"], "facts": dict(facts)})
    write_json(folder.record(facts["run"]), record)
    write_json(folder.last_run, record)
    return record


def closing(folder: Folder, run: str, outcome: str, detail: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], bool]:
    """What will be recorded about a run that ends, and whether that is not recorded yet."""
    found = read_json(folder.record(run)) or {"run": run}
    record = {**found, **detail, "outcome": outcome}
    return ({**record, "closed": utc()}, True) if "closed" not in found or record != found else (found, False)


def closed(folder: Folder, run: str, outcome: str, detail: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Record how a run ended."""
    record, changed = closing(folder, run, outcome, detail)
    if changed:
        try:
            _journal.append(folder.run(run), {"event": "closed", "at": record["closed"], "outcome": outcome})
        except RollbackError as error:  # a damaged journal must not keep the lock
            record["journal_problem"] = error.message
        write_json(folder.record(run), record)
    if (read_json(folder.last_run) or {}).get("run") == run:
        write_json(folder.last_run, record)
    return record
