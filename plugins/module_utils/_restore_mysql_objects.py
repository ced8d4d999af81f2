# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What a database of MariaDB or MySQL holds besides tables, as statements that make it again byte for byte.

from __future__ import annotations

import re
import typing as t

from ._database_mysql import query, quoted_name, quoted_text
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

Definition = dict[str, t.Any]


class ForeignKey(t.NamedTuple):
    """One foreign key: its table, its name, the table it refers to, how it is declared, and the whole declaration of its table."""

    table: str
    name: str
    parent: str
    declared: str
    text: str


_LIST = """
SELECT 'TRIGGER', trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()
  ORDER BY event_object_table, action_timing, event_manipulation, action_order;
SELECT routine_type, routine_name, '' FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY routine_type, routine_name;
SELECT 'VIEW', table_name, '' FROM information_schema.views WHERE table_schema = DATABASE() ORDER BY table_name;
SELECT 'EVENT', event_name, '' FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY event_name;
"""
# In the order of the columns that SHOW CREATE gives after the name.
_COLUMNS = {
    "VIEW": ("sql", "client", "connection"),
    "EVENT": ("sql_mode", "time_zone", "sql", "client", "connection"),
}
_OTHER_COLUMNS = ("sql_mode", "sql", "client", "connection")
_QUOTED = r"""'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`"""
_STATUS = re.compile(
    rb"(EVENT\s*(?:\*/\s*)?`(?:[^`]|``)*` ON SCHEDULE (?:[^'`]|"
    + _QUOTED.encode()
    + rb")*? ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE)\b",
    re.DOTALL,
)
_DEFINER = re.compile(r"\bDEFINER=`((?:[^`]|``)*)`(?:@`((?:[^`]|``)*)`)?")
_FOREIGN_KEY = re.compile(r"^  (CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY .*?),?$", re.MULTILINE)
_KEY = re.compile(r"^  (?:UNIQUE )?KEY (`(?:[^`]|``)+`) (.*?),?$", re.MULTILINE)
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
_CREATE = re.compile(r"CREATE (?:OR REPLACE )?")
_PLAIN = "sql_mode = ''"  # else names may come in the quotes of texts, and a backslash may stand for itself
_BINARY = f"SET character_set_results = binary, {_PLAIN};\n"
_NAME = rb"""(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\w$\x80-\xff]+)"""
_OF_A_DATABASE = re.compile(
    rb"(\bTRIGGER\s+(?:IF\s+NOT\s+EXISTS\s+)?)(?:%(name)s\s*\.\s*)?"
    rb"(%(name)s\s+(?:BEFORE|AFTER)\s+(?:INSERT|UPDATE|DELETE)\s+ON\s+)(?:%(name)s\s*\.\s*)?(?=%(name)s)" % {b"name": _NAME},
    re.IGNORECASE,
)


def definitions(runner: Runner, credentials: Credentials, database: str) -> list[Definition]:
    """Every trigger, routine, view and event of a database, with what its meaning depends on."""
    there = credentials.with_database(database)
    found = query(runner, there, _BINARY + _LIST)
    if not found:
        return []
    sql = "".join(f"SHOW CREATE {kind} {quoted_name(name)};\n" for kind, name, _table in found)
    rows = query(runner, there, _BINARY + sql)
    made = []
    for (kind, name, table), row in zip(found, rows):
        made.append({"kind": kind, "name": name, "table": table, **dict(zip(_COLUMNS.get(kind, _OTHER_COLUMNS), row[1:]))})
        if made[-1]["sql"] == "NULL":
            raise RollbackError(f"The database user may not read the definition of the {kind.lower()} {name} of {database}.")
    return made


def script(definition: Definition, *, replaces: bool) -> str:
    """Statements for the client that make it, in place of one with that name that may be there."""
    kind, name = definition["kind"], quoted_name(definition["name"])
    settings = [f"character_set_client = {definition['client']}", f"collation_connection = {definition['connection']}"]
    settings.append(f"sql_mode = {quoted_text(definition['sql_mode'])}" if "sql_mode" in definition else _PLAIN)
    if "time_zone" in definition:
        settings.append(f"time_zone = {quoted_text(definition['time_zone'])}")
    sql = unbound(_bytes(definition["sql"])).decode("utf-8", "surrogateescape") if kind == "TRIGGER" else definition["sql"]
    mark = next(mark for mark in (f";{number}lastgood;" for number in range(100)) if mark not in sql)
    if kind == "VIEW" or (replaces and kind != "TRIGGER"):
        drop, sql = "", _CREATE.sub("CREATE OR REPLACE ", sql, count=1)
    else:
        drop = f"DROP {kind} IF EXISTS {name};\n"
    return f"SET NAMES utf8mb4;\n{drop}SET {', '.join(settings)};\nDELIMITER {mark}\n{sql}\n{mark}\nDELIMITER ;\n"


