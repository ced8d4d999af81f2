# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Puts saved rows back: into tables of the session first, from there into the live ones, all in one transaction.

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from ._errors import RollbackError
from ._salvage import FORMAT_VERSION, MANIFEST, plain
from ._tables import LIVE, SIDE, Column, Load, Question, Reference, Table, Value

if t.TYPE_CHECKING:
    from ._tables import Engine

_SHOWN = 20
_CHUNK = 1 << 20


@dataclass
class Saved:
    """What the manifest says of one table's file."""

    table: str
    path: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass
class Replay:
    """What becomes of the saved rows of one table."""

    name: str
    rows: int
    inserted: int = 0
    overwritten: int = 0
    present: int = 0
    conflicts: int = 0
    blocked: int = 0
    conflict_keys: list[list[Value]] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    reason: str | None = None

    def as_dict(self) -> dict[str, t.Any]:
        shown = {"conflict_keys": [[plain(value) for value in key] for key in self.conflict_keys]}
        return {**self.__dict__, **shown}


def read(folder: str, engine: str, wanted: t.Collection[str]) -> list[Saved]:
    """What a folder of saved rows holds; each file is checked in full before anything is done with it."""
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError) as error:
        raise RollbackError(f"{path} cannot be read: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise RollbackError(f"{path} is not the manifest of saved rows, or one of another version.")
    if manifest["engine"] != engine:
        raise RollbackError(f"The rows in {folder} are from {manifest['engine']}, not from {engine}.")
    known = [entry["table"] for entry in manifest["tables"]]
    absent = [name for name in wanted if name not in known]
    if absent:
        raise RollbackError(f"There are no rows of {', '.join(absent)} in {folder}; there are some of {', '.join(known)}.")
    found = [_saved(folder, entry) for entry in manifest["tables"] if not wanted or entry["table"] in wanted]
    for one in found:
        _verify(one)
    return found


def text(replays: t.Sequence[Replay]) -> str:
    """A line for each table."""
    lines = []
    for found in replays:
        parts = [f"{found.inserted} inserted", f"{found.present} there already"]
        parts += [f"{found.overwritten} overwritten"] if found.overwritten else []
        parts += [f"{found.conflicts} left because the key has other content now"] if found.conflicts else []
        parts += [f"{found.blocked} left because another unique key is taken"] if found.blocked else []
        parts += [f"without the columns {', '.join(found.without)}"] if found.without else []
        lines.append(f"{found.name}: {found.reason or ', '.join(parts) + '.'}")
    return "\n".join(lines)


def _saved(folder: str, entry: t.Mapping[str, t.Any]) -> Saved:
    return Saved(
        entry["table"],
        os.path.join(folder, os.path.basename(entry["file"])),
        tuple(entry["key"]),
        tuple(column["name"] for column in entry["columns"]),
        entry["new"] + entry["changed"],
        entry["sha256"],
    )


def _verify(saved: Saved) -> None:
    digest = hashlib.sha256()
    try:
        with open(saved.path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise RollbackError(f"{saved.path} cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != saved.sha256:
        raise RollbackError(f"{saved.path} is damaged: its checksum is not the one in the manifest.")


def replay(engine: Engine, saved: t.Sequence[Saved], *, overwrite: bool, apply: bool, timeout: float) -> tuple[list[Replay], list[str]]:
    """Put the rows back, parents before children, in one transaction; without apply, count what would become of them.

    Returns the names of the tables with triggers, too.
    """
    tables, _none = engine.tables(None)
    replays = {one.table: Replay(one.table, one.rows) for one in saved}
    loads = []
    for one in saved:
        load = _load(one, tables.get(one.table), replays[one.table])
        loads += [load] if load else []
    ordered, cyclic = _parents_first(loads)
    engine.aside = {load.table.name: f"lastgood_salvage_{number}" for number, load in enumerate(ordered, 1)}
    steps: list[Question | str] = []
    for load in ordered:
        steps += _counted(engine, load, replays[load.table.name], overwrite)
        steps += _put_back(engine, load, replays[load.table.name], overwrite) if apply else []
    guards = [_guard(engine, load, reference) for load in ordered for reference in load.table.references] if cyclic and apply else []
    if ordered:
        engine.replay(ordered, steps, guards, apply=apply, timeout=timeout)
    return list(replays.values()), [load.table.name for load in ordered if load.table.triggers]


def _load(saved: Saved, live: Table | None, found: Replay) -> Load | None:
    """How the rows fit the table that is there now; None where they cannot be put back."""
    if live is None or live.view:
        found.reason = "There is no such table now."
        return None
    key = saved.key if saved.key and live.guarantees(saved.key) else (live.keys[0] if live.keys else ())
    if not key or not set(key) <= set(saved.columns):
        found.reason = "The table has no key by which to tell whether a row is there already."
        return None
    found.without = [name for name in saved.columns if name not in live.columns or live.columns[name].generated]
    columns = [live.columns[name] for name in saved.columns if name not in found.without]
    return Load(live, saved.path, saved.rows, key, columns)


def _parents_first(loads: t.Sequence[Load]) -> tuple[list[Load], bool]:
    """In the order of their foreign keys, and whether some go round in a circle."""
    waiting = {load.table.name: load for load in loads}
    ordered: list[Load] = []
    cyclic = any(reference.table == load.table.name for load in loads for reference in load.table.references)
    while waiting:
        free = [name for name, load in waiting.items() if not ({ref.table for ref in load.table.references} - {name}) & set(waiting)]
        cyclic = cyclic or not free
        for name in free or list(waiting):
            ordered.append(waiting.pop(name))
    return ordered, cyclic


def _matches(engine: Engine, load: Load, key: t.Sequence[str]) -> str:
    columns: list[Column] = [load.table.columns[name] for name in key]
    return " AND ".join(engine.matches(column, column) for column in columns)


def _pairs(engine: Engine, load: Load) -> str:
    live, aside = engine.place(LIVE, load.table.name), engine.place(SIDE, load.table.name)
    return f"FROM {aside} s JOIN {live} l ON {_matches(engine, load, load.key)}"


def _differ(engine: Engine, load: Load) -> str:
    return engine.differ([(column, column) for column in load.columns], [])


def _absent(engine: Engine, load: Load, key: t.Sequence[str]) -> str:
    return f"NOT EXISTS (SELECT 1 FROM {engine.place(LIVE, load.table.name)} l WHERE {_matches(engine, load, key)})"


def _others_absent(engine: Engine, load: Load) -> str:
    """That no row has the values of another unique key."""
    known = {column.name for column in load.columns}
    others = [key for key in load.table.keys if key != load.key and set(key) <= known]
    return " AND ".join(_absent(engine, load, key) for key in others)


def _counted(engine: Engine, load: Load, found: Replay, overwrite: bool) -> list[Question]:
    pairs, differ, absent = _pairs(engine, load), _differ(engine, load), _absent(engine, load, load.key)
    blocked = _others_absent(engine, load)

    def conflicts(row: list[Value]) -> None:
        number = int(row[0] or 0)
        found.present -= number
        if overwrite:
            found.overwritten = number
        else:
            found.conflicts = number

    def present(row: list[Value]) -> None:
        found.present += int(row[0] or 0)

    def missing(row: list[Value]) -> None:
        found.inserted += int(row[0] or 0)

    def taken(row: list[Value]) -> None:
        found.blocked = int(row[0] or 0)
        found.inserted -= found.blocked

    aside = f"FROM {engine.place(SIDE, load.table.name)} s"
    values = [engine.as_value(load.table.columns[name], SIDE) for name in load.key]
    questions = [
        Question(["COUNT(*)"], pairs, present),
        Question(["COUNT(*)"], f"{pairs} WHERE {differ}", conflicts),
        Question(values, f"{pairs} WHERE {differ} LIMIT {_SHOWN}", found.conflict_keys.append),
        Question(["COUNT(*)"], f"{aside} WHERE {absent}", missing),
    ]
    if blocked:
        questions.append(Question(["COUNT(*)"], f"{aside} WHERE {absent} AND NOT ({blocked})", taken))
    return questions


def _put_back(engine: Engine, load: Load, found: Replay, overwrite: bool) -> list[Question | str]:
    def overwritten(row: list[Value]) -> None:
        found.overwritten = int(row[0] or 0)

    def inserted(row: list[Value]) -> None:
        found.inserted = int(row[0] or 0)

    steps: list[Question | str] = []
    if overwrite:
        steps += [
            engine.overwriting(load, _matches(engine, load, load.key), _differ(engine, load)),
            Question([engine.affected], "", overwritten),
        ]
    conditions = " AND ".join(part for part in (_absent(engine, load, load.key), _others_absent(engine, load)) if part)
    names = ", ".join(engine.name(column.name) for column in load.columns)
    values = ", ".join(f"s.{engine.name(column.name)}" for column in load.columns)
    into, source = engine.place(LIVE, load.table.name), engine.place(SIDE, load.table.name)
    return [
        *steps,
        f"INSERT INTO {into} ({names}){engine.overriding} SELECT {values} FROM {source} s WHERE {conditions}",
        Question([engine.affected], "", inserted),
        *engine.after(load),
    ]


def _guard(engine: Engine, load: Load, reference: Reference) -> tuple[str, str]:
    """What finds rows that were put back and refer to nothing, and how to call them."""
    theirs = reference.their_columns
    required = " AND ".join(f"l.{engine.name(mine)} IS NOT NULL" for mine in reference.columns)
    joined = " AND ".join(f"p.{engine.name(their)} = l.{engine.name(mine)}" for mine, their in zip(reference.columns, theirs))
    parent = engine.place(LIVE, reference.table)
    return (
        f"{load.table.name} ({', '.join(reference.columns)})",
        f"{_pairs(engine, load)} WHERE {required} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {joined})",
    )
