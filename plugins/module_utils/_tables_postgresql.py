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

from . import _database_postgresql
from ._answers import answered
from ._command import elevated
from ._database_mysql import in_memory
from ._database_postgresql import quoted_name, quoted_text
from ._errors import CommandError
from ._salvage_sql import END, Translation
from ._tables import BINARY, LIVE, NUMBER, SIDE, TEXT, TIME, Column, Lines, Load, Question, Reference, Table, Value, numbered

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_RELATIONS = """
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace {more}
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' {where}
"""
_TABLES = "\n".join(
    [
        "SELECT 'table', n.nspname, c.relname, c.relkind IN ('v', 'm', 'f'),"
        " (SELECT COUNT(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)",
        _RELATIONS.format(more="", where=";"),
        "SELECT 'column', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),"
        " CASE WHEN y.typname = 'bytea' THEN 'X' ELSE y.typcategory END, a.attnotnull, a.attgenerated <> '', a.attidentity <> '',"
        " COALESCE(pg_get_expr(d.adbin, d.adrelid), '')",
        _RELATIONS.format(
            more="JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type y ON y.oid = a.atttypid"
            " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum",
            where="AND a.attnum > 0 AND NOT a.attisdropped ORDER BY n.nspname, c.relname, a.attnum;",
        ),
        "SELECT 'index', n.nspname, c.relname, i.indexrelid, i.indisprimary, a.attname, a.attnotnull",
        _RELATIONS.format(
            more="JOIN pg_index i ON i.indrelid = c.oid CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, position)"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number",
            where="AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts"
            " ORDER BY n.nspname, c.relname, NOT i.indisprimary, i.indexrelid, k.position;",
        ),
        "SELECT 'reference', n.nspname, c.relname, o.oid, m.nspname, p.relname, a.attname, b.attname",
        _RELATIONS.format(
            more="JOIN pg_constraint o ON o.conrelid = c.oid AND o.contype = 'f' JOIN pg_class p ON p.oid = o.confrelid"
            " JOIN pg_namespace m ON m.oid = p.relnamespace"
            " CROSS JOIN unnest(o.conkey, o.confkey) WITH ORDINALITY AS k (mine, theirs, position)"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.mine"
            " JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = k.theirs",
            where="ORDER BY n.nspname, c.relname, o.oid, k.position;",
        ),
    ]
)
_KINDS = {"N": NUMBER, "D": TIME, "X": BINARY}
_SESSION = """
SET client_encoding = 'UTF8';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET standard_conforming_strings = on;
SET client_min_messages = warning;
SET statement_timeout = {timeout:.0f};
"""
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\"}
_DIGEST = quoted_name("lastgood digest")


