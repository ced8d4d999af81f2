# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What a database holds that a restore would lose: counted, added up and handed on row by row, before anything is replaced.

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from ._errors import RollbackError
from ._tables import BINARY, LIVE, NUMBER, OTHER, SIDE, Engine, Question, Table, Value

KEY, TIMESTAMP, COUNT, VIEW = "key", "timestamp", "count", "view"


@dataclass(frozen=True)
class Wish:
    """What was configured for a table."""

    name: str
    key: tuple[str, ...] = ()
    timestamp: str = ""
    sums: tuple[str, ...] = ()


class Keeper(t.Protocol):
    """Takes the rows that would be lost."""

    def begin(self, loss: Loss, table: Table) -> t.Callable[[str, list[Value]], None]: ...


@dataclass
class Loss:
    """What one table would lose; None where that cannot be known, and then reason says why."""

    name: str
    live: Table | None
    side: Table | None
    wish: Wish
    basis: str = COUNT
    key: tuple[str, ...] = ()
    rows: int | None = None
    rows_side: int | None = None
    new: int | None = None
    changed: int | None = None
    deleted: int | None = None
    sums: dict[str, dict[str, str | None]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    transient: bool = False
    salvage: str | None = None

    @property
    def only_live(self) -> list[str]:
        """Columns that would be gone after the restore."""
        return [name for name in self.live.columns if name not in self.side.columns] if self.live and self.side else []

    @property
    def undetermined(self) -> bool:
        return self.basis != VIEW and None in (self.new, self.changed, self.deleted)

    @property
    def unequal(self) -> bool:
        """Whether the two databases differ there as far as that is known."""
        counted = self.rows is not None and self.rows_side is not None and self.rows != self.rows_side
        return bool(self.new or self.changed or self.deleted or counted or self.only_live)

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "basis": self.basis,
            "key": list(self.key),
            "rows": self.rows,
            "rows_side": self.rows_side,
            "new": self.new,
            "changed": self.changed,
            "deleted": self.deleted,
            "sums": self.sums,
            "only_live": self.only_live,
            "transient": self.transient,
            "reason": " ".join(self.reasons) or None,
            "salvage": self.salvage,
        }


def moment(text: str) -> float:
    """A point in time with its offset, in seconds since 1970; without an offset it would be a guess."""
    try:
        parsed = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        raise RollbackError(f"since is not a point in time such as 2026-11-22T09:30:00Z: {text!r}.") from None
    if parsed.tzinfo is None:
        raise RollbackError(f"since has no offset from UTC: {text!r}; write {text}Z if it is UTC.")
    return parsed.timestamp()


def compare(
    engine: Engine,
    *,
    side: str | None,
    since: float | None,
    wishes: t.Sequence[Wish],
    transient: t.Collection[str],
    keeper: Keeper | None,
    timeout: float,
) -> list[Loss]:
    """Compare each table as well as it can be compared, all as they are at one moment."""
    losses = _found(engine, side, wishes)
    for loss in losses:
        loss.transient = loss.name in transient
    _prove_keys(engine, losses, side, timeout)
    questions = [question for loss in losses for question in _questions(engine, loss, side, since, keeper)]
    engine.read(questions, timeout)
    return losses


def _found(engine: Engine, side: str | None, wishes: t.Sequence[Wish]) -> list[Loss]:
    """The tables to compare: those that were named, or all that one of the two databases has."""
    live, other = engine.tables(side)
    for database, tables in [(engine.database, live), *([(side, other)] if side else [])]:
        if not tables:
            raise RollbackError(f"The database {database} has no tables, does not exist, or this user may not see it.")
    wanted = list(wishes) or [Wish(name) for name in sorted({*live, *other})]
    absent = [wish.name for wish in wanted if wish.name not in live and wish.name not in other]
    if absent:
        raise RollbackError(f"There is no table {', '.join(absent)}.")
    losses = [Loss(wish.name, live.get(wish.name), other.get(wish.name), wish) for wish in wanted]
    for loss in losses:
        _check_columns(loss)
    return losses


def _check_columns(loss: Loss) -> None:
    """A column that was named wrong must not pass for one without losses."""
    known = [*(loss.live.columns if loss.live else ()), *(loss.side.columns if loss.side else ())]
    wrong = [name for name in (*loss.wish.key, *loss.wish.sums, loss.wish.timestamp) if name and name not in known]
    if wrong:
        raise RollbackError(f"The table {loss.name} has no column {', '.join(wrong)}.")


