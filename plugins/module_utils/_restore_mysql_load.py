# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# A dump goes into an empty database. Parts are loaded side by side; indexes of large tables are made from their finished rows.

from __future__ import annotations

import collections
import os
import re
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import _restore_mysql_objects as objects
from ._database_mysql import EXACTLY, client, explained, option_file, query, quoted_name
from ._dump_census import Ending
from ._errors import CommandError, RollbackError
from ._packing import of_packing, unpacking

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Keys
    from ._restore import Backup

_LARGE = 8 << 20
_EVENTS = b"\n-- Dumping events for database"
_UNCHECKED = b" UNIQUE_CHECKS=0 "
_CHECKED = b" UNIQUE_CHECKS=1 "
_ROWS = b"\nINSERT INTO "
_ENDS = b"\n-- Dump completed"
_KEY = re.compile(r"^  ((?:UNIQUE )?KEY `((?:[^`]|``)+)` .*?),?$", re.MULTILINE)
_COUNTER = re.compile(r"^  (`(?:[^`]|``)+`) .*\bAUTO_INCREMENT\b", re.MULTILINE)
_CUT = "ERROR 1064 "  # what a server says to the beginning of a statement
_SETTINGS = "SET SESSION foreign_key_checks = 0, sql_mode = '';\n"
_TRIGGER = b"\n/*!50003 CREATE*/ "
_BODY = re.compile(rb"FOR\s+EACH\s+ROW", re.IGNORECASE)
_LONGEST_DECLARATION = 1 << 14


@dataclass
class Loader:
    """Loads one backup into the database that the credentials name."""

    runner: Runner
    credentials: Credentials
    backup: Backup
    keys: Keys
    timeout: float
    enabled: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.timeout
        self._foreign: list[objects.ForeignKey] = []

    @property
    def left(self) -> float:
        return max(1.0, self.deadline - time.monotonic())

    def run(self, jobs: int) -> list[str]:
        """Load everything; returns the events that would be at work, had they not been disabled on the way."""
        parts = self.backup.get("parts")
        if not parts:
            self._load(None, self._tamed())
            return self.enabled
        for part in parts:
            if part["kind"] == "schema":
                self._load(part)
        self.fill(parts, jobs)
        for part in parts:
            if part["kind"] == "programs":
                self._load(part, self._tamed())
        return self.enabled

    def _tamed(self) -> t.Callable[[bytes], bytes]:
        """Lets programs pass by so that they are made in the side database, and do nothing there."""
        quiet, unbound = _Quiet(self.enabled), _Unbound()
        return lambda chunk: quiet.feed(unbound.feed(chunk))

    def fill(self, parts: t.Sequence[t.Mapping[str, t.Any]], jobs: int) -> None:
        """Load the rows into the tables, which are there and empty."""
        data = sorted((part for part in parts if part["kind"] == "data"), key=_size, reverse=True)
        later = self._without_indexes(data)
        with ThreadPoolExecutor(jobs) as pool:
            for _done in pool.map(self._load, data, _watches(data)):
                pass
            for _done in pool.map(self._make_indexes, later):
                pass
        self._finish(later)

    def _load(self, part: t.Mapping[str, t.Any] | None, watch: t.Callable[[bytes], bytes] | None = None) -> None:
        """Decompress the whole backup, or a part of it, into the server."""
        unpack = unpacking(self.backup, self.keys, part)
        ending = Ending()

        def look(chunk: bytes) -> bytes:
            ending.feed(chunk)
            return watch(chunk) if watch else chunk

        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            with option_file(self.credentials) as options:
                into = [client(self.runner), f"--defaults-file={options}", *EXACTLY, "--default-character-set=utf8mb4"]
                into += ["--max-allowed-packet=1G", f"--database={self.credentials.database}"]
                self.runner.pipeline(
                    [*unpack, into], output=nowhere, watch=look, watched=len(unpack) - 1, timeout=self.deadline - time.monotonic()
                )
        except CommandError as error:
            if _CUT in error.stderr and not ending.seen:
                raise self._not_complete() from None
            if of_packing(error):
                raise self._not_complete(f": {error.message.rstrip('.')}") from None
            if "ERROR" in error.stderr:
                raise explained(error, self.credentials) from None
            raise
        finally:
            os.close(nowhere)
        if not ending.seen:
            raise self._not_complete()

    def _not_complete(self, why: str = "") -> RollbackError:
        return RollbackError(f"The backup {self.backup['id']} cannot be used: its dump is not complete{why}.")

    def _without_indexes(self, data: t.Sequence[t.Mapping[str, t.Any]]) -> list[_Later]:
        """Take the secondary indexes and the foreign keys away from large tables while they are empty.

        To insert into sorted and unsorted indexes at once takes more than twice the time of doing one after the other.
        """
        tables = sorted({table for part in data if _size(part) >= _LARGE for table in part["tables"]})
        texts = objects.created(self.runner, self.credentials, self.credentials.database, tables)
        chosen = {table: found for table in tables if (found := _secondary(texts[table]))}
        keys = [
            key
            for key in objects.foreign_keys(self.runner, self.credentials, self.credentials.database)
            if key.table in chosen or key.parent in chosen
        ]
        self.alter((key.table, f"DROP FOREIGN KEY {quoted_name(key.name)}") for key in keys)
        self.alter((table, ", ".join(f"DROP KEY {name}" for name, _declared in found)) for table, found in chosen.items())
        later = [_Later(table, texts[table], [declared for _name, declared in found]) for table, found in chosen.items()]
        self._foreign = keys
        return later

    def _make_indexes(self, later: _Later) -> None:
        self.alter([(later.table, ", ".join(f"ADD {declared}" for declared in later.indexes))])

    def _finish(self, later: t.Sequence[_Later]) -> None:
        """Declare the foreign keys again, and see that each table is what the backup says."""
        self.alter((key.table, f"ADD {key.declared}") for key in self._foreign)
        now = objects.created(self.runner, self.credentials, self.credentials.database, [one.table for one in later])
        for one in later:
            if objects.without_counter(now[one.table]) != objects.without_counter(one.text):
                raise RollbackError(f"The indexes of {one.table} could not be made as the backup has them.")

    def alter(self, changes: t.Iterable[tuple[str, str]]) -> None:
        sql = "".join(f"ALTER TABLE {quoted_name(table)} {change};\n" for table, change in changes)
        self.execute(sql)

    def execute(self, sql: str) -> None:
        if sql:
            query(self.runner, self.credentials, _SETTINGS + sql, timeout=self.left, exactly=True)


