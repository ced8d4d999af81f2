# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Saved rows as SQL, on their way from their files to the client of a database.

from __future__ import annotations

import json
import typing as t

from ._errors import RollbackError
from ._tables import SIDE, Column, Lines, Load

END = "end of the saved rows\n"
_BATCH = 1 << 18


class Speaker(t.Protocol):
    """What an engine says about names and values."""

    def name(self, name: str) -> str: ...

    def place(self, alias: str, table: str) -> str: ...

    def literal(self, column: Column, value: t.Any) -> str: ...


class Translation:
    """Makes SQL of saved rows while they pass by."""

    def __init__(self, engine: Speaker, loads: t.Mapping[str, Load], head: t.Sequence[str], tail: t.Sequence[str]) -> None:
        self._engine, self._loads = engine, loads
        self._head, self._tail = list(head), tail
        self._lines = Lines(self._take)
        self._out: list[str] = []
        self._into: Load | None = None
        self._waiting: list[str] = []
        self._length = 0
        self._counts = dict.fromkeys(loads, 0)

    def feed(self, chunk: bytes) -> bytes:
        self._out, self._head = self._head, []
        self._lines.feed(chunk)
        return "\n".join([*self._out, ""]).encode() if self._out else b""

    def _take(self, line: bytes) -> None:
        self._out += self._line(line)

    def _line(self, line: bytes) -> list[str]:
        if line == END.encode().strip():
            return [*self._flush(), *self._end()]
        entry = json.loads(line)
        if "table" in entry:
            out = self._flush()
            self._into = self._loads[entry["table"]]
            return out
        if self._into is None:
            raise RollbackError("The saved rows do not begin with the name of their table.")
        load = self._into
        self._counts[load.table.name] += 1
        values = f"({', '.join(self._engine.literal(column, entry['row'][column.name]) for column in load.columns)})"
        self._waiting.append(values)
        self._length += len(values)
        return self._flush() if self._length > _BATCH else []

    def _flush(self) -> list[str]:
        if not self._waiting or self._into is None:
            return []
        load = self._into
        place = self._engine.place(SIDE, load.table.name)
        names = ", ".join(self._engine.name(column.name) for column in load.columns)
        values, self._waiting, self._length = ", ".join(self._waiting), [], 0
        return [f"INSERT INTO {place} ({names}) VALUES {values};"]

    def _end(self) -> t.Sequence[str]:
        for name, load in self._loads.items():
            if self._counts[name] != load.rows:
                raise RollbackError(f"{load.path} has {self._counts[name]} rows, but {load.rows} were saved.")
        return self._tail
