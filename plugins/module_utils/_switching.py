# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Moves a checkout to its target, and back when that fails.

from __future__ import annotations

import os
import time
import typing as t

from ._depot import Depot
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._git import Repository, WorkTree


def switch_files(
    runner: Runner,
    repository: Repository,
    switch: t.Mapping[str, t.Any],
    options: t.Mapping[str, t.Any],
    running: WorkTree | None = None,
) -> dict[str, t.Any]:
    """Save local changes, go to the commit, swap the dependencies: all of it, or nothing."""
    running = running or repository.work_tree()
    depot = Depot(runner, repository)
    patch = None
    try:
        if switch["dependencies"]:
            depot.require(switch["commit"])
        if running.changed_files:
            patch = _save_changes(repository, options["patch_directory"])
            repository.discard_changes()
        if running.commit != switch["commit"]:
            repository.checkout(switch["commit"])
        if switch["dependencies"]:
            depot.swap(switch["from_commit"], switch["commit"])
    except RollbackError as error:
        _go_back(repository, running, patch, error, needs_vendor=switch["dependencies"])
        raise
    return {"patch": patch} if patch else {}


def _go_back(repository: Repository, running: WorkTree, patch: str | None, error: RollbackError, *, needs_vendor: bool) -> None:
    """Undo a switch that failed, and say truthfully what that led to."""
    kept = f" The local changes are in {patch}." if patch else ""
    try:
        now = repository.work_tree()
        if now.commit != running.commit:
            repository.checkout(running.commit, force=True)  # no local changes are left; the commit that is there may not be whole
        elif now.changed_files and patch is None and not running.changed_files:
            repository.discard_changes()
        if patch and not repository.work_tree().changed_files:
            with open(patch, encoding="utf-8", errors="surrogateescape", newline="") as file:
                repository.apply_changes(file.read())
        now = repository.work_tree()
        restored = now.commit == running.commit and set(now.changed_files) == set(running.changed_files)
        missing = "" if repository.exists(f"{repository.path}/vendor") or not needs_vendor else " Its directory vendor is missing."
    except RollbackError as second:
        error.state = f"The way back failed too: {second.message}{kept}"
        return
    error.facts["code_unchanged"] = restored and not missing
    if error.facts["code_unchanged"]:
        error.state = "The code and the dependencies are those from before."
    else:
        error.state = f"The checkout is at {now.commit[:12]}.{missing}{kept}"


def _save_changes(repository: Repository, directory: str) -> str:
    """Keep the local changes as a patch; each call writes a new file."""
    text = repository.save_changes()
    if not text.strip():
        raise RollbackError(f"The local changes of {repository.path} cannot be written as a patch.")
    path = os.path.join(directory, f"local-changes-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.patch")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as patch:
            patch.write(text)
            patch.flush()
            os.fsync(patch.fileno())
    except OSError as error:
        raise RollbackError(f"The local changes of {repository.path} cannot be saved to {path}: {error.strerror}.") from error
    return path
