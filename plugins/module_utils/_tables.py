# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What is known about the tables of two databases on one server, and how an engine is asked about their rows.

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass, field

from ._errors import RollbackError

Value = t.Union[None, str, int, float, bytes]

LIVE, SIDE = "l", "s"  # the aliases of a table in the live and in the other database
NUMBER, TEXT, BINARY, TIME, OTHER = "number", "text", "binary", "time", "other"


@dataclass(frozen=True)
class Column:
    """A column; default is an expression of the engine, kind what sort of values it holds."""

    name: str
    type: str
    kind: str
    nullable: bool
    generated: bool = False
    default: str | None = None
    collation: str = ""


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    their_columns: tuple[str, ...]


@dataclass
class Table:
    """A table or a view; keys are those that the engine guarantees, the primary key first."""

    name: str
    view: bool = False
    transactional: bool = True
    triggers: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    keys: list[tuple[str, ...]] = field(default_factory=list)
    primary: tuple[str, ...] = ()
    references: list[Reference] = field(default_factory=list)

    @property
    def stored(self) -> list[Column]:
        """The columns whose values are given, not computed."""
        return [column for column in self.columns.values() if not column.generated]

    def guarantees(self, key: t.Collection[str]) -> bool:
        """Whether no two rows can have the same values there."""
        return any(set(known) <= set(key) for known in self.keys)


@dataclass
class Question:
    """A SELECT whose rows are handed on one by one; values of binary expressions arrive as bytes."""

    expressions: list[str]
    source: str
    take: t.Callable[[list[Value]], None]
    binary: frozenset[int] = frozenset()


class Lines:
    """Puts lines together again that arrive in pieces."""

    def __init__(self, take: t.Callable[[bytes], None]) -> None:
        self._take = take
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        first, *others = chunk.split(b"\n")
        self._rest.append(first)
        for other in others:
            self._take(b"".join(self._rest))
            self._rest = [other]
        return b""

    def end(self) -> None:
        if any(self._rest):
            raise RollbackError("The database's answer ended in the middle of a row.")


def numbered(steps: t.Sequence[Question | str], statement: t.Callable[[int, Question], str]) -> tuple[list[Question], list[str]]:
    """The questions among the steps, and all steps as SQL in which each question has its number."""
    questions = [step for step in steps if isinstance(step, Question)]
    numbers = iter(range(len(questions)))
    return questions, [step if isinstance(step, str) else statement(next(numbers), step) for step in steps]


class ColumnByColumn(abc.ABC):
    """How rows are compared where both are at hand."""

    def differ(self, pairs: t.Sequence[tuple[Column, Column]], alone: t.Sequence[Column]) -> str:
        same = [self.same(*pair) for pair in pairs] + [self.is_default(column) for column in alone]
        return f"NOT ({' AND '.join(f'({one})' for one in same)})"

    @abc.abstractmethod
    def same(self, live: Column, side: Column) -> str: ...

    @abc.abstractmethod
    def is_default(self, column: Column) -> str: ...

    def after(self, _load: Load) -> list[str]:
        """The counters for new keys follow by themselves."""
        return []


@dataclass(frozen=True)
class Load:
    """Saved rows on their way to a table: the file, the key by which they are told apart and the columns that the table has, too."""

    table: Table
    path: str
    rows: int
    key: tuple[str, ...]
    columns: list[Column]


class Engine(t.Protocol):
    """How a kind of database is asked; the live database is the one that the login names.

    Tables that are named aside stand for those of the side database while saved rows are put back.
    """

    engine: t.ClassVar[str]
    affected: t.ClassVar[str]
    overriding: t.ClassVar[str]
    aside: dict[str, str]

    @property
    def database(self) -> str: ...

    def tables(self, side: str | None) -> tuple[dict[str, Table], dict[str, Table]]: ...

    def name(self, name: str) -> str: ...

    def place(self, alias: str, table: str) -> str: ...

    def differ(self, pairs: t.Sequence[tuple[Column, Column]], alone: t.Sequence[Column]) -> str: ...

    def matches(self, live: Column, side: Column) -> str: ...

    def as_value(self, column: Column, alias: str) -> str: ...

    def total(self, expression: str) -> str: ...

    def since(self, column: Column, seconds: float) -> str | None: ...

    def after(self, load: Load) -> list[str]: ...

    def read(self, questions: t.Sequence[Question], timeout: float) -> None: ...

    def overwriting(self, load: Load, matches: str, differ: str) -> str: ...

    def replay(
        self,
        loads: t.Sequence[Load],
        steps: t.Sequence[Question | str],
        guards: t.Sequence[tuple[str, str]],
        *,
        apply: bool,
        timeout: float,
    ) -> None: ...
