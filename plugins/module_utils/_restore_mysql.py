# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from . import _mariadb_files
from . import _restore_mysql_load as load
from ._database_mysql import query, quoted_name, quoted_text
from ._database_survey import global_privileges, privileges_on
from ._errors import RollbackError
from ._restore import Counter
from ._restore_mysql_files import FilesLoader
from ._restore_mysql_swap import MAY_NAME_DEFINERS, Swap
from ._restore_record import UNTOUCHED

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Keys
    from ._restore import Backup
    from ._restore_record import Record

_CENSUS = """
SELECT 'charset', default_character_set_name FROM information_schema.schemata WHERE schema_name = DATABASE();
SELECT 'collation', default_collation_name FROM information_schema.schemata WHERE schema_name = DATABASE();
SELECT 'views', COUNT(*) FROM information_schema.views WHERE table_schema = DATABASE();
SELECT 'triggers', COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE();
SELECT 'routines', COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT 'events', COUNT(*) FROM information_schema.events WHERE event_schema = DATABASE();
SELECT 'table', table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE');
"""
_COUNTERS = """
/*!80000 SET SESSION information_schema_stats_expiry = 0 */;
SELECT t.table_name, IF(table_type = 'SEQUENCE', 'sequence', auto_increment), IFNULL(column_type, '') FROM information_schema.tables t
  LEFT JOIN information_schema.columns c ON c.table_schema = {0} AND c.table_name = t.table_name AND extra LIKE '%auto_increment%'
  WHERE t.table_schema = {0} AND (table_type = 'SEQUENCE' OR (engine = 'InnoDB' AND auto_increment IS NOT NULL));
"""
_OF_A_SEQUENCE = "sequence"
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_KEYS = """
SELECT constraint_name, table_name, column_name, referenced_table_name, referenced_column_name
  FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
  ORDER BY table_name, constraint_name, ordinal_position;
"""
_NEEDED = {
    "ALTER", "ALTER ROUTINE", "CREATE", "CREATE ROUTINE", "CREATE VIEW", "DELETE", "DROP", "EVENT", "EXECUTE",
    "INDEX", "INSERT", "LOCK TABLES", "REFERENCES", "SELECT", "SHOW VIEW", "TRIGGER",
}  # fmt: skip
_VERSION = re.compile(r"(\d+)\.(\d+)")
_NOT_EMPTY = "ERROR 1010 "
_GROWS = 2  # a loaded database with its indexes, to its dump