def _prove_keys(engine: Engine, losses: t.Sequence[Loss], side: str | None, timeout: float) -> None:
    """Choose the key of each table; one that the database does not guarantee is looked at."""
    questions = []
    for loss in losses:
        live, other = loss.live, loss.side
        if live is None or live.view:
            continue
        if side and other is None:
            loss.key = live.keys[0] if live.keys else ()
            continue
        key = loss.wish.key or (live.keys[0] if live.keys else live.primary)
        if not side:
            loss.key = key if live.guarantees(key) else ()
        elif not key:
            loss.reasons.append("It has no key, so its rows were only counted.")
        elif not all(name in table.columns for name in key for table in (live, other or live)):
            loss.reasons.append(f"Its key {', '.join(key)} is not there in both databases, so its rows were only counted.")
        else:
            loss.key = key
            doubtful = [(LIVE, live), *([(SIDE, other)] if other else [])]
            questions += [_doubles(engine, loss, alias) for alias, table in doubtful if not table.guarantees(key)]
    if questions:
        engine.read(questions, timeout)


def _doubles(engine: Engine, loss: Loss, alias: str) -> Question:
    columns = ", ".join(f"{alias}.{engine.name(name)}" for name in loss.key)

    def take(row: list[Value]) -> None:
        if int(row[0] or 0) and loss.key:
            loss.reasons.append(f"Several rows have the same {', '.join(loss.key)}, so its rows were only counted.")
            loss.key = ()

    grouped = f"SELECT 1 FROM {engine.place(alias, loss.name)} {alias} GROUP BY {columns} HAVING COUNT(*) > 1"
    return Question(["COUNT(*)"], f"FROM ({grouped}) doubles", take)


def _questions(engine: Engine, loss: Loss, side: str | None, since: float | None, keeper: Keeper | None) -> t.Iterator[Question]:
    live, other = loss.live, loss.side
    if (live or other or Table("")).view:
        loss.basis = VIEW
        loss.reasons.append("It is a view and holds no rows of its own.")
        return
    if live and not live.transactional:
        loss.reasons.append("Its storage knows no transactions, so what others wrote meanwhile may be in some of the numbers.")
    sources = _sources(engine, loss, side, since)
    yield from (_rows(engine, loss, alias) for alias, table in ((LIVE, live), (SIDE, other)) if table)
    yield from (_tally(engine, loss, kind, source) for kind, source in sources.items())
    lost = {kind: sources[kind] for kind in ("new", "changed") if kind in sources}
    if keeper and live and lost:
        write = keeper.begin(loss, live)
        yield from (_kept(engine, live, kind, source, write) for kind, source in lost.items())


def _sources(engine: Engine, loss: Loss, side: str | None, since: float | None) -> dict[str, str]:
    """Where the rows of each kind are found, as far as that can be said."""
    here, there = f"FROM {engine.place(LIVE, loss.name)} l", f"FROM {engine.place(SIDE, loss.name)} s"
    if side and not (loss.live and loss.side):
        where = f"the database {side}" if loss.live else "the live database"
        loss.reasons.append(f"There is no such table in {where}.")
        loss.basis, loss.new, loss.changed, loss.deleted = KEY, 0, 0, 0
        loss.rows, loss.rows_side = 0, 0
        return {"new": here} if loss.live else {"deleted": there}
    if side and loss.live and loss.side and loss.key:
        loss.basis = KEY
        return _by_key(engine, loss, loss.live, loss.side, here, there)
    return _by_time(engine, loss, loss.live or Table(loss.name), since, here)


def _by_key(engine: Engine, loss: Loss, live: Table, other: Table, here: str, there: str) -> dict[str, str]:
    matches = " AND ".join(engine.matches(live.columns[name], other.columns[name]) for name in loss.key)
    pairs = [(column, other.columns[column.name]) for column in live.stored if column.name in other.columns]
    differ = engine.differ(pairs, [column for column in live.stored if column.name in loss.only_live])
    return {
        "new": f"{here} WHERE NOT EXISTS (SELECT 1 {there} WHERE {matches})",
        "changed": f"{here} JOIN {engine.place(SIDE, loss.name)} s ON {matches} WHERE {differ}",
        "deleted": f"{there} WHERE NOT EXISTS (SELECT 1 {here} WHERE {matches})",
    }


def _rows(engine: Engine, loss: Loss, alias: str) -> Question:
    def take(row: list[Value]) -> None:
        setattr(loss, "rows" if alias == LIVE else "rows_side", int(row[0] or 0))

    return Question(["COUNT(*)"], f"FROM {engine.place(alias, loss.name)} {alias}", take)


