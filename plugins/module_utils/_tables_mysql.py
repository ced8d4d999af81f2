# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import base64
import contextlib
import datetime
import re
import typing as t
from dataclasses import dataclass, field

from . import _database_mysql
from ._answers import answered
from ._database_mysql import quoted_name, quoted_text
from ._errors import CommandError, RollbackError
from ._salvage_sql import END, Translation
from ._tables import (
    BINARY,
    LIVE,
    NUMBER,
    OTHER,
    SIDE,
    TEXT,
    TIME,
    Column,
    ColumnByColumn,
    Lines,
    Load,
    Question,
    Reference,
    Table,
    Value,
    numbered,
)

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year"), NUMBER),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), BINARY),
    **dict.fromkeys(("date", "datetime", "timestamp", "time"), TIME),
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json", "uuid", "inet4", "inet6"), TEXT
    ),
}
_TRANSACTIONAL = ("innodb", "rocksdb", "tokudb")
_TABLES = """
SELECT 'table', table_schema, table_name, table_type, IFNULL(engine, '') FROM information_schema.tables
  WHERE table_schema IN ({both}) AND table_type <> 'SEQUENCE';
SELECT 'column', table_schema, table_name, column_name, data_type, column_type, is_nullable, IFNULL(generation_expression, ''),
    column_default IS NOT NULL AND extra NOT LIKE '%DEFAULT\\_GENERATED%', IFNULL(collation_name, '')
  FROM information_schema.columns WHERE table_schema IN ({both}) ORDER BY table_schema, table_name, ordinal_position;
SELECT 'index', table_schema, table_name, index_name, IFNULL(column_name, ''), nullable FROM information_schema.statistics
  WHERE table_schema IN ({both}) AND non_unique = 0
  ORDER BY table_schema, table_name, index_name <> 'PRIMARY', index_name, seq_in_index;
SELECT 'reference', table_schema, table_name, constraint_name, column_name, referenced_table_schema, referenced_table_name,
    referenced_column_name
  FROM information_schema.key_column_usage WHERE table_schema IN ({both}) AND referenced_table_name IS NOT NULL
  ORDER BY table_schema, table_name, constraint_name, ordinal_position;
SELECT 'trigger', trigger_schema, event_object_table, COUNT(*) FROM information_schema.triggers
  WHERE trigger_schema IN ({both}) GROUP BY 2, 3;
"""
_SESSION = """
SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00';
/*M!100100 SET SESSION max_statement_time = {timeout:.0f} */;
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;
"""
_REPLAY = """
SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = {checks};
/*M!100100 SET SESSION max_statement_time = {timeout:.0f} */;
CREATE TEMPORARY TABLE lastgood_guard (orphans VARCHAR(255), UNIQUE KEY lastgood_guard (orphans));
"""
_GUARDED = re.compile(r"Duplicate entry '(.*)' for key '(?:lastgood_guard\.)?lastgood_guard'", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


@dataclass
class MysqlTables(ColumnByColumn):
    """The tables of a database of MariaDB or MySQL, beside those of another one on the same server."""

    runner: Runner
    credentials: Credentials
    side: str | None = None
    aside: dict[str, str] = field(default_factory=dict)
    engine: t.ClassVar[str] = "mysql"
    affected: t.ClassVar[str] = "ROW_COUNT()"
    overriding: t.ClassVar[str] = ""

    @property
    def database(self) -> str:
        return self.credentials.database

    def tables(self, side: str | None) -> tuple[dict[str, Table], dict[str, Table]]:
        """What the live and the other database have; a table that this user may not see is not there."""
        self.side = side
        both = ", ".join(quoted_text(name) for name in (self.database, side) if name)
        rows = _database_mysql.query(self.runner, self.credentials, _TABLES.format(both=both))
        found: dict[str, dict[str, Table]] = {self.database: {}, side or "": {}}
        groups: dict[tuple[str, str, str, str], list[list[str]]] = {}
        for what, schema, name, *facts in rows:
            table = found[schema].get(name)
            if what == "table":
                found[schema][name] = Table(name, view="VIEW" in facts[0], transactional=facts[1].lower() in _TRANSACTIONAL)
            elif table and what == "column":
                _note_column(table, *facts)
            elif table and what == "trigger":
                table.triggers = int(facts[0])
            elif table:
                groups.setdefault((what, schema, name, facts[0]), []).append(facts[1:])
        for (what, schema, name, constraint), parts in groups.items():
            (_note_index if what == "index" else _note_reference)(found[schema][name], schema, constraint, parts)
        return found[self.database], found[side or ""]

    def name(self, name: str) -> str:
        return quoted_name(name)

    def place(self, alias: str, table: str) -> str:
        if alias == SIDE and table in self.aside:
            return quoted_name(self.aside[table])
        return f"{quoted_name(self.database if alias == LIVE else self.side or '')}.{quoted_name(table)}"

    def same(self, live: Column, side: Column) -> str:
        mine, theirs = f"l.{quoted_name(live.name)}", f"s.{quoted_name(side.name)}"
        if {live.kind, side.kind} & {BINARY, OTHER}:
            return f"CAST({mine} AS BINARY) <=> CAST({theirs} AS BINARY)"
        if live.kind == side.kind != TEXT:
            return f"{mine} <=> {theirs}"
        return f"{_exactly(mine)} <=> {_exactly(theirs)}"

    def matches(self, live: Column, side: Column) -> str:
        """As the keys themselves compare, so that their indexes are used."""
        if live.kind != side.kind or live.collation != side.collation:
            return self.same(live, side)
        operator = "<=>" if live.nullable or side.nullable else "="
        return f"l.{quoted_name(live.name)} {operator} s.{quoted_name(side.name)}"

    def as_value(self, column: Column, alias: str) -> str:
        """The column so that nothing of it is lost: the server prints FLOAT with six digits and BIT as bytes."""
        type_ = column.type.partition("(")[0].partition(" ")[0]
        suffix = {"float": " + 0e0", "double": " + 0e0", "bit": " + 0"}.get(type_, "")
        return f"{alias}.{quoted_name(column.name)}{suffix}"

    def is_default(self, column: Column) -> str:
        name = f"l.{quoted_name(column.name)}"
        if column.default is None:
            return f"{name} IS NULL"
        return f"{_exactly(name)} <=> {_exactly(f'DEFAULT({name})')}"

    def total(self, expression: str) -> str:
        return f"COALESCE(SUM({expression}), 0)"

    def since(self, column: Column, seconds: float) -> str | None:
        type_ = column.type.partition("(")[0].partition(" ")[0]
        moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
        forms = {"timestamp": "%Y-%m-%d %H:%M:%S", "datetime": "%Y-%m-%d %H:%M:%S", "date": "%Y-%m-%d"}
        if type_ in forms:
            return f"l.{quoted_name(column.name)} >= '{moment.strftime(forms[type_])}'"
        if type_ in ("int", "bigint", "decimal"):
            return f"l.{quoted_name(column.name)} >= {int(seconds)}"
        return None

    def read(self, questions: t.Sequence[Question], timeout: float) -> None:
        """Ask everything in one session that sees one moment; rows are handed on as they arrive."""
        script = _SESSION.format(timeout=timeout) + "".join(f"{_statement(n, question)};\n" for n, question in enumerate(questions))
        rows = Lines(lambda line: _hand_on(questions, line))
        with (
            _database_mysql.in_memory("lastgood-questions", script) as source,
            self._client(f"--execute=source {source}", "--quick") as client,
        ):
            answered(self.runner, [client], rows.feed, timeout)
        rows.end()

    def literal(self, column: Column, value: t.Any) -> str:
        """A saved value as SQL that no setting of the server can read in another way."""
        if value is None:
            return "NULL"
        if isinstance(value, dict):
            return f"x'{base64.b64decode(value['base64'], validate=True).hex()}'"
        if column.type.startswith("bit"):
            return str(int(value))
        return f"_utf8mb4 x'{str(value).encode().hex()}'"

    def overwriting(self, load: Load, matches: str, differ: str) -> str:
        names = [quoted_name(column.name) for column in load.columns]
        pair = f"{self.place(LIVE, load.table.name)} l JOIN {self.place(SIDE, load.table.name)} s ON {matches}"
        return f"UPDATE {pair} SET {', '.join(f'l.{name} = s.{name}' for name in names)} WHERE {differ}"

    def replay(
        self,
        loads: t.Sequence[Load],
        steps: t.Sequence[Question | str],
        guards: t.Sequence[tuple[str, str]],
        *,
        apply: bool,
        timeout: float,
    ) -> None:
        """Hand the rows to the client as SQL while they are read; when it fails at anything, nothing was changed."""
        questions, texts = numbered(steps, _statement)
        rows = Lines(lambda line: _hand_on(questions, line))
        texts += [f"INSERT INTO lastgood_guard SELECT {quoted_text(name)} {source} LIMIT 1" for name, source in guards]
        head = [_REPLAY.format(timeout=timeout, checks=int(not guards))]
        head += [self._aside(load) for load in loads]
        head += [f"INSERT IGNORE INTO lastgood_guard VALUES ({quoted_text(name)});" for name, _source in guards]
        tail = ["START TRANSACTION;", *(f"{text};" for text in texts), "COMMIT;" if apply else "ROLLBACK;", ""]
        translation = Translation(self, {load.table.name: load for load in loads}, head, tail)
        with _database_mysql.in_memory("lastgood-end", END) as end, self._client() as client:
            feed = ["cat", "--", *(load.path for load in loads), end]
            answered(self.runner, [feed, client], rows.feed, timeout, translation.feed)
        rows.end()

    def _aside(self, load: Load) -> str:
        """Make room for saved rows; without the live table's keys and partitions, which a temporary table may not have."""
        names = ", ".join(quoted_name(column.name) for column in load.columns)
        return f"CREATE TEMPORARY TABLE {self.place(SIDE, load.table.name)} AS SELECT {names} FROM {self.place(LIVE, load.table.name)} LIMIT 0;"

    @contextlib.contextmanager
    def _client(self, *more: str) -> t.Iterator[list[str]]:
        """The client's command while the login is there, with its failures in words."""
        with _database_mysql.option_file(self.credentials) as login:
            try:
                yield [
                    _database_mysql.client(self.runner),
                    f"--defaults-file={login}",
                    "--batch",
                    "--skip-column-names",
                    "--default-character-set=utf8mb4",
                    "--max-allowed-packet=1G",
                    f"--database={self.database}",
                    *more,
                ]
            except CommandError as error:
                raise _explained(error, self.credentials) from None


def _hand_on(questions: t.Sequence[Question], line: bytes) -> None:
    """An answer is the number of the question, which values are NULL, and the values with escapes."""
    number, nulls, *values = line.split(b"\t")
    question = questions[int(number)]
    row: list[Value] = []
    for position, (null, value) in enumerate(zip(nulls.decode(), values)):
        plain = _ESCAPE.sub(lambda found: _PLAIN.get(found.group(1), found.group(0)), value) if b"\\" in value else value
        row.append(None if null == "1" else plain if position in question.binary else plain.decode("utf-8", "surrogateescape"))
    question.take(row)


def _statement(number: int, question: Question) -> str:
    nulls = ", ".join(f"{expression} IS NULL" for expression in question.expressions)
    return f"SELECT {number}, CONCAT({nulls}), {', '.join(question.expressions)} {question.source}"


def _explained(error: CommandError, credentials: Credentials) -> RollbackError:
    orphans = _GUARDED.search(error.stderr)
    if orphans:
        return RollbackError(f"Rows of {orphans.group(1)} refer to rows that are neither in the database nor among those that were saved.")
    return _database_mysql.explained(error, credentials)


def _exactly(expression: str) -> str:
    """A text so that each difference counts, whatever its collation and encoding."""
    return f"CAST(CONVERT({expression} USING utf8mb4) AS BINARY)"


def _note_column(table: Table, name: str, type_: str, full: str, nullable: str, generated: str, default: str, collation: str) -> None:
    table.columns[name] = Column(
        name,
        full,
        _KINDS.get(type_, OTHER),
        nullable == "YES",
        generated=bool(generated),
        default="DEFAULT" if default == "1" else None,
        collation=collation,
    )


def _note_index(table: Table, _schema: str, index: str, parts: t.Sequence[t.Sequence[str]]) -> None:
    """A unique index is a key unless it holds an expression, which has no name, or a column that may be NULL."""
    columns = tuple(name for name, _nullable in parts)
    if index == "PRIMARY":
        table.primary = columns
    if all(name and nullable != "YES" for name, nullable in parts):
        table.keys.append(columns)


def _note_reference(table: Table, schema: str, _constraint: str, parts: t.Sequence[t.Sequence[str]]) -> None:
    mine, schemas, tables, theirs = zip(*parts)
    if schemas[0] == schema:
        table.references.append(Reference(mine, tables[0], theirs))
