# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Configuration files of a host, read as the application's user and replaced, each in one moment, by whoever they belong to.

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ._contents import digest
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

_OTHERS_MAY_WRITE = 0o022

About = t.Mapping[str, t.Any]  # mode, owner and group of a file that is to be made


@dataclass(frozen=True)
class File:
    """A file as it is; one that is not there has no text, and the access that it is to get."""

    path: str
    real: str  # where links lead to
    text: str | None
    mode: str
    owner: str
    group: str
    writer: str | None  # who replaces it; None is the user of the connection

    @property
    def aside(self) -> str:
        """Beside it, under a name that no program takes for configuration."""
        return os.path.join(os.path.dirname(self.real), f".{os.path.basename(self.real)}.lastgood")


class Files:
    def __init__(self, runner: Runner, user: str) -> None:
        self._runner = runner
        self._user = user

    def look(self, wanted: t.Mapping[str, About]) -> dict[str, File]:
        """The files by the paths that were asked for."""
        reals = self._read(["readlink", "-m", "--", *wanted]).stdout.splitlines() if wanted else []
        return {path: self._file(path, real, wanted[path]) for path, real in zip(wanted, reals)}

    def _file(self, path: str, real: str, about: About) -> File:
        found = self._read(["stat", "--format=%a %U %G", "--", real])
        if found.rc and "No such file" not in found.stderr:
            raise self._unreadable(path, found)
        text = None
        mode, owner, group = (str(about.get(name, "")) for name in ("mode", "owner", "group"))
        if not found.rc:
            mode, owner, group = found.stdout.split()
            read = self._read(["cat", "--", real])
            if read.rc:
                raise self._unreadable(path, read)
            text = read.stdout
        return File(path, real, text, mode, owner, group, self._writer(path, real, owner))

    def _unreadable(self, path: str, done: Completed) -> RollbackError:
        return RollbackError(
            f"The configuration file {path} cannot be read by {self._user}: {done.output}.", next_command=f"sudo -u {self._user} cat {path}"
        )

    def _writer(self, path: str, real: str, owner: str) -> str | None:
        folder = os.path.dirname(real)
        if owner == self._user and self._read(["test", "-w", folder]).rc == 0:
            return self._user
        if owner == self._runner.me and os.access(folder, os.W_OK):
            return None
        self._refuse_open_folders(path, folder)
        return "root"

    def _refuse_open_folders(self, path: str, folder: str) -> None:
        """What others may swap under our hands is not written as root."""
        above = [folder]
        while above[-1] != "/":
            above.append(os.path.dirname(above[-1]))
        found = self._read(["stat", "--format=%a %U %n", "--", *above])
        if found.rc:
            raise self._unreadable(path, found)
        for line in found.stdout.splitlines():
            mode, owner, name = line.split(" ", 2)
            if owner != "root" or int(mode, 8) & _OTHERS_MAY_WRITE:
                raise RollbackError(
                    f"The configuration file {path} would have to be written as root, but others than root may write in {name}.",
                    next_command=f"give the file to {self._user}, or restore it by hand",
                )

    def _read(self, argv: t.Sequence[str]) -> Completed:
        return self._runner.run(argv, user=self._user, check=False, timeout=20)

    def orders(self, file: File, text: str | None) -> list[list[str]]:
        """The commands that give a file another text, or take it away: exact ones, so that sudoers can list them."""
        if text is None:
            return [["rm", "--", file.real]]
        if file.text is None:
            who = ["-o", file.owner, "-g", file.group] if file.writer == "root" else ["-g", file.group]
            first = ["install", "-m", file.mode, *who, "-T", "/dev/null", file.aside]
        else:  # with its access control lists and all else that belongs to it
            first = ["cp", "-a", "-T", "--", file.real, file.aside]
        return [first, ["tee", "--", file.aside], ["mv", "-T", "--", file.aside, file.real]]

    def put(self, file: File, text: str | None) -> None:
        """Replace a file; whoever reads it at that moment gets the old text or the new one, whole."""
        *before, last = self.orders(file, text)
        for argv in before:
            self._runner.run(argv, user=file.writer, stdin=text if argv[0] == "tee" else None, timeout=20)
        if text is not None:
            written = self._runner.run(["cat", "--", file.aside], user=self._user, timeout=20)
            if digest(written.stdout) != digest(text):
                raise RollbackError(f"What was written to {file.aside} is not what is there now.", state=f"{file.path} is as it was.")
            self._runner.run(["sync", "--", file.aside], user=self._user, timeout=60)
        self._runner.run(last, user=file.writer, timeout=20)