class _Later(t.NamedTuple):
    """A table that gets its indexes when its rows are there, and how it was created."""

    table: str
    text: str
    indexes: list[str]


class _Shared:
    """Lets a dump pass by, but for its wish not to check unique keys.

    With it a server hands the whole of an empty table to who inserts first, until that transaction ends, and other parts have to wait.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""

    def feed(self, chunk: bytes) -> bytes:
        if self._head is None:
            return chunk
        self._head += chunk
        if _UNCHECKED not in self._head and _ROWS not in self._head:
            return b""
        before, found, after = self._head.partition(_ROWS)
        self._head = None
        return before.replace(_UNCHECKED, _CHECKED) + found + after


class _Unbound:
    """Lets a dump pass by, but for the database that triggers may name: they would be made there, which is the live one."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        before, *declared = (self._held + chunk).split(_TRIGGER)
        parts = [before, *(objects.unbound(_TRIGGER + text) for text in declared)]
        self._held = parts.pop() if declared and self._begun(declared[-1]) else b""
        out = b"".join(parts)
        if not self._held and _ENDS not in out:
            sure = len(out) - _cut(out)
            out, self._held = out[:sure], out[sure:]
        return out

    def _begun(self, text: bytes) -> bool:
        """Whether more of a declaration may come."""
        return len(text) < _LONGEST_DECLARATION and not _BODY.search(text)


def _cut(text: bytes) -> int:
    """How many bytes at the end may be the beginning of a trigger."""
    return next((size for size in range(len(_TRIGGER) - 1, 0, -1) if text.endswith(_TRIGGER[:size])), 0)


class _Quiet:
    """Lets a dump pass by, but for its events, which it disables: those of a database that is not live must not run."""

    def __init__(self, enabled: list[str]) -> None:
        self._enabled = enabled
        self._held = b""
        self._holding = False

    def feed(self, chunk: bytes) -> bytes:
        self._held += chunk
        if not self._holding:
            self._holding = _EVENTS in self._held
        if not self._holding:
            sure = max(0, len(self._held) - len(_EVENTS))
        elif _ENDS in self._held:
            self._held, found = objects.switched(self._held, b"ENABLE", b"DISABLE")
            self._enabled += [objects.event_name(beginning) for beginning in found]
            sure, self._holding = len(self._held), False
        else:
            sure = 0
        out, self._held = self._held[:sure], self._held[sure:]
        return out


def _watches(data: t.Sequence[t.Mapping[str, t.Any]]) -> list[t.Callable[[bytes], bytes] | None]:
    """For each part how it passes by: those with rows of the same table are loaded at the same time."""
    parts = collections.Counter(table for part in data for table in part["tables"])
    return [_Shared().feed if any(parts[table] > 1 for table in part["tables"]) else None for part in data]


def _secondary(text: str) -> list[tuple[str, str]]:
    """The indexes of a table that can be made later, with their declarations."""
    primary = re.search(r"^  PRIMARY KEY \((`(?:[^`]|``)+`)", text, re.MULTILINE)
    counter = _COUNTER.search(text)
    if primary is None or " ENGINE=InnoDB" not in text or (counter and counter[1] != primary[1]):
        return []
    return [(f"`{found[2]}`", found[1]) for found in _KEY.finditer(text)]


def _size(part: t.Mapping[str, t.Any]) -> int:
    return int(part["uncompressed_bytes"])
