# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from . import _packing
from ._command import elevated
from ._database_error import OTHER, SUMMARIES, UNKNOWN_DATABASE, DatabaseError
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Packing

_ASIDE = "/var/tmp"  # on disk, where /tmp is often memory
_EXPECTED_SHRINKING = 3
_COPY = """
import contextlib, json, sqlite3, sys, urllib.parse

source, copy, migrations = sys.argv[1:]
quoted = lambda name: '"' + name.replace('"', '""') + '"'
with contextlib.closing(sqlite3.connect("file:" + urllib.parse.quote(source) + "?mode=rw", uri=True, timeout=30)) as live:
    with contextlib.closing(sqlite3.connect(copy)) as aside:
        live.backup(aside)
        ask = lambda sql: [row[0] for row in aside.execute(sql)]
        tables = ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\\\_%' ESCAPE '\\\\' ORDER BY name")
        print(json.dumps({
            "integrity": "; ".join(ask("PRAGMA integrity_check(5)")),
            "tables": {name: ask("SELECT COUNT(*) FROM " + quoted(name))[0] for name in tables},
            "views": ask("SELECT COUNT(*) FROM sqlite_master WHERE type = 'view'")[0],
            "triggers": ask("SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger'")[0],
            "migrations": ask(f"SELECT migration FROM {quoted(migrations)} ORDER BY batch, id") if migrations in tables else None,
            "charset": ask("PRAGMA encoding")[0],
            "uncompressed_bytes": ask("PRAGMA page_count")[0] * ask("PRAGMA page_size")[0],
            "server_version": sqlite3.sqlite_version,
            "client_version": "Python " + sys.version.split()[0],
            "rows_basis": "dump", "not_transactional": [], "warnings": [], "collation": None, "routines": 0, "events": 0,
        }))
"""

_QUERY = """
import contextlib, json, sqlite3, sys, urllib.parse

path, sql = sys.argv[1:]
with contextlib.closing(sqlite3.connect("file:" + urllib.parse.quote(path) + "?mode=ro", uri=True, timeout=10)) as base:
    base.execute("PRAGMA query_only = 1")
    print(json.dumps([["NULL" if value is None else str(value) for value in row] for row in base.execute(sql)]))
"""


def query(runner: Runner, credentials: Credentials, sql: str, *, timeout: float = 60) -> list[list[str]]:
    """The rows of one query that can change nothing, as text; SQL's NULL arrives as the text NULL."""
    done = runner.run(["python3", "-c", _QUERY, credentials.database, sql], user=credentials.system_user, timeout=timeout, check=False)
    if done.rc == 0:
        return t.cast("list[list[str]]", json.loads(done.stdout))
    why = (done.stderr.strip().splitlines() or ["it took too long" if done.timed_out else "no reason given"])[-1]
    reason = UNKNOWN_DATABASE if "unable to open database file" in why else OTHER
    raise DatabaseError(f"The SQLite database {credentials.database} {SUMMARIES[reason]}: {why.rstrip('.')}.", reason=reason)


@dataclass
class SqliteSource:
    """A SQLite database to back up, read as the user who owns it.

    It goes by a copy on disk because only SQLite itself can read a database consistently while others write to it.
    """

    runner: Runner
    database: str
    user: str | None
    migrations_table: str
    engine: t.ClassVar[str] = "sqlite"
    suffix: t.ClassVar[str] = ".sqlite.zst"

    def prepare(self) -> int:
        """Find out what is there; returns about how large the backup will be."""
        size = self._size()
        free = os.statvfs(_ASIDE)
        if size > free.f_bavail * free.f_frsize:
            raise RollbackError(f"{_ASIDE} has no room for a copy of the SQLite database {self.database} ({size} bytes).")
        return size // _EXPECTED_SHRINKING

    def write(self, output: int, packing: Packing, timeout: float) -> dict[str, t.Any]:
        """Write the compressed database to output; returns what it holds."""
        folder = self.runner.run(["mktemp", "--directory", f"{_ASIDE}/lastgood-XXXXXXXX"], user=self.user).stdout.strip()
        try:
            copy = os.path.join(folder, "copy.sqlite")
            facts = self._copy(copy, timeout)
            read = elevated([self.runner.path("cat"), "--", copy], self.user, me=self.runner.me, environment={})
            self.runner.pipeline([read, *packing.stages], output=output, timeout=timeout)
        except CommandError as error:
            raise _packing.failed(error) or error from None
        finally:
            if folder.startswith(f"{_ASIDE}/lastgood-"):
                self.runner.run(["rm", "--recursive", "--force", "--", folder], user=self.user)
        return facts

    def _size(self) -> int:
        if not os.path.isabs(self.database):
            raise RollbackError(f"The SQLite database {self.database!r} must be given by its absolute path.")
        done = self.runner.run(["stat", "--format=%s %F", "--", self.database], user=self.user, check=False)
        number, _space, kind = done.stdout.strip().partition(" ")
        if done.rc != 0 or not kind.startswith("regular"):
            raise RollbackError(f"The SQLite database {self.database} is not a file that {self.user or self.runner.me} can read.")
        return int(number)

    def _copy(self, copy: str, timeout: float) -> dict[str, t.Any]:
        """Copy by SQLite's own online backup, check the copy for damage and say what it holds."""
        argv = ["python3", "-c", _COPY, self.database, copy, self.migrations_table]
        done = self.runner.run(argv, user=self.user, timeout=timeout, check=False)
        if done.rc != 0:
            why = (done.stderr.strip().splitlines() or ["it took too long" if done.timed_out else "no reason given"])[-1]
            raise RollbackError(f"The SQLite database {self.database} could not be copied: {why}.")
        facts: dict[str, t.Any] = json.loads(done.stdout)
        damage = facts.pop("integrity")
        if damage != "ok":
            raise RollbackError(f"The SQLite database {self.database} is damaged: {damage}.")
        return facts
