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
from dataclasses import dataclass, replace

from ._command import elevated
from ._errors import CommandError, RollbackError
from ._tables import BINARY, NUMBER, OTHER, TEXT, TIME, Column, Question, Reference, Table, Value

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

live, side = sys.argv[1:3]
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
def plain(value):
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value

base.execute("PRAGMA query_only = 1")
base.execute("BEGIN")
for number, statement in enumerate(sys.argv[3:]):
    for row in base.execute(statement):
        print(json.dumps([number, *map(plain, row)]))
"""
)


@dataclass
class SqliteTables:
    """The tables of a SQLite database, beside those of another file; both are read as the user who owns them."""

    runner: Runner
    database: str
    user: str | None
    side: str | None = None
    engine: t.ClassVar[str] = "sqlite"

    def tables(self, side: str | None) -> tuple[dict[str, Table], dict[str, Table]]:
        self.side = side
        for path in (self.database, side):
            if path is not None and not os.path.isabs(path):
                raise RollbackError(f"The SQLite database {path!r} must be given by its absolute path.")
        done = self.runner.run(self._program(_TABLES), user=self.user, timeout=60, check=False)
        if done.rc != 0:
            raise self.explained(done.stderr)
        live, other = json.loads(done.stdout)
        return ({name: _table(name, facts) for name, facts in found.items()} for found in (live, other))  # type: ignore[return-value]

    def name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def place(self, alias: str, table: str) -> str:
        return f"{'main' if alias == 'l' else 'side'}.{self.name(table)}"

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
        return f"SUM({expression})"

    def since(self, column: Column, seconds: float) -> str | None:
        """Whatever SQLite understands as a time; what it does not is NULL, like a time that is missing."""
        name = f"l.{self.name(column.name)}"
        moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return f"CASE typeof({name}) WHEN 'integer' THEN datetime({name}, 'unixepoch') ELSE datetime({name}) END >= '{moment}'"

    def read(self, questions: t.Sequence[Question], timeout: float) -> None:
        """Ask everything in one transaction; rows are handed on as they arrive."""
        statements = [f"SELECT {', '.join(question.expressions)} {question.source}" for question in questions]
        argv = elevated(self._program(_READ, *statements), self.user, me=self.runner.me, environment={})
        rest: list[bytes] = []

        def feed(chunk: bytes) -> bytes:
            first, *others = chunk.split(b"\n")
            rest.append(first)
            for other in others:
                number, *row = json.loads(b"".join(rest))
                questions[number].take([_value(value) for value in row])
                rest[:] = [other]
            return b""

        with open(os.devnull, "wb") as nowhere:
            try:
                self.runner.pipeline([argv], output=nowhere.fileno(), watch=feed, timeout=timeout)
            except CommandError as error:
                raise self.explained(error.stderr) from None

    def explained(self, told: str) -> RollbackError:
        why = (told.strip().splitlines() or ["it took too long"])[-1]
        return RollbackError(f"The SQLite database {self.database} could not be compared with {self.side}: {why}.")

    def _program(self, text: str, *more: str) -> list[str]:
        return [self.runner.path("python3"), "-c", text, self.database, self.side or "", *more]


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
