# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What a change of the configuration replaced, kept for the user of the connection only, so that it can be put back.

from __future__ import annotations

import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ._clock import utc
from ._contents import digest, read, write_new
from ._errors import RollbackError
from ._run import Folder, make_private, read_json, write_json

if t.TYPE_CHECKING:
    from ._configuration_files import File

_RECORD = "change.json"
_KEPT = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


@dataclass(frozen=True)
class Change:
    """A change that was begun: for each file what was there before (None: nothing) and what it was to become."""

    name: str
    place: str
    state: str  # begun, made, reverted
    files: dict[str, dict[str, t.Any]]

    def before(self) -> dict[str, str | None]:
        """The texts that it replaced, each as it was kept, or a refusal."""
        return {path: self._text(path, about) for path, about in self.files.items()}

    def _text(self, path: str, about: t.Mapping[str, t.Any]) -> str | None:
        if about["before"] is None:
            return None
        place = os.path.join(self.place, about["stored"])
        try:
            text = read(place)
        except OSError as error:
            raise RollbackError(f"What was kept of {path} cannot be read: {place}: {error.strerror}.") from error
        if digest(text) != about["before"]:
            raise RollbackError(f"What was kept of {path} was changed: {place}.")
        return text


def begin(folder: Folder, name: str, files: t.Mapping[str, File], wanted: t.Mapping[str, str | None]) -> Change:
    """Keep what is about to be replaced; nothing may be touched before this is on disk."""
    place = _place(folder, name)
    record = read_json(os.path.join(place, _RECORD))
    if record is None or record["state"] == "reverted":
        shutil.rmtree(place, ignore_errors=True)  # of an attempt that had not touched anything, or that was put back
    else:
        raise RollbackError(
            f"There is a change of the configuration named {name} already.", next_command="state: reverted, or another name"
        )
    about: dict[str, dict[str, t.Any]] = {}
    try:
        make_private(place)
        for number, (path, file) in enumerate(files.items()):
            text = wanted[path]
            about[path] = {
                **{key: getattr(file, key) for key in ("mode", "owner", "group")},
                "stored": f"{number:03d}",
                "before": _digest(file.text),
                "after": _digest(text),
            }
            if file.text is not None:
                write_new(os.path.join(place, f"{number:03d}"), file.text)
        change = Change(name, place, "begun", about)
        settle(change, "begun")
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise RollbackError(f"What is to be replaced cannot be kept in {place}: {error.strerror}.") from error
    _forget_old(folder)
    return change


def _digest(text: str | None) -> str | None:
    return None if text is None else digest(text)


def settle(change: Change, state: str) -> None:
    """Record what has become of a change."""
    write_json(os.path.join(change.place, _RECORD), {"state": state, "at": utc(), "files": change.files})


def interrupted(folder: Folder, name: str) -> Change | None:
    """The change of that name, when it was begun and never came to an end."""
    record = read_json(os.path.join(_place(folder, name), _RECORD))
    return find(folder, name) if record is not None and record["state"] == "begun" else None


def find(folder: Folder, name: str) -> Change:
    place = _place(folder, name)
    record = read_json(os.path.join(place, _RECORD))
    if record is None:
        raise RollbackError(
            f"No change of the configuration named {name} is kept on this host.",
            next_command=f"ls {os.path.dirname(place)}",
            facts={"unknown_change": True},
        )
    return Change(name, place, record["state"], record["files"])


def _place(folder: Folder, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RollbackError(f"{name!r} cannot be the name of a change: only letters, digits, _ and - are allowed.")
    return os.path.join(folder.root, "configuration", name)


def _forget_old(folder: Folder) -> None:
    """The oldest of those that came to an end."""
    root = os.path.join(folder.root, "configuration")
    ended = [name for name in os.listdir(root) if (read_json(os.path.join(root, name, _RECORD)) or {}).get("state") in ("made", "reverted")]
    for name in sorted(ended, key=lambda name: os.stat(os.path.join(root, name, _RECORD)).st_mtime)[:-_KEPT]:
        shutil.rmtree(os.path.join(root, name), ignore_errors=True)