@dataclass
class PostgresqlTables:
    """The tables of a database of PostgreSQL, beside those of another one on the same server.

    A query sees one database, so what is compared of the other one is copied into tables of the session: keys, columns that are added
    up, and a digest of each row.
    """

    runner: Runner
    credentials: Credentials
    side: str | None = None
    aside: dict[str, str] = field(default_factory=dict)
    engine: t.ClassVar[str] = "postgresql"
    affected: t.ClassVar[str] = ":ROW_COUNT"
    overriding: t.ClassVar[str] = " OVERRIDING SYSTEM VALUE"

    @property
    def database(self) -> str:
        return self.credentials.database

    def tables(self, side: str | None) -> tuple[dict[str, Table], dict[str, Table]]:
        self.side = side
        self._live = _described(_database_postgresql.query(self.runner, self.credentials, _TABLES))
        other = self.credentials.with_database(side or "")
        self._other = _described(_database_postgresql.query(self.runner, other, _TABLES)) if side else {}
        self._numbers = {name: number for number, name in enumerate(self._other, 1)}
        return self._live, self._other

    def name(self, name: str) -> str:
        return quoted_name(name)

    def place(self, alias: str, table: str) -> str:
        if alias == SIDE and table in self.aside:
            return quoted_name(self.aside[table])
        return _qualified(table) if alias == LIVE else quoted_name(f"lastgood side {self._numbers.get(table, 0)}")

    def differ(self, pairs: t.Sequence[tuple[Column, Column]], alone: t.Sequence[Column]) -> str:
        if self.aside:
            texts = ((f"{alias}.{quoted_name(column.name)}::text" for alias, column in zip("ls", pair)) for pair in pairs)
            return f"({' OR '.join(f'{mine} IS DISTINCT FROM {theirs}' for mine, theirs in texts)})"
        given = [
            f"l.{quoted_name(column.name)}::text IS DISTINCT FROM ({column.default or 'NULL'})::text"
            for column in alone
            if "nextval(" not in (column.default or "")
        ]
        same = _digest([column for column, _side in pairs], LIVE)
        return f"({' OR '.join([f'{same} IS DISTINCT FROM s.{_DIGEST}', *given])})"

    def matches(self, live: Column, side: Column) -> str:
        operator = "IS NOT DISTINCT FROM" if live.nullable or side.nullable else "="
        cast = "" if live.type == side.type else "::text"
        return f"l.{quoted_name(live.name)}{cast} {operator} s.{quoted_name(side.name)}{cast}"

    def as_value(self, column: Column, alias: str) -> str:
        return f"{alias}.{quoted_name(column.name)}"

    def total(self, expression: str) -> str:
        return f"COALESCE(SUM({expression}), 0)"

    def since(self, column: Column, seconds: float) -> str | None:
        moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
        if column.type == "date":
            return f"l.{quoted_name(column.name)} >= '{moment.strftime('%Y-%m-%d')}'"
        if column.type.startswith("timestamp"):
            return f"l.{quoted_name(column.name)} >= '{moment.strftime('%Y-%m-%d %H:%M:%S')}+00'"
        return f"l.{quoted_name(column.name)} >= {int(seconds)}" if column.type in ("integer", "bigint") else None

    def literal(self, _column: Column, value: t.Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, dict):
            return f"'\\x{base64.b64decode(value['base64'], validate=True).hex()}'"
        return quoted_text(str(value))

    def overwriting(self, load: Load, matches: str, differ: str) -> str:
        """Without the key: it is the same, and may be of a sort that cannot be given."""
        names = [quoted_name(column.name) for column in load.columns if column.name not in load.key]
        if not names:
            return f"DELETE FROM {self.place(SIDE, load.table.name)} WHERE false"
        values = ", ".join(f"{name} = s.{name}" for name in names)
        return (
            f"UPDATE {_qualified(load.table.name)} l SET {values} FROM {self.place(SIDE, load.table.name)} s WHERE {matches} AND {differ}"
        )

    def after(self, load: Load) -> list[str]:
        """The counters for new keys do not follow by themselves."""
        table = _qualified(load.table.name)
        statements = []
        for column in load.columns:
            if "nextval(" in (column.default or ""):
                highest = f"(SELECT MAX({quoted_name(column.name)}) FROM {table})"
                counter = f"pg_get_serial_sequence({quoted_text(table)}, {quoted_text(column.name)})"
                body = f"BEGIN PERFORM setval(s::regclass, GREATEST({highest}, nextval(s::regclass))) FROM {counter} s WHERE s IS NOT NULL; END"
                statements.append(f"DO {quoted_text(body)}")
        return statements

    def read(self, questions: t.Sequence[Question], timeout: float) -> None:
        """Ask everything in one session that sees one moment of the live database; rows are handed on as they arrive."""
        asked = "\n".join(f"{_statement(number, question)};" for number, question in enumerate(questions))
        session = _SESSION.format(timeout=timeout * 1000)
        script = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n{asked}\nCOMMIT;\n"
        asides = [table for name, table in self._other.items() if any(self.place(SIDE, name) in question.source for question in questions)]
        if not asides:
            self._run([], f"{session}{script}", questions, timeout)
            return
        parts = [f"{session}BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", f"SELECT {quoted_text(session)};"]
        for table in asides:
            used = [
                f"{question.expressions} {question.source}" for question in questions if self.place(SIDE, table.name) in question.source
            ]
            parts += self._copied(table, "\n".join(used))
        with self._client(self.credentials.with_database(self.side or "")) as client:
            self._run([client], "\n".join([*parts, f"SELECT {quoted_text(script)};", "COMMIT;", ""]), questions, timeout)

    def replay(
        self,
        loads: t.Sequence[Load],
        steps: t.Sequence[Question | str],
        _guards: t.Sequence[tuple[str, str]],
        *,
        apply: bool,
        timeout: float,
    ) -> None:
        """Hand the rows to the client as SQL while they are read; when it fails at anything, nothing was changed.

        Foreign keys are proven by the server: at the end of each statement, or of the transaction where they allow that.
        """
        questions, texts = numbered(steps, _statement)
        head = [_SESSION.format(timeout=timeout * 1000), "BEGIN;", "SET CONSTRAINTS ALL DEFERRED;"]
        for load in loads:
            names = ", ".join(quoted_name(column.name) for column in load.columns)
            made = f"CREATE TEMPORARY TABLE {self.place(SIDE, load.table.name)} AS SELECT {names} FROM {_qualified(load.table.name)}"
            head.append(f"{made} WHERE false;")
        analyzed = (f"ANALYZE {self.place(SIDE, load.table.name)};" for load in loads)
        tail = [*analyzed, *(f"{text};" for text in texts), "COMMIT;" if apply else "ROLLBACK;", ""]
        translation = Translation(self, {load.table.name: load for load in loads}, head, tail)
        rows = Lines(lambda line: _hand_on(questions, line))
        with in_memory("lastgood-end", END) as end, self._client(self.credentials) as client:
            feed = ["cat", "--", *(load.path for load in loads), end]
            answered(self.runner, [feed, client], rows.feed, timeout, translation.feed)
        rows.end()

    def _copied(self, table: Table, used: str) -> list[str]:
        """What makes the other database's client write what is needed of a table in the form that the live one's reads."""
        live = self._live.get(table.name)
        compared = [column for column in live.stored if column.name in table.columns] if live else []
        columns = [column for column in table.columns.values() if f"s.{quoted_name(column.name)}" in used]
        place = self.place(SIDE, table.name)
        names = [*(f"{quoted_name(column.name)} {column.type}" for column in columns), f"{_DIGEST} text"]
        values = [*(f"o.{quoted_name(column.name)}" for column in columns), _digest(compared, "o")]
        make = f"CREATE TEMPORARY TABLE {place} ({', '.join(names)});\nCOPY {place} FROM STDIN;"
        return [
            f"SELECT {quoted_text(make)};",
            f"COPY (SELECT {', '.join(values)} FROM {_qualified(table.name)} o) TO STDOUT;",
            f"SELECT {quoted_text(chr(92) + '.')};",
            f"SELECT {quoted_text(f'ANALYZE {place};')};",
        ]

    def _run(self, before: list[list[str]], script: str, questions: t.Sequence[Question], timeout: float) -> None:
        """Let a client do what a script says, and hand its answers on while it does."""
        rows = Lines(lambda line: _hand_on(questions, line))
        with in_memory("lastgood-questions", script) as path, self._client(self.credentials) as client:
            answered(self.runner, [["cat", "--", path], *before, client], rows.feed, timeout)
        rows.end()

    @contextlib.contextmanager
    def _client(self, credentials: Credentials) -> t.Iterator[list[str]]:
        """The client's command while the login is there, with its failures in words."""
        with _database_postgresql.connection(credentials) as login:
            argv = [
                "psql",
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                f"--dbname={login}",
            ]
            try:
                yield elevated(argv, credentials.system_user, me=self.runner.me, environment={})
            except CommandError as error:
                raise _database_postgresql.explained(error, credentials) from None


