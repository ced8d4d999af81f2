# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The folder in which a server of MariaDB keeps its databases. Programs that read or write there run as the system's user whose it is.

from __future__ import annotations

import os
import pwd
import re
import socket
import typing as t
from dataclasses import dataclass

from ._command import limited
from ._database_mysql import query, quoted_text
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Completed, Runner
    from ._database_credentials import Credentials

PROGRAM = "mariadb-backup"
_SCRATCH = ".lastgood"  # in the folder of a database: anything beside those would count as a database itself
_SERIES = re.compile(r"(\d+\.\d+)\.\d+-MariaDB")
_COMPLAINT = re.compile(r"\berror\b|\bfailed\b|\bcannot\b|can't|No space left", re.IGNORECASE)
_PLACE = "SELECT VERSION(), @@datadir, @@socket, @@hostname"


@dataclass(frozen=True)
class Folder:
    """The folder of a server that runs on this host."""

    runner: Runner
    path: str
    owner: str
    socket: str
    version: str

    def run(self, argv: t.Sequence[str], *, timeout: float = 60, check: bool = True) -> Completed:
        return self.runner.run(argv, user=self.owner, timeout=timeout, check=check)

    def stage(self, argv: t.Sequence[str], timeout: float) -> list[str]:
        """The same as a stage of a pipeline."""
        return limited([self.runner.path(argv[0]), *argv[1:]], self.owner, timeout, me=self.runner.me)

    def scratch(self, database: str) -> str:
        """Where the files of a backup are made ready, on the filesystem on which they will stay."""
        return os.path.join(self.path, database, _SCRATCH)

    def clear(self, database: str) -> None:
        """Remove what the server does not know among a database's files, and would not drop with it."""
        inside = os.path.join(self.path, database)
        self.run(["rm", "-rf", "--one-file-system", "--", self.scratch(database)], timeout=600)
        self.run(["find", inside, "-maxdepth", "1", "-name", "*.cfg", "-delete"])


def folder(runner: Runner, credentials: Credentials) -> Folder:
    """The server's folder; raise unless it is on this host, may be used, and the program for it fits the server."""
    ((version, path, where, host),) = query(runner, credentials, _PLACE)
    wanted = series(version)
    if wanted is None:
        raise RollbackError(f"Physical backups are for MariaDB, and this server is {version}.", next_command="use form: logical")
    _require_program(runner, wanted, version)
    try:
        owner = pwd.getpwuid(os.stat(path).st_uid).pw_name if host == socket.gethostname() else None
    except (OSError, KeyError):
        owner = None
    if owner is None:
        raise RollbackError(
            f"The database server's folder {path} is on {host}, not on this host: physical backups need its files.",
            next_command="use form: logical",
        )
    found = Folder(runner, path, owner, where, version)
    if found.run(["test", "-w", path], check=False).rc != 0:
        raise RollbackError(
            f"The files of the database server belong to {owner}, and {runner.me} may not run programs as {owner}.",
            next_command=f"let sudoers grant it (docs/sudoers.md): {runner.me} ALL=({owner}) NOPASSWD: ALL; or use form: logical",
        )
    return found


def file_names(runner: Runner, credentials: Credentials) -> dict[tuple[str, str], str]:
    """What the files of each table are called, and of each partition: by table and partition, which is empty for a table without them."""
    in_files = "CAST(CONVERT({} USING filename) AS BINARY)".format
    sql = (
        f"SELECT table_name, IFNULL(partition_name, ''), IFNULL(subpartition_name, ''), {in_files('table_name')},"
        f" IFNULL({in_files('partition_name')}, ''), IFNULL({in_files('subpartition_name')}, '')"
        " FROM information_schema.partitions WHERE table_schema = DATABASE();\n"
        f"SELECT table_name, '', '', {in_files('table_name')}, '', '' FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE';"
    )
    views = "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()"
    known = {name for (name,) in query(runner, credentials, views)}
    return {
        (table, lower or upper): "".join([name, f"#P#{part}" if part else "", f"#SP#{below}" if below else ""])
        for table, upper, lower, name, part, below in query(runner, credentials, sql)
        if table not in known
    }


def database_name(runner: Runner, credentials: Credentials) -> str:
    """What the folder of the credentials' database is called."""
    sql = f"SELECT CAST(CONVERT({quoted_text(credentials.database)} USING filename) AS BINARY)"
    return query(runner, credentials.with_database(""), sql)[0][0]


def complaint(text: str) -> str:
    """The line among many in which mariadb-backup says what went wrong."""
    lines = text.strip().splitlines() or ["no output"]
    return next((line for line in reversed(lines) if _COMPLAINT.search(line)), lines[-1]).strip().rstrip(".")


def series(version: str) -> str | None:
    """The series of a MariaDB version, within which files are understood."""
    found = _SERIES.search(version)
    return found[1] if found else None


def _require_program(runner: Runner, wanted: str, version: str) -> None:
    for program in (PROGRAM, "mbstream"):
        if runner.find(program) is None:
            raise RollbackError(
                f"The program {program} is not installed on this host.", next_command="apt-get install mariadb-backup, or use form: logical"
            )
    said = runner.run([PROGRAM, "--version"])
    if series(said.output) != wanted:
        raise RollbackError(
            f"{PROGRAM} does not fit the server, which is {version}: {said.output}.",
            next_command=f"install the {PROGRAM} of MariaDB {wanted}, or use form: logical",
        )
