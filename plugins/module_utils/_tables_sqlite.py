# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import base64
import datetime
import json
import os
import typing as t
from dataclasses import dataclass, field, replace

from ._answers import answered
from ._command import elevated
from ._database_mysql import in_memory
from ._errors import CommandError, RollbackError
from ._tables import BINARY, LIVE, NUMBER, OTHER, SIDE, TEXT, TIME, Column, ColumnByColumn, Lines, Load, Question, Reference, Table, Value

if t.TYPE_CHECKING:
    from ._command import Runner

_OPEN = """
import base64, json, os, sqlite3, sys, urllib.parse

def opened(path):
    base = sqlite3.connect("file:" + urllib.parse.quote(path) + "?mode=rw", uri=True, timeout=30, isolation_level=None)
    base.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    return base

def quoted(name):
    return '"' + name.replace('"', '""') + '"'

def plain(value):
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value

live, side = sys.argv[1:]
base = opened(live)
if side:
    base.execute("ATTACH ? AS side", ("file:" + urllib.parse.quote(side) + "?mode=ro",))
"""
_TABLES = (
    _OPEN
    + """
def described(schema):
    found = {}
    for name, kind, sql in base.execute("SELECT name, type, sql FROM " + schema + ".sqlite_master WHERE type IN ('table', 'view')"
                                        " AND name NOT LIKE 'sqlite\\\\_%' ESCAPE '\\\\' ORDER BY name").fetchall():
        ask = lambda pragma, what: base.execute("PRAGMA " + schema + "." + pragma + "(" + quoted(what) + ")").fetchall()
        found[name] = {
            "view": kind == "view",
            "columns": ask("table_xinfo", name),
            "indexes": [[row[2] for row in ask("index_info", index[1])] for index in ask("index_list", name) if index[2] and not index[4]],
            "references": ask("foreign_key_list", name),
            "triggers": base.execute("SELECT COUNT(*) FROM " + schema + ".sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
                                     (name,)).fetchone()[0],
        }
    return found

print(json.dumps([described("main"), described("side") if side else {}]))
"""
)
_READ = (
    _OPEN
    + """
base.execute("PRAGMA query_only = 1")
base.execute("BEGIN")
for number, statement in enumerate(json.loads(sys.stdin.buffer.readline())):
    for row in base.execute(statement):
        print(json.dumps([number, *map(plain, row)]))
"""
)
_REPLAY = (
    _OPEN
    + """
plan = json.loads(sys.stdin.buffer.readline())
counts, load = {}, None
base.execute("PRAGMA foreign_keys = 1")
base.execute("BEGIN IMMEDIATE")
base.execute("PRAGMA defer_foreign_keys = 1")
for line in sys.stdin.buffer:
    entry = json.loads(line)
    if "table" in entry:
        load = plan["loads"][entry["table"]]
        counts[entry["table"]] = load["rows"]
        table = entry["table"]
        base.execute(load["create"])
    else:
        values = (entry["row"][name] for name in load["columns"])
        base.execute(load["insert"], [base64.b64decode(value["base64"]) if isinstance(value, dict) else value for value in values])
        counts[table] -= 1
if any(counts.values()) or len(counts) != len(plan["loads"]):
    sys.exit("there are not as many rows as were saved")
for number, statement in plan["steps"]:
    for row in base.execute(statement):
        print(json.dumps([number, *map(plain, row)]))
for name, statement in plan["guards"]:
    if base.execute(statement).fetchone():
        sys.exit("rows of " + name + " refer to rows that are neither in the database nor among those that were saved")
base.execute("COMMIT" if plan["apply"] else "ROLLBACK")
"""
)


