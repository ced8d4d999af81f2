# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import getpass
import json
import os
import shutil
import time
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError
from ._wiring import utc


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

    def run(self, run: str) -> str:
        return os.path.join(self.root, "runs", run)

    def create(self) -> None:
        try:
            os.makedirs(os.path.join(self.root, "runs"), mode=0o700, exist_ok=True)
        except OSError as error:
            me = getpass.getuser()
            raise RollbackError(
                f"{me} cannot write the state folder {self.root}: {error.strerror}.",
                next_command=f"sudo install -d -o {me} -m 0700 {os.path.dirname(self.root)}",
            ) from error


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


def acquire(folder: Folder, owner: t.Mapping[str, t.Any], *, take_over: str | None) -> dict[str, t.Any] | None:
    """Take the lock, or say who holds it; returns the owner it was taken from."""
    held = read_json(folder.lock) if os.path.exists(folder.lock) else None
    if held is not None or os.path.exists(folder.lock):
        if held is not None and held.get("run") == owner["run"]:
            return None
        if not take_over:
            raise locked(folder, held)
        os.rename(folder.lock, f"{folder.lock}.taken-over-{int(time.time())}")
    try:
        descriptor = os.open(f"{folder.lock}.{owner['run']}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(owner, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.link(f"{folder.lock}.{owner['run']}", folder.lock)  # fails when the lock exists: this is the atomic step
    except FileExistsError:
        raise locked(folder, read_json(folder.lock)) from None
    except OSError as error:
        raise RollbackError(f"The lock {folder.lock} cannot be written: {error.strerror}.") from error
    finally:
        if os.path.exists(f"{folder.lock}.{owner['run']}"):
            os.unlink(f"{folder.lock}.{owner['run']}")
    return held


def locked(folder: Folder, held: t.Mapping[str, t.Any] | None) -> RollbackError:
    who = held or {}
    return RollbackError(
        f"Another rollback holds the lock {folder.lock}: {who.get('actor', 'somebody')} since {who.get('since', 'an unknown time')}"
        f" (run {who.get('run', 'unknown')} from {who.get('controller', 'an unknown machine')}, to {who.get('target', 'an unknown target')}).",
        state="This run changed nothing.",
        next_command='wait for it; if it is dead, run again with -e \'{"take_over": "why you are sure that it is dead"}\'',
        facts={"lock": dict(who)},
    )


def release(folder: Folder, run: str) -> bool:
    """Give the lock back; a lock that belongs to another run by now is left alone."""
    held = read_json(folder.lock)
    if held is None or held.get("run") != run:
        return False
    os.unlink(folder.lock)
    return True


def unfinished(last: t.Mapping[str, t.Any] | None) -> bool:
    """Whether the last run that touched the application never got to its end."""
    return last is not None and last.get("outcome") not in ("rolled_back", "nothing_to_do", "refused")


def free_bytes(path: str) -> int:
    return shutil.disk_usage(path).free


def opened(folder: Folder, facts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Create a run's folder and record that it has begun; a run that never ends stays recorded as interrupted."""
    os.makedirs(os.path.join(folder.run(facts["run"]), "evidence"), mode=0o700, exist_ok=True)
    record = {**facts, "opened": utc(), "outcome": "interrupted"}
    write_json(os.path.join(folder.run(facts["run"]), "run.json"), record)
    write_json(folder.last_run, record)
    return record


def closed(folder: Folder, run: str, outcome: str, detail: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    path = os.path.join(folder.run(run), "run.json")
    record = {**(read_json(path) or {"run": run}), **detail, "outcome": outcome, "closed": utc()}
    write_json(path, record)
    if (read_json(folder.last_run) or {}).get("run") == run:
        write_json(folder.last_run, record)
    return record