def _by_time(engine: Engine, loss: Loss, live: Table, since: float | None, source: str) -> dict[str, str]:
    """The rows that are newer by their own account; what was changed or deleted leaves no trace there."""
    if since is None or not loss.wish.timestamp:
        if not loss.reasons:
            loss.reasons.append("Without another database, or a timestamp column and since, it cannot be told which rows are new.")
        return {}
    column = live.columns.get(loss.wish.timestamp)
    condition = engine.since(column, since) if column else None
    if condition is None:
        loss.reasons.append(f"{loss.wish.timestamp} holds no points in time.")
        return {}
    loss.basis = TIMESTAMP
    loss.reasons.append(f"By {loss.wish.timestamp}, read as UTC; changed and deleted rows cannot be told by it.")
    return {"new": f"{source} WHERE {condition}", "timeless": f"{source} WHERE ({condition}) IS NULL"}


def _tally(engine: Engine, loss: Loss, kind: str, source: str) -> Question:
    """Count the rows of a kind and add their columns up; of changed rows, by how much they would change back."""
    sums = [name for name in loss.wish.sums if kind != "timeless"]
    totals = {name: _total(engine, loss, kind, name) for name in sums}
    known = {name: total for name, total in totals.items() if total}

    def take(row: list[Value]) -> None:
        number = int(row[0] or 0)
        if kind != "timeless":
            setattr(loss, kind, number)
        elif number:
            loss.reasons.append(f"{number} rows have no {loss.wish.timestamp}, so they were not counted as new.")
        for name in totals:
            loss.sums.setdefault(name, {})[kind] = None
        for name, value in zip(known, row[1:]):
            loss.sums[name][kind] = str(value)

    return Question(["COUNT(*)", *known.values()], source, take)


def _total(engine: Engine, loss: Loss, kind: str, name: str) -> str:
    """What adds the column up, or nothing where it is no number or not there."""
    tables = {"new": [(LIVE, loss.live)], "changed": [(LIVE, loss.live), (SIDE, loss.side)], "deleted": [(SIDE, loss.side)]}[kind]
    for _alias, table in tables:
        column = table.columns.get(name) if table else None
        if column is None or column.kind != NUMBER:
            return ""
    return " - ".join(engine.total(f"{alias}.{engine.name(name)}") for alias, _table in tables)


def _kept(engine: Engine, live: Table, kind: str, source: str, write: t.Callable[[str, list[Value]], None]) -> Question:
    columns = live.stored
    binary = frozenset(position for position, column in enumerate(columns) if column.kind in (BINARY, OTHER))
    return Question([engine.as_value(column, LIVE) for column in columns], source, lambda row: write(kind, row), binary)


def totals(losses: t.Sequence[Loss]) -> dict[str, t.Any]:
    """All tables together, without the transient ones."""
    counted = [loss for loss in losses if not loss.transient and loss.basis != VIEW]
    return {
        "new": sum(loss.new or 0 for loss in counted),
        "changed": sum(loss.changed or 0 for loss in counted),
        "deleted": sum(loss.deleted or 0 for loss in counted),
        "tables": [loss.name for loss in counted if loss.unequal],
        "undetermined": [loss.name for loss in counted if loss.undetermined],
    }


def text(losses: t.Sequence[Loss]) -> str:
    """A line for each table with losses, then what is not known and what does not count."""
    counted = [loss for loss in losses if not loss.transient and loss.basis != VIEW]
    lines = [_line(loss) for loss in counted if loss.unequal or (loss.undetermined and loss.basis != COUNT)]
    unknown = [loss for loss in counted if loss.basis == COUNT and not loss.unequal]
    for reason in sorted({" ".join(loss.reasons) for loss in unknown}):
        names = ", ".join(loss.name for loss in unknown if " ".join(loss.reasons) == reason)
        lines.append(f"Not known for {names}: {reason}")
    passing = [loss.name for loss in losses if loss.transient and loss.unequal]
    if passing:
        lines.append(f"Different but not counted as loss: {', '.join(passing)}.")
    return "\n".join(lines) or "Nothing would be lost."


def _line(loss: Loss) -> str:
    parts = []
    for kind, number in (("new", loss.new), ("changed", loss.changed), ("deleted", loss.deleted)):
        sums = ", ".join(f"{name} {by[kind]}" for name, by in loss.sums.items() if by.get(kind) is not None)
        if number:
            parts.append(f"{number} {kind}" + (f" ({sums})" if sums else ""))
    if loss.basis == COUNT:
        parts.append(f"{loss.rows} rows, {loss.rows_side} in the other database")
    if loss.only_live:
        parts.append(f"columns that would be gone: {', '.join(loss.only_live)}")
    return " ".join([f"{loss.name}: {', '.join(parts) or 'nothing new'}.", *loss.reasons])
