# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# A SQLite database is a file, and swapping is renaming. Before that, what its log holds is written into it, so that it is one file.

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ._command import elevated
from ._database_credentials import Credentials
from ._database_sqlite import query
from ._errors import CommandError, RollbackError
from ._packing import unpacking
from ._restore import Counter
from ._restore_record import UNTOUCHED

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._packing import Keys
    from ._restore import Backup

_SLOW = 3600
_LOGS = ("-wal", "-shm", "-journal")
_ASK = """
import contextlib, json, os, sqlite3, sys, urllib.parse

task, path, *more = sys.argv[1:]
mode = "rw" if task in ("settle", "count on") else "ro"
quoted = lambda name: '"' + name.replace('"', '""') + '"'
with contextlib.closing(sqlite3.connect("file:" + urllib.parse.quote(path) + "?mode=" + mode, uri=True, timeout=10)) as base:
    base.isolation_level = None
    ask = lambda sql: [list(row) for row in base.execute(sql)]
    one = lambda sql: ask(sql)[0][0]
    if task == "census":
        kinds = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\\\_%' ESCAPE '\\\\' ORDER BY name"
        print(json.dumps({
            "tables": {name: one("SELECT COUNT(*) FROM " + quoted(name)) for (name,) in ask(kinds)},
            "views": one("SELECT COUNT(*) FROM sqlite_master WHERE type = 'view'"),
            "triggers": one("SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger'"),
            "charset": one("PRAGMA encoding"),
        }))
    elif task == "violations":
        damage = [text for (text,) in ask("PRAGMA integrity_check(5)") if text != "ok"]
        lost = {}
        for table, row, parent, key in ask("PRAGMA foreign_key_check"):
            lost[table, parent] = lost.get((table, parent), 0) + 1
        print(json.dumps(damage + [f"{table}: {rows} rows refer to rows that {parent} lacks" for (table, parent), rows in lost.items()]))
    elif task == "counters":
        counted = one("SELECT COUNT(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
        found = {name: 0 for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")}
        print(json.dumps({**found, **dict(ask("SELECT name, seq FROM sqlite_sequence"))} if counted else {}))
    elif task == "count on":
        numbers = json.loads(more[0])
        base.executemany("DELETE FROM sqlite_sequence WHERE name = ?", [(name,) for name in numbers])
        base.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", numbers.items())
        print("null")
    else:
        try:
            base.execute("BEGIN EXCLUSIVE")
            base.execute("COMMIT")
            ask("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            sys.exit(str(error))
        except sqlite3.DatabaseError:
            more = ["damaged"]
if task == "settle":
    open_elsewhere = not more and any(os.path.exists(path + suffix) for suffix in ("-wal", "-journal"))
    print(json.dumps("open elsewhere" if open_elsewhere else "".join(more)))
"""
# A copy into a new file, flushed to disk, with the owner and mode of the database that it is to replace.
_RECEIVE = """
import os, shutil, sys
live, side = sys.argv[1:]
found = os.stat(live) if os.path.exists(live) else None
with open(os.open(side, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
    shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    file.flush()
    if found:
        try:
            os.fchown(file.fileno(), found.st_uid, found.st_gid)
        except PermissionError:
            os.unlink(side)
            sys.exit(f"only root could give the restored file to the owner and the group of {live}")
        os.fchmod(file.fileno(), found.st_mode & 0o7777)
    os.fsync(file.fileno())
"""
# The replaced file gets its second name first, so that live is the old or the new file at any moment. What is done is passed over.
# The logs of a damaged database go with it: to another file they would be poison.
_RENAME = """
import os, sys
live, incoming, outgoing, *logs = sys.argv[1:]
if os.path.exists(incoming):
    if os.path.exists(live) and not os.path.exists(outgoing):
        os.link(live, outgoing)
    for suffix in logs:
        if os.path.exists(live + suffix):
            os.rename(live + suffix, outgoing + suffix)
    os.replace(incoming, live)
folder = os.open(os.path.dirname(live), os.O_RDONLY)
os.fsync(folder)
os.close(folder)
"""