@dataclass
class MysqlEngine:
    """A server of MariaDB or MySQL."""

    runner: Runner
    credentials: Credentials
    record: Record
    minimum_free: int
    sequences: set[str] = field(default_factory=set)  # of the database whose counters were read last
    engine: t.ClassVar[str] = "mysql"
    proves_by_loading: t.ClassVar[bool] = True
    longest_name: t.ClassVar[int] = 64

    def check(self, backup: Backup, side: str) -> None:
        sql = "SELECT VERSION(), @@datadir, CURRENT_USER();\nSHOW GRANTS;"
        (version, folder, me), *grants = self._ask(sql)
        _require_version(str(backup.get("server_version", "")), version)
        self._require_privileges(me, [row[0] for row in grants], side, set(backup.get("definers") or ()))
        size = int(backup.get("uncompressed_bytes") or 0)
        if backup["form"] == "physical":
            self._require_files(str(backup.get("server_version", "")))
        self._require_space(folder, size if backup["form"] == "physical" else size * _GROWS)

    def exists(self, database: str) -> bool:
        return self._ask(f"SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = {quoted_text(database)}") == [["1"]]

    def load(self, backup: Backup, side: str, *, keys: Keys, jobs: int, timeout: float) -> None:
        charset, collation = (re.sub(r"\W", "", str(backup.get(name, ""))) for name in ("charset", "collation"))
        self._ask(f"CREATE DATABASE {quoted_name(side)} CHARACTER SET {charset} COLLATE {collation}")
        there = self.credentials.with_database(side)
        if backup["form"] == "physical":
            folder = _mariadb_files.folder(self.runner, there)
            loader: load.Loader = FilesLoader(self.runner, there, backup, keys, timeout, folder)
        else:
            loader = load.Loader(self.runner, there, backup, keys, timeout)
        self.record.write(notes={"enabled": {side: loader.run(jobs)}})

    def census(self, database: str) -> dict[str, t.Any]:
        rows = self._ask(_CENSUS, database)
        tables = sorted(name for kind, name in rows if kind == "table")
        counts = self._ask("".join(f"SELECT COUNT(*) FROM {quoted_name(name)};\n" for name in tables), database)
        found: dict[str, t.Any] = {kind: int(value) if value.isdigit() else value for kind, value in rows if kind != "table"}
        return {**found, "tables": {name: int(count) for name, (count,) in zip(tables, counts)}}

    def violations(self, database: str) -> list[str]:
        keys, tables = _keys(self._ask(_KEYS, database)), set(Swap(self.runner, self.credentials, self.record).tables(database))
        return self._broken(keys, tables, database, database)

    def orphans(self, live: str, incoming: str, tables: t.Sequence[str]) -> list[str]:
        swap = Swap(self.runner, self.credentials, self.record)
        here, there = set(swap.tables(live)), set(swap.tables(incoming))
        unknown = sorted(set(tables) - (here & there))
        if unknown:
            raise RollbackError(f"Not in both databases, so they cannot be swapped alone: {', '.join(unknown)}.")
        chosen = set(tables)
        stay = [key for key in _keys(self._ask(_KEYS, live)) if key.table not in chosen and key.parent in chosen]
        come = [key for key in _keys(self._ask(_KEYS, incoming)) if key.table in chosen and key.parent not in chosen]
        return [
            *self._broken(stay, there, live, incoming),
            *self._broken(come, here, incoming, live),
        ]

    def ask(self, database: str, sql: str) -> list[list[str]]:
        return self._ask(f"START TRANSACTION READ ONLY;\n{sql.rstrip().rstrip(';')};", database)

    def counters(self, database: str) -> dict[str, Counter]:
        rows = self._ask(_COUNTERS.format(quoted_text(database)))
        sequences = {name for name, number, _column in rows if number == _OF_A_SEQUENCE}
        self.sequences = sequences
        upwards = "".join(
            f"SELECT {quoted_text(name)}, next_not_cached_value, maximum_value FROM {quoted_name(name)} WHERE increment >= 0 AND NOT cycle_option;\n"
            for name in sorted(sequences)
        )
        found = {name: Counter(int(number), _limit(column)) for name, number, column in rows if name not in sequences}
        going = self._ask(upwards, database)
        return {**found, **{name: Counter(int(number), int(limit)) for name, number, limit in going}}

    def count_on(self, database: str, counters: t.Mapping[str, int]) -> None:
        changes = (
            f"DO SETVAL({quoted_name(name)}, {number}, 0);\n"
            if name in self.sequences
            else f"ALTER TABLE {quoted_name(name)} AUTO_INCREMENT = {number};\n"
            for name, number in counters.items()
        )
        self._ask("".join(changes), database)

    def swap(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str] = ()) -> None:
        Swap(self.runner, self.credentials, self.record).run(live, incoming, outgoing, tables)

    def drop(self, database: str) -> None:
        sql = f"SET foreign_key_checks = 0;\nDROP DATABASE {quoted_name(database)};"
        try:
            self._ask(sql)
        except RollbackError as error:  # what an interrupted load of files left is not known to the server
            if _NOT_EMPTY not in error.message:
                raise
            there = self.credentials.with_database(database)
            _mariadb_files.folder(self.runner, there).clear(_mariadb_files.database_name(self.runner, there))
            self._ask(sql)

    def _ask(self, sql: str, database: str = "") -> list[list[str]]:
        return query(self.runner, self.credentials.with_database(database), sql, timeout=3600) if sql else []

    def _require_privileges(self, me: str, grants: list[str], side: str, definers: set[str]) -> None:
        everywhere = global_privileges(grants)
        held = privileges_on(grants, side) | everywhere
        lacking = sorted(_NEEDED - held) if "ALL PRIVILEGES" not in held else []
        if lacking:
            user = "@".join(f"`{part}`" for part in me.rsplit("@", 1))
            raise RollbackError(
                f"The database user {me} lacks privileges on {side}: {', '.join(lacking)}.",
                state=UNTOUCHED,
                next_command=f"GRANT ALL PRIVILEGES ON `{_pattern(self.credentials.database)}\\_\\_%`.* TO {user}, or use login_user",
            )
        if definers - {me} and not everywhere & MAY_NAME_DEFINERS:
            raise RollbackError(
                f"The backup has views, triggers or programs that run with the rights of {', '.join(sorted(definers - {me}))};"
                f" to make such, {me} needs the privilege SET USER (or SUPER).",
                state=UNTOUCHED,
                next_command="use login_user",
            )

    def _require_files(self, made_by: str) -> None:
        try:
            ours = _mariadb_files.folder(self.runner, self.credentials.with_database("")).version
        except RollbackError as error:
            error.state = UNTOUCHED
            raise
        if _mariadb_files.series(made_by) != _mariadb_files.series(ours):
            raise RollbackError(
                f"The backup holds files of MariaDB {made_by}, and this server is {ours}: only one of the same series can take them over.",
                state=UNTOUCHED,
            )

    def _require_space(self, folder: str, size: int) -> None:
        try:
            found = os.statvfs(folder)
        except OSError:  # the server is on another host
            return
        free = found.f_bavail * found.f_frsize
        if free < size + self.minimum_free:
            raise RollbackError(
                f"The database server's folder {folder} has {free} bytes free; about {size} are expected for the side database"
                f" and {self.minimum_free} must stay free.",
                state=UNTOUCHED,
            )

    def _broken(self, keys: t.Sequence[_Key], tables: t.Container[str], child: str, parent: str) -> list[str]:
        """Foreign keys of tables in one database whose rows, or whose whole table, the other one lacks, in words; tables are the other's."""
        missing = [key for key in keys if key.parent not in tables]
        return [
            *self._without_parents([key for key in keys if key.parent in tables], child, parent),
            *(f"{key.table}.{key.name}: the table {key.parent}, to which rows refer, is missing" for key in missing),
        ]

    def _without_parents(self, keys: t.Sequence[_Key], child: str, parent: str) -> list[str]:
        sql = []
        for key in keys:
            pairs = [(quoted_name(one), quoted_name(other)) for one, other in key.columns]
            joined = " AND ".join(f"c.{one} = p.{other}" for one, other in pairs)
            given = " AND ".join(f"c.{one} IS NOT NULL" for one, _other in pairs)
            sql.append(
                f"SELECT COUNT(*) FROM {quoted_name(child)}.{quoted_name(key.table)} c LEFT JOIN"
                f" {quoted_name(parent)}.{quoted_name(key.parent)} p ON {joined} WHERE {given} AND p.{pairs[0][1]} IS NULL;\n"
            )
        counts = self._ask("".join(sql))
        return [
            f"{key.table}.{key.name}: {count} rows refer to rows that {key.parent} lacks"
            for key, (count,) in zip(keys, counts)
            if count != "0"
        ]