@dataclass
class SqliteTables(ColumnByColumn):
    """The tables of a SQLite database, beside those of another file; both are read as the user who owns them."""

    runner: Runner
    database: str
    user: str | None
    side: str | None = None
    aside: dict[str, str] = field(default_factory=dict)
    engine: t.ClassVar[str] = "sqlite"
    affected: t.ClassVar[str] = "changes()"
    overriding: t.ClassVar[str] = ""

    def tables(self, side: str | None) -> tuple[dict[str, Table], dict[str, Table]]:
        self.side = side
        for path in (self.database, side):
            if path is not None and not os.path.isabs(path):
                raise RollbackError(f"The SQLite database {path!r} must be given by its absolute path.")
        done = self.runner.run(self._program(_TABLES), user=self.user, timeout=60, check=False)
        if done.rc != 0:
            raise self.explained(done.stderr)
        live, other = ({name: _table(name, facts) for name, facts in found.items()} for found in json.loads(done.stdout))
        for tables in (live, other):
            for table in tables.values():
                table.references = [_complete(reference, tables.get(reference.table)) for reference in table.references]
        return live, other

    def name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def place(self, alias: str, table: str) -> str:
        if alias == SIDE and table in self.aside:
            return f"temp.{self.name(self.aside[table])}"
        return f"{'main' if alias == LIVE else 'side'}.{self.name(table)}"

    def same(self, live: Column, side: Column) -> str:
        """Values have types of their own here; a text is compared byte for byte, whatever its column says."""
        return f"l.{self.name(live.name)} COLLATE BINARY IS s.{self.name(side.name)}"

    def matches(self, live: Column, side: Column) -> str:
        return f"l.{self.name(live.name)} {'IS' if live.nullable or side.nullable else '='} s.{self.name(side.name)}"

    def as_value(self, column: Column, alias: str) -> str:
        return f"{alias}.{self.name(column.name)}"

    def is_default(self, column: Column) -> str:
        return f"l.{self.name(column.name)} COLLATE BINARY IS ({column.default or 'NULL'})"

    def total(self, expression: str) -> str:
        return f"COALESCE(SUM({expression}), 0)"

    def since(self, column: Column, seconds: float) -> str | None:
        """Whatever SQLite understands as a time; what it does not is NULL, like a time that is missing."""
        name = f"l.{self.name(column.name)}"
        moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return f"CASE typeof({name}) WHEN 'integer' THEN datetime({name}, 'unixepoch') ELSE datetime({name}) END >= '{moment}'"

    def read(self, questions: t.Sequence[Question], timeout: float) -> None:
        """Ask everything in one transaction; rows are handed on as they arrive."""
        statements = [_statement(question) for question in questions]
        self._run(_READ, statements, [], questions, timeout)

    def overwriting(self, load: Load, matches: str, differ: str) -> str:
        names = [self.name(column.name) for column in load.columns]
        live, aside = self.place(LIVE, load.table.name), self.place(SIDE, load.table.name)
        return f"UPDATE {live} AS l SET {', '.join(f'{name} = s.{name}' for name in names)} FROM {aside} s WHERE {matches} AND {differ}"

    def replay(
        self,
        loads: t.Sequence[Load],
        steps: t.Sequence[Question | str],
        guards: t.Sequence[tuple[str, str]],
        *,
        apply: bool,
        timeout: float,
    ) -> None:
        """Hand the rows to a program of the owner while they are read; when it fails at anything, nothing was changed."""
        questions = [step for step in steps if isinstance(step, Question)]
        numbers = iter(range(len(questions)))
        plan = {
            "loads": {load.table.name: self._plan(load) for load in loads},
            "steps": [(None, step) if isinstance(step, str) else (next(numbers), _statement(step)) for step in steps],
            "guards": [(name, f"SELECT 1 {source} LIMIT 1") for name, source in guards],
            "apply": apply,
        }
        self._run(_REPLAY, plan, [load.path for load in loads], questions, timeout)

    def _run(self, program: str, plan: t.Any, files: list[str], questions: t.Sequence[Question], timeout: float) -> None:
        """Let a program of the owner do what a plan says with what is in files, and hand its answers on."""
        argv = elevated(self._program(program), self.user, me=self.runner.me, environment={})
        answers = Lines(lambda line: _hand_on(questions, line))
        with in_memory("lastgood-plan", json.dumps(plan) + "\n") as path:
            try:
                answered(self.runner, [["cat", "--", path, *files], argv], answers.feed, timeout)
            except CommandError as error:
                raise self.explained(error.stderr) from None
        answers.end()

    def _plan(self, load: Load) -> dict[str, t.Any]:
        names = ", ".join(self.name(column.name) for column in load.columns)
        aside, live = self.place(SIDE, load.table.name), self.place(LIVE, load.table.name)
        return {
            "create": f"CREATE TABLE {aside} AS SELECT {names} FROM {live} WHERE 0",
            "insert": f"INSERT INTO {aside} VALUES ({', '.join('?' for _column in load.columns)})",
            "columns": [column.name for column in load.columns],
            "rows": load.rows,
        }

    def explained(self, told: str) -> RollbackError:
        why = (told.strip().splitlines() or ["it took too long"])[-1]
        return RollbackError(f"The SQLite database {self.database} could not be used: {why.rstrip('.')}.")

    def _program(self, text: str) -> list[str]:
        return [self.runner.path("python3"), "-c", text, self.database, self.side or ""]


def _hand_on(questions: t.Sequence[Question], line: bytes) -> None:
    number, *row = json.loads(line)
    questions[number].take([_value(value) for value in row])


def _statement(question: Question) -> str:
    return f"SELECT {', '.join(question.expressions)} {question.source}"


def _value(value: t.Any) -> Value:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def _table(name: str, facts: t.Mapping[str, t.Any]) -> Table:
    """What SQLite's own tables say; a primary key may hold NULL there unless it is the number of the row."""
    table = Table(name, view=facts["view"], triggers=facts["triggers"])
    primary: dict[int, str] = {}
    for _number, column, type_, required, default, position, hidden in facts["columns"]:
        if position:
            primary[position] = column
        if hidden != 1:
            table.columns[column] = Column(column, type_, _kind(type_), not required, generated=hidden in (2, 3), default=default)
    table.primary = tuple(primary[position] for position in sorted(primary))
    if len(table.primary) == 1 and table.columns[table.primary[0]].type.upper() == "INTEGER":
        table.columns[table.primary[0]] = replace(table.columns[table.primary[0]], nullable=False)
    for key in [table.primary, *(tuple(index) for index in facts["indexes"])]:
        if key and key not in table.keys and all(name in table.columns and not table.columns[name].nullable for name in key):
            table.keys.append(key)
    references: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _sequence, parent, mine, theirs, *_rules in facts["references"]:
        references.setdefault(number, []).append((parent, mine, theirs))
    for parts in references.values():
        table.references.append(
            Reference(tuple(mine for _p, mine, _t in parts), parts[0][0], tuple(theirs or "" for _p, _m, theirs in parts))
        )
    return table


def _complete(reference: Reference, parent: Table | None) -> Reference:
    """A foreign key that names no columns means the parent's primary key."""
    return reference if all(reference.their_columns) or parent is None else replace(reference, their_columns=parent.primary)


def _kind(type_: str) -> str:
    """By SQLite's rules of affinity, with the names that mean times set apart."""
    word = type_.upper()
    if "DATE" in word or "TIME" in word:
        return TIME
    if "INT" in word or any(part in word for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL")):
        return NUMBER
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        return TEXT
    return BINARY if "BLOB" in word else OTHER
