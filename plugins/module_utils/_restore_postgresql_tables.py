# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Some tables of two databases exchange their rows. A transaction sees one database only, so each of them first gets a copy of the other's
# rows in a schema of its own; the live database takes its copy over in one transaction, which also notes that it did. The rows that it gave
# away are safe in the other database by then. From any point on, the whole can be repeated.

from __future__ import annotations

import contextlib
import json
import tempfile
import typing as t
from dataclasses import dataclass, field

from . import _database_postgresql
from ._command import limited
from ._database_postgresql import MAINTENANCE_DATABASE, quoted_name, quoted_text
from ._errors import CommandError, RollbackError
from ._postgresql_survey import CLASSES, table_name

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_SCHEMA = "lastgood_exchange"
_NOTE = f"{_SCHEMA}.given_over"
_LOCK = 0x6C617374676F6F64  # held while the live database takes rows over
_SLOW = 3600
_LOCK_SECONDS = 10
_SESSION = f"""
SET default_transaction_read_only = off;
SET statement_timeout = 0;
SET lock_timeout = '{_LOCK_SECONDS}s';
SET row_security = off;
SET client_min_messages = warning;
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 3;
"""
_TABLES = f"""
SELECT 'table', n.nspname, c.relname, c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
  c.relhasrules, pg_has_role(c.relowner, 'MEMBER')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {CLASSES};
SELECT 'column', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> ''
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND {CLASSES} ORDER BY a.attnum;
SELECT 'trigger', n.nspname, c.relname, g.tgname, g.tgenabled
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' ORDER BY g.tgname;
SET search_path = '';
SELECT 'key', n.nspname, c.relname, o.conname, m.nspname, p.relname, pg_get_constraintdef(o.oid), pg_has_role(c.relowner, 'MEMBER'),
  COALESCE(obj_description(o.oid, 'pg_constraint'), ''),
  (SELECT json_agg(json_build_array(a.attname, b.attname) ORDER BY k.position)
    FROM unnest(o.conkey, o.confkey) WITH ORDINALITY AS k (mine, theirs, position)
    JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.mine
    JOIN pg_attribute b ON b.attrelid = o.confrelid AND b.attnum = k.theirs)
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class p ON p.oid = o.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
  WHERE o.contype = 'f' AND o.conparentid = 0 ORDER BY n.nspname, c.relname, o.conname;
"""
_END_OTHERS = f"""
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
  WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1
  AND l.classid::bigint << 32 | l.objid::bigint = {_LOCK} AND l.pid <> pg_backend_pid();
SELECT pg_advisory_xact_lock({_LOCK});
"""
_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_REFERS = {"oid", "lo"}  # types of columns that may refer to large objects
_NOT_VALID = " NOT VALID"


@dataclass
class _Table:
    place: str
    ordinary: bool
    rules: bool
    mine: bool
    columns: dict[str, str] = field(default_factory=dict)
    generated: set[str] = field(default_factory=set)
    triggers: dict[str, str] = field(default_factory=dict)

    @property
    def list(self) -> str:
        """The columns that hold what was written, not what follows from it."""
        return ", ".join(quoted_name(name) for name in self.columns if name not in self.generated)


@dataclass(frozen=True)
class _Key:
    """A foreign key; tables by the names that manifests have for them."""

    child: str
    place: str
    name: str
    parent: str
    parent_place: str
    text: str
    mine: bool
    comment: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Schema:
    tables: dict[str, _Table]
    keys: list[_Key]

    def touching(self, chosen: t.Container[str]) -> list[_Key]:
        return [key for key in self.keys if key.child in chosen or key.parent in chosen]