def _hand_on(questions: t.Sequence[Question], line: bytes) -> None:
    """An answer is the number of the question and the values in the form of COPY."""
    number, *values = line.split(b"\t")
    question = questions[int(number)]
    question.take([_value(value, position in question.binary) for position, value in enumerate(values)])


def _value(value: bytes, binary: bool) -> Value:
    if value == b"\\N":
        return None
    plain = _ESCAPE.sub(lambda found: _PLAIN.get(found.group(1), found.group(0)), value).decode()
    return bytes.fromhex(plain[2:]) if binary else plain


def _statement(number: int, question: Question) -> str:
    return f"COPY (SELECT {number}, {', '.join(question.expressions)} {question.source}) TO STDOUT"


def _digest(columns: t.Sequence[Column], alias: str) -> str:
    texts = ", ".join(f"{alias}.{quoted_name(column.name)}::text" for column in columns)
    return f"md5(ROW({texts})::text)"


def _qualified(table: str) -> str:
    """A table's name with its schema: those of the schema public go without, others have it in front."""
    schema, point, name = table.partition(".")
    return f"{quoted_name(schema)}.{quoted_name(name)}" if point else f"public.{quoted_name(table)}"


def _described(rows: t.Iterable[t.Sequence[str]]) -> dict[str, Table]:
    found: dict[str, Table] = {}
    groups: dict[tuple[str, str, str], list[t.Sequence[str]]] = {}
    for what, schema, relation, *facts in rows:
        name = relation if schema == "public" and "." not in relation else f"{schema}.{relation}"
        if what == "table":
            found[name] = Table(name, view=facts[0] == "t", triggers=int(facts[1]))
        elif what == "column":
            column, type_, category, required, generated, identity, default = facts
            found[name].columns[column] = Column(
                column,
                type_,
                _KINDS.get(category, TEXT),
                required != "t",
                generated=generated == "t",
                default="nextval() of its own" if identity == "t" else default or None,
            )
        else:
            groups.setdefault((what, name, facts[0]), []).append(facts[1:])
    for (what, name, _number), parts in groups.items():
        (_note_index if what == "index" else _note_reference)(found[name], parts)
    return found


def _note_index(table: Table, parts: t.Sequence[t.Sequence[str]]) -> None:
    columns = tuple(column for _primary, column, _required in parts)
    if parts[0][0] == "t":
        table.primary = columns
    if all(required == "t" for _primary, _column, required in parts):
        table.keys.append(columns)


def _note_reference(table: Table, parts: t.Sequence[t.Sequence[str]]) -> None:
    schemas, tables, mine, theirs = zip(*parts)
    parent = tables[0] if schemas[0] == "public" and "." not in tables[0] else f"{schemas[0]}.{tables[0]}"
    table.references.append(Reference(mine, parent, theirs))
