# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The script that pg_restore writes of the rows in an archive is dealt to several sessions, so that one large table keeps all of them busy.
# Only statements that are known are handed on, so that nothing in an archive is taken for a command of psql.

from __future__ import annotations

import re
import typing as t

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Takers

_WHOLE = 1 << 22  # bytes of a table that one session loads before another one has a turn, so that small tables keep the order of their rows
_TURN = 1 << 18
_LONGEST_STATEMENT = 1 << 20
_SETTING = re.compile(rb"SET \w+ = [^\\:;]*;|SELECT pg_catalog\.set_config\('search_path', '', false\);")
_BEGINNING = re.compile(rb"^COPY ", re.MULTILINE)
_COPY = re.compile(rb'COPY (?:"(?:[^"]|"")*"|[^";:\\\n])* FROM stdin;\n')
_NO_ROWS = b"\\.\n"
_END = b"\n\\.\n"  # within a row, no backslash stands before a dot, nor does a line's end


class Dealer:
    """Reads the script chunk by chunk, and hands each row to one of the takers."""

    def __init__(self) -> None:
        self._held = b""  # read and not yet understood, or not yet handed on
        self._settings = b""
        self._copy = b""  # the statement whose rows are coming
        self._taking: set[int] = set()  # those who have been told that statement
        self._told: set[int] = set()  # those who know the settings
        self._taker = 0
        self._turn = 0  # bytes that the taker may still get before another one has a turn

    def __call__(self, takers: Takers, chunk: bytes) -> None:
        if not chunk and (self._copy or self._held.startswith(b"COPY ")):
            raise RollbackError("What pg_restore wrote of the archive ends within the rows of a table.")
        self._held += chunk
        while self._rows(takers) if self._copy else self._statement():
            pass

    def _statement(self) -> bool:
        """Look for the rows of a table in what is held; returns whether there is something to go on with."""
        begins = _BEGINNING.search(self._held)
        end = begins.start() if begins else self._held.rfind(b"\n") + 1
        settings = [line for line in self._held[:end].split(b"\n") if _SETTING.fullmatch(line)]
        self._settings += b"".join(line + b"\n" for line in settings)
        self._held = self._held[end:]
        if not begins:
            return False
        found = _COPY.match(self._held)
        if not found or len(self._held) < found.end() + len(_NO_ROWS):
            if len(self._held) > _LONGEST_STATEMENT:
                raise RollbackError("What pg_restore wrote of the archive is not understood where the rows of a table should begin.")
            return False
        self._held = self._held[found.end() :]
        if self._held.startswith(_NO_ROWS):
            self._held = self._held[len(_NO_ROWS) :]
        else:
            self._copy, self._turn = found.group(0), 0
            self._taking.clear()
        return True

    def _rows(self, takers: Takers) -> bool:
        """Hand on the whole rows that are held; of a very long one, all but what may be the beginning of the end."""
        known = len(self._held) - len(_END) + 1
        end = self._held.find(_END)
        upto = end + 1 if end >= 0 else self._held.rfind(b"\n", 0, max(0, known)) + 1
        whole = upto > 0
        if not whole:
            upto = max(0, known)
        if upto:
            self._hand_on(takers, memoryview(self._held)[:upto], whole)
        if end < 0:
            self._held = self._held[upto:]
            return False
        for number in self._taking:
            takers.write(number, _NO_ROWS)
        self._copy, self._held = b"", self._held[end + len(_END) :]
        return True

    def _hand_on(self, takers: Takers, rows: memoryview, whole: bool) -> None:
        if self._turn <= 0:
            self._taker = takers.ready()
            self._turn = _TURN if self._taking else _WHOLE
            if self._taker not in self._taking:
                self._taking.add(self._taker)
                takers.write(self._taker, (b"" if self._taker in self._told else self._settings) + self._copy)
                self._told.add(self._taker)
        takers.write(self._taker, rows)
        self._turn = self._turn - len(rows) if whole else max(1, self._turn - len(rows))