def unbound(text: bytes) -> bytes:
    """The declaration of a trigger without the database that it may name: the server repeats it as it was typed, wherever the trigger is to be."""
    return _OF_A_DATABASE.sub(rb"\1\2", text, count=1)


def foreign_keys(runner: Runner, credentials: Credentials, database: str) -> list[ForeignKey]:
    """The foreign keys within a database."""
    there = credentials.with_database(database)
    sql = (
        "SELECT DISTINCT table_name, constraint_name, referenced_table_name FROM information_schema.key_column_usage"
        " WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()"
    )
    parents = {(table, name): parent for table, name, parent in query(runner, there, sql)}
    tables = sorted({table for table, _name in parents})
    texts = created(runner, credentials, database, tables)
    return [
        ForeignKey(table, found[2].replace("``", "`"), parents[table, found[2].replace("``", "`")], found[1], texts[table])
        for table in tables
        for found in _FOREIGN_KEY.finditer(texts[table])
        if (table, found[2].replace("``", "`")) in parents
    ]


def renamed_keys(before: str, after: str) -> list[tuple[str, str]]:
    """The indexes of a table that have another name after a foreign key was declared again: the server names those that it made itself."""
    old, new = ({found[1]: found[2] for found in _KEY.finditer(text)} for text in (before, after))
    lost = {what: name for name, what in old.items() if name not in new}
    return [(name, lost[what]) for name, what in new.items() if name not in old and what in lost]


def created(runner: Runner, credentials: Credentials, database: str, tables: t.Sequence[str]) -> dict[str, str]:
    """The statements that would create some tables."""
    sql = "".join(f"SHOW CREATE TABLE {quoted_name(name)};\n" for name in tables)
    rows = query(runner, credentials.with_database(database), _BINARY + sql) if tables else []
    return {name: row[1] for name, row in zip(tables, rows)}


def without_counter(text: str) -> str:
    """How a table is created, but for the number that it gives next."""
    return _COUNTER.sub("", text)


def dropped(definition: Definition, database: str) -> str:
    return f"DROP {definition['kind']} IF EXISTS {quoted_name(database)}.{quoted_name(definition['name'])};\n"


def same(one: Definition, other: Definition | None) -> bool:
    return other is not None and {**one, "table": ""} == {**other, "table": ""}


def definers(found: t.Iterable[Definition]) -> set[str]:
    """Whose rights they run with, as user@host."""
    names = (_DEFINER.search(definition["sql"]) for definition in found)
    return {"@".join(part.replace("``", "`") for part in name.groups() if part is not None) for name in names if name}


def enabled(definition: Definition) -> bool:
    status = _STATUS.search(_bytes(definition["sql"])) if definition["kind"] == "EVENT" else None
    return status is not None and status.group(2) == b"ENABLE"


def with_status(definition: Definition, status: bytes) -> Definition:
    """The same event, enabled or disabled; what is not an event as it is."""
    if definition["kind"] != "EVENT":
        return definition
    return replaced(definition, switched(_bytes(definition["sql"]), b"DISABLE" if status == b"ENABLE" else b"ENABLE", status)[0])


def switched(text: bytes, old: bytes, new: bytes) -> tuple[bytes, list[bytes]]:
    """A text with the status of the events in it changed, and the beginnings of those that had the old one."""
    changed: list[bytes] = []

    def change(found: re.Match[bytes]) -> bytes:
        if found.group(2) != old:
            return found.group(0)
        changed.append(found.group(1))
        return found.group(1) + new

    return _STATUS.sub(change, text), changed


def replaced(definition: Definition, sql: bytes) -> Definition:
    return {**definition, "sql": sql.decode("utf-8", "surrogateescape")}


def event_name(beginning: bytes) -> str:
    quoted = beginning[beginning.index(b"`") + 1 :].split(b"` ON SCHEDULE ", 1)[0]
    return quoted.replace(b"``", b"`").decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
