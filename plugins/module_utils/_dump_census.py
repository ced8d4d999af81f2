# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import re

_BEGINS = re.compile(rb"\n(?:-- Dumping data for table `((?:[^`\n]|``)+)`|DELIMITER ;;)(?=\n)")
_PROGRAM_ENDS = b"\nDELIMITER ;\n"
_TABLE_ENDS = re.compile(rb"\n(?:UNLOCK TABLES;|/\*!40000 ALTER TABLE `(?:[^`\n]|``)+` ENABLE KEYS \*/;)")
_ROW = b"\n("
_STATEMENT = b"\nINSERT INTO "
_TRAILER = re.compile(rb"\n-- Dump completed[^\n]*\n*\Z")
_TAIL = 200


class Ending:
    """Looks for the line that a dump program writes last, while a dump passes by."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk[-_TAIL:])[-_TAIL:]

    @property
    def seen(self) -> bool:
        return bool(_TRAILER.search(self._tail))


class Census:
    """Counts what a dump of MySQL or MariaDB holds while it passes by.

    MariaDB writes each row on a line of its own and escapes line feeds in data, so lines can be counted. MySQL's own
    program writes rows one after the other; then the number of rows is None.
    """

    def __init__(self) -> None:
        self.size = 0
        self.rows: dict[str, int | None] = {}
        self._table: str | None = None
        self._in_program = False
        self._count = 0
        self._statements = False
        self._pending = b"\n"
        self._ending = Ending()

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        data = self._pending + chunk
        whole = data.rfind(b"\n")  # the last line may go on in the next chunk
        self._lines(data, whole)
        self._pending = data[whole:]
        self._ending.feed(chunk)

    def join(self, other: Census) -> None:
        """Go on where another dump follows this one."""
        for table, rows in other.rows.items():
            self._note(table, rows)
        self.size += other.size

    @property
    def begun(self) -> bool:
        """Whether it has come to the first table, so that the transaction is open in which the dump program reads."""
        return self._table is not None or bool(self.rows) or self.complete

    @property
    def complete(self) -> bool:
        """Whether the dump ends with the line that its program writes last."""
        return self._ending.seen

    def _note(self, table: str, rows: int | None) -> None:
        """A table that is dumped in several pieces has the rows of all of them."""
        before = self.rows.get(table, 0)
        self.rows[table] = None if before is None or rows is None else before + rows

    def _lines(self, data: bytes, end: int) -> None:
        """Look at the whole lines of data: those between a table's heading and its end are rows, a stored program's are not."""
        position = 0
        while 0 <= position < end:
            if self._table is not None:
                position = self._rows(data, position, end)
            elif self._in_program:
                position = data.find(_PROGRAM_ENDS, position, end + 1)
                self._in_program = position < 0
            else:
                position = self._heading(data, position, end)

    def _heading(self, data: bytes, position: int, end: int) -> int:
        found = _BEGINS.search(data, position, end + 1)
        if not found:
            return end
        if found.group(1) is None:
            self._in_program = True
        else:
            self._table = found.group(1).replace(b"``", b"`").decode("utf-8", "replace")
            self._count, self._statements = 0, False
        return found.end()

    def _rows(self, data: bytes, position: int, end: int) -> int:
        ending = _TABLE_ENDS.search(data, position, end)
        last = ending.start() if ending else end
        self._count += data.count(_ROW, position, last + 1)
        self._statements = self._statements or (not self._count and data.find(_STATEMENT, position, last) >= 0)
        if ending and self._table is not None:
            self._note(self._table, None if self._statements and not self._count else self._count)
            self._table = None
        return last