@dataclass(frozen=True)
class Exchange:
    """One exchange of the rows of some tables."""

    runner: Runner
    credentials: Credentials
    live: str
    incoming: str
    tables: t.Sequence[str]

    def orphans(self) -> list[str]:
        """Foreign keys that would not hold afterwards, in words; refuses tables that cannot be exchanged alone."""
        here = self._checked()
        keys = here.touching(self.tables)
        copies = {name: quoted_name(f"lastgood incoming {number}") for number, name in enumerate(self.tables)}
        wanted = {name for key in keys for name in (key.child, key.parent) if name in copies}
        before = "".join(_copied(here.tables[name], f"TEMPORARY TABLE {copies[name]}") for name in sorted(wanted))
        rows = [(_all(here.tables[name]), copies[name]) for name in sorted(wanted)]
        after = "".join(f"ANALYZE {copies[name]};\n" for name in sorted(wanted)) + "".join(_orphaned(key, copies) for key in keys)
        counts = self._copy(self.incoming, self.live, before, rows, after) if keys else []
        return [
            f"{key.child}.{key.name}: {count} rows refer to rows that {key.parent} lacks"
            for key, (count,) in zip(keys, counts)
            if count != "0"
        ]

    def run(self, outgoing: str, tolerant: bool) -> None:
        """Let live have the rows of incoming, and incoming those of live, under the name outgoing.

        Foreign keys that do not hold then are refused, or declared not to be valid where that is tolerated.
        """
        present = {name for (name,) in self._ask(MAINTENANCE_DATABASE, "SELECT datname FROM pg_database")}
        if not self._given_over(outgoing):
            if outgoing in present and self.incoming not in present:
                return
            if outgoing in present:
                raise RollbackError(f"{self.incoming} cannot take the name {outgoing}: there is such a database.")
            self._give_over_safely(outgoing, tolerant)
            present.add(self.incoming)
        if outgoing not in present:
            self._ask(MAINTENANCE_DATABASE, _renaming(self.incoming, outgoing))
        if self._has_copy(outgoing):
            there = self._read(outgoing)
            self._ask(outgoing, f"BEGIN;\n{self._taking_over(there, tolerant=True)}DROP SCHEMA {_SCHEMA} CASCADE;\nCOMMIT;")
        self._ask(self.live, f"DROP SCHEMA {_SCHEMA} CASCADE;\n" + self._analyzing(self._read(self.live)))

    def _give_over_safely(self, outgoing: str, tolerant: bool) -> None:
        try:
            self._give_over(outgoing, tolerant)
        except RollbackError as error:
            if not self._given_over(outgoing):
                with contextlib.suppress(RollbackError):
                    self._clear()
                error.facts["untouched"] = True
                raise

    def _give_over(self, outgoing: str, tolerant: bool) -> None:
        here = self._checked()
        self._clear()
        self._copy_aside(here, self.incoming, self.live)
        with _database_postgresql.session(self.runner, self.credentials.with_database(self.live), _SLOW) as session:
            session.query(
                f"{_SESSION}BEGIN;\nSELECT pg_advisory_xact_lock({_LOCK});\n"
                f"LOCK TABLE {', '.join(here.tables[name].place for name in self.tables)} IN SHARE ROW EXCLUSIVE MODE"
            )
            self._copy_aside(here, self.live, self.incoming)
            copies = ", ".join(self._aside(number) for number, _name in enumerate(self.tables))
            session.query(
                f"{self._taking_over(here, tolerant)}DROP TABLE {copies};\n"
                f"CREATE TABLE {_NOTE} AS SELECT {quoted_text(outgoing)}::text AS outgoing;\nCOMMIT"
            )

    def _clear(self) -> None:
        """Remove the copies of an attempt that did not come to its end; nothing but copies is in them until rows are given over."""
        for database in (self.incoming, self.live):
            self._ask(database, f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")

    def _given_over(self, outgoing: str) -> bool:
        """Whether live has the rows; ends what the server may still do for an attempt that was killed, so that the answer stays."""
        self._ask(self.live, _END_OTHERS)
        if self._ask(self.live, f"SELECT to_regclass({quoted_text(_NOTE)})") == [["NULL"]]:
            return False
        return self._ask(self.live, f"SELECT outgoing FROM {_NOTE}") == [[outgoing]]

    def _has_copy(self, database: str) -> bool:
        return self._ask(database, f"SELECT to_regnamespace({quoted_text(_SCHEMA)})") != [["NULL"]]

    def _copy_aside(self, here: _Schema, source: str, target: str) -> None:
        places = [self._aside(number) for number, _name in enumerate(self.tables)]
        chosen = [here.tables[name] for name in self.tables]
        before = f"CREATE SCHEMA {_SCHEMA};\n" + "".join(_copied(table, f"TABLE {place}") for table, place in zip(chosen, places))
        self._copy(source, target, before, [(_all(table), place) for table, place in zip(chosen, places)])

    def _aside(self, number: int) -> str:
        return f"{_SCHEMA}.rows_{number}"

    def _taking_over(self, there: _Schema, tolerant: bool) -> str:
        """The statements by which tables lose their rows and get those that were copied aside."""
        chosen = [there.tables[name] for name in self.tables]
        keys = there.touching(self.tables)
        triggers = [(table.place, quoted_name(name), _ENABLE[state]) for table in chosen for name, state in table.triggers.items()]
        return "".join(
            [
                *(f"ALTER TABLE {key.place} DROP CONSTRAINT {quoted_name(key.name)};\n" for key in keys),
                *(f"ALTER TABLE {place} DISABLE TRIGGER {name};\n" for place, name, _enable in triggers),
                f"TRUNCATE {', '.join(table.place for table in chosen)};\n",
                *(
                    f"INSERT INTO {table.place} ({table.list}) OVERRIDING SYSTEM VALUE SELECT {table.list} FROM {self._aside(number)};\n"
                    for number, table in enumerate(chosen)
                    if table.list
                ),
                "SET CONSTRAINTS ALL IMMEDIATE;\n",
                *(f"ALTER TABLE {place} {enable} TRIGGER {name};\n" for place, name, enable in triggers),
                *(_adding(key, tolerant) for key in keys),
            ]
        )

    def _analyzing(self, here: _Schema) -> str:
        return "".join(f"ANALYZE {here.tables[name].place};\n" for name in self.tables)

    def _checked(self) -> _Schema:
        """What the live database declares, when its tables can take the rows of the other's."""
        here, there = self._read(self.live), self._read(self.incoming)
        unknown = sorted(name for name in self.tables if name not in here.tables or name not in there.tables)
        if unknown:
            raise RollbackError(f"Not in both databases, so they cannot be swapped alone: {', '.join(unknown)}.")
        for name in self.tables:
            problem = _problem(here.tables[name], there.tables[name])
            if problem:
                raise RollbackError(f"The table {name} {problem}.", next_command="restore the whole database")
        foreign = sorted({key.child for key in here.touching(self.tables) if not key.mine})
        if foreign:
            raise RollbackError(f"The database user {self.credentials.user!r} may not change the foreign keys of {', '.join(foreign)}.")
        return here

    def _read(self, database: str) -> _Schema:
        tables: dict[str, _Table] = {}
        keys: list[_Key] = []
        for kind, schema, relation, *values in self._ask(database, _TABLES):
            name, place = table_name(schema, relation), f"{quoted_name(schema)}.{quoted_name(relation)}"
            if kind == "table":
                ordinary, rules, mine = (value == "t" for value in values)
                tables[name] = _Table(place, ordinary, rules, mine)
            elif kind == "column" and name in tables:
                tables[name].columns[values[0]] = values[1]
                tables[name].generated |= {values[0]} if values[2] == "t" else set()
            elif kind == "trigger" and name in tables:
                tables[name].triggers[values[0]] = values[1]
            elif kind == "key":
                parent = f"{quoted_name(values[1])}.{quoted_name(values[2])}"
                columns = tuple((mine, theirs) for mine, theirs in json.loads(values[6]))
                keys.append(
                    _Key(name, place, values[0], table_name(values[1], values[2]), parent, values[3], values[4] == "t", values[5], columns)
                )
        return _Schema(tables, keys)

    def _copy(self, source: str, target: str, before: str, rows: t.Sequence[tuple[str, str]], after: str = "") -> list[list[str]]:
        """Copy rows from one database into tables of another; returns what is said after. What does not come to its end leaves nothing."""
        script = _SESSION + "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n" + _said(f"{_SESSION}BEGIN;\n{before}")
        for select, place in rows:
            script += _said(f"COPY {place} FROM STDIN;") + f"COPY ({select}) TO STDOUT;\n" + _said("\\.")
        script += _said(f"{after}COMMIT;")
        ends = [self.credentials.with_database(name) for name in (source, target)]
        with contextlib.ExitStack() as stack:
            logins = [stack.enter_context(_database_postgresql.connection(end)) for end in ends]
            told, heard = (stack.enter_context(tempfile.TemporaryFile()) for _end in ends)
            told.write(script.encode("utf-8", "surrogateescape"))
            told.seek(0)
            stages = [self._limited(["--no-align", f"--dbname={logins[0]}"]), self._limited(["--csv", f"--dbname={logins[1]}"])]
            try:
                self.runner.pipeline(stages, output=heard.fileno(), source=told.fileno(), watched=None, timeout=_SLOW)
            except CommandError as error:
                raise _database_postgresql.explained(error, ends[1]) from None
            heard.seek(0)
            return [line.split(",") for line in heard.read().decode().splitlines()]

    def _limited(self, more: t.Sequence[str]) -> list[str]:
        argv = [self.runner.path("psql"), "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1", *more]
        return limited(argv, self.credentials.system_user, _SLOW, me=self.runner.me)

    def _ask(self, database: str, sql: str) -> list[list[str]]:
        login = self.credentials.with_database(database)
        return _database_postgresql.query(self.runner, login, _SESSION + sql, timeout=_SLOW)


def _problem(here: _Table, there: _Table) -> str | None:
    """Why the rows of one table cannot go into the other, if they cannot."""
    differing = sorted(name for name in {*here.columns, *there.columns} if here.columns.get(name) != there.columns.get(name))
    referring = sorted(name for name, type_ in here.columns.items() if type_ in _REFERS)
    if not (here.ordinary and there.ordinary):
        return "has partitions, or inherits from others: such tables are not restored alone"
    if here.rules or there.rules:
        return "has rules: such tables are not restored alone"
    if differing or here.generated != there.generated:
        return f"has other columns in the backup ({', '.join(differing) or 'generated ones'})"
    if referring:
        return f"may refer to large objects by {', '.join(referring)}: such tables are not restored alone"
    return None if here.mine and there.mine else "belongs to a role of which the database user is no member"


def _said(text: str) -> str:
    """What psql prints for the psql that reads it."""
    return f"SELECT {quoted_text(text)};\n"


def _copied(table: _Table, what: str) -> str:
    return f"CREATE {what} AS {_all(table)} WITH NO DATA;\n"


def _all(table: _Table) -> str:
    return f"SELECT {table.list} FROM {table.place}"


def _orphaned(key: _Key, copies: t.Mapping[str, str]) -> str:
    child, parent = copies.get(key.child, key.place), copies.get(key.parent, key.parent_place)
    pairs = [(quoted_name(mine), quoted_name(theirs)) for mine, theirs in key.columns]
    given = " AND ".join(f"c.{mine} IS NOT NULL" for mine, _theirs in pairs)
    same = " AND ".join(f"c.{mine} = p.{theirs}" for mine, theirs in pairs)
    return f"SELECT count(*) FROM {child} c WHERE {given} AND NOT EXISTS (SELECT FROM {parent} p WHERE {same});\n"


def _adding(key: _Key, tolerant: bool) -> str:
    add = f"ALTER TABLE {key.place} ADD CONSTRAINT {quoted_name(key.name)} {key.text}"
    if tolerant:
        whole = add[: -len(_NOT_VALID)] if add.endswith(_NOT_VALID) else add
        add = "DO " + quoted_text(f"BEGIN {whole}; EXCEPTION WHEN foreign_key_violation THEN {whole}{_NOT_VALID}; END")
    comment = f"COMMENT ON CONSTRAINT {quoted_name(key.name)} ON {key.place} IS {quoted_text(key.comment)};\n" if key.comment else ""
    return f"{add};\n{comment}"


def _renaming(old: str, new: str) -> str:
    return (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {quoted_text(old)};\n"
        f"ALTER DATABASE {quoted_name(old)} RENAME TO {quoted_name(new)};"
    )