@dataclass
class SqliteEngine:
    """Files of SQLite, all in the folder of the live one, read and written as the user who owns them."""

    runner: Runner
    user: str | None
    live: str
    minimum_free: int
    engine: t.ClassVar[str] = "sqlite"
    proves_by_loading: t.ClassVar[bool] = False
    longest_name: t.ClassVar[int] = 4000

    def check(self, backup: Backup, side: str) -> None:
        if not os.path.isabs(self.live):
            raise RollbackError(f"The SQLite database {self.live!r} must be given by its absolute path.", state=UNTOUCHED)
        folder = os.path.dirname(self.live)
        done = self.runner.run(["test", "-w", folder], user=self.user, check=False)
        if done.rc != 0:
            raise RollbackError(f"{self.user or self.runner.me} cannot write to {folder}.", state=UNTOUCHED)
        free = self._free(folder)
        size = int(backup.get("uncompressed_bytes") or 0)
        if free < size + self.minimum_free:
            raise RollbackError(
                f"{folder} has {free} bytes free; {size} are expected for the side database and {self.minimum_free} must stay free.",
                state=UNTOUCHED,
            )

    def _free(self, folder: str) -> int:
        done = self.runner.run(["stat", "--file-system", "--format=%a %S", "--", folder], user=self.user)
        blocks, size = done.stdout.split()
        return int(blocks) * int(size)

    def exists(self, database: str) -> bool:
        return self.runner.run(["test", "-e", database], user=self.user, check=False).rc == 0

    def load(self, backup: Backup, side: str, *, keys: Keys, jobs: int, timeout: float) -> None:
        receive = elevated(["python3", "-c", _RECEIVE, self.live, side], self.user, me=self.runner.me, environment={})
        nowhere = os.open(os.devnull, os.O_WRONLY)
        unpack = unpacking(backup, keys)
        try:
            self.runner.pipeline([*unpack, receive], output=nowhere, watched=len(unpack) - 1, timeout=timeout)
        except CommandError as error:
            if "only root could give" in error.stderr:
                raise RollbackError(
                    f"The backup cannot be restored as {self.user or self.runner.me}: {_last(error.stderr)}.",
                    next_command="name the owner of the file as environment_user, whose own group it is in, or run with become",
                ) from None
            if "No space left on device" in error.stderr:
                raise RollbackError(f"The disk of {os.path.dirname(side)} became full.") from None
            raise
        finally:
            os.close(nowhere)

    def census(self, database: str) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self._do("census", database))

    def violations(self, database: str) -> list[str]:
        return t.cast("list[str]", self._do("violations", database))

    def ask(self, database: str, sql: str) -> list[list[str]]:
        return query(self.runner, Credentials("sqlite", database, owner=self.user), sql, timeout=_SLOW)

    def orphans(self, live: str, incoming: str, tables: t.Sequence[str]) -> list[str]:
        raise RollbackError("A SQLite database is swapped as a whole: the option tables is for database servers.")

    def counters(self, database: str) -> dict[str, Counter]:
        return {name: Counter(number, (1 << 63) - 1) for name, number in self._do("counters", database).items()}

    def count_on(self, database: str, counters: t.Mapping[str, int]) -> None:
        self._do("count on", database, json.dumps(counters))

    def swap(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str] = ()) -> None:
        """Two names for a moment, then one rename: there is a live file at any time."""
        logs: tuple[str, ...] = ()
        if self.exists(incoming):
            logs = _LOGS if self.exists(live) and self._settle(live) else ()
            self._settle(incoming)
        try:
            self.runner.run(["python3", "-c", _RENAME, live, incoming, outgoing, *logs], user=self.user)
        except CommandError as error:
            raise RollbackError(f"{incoming} could not be swapped in: {_last(error.stderr)}.") from None

    def drop(self, database: str) -> None:
        self.runner.run(["rm", "--force", "--", database, *(database + suffix for suffix in _LOGS)], user=self.user)

    def _settle(self, database: str) -> bool:
        """Write the log into the database and make sure that nobody is at work in it; returns whether it is damaged."""
        try:
            problem = self._do("settle", database)
            if problem == "damaged" or not problem:
                return bool(problem)
        except RollbackError as error:
            problem = error.message
        raise RollbackError(
            f"The SQLite database {database} is in use: {problem}.",
            next_command="stop the programs that use it, then run again",
            facts={"untouched": True},
        )

    def _do(self, task: str, database: str, *more: str) -> t.Any:
        done = self.runner.run(["python3", "-c", _ASK, task, database, *more], user=self.user, timeout=_SLOW, check=False)
        if done.rc != 0:
            raise RollbackError(f"The SQLite database {database} could not be used: {_last(done.stderr)}.")
        return json.loads(done.stdout)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