class _Key(t.NamedTuple):
    table: str
    name: str
    parent: str
    columns: list[tuple[str, str]]


def _limit(column: str) -> int:
    """The greatest number of a column such as "int(11) unsigned"."""
    bits = _BITS.get(column.partition("(")[0].partition(" ")[0], 64)
    return int((1 << bits) - 1 if "unsigned" in column else (1 << bits - 1) - 1)


def _keys(rows: t.Iterable[list[str]]) -> list[_Key]:
    found: dict[tuple[str, str], _Key] = {}
    for name, table, column, parent, referred in rows:
        found.setdefault((table, name), _Key(table, name, parent, [])).columns.append((column, referred))
    return list(found.values())


def _require_version(theirs: str, ours: str) -> None:
    """A dump may use what only its own server knows; an older one is understood."""
    kinds = ["MariaDB" if "MariaDB" in version else "MySQL" for version in (theirs, ours)]
    numbers = [tuple(int(part) for part in found.groups()) if (found := _VERSION.search(version)) else (0, 0) for version in (theirs, ours)]
    if kinds[0] != kinds[1] or numbers[0] > numbers[1]:
        raise RollbackError(
            f"The backup was made by {kinds[0]} {theirs}, and this server is {kinds[1]} {ours}: it may not understand the backup.",
            state=UNTOUCHED,
        )


def _pattern(name: str) -> str:
    return re.sub(r"([_%\\])", r"\\\1", name).replace("`", "``")
