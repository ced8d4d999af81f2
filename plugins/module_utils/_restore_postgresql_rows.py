# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The rows of one large table, as pg_restore writes them into a script, divided among sessions that load them at the same time.

from __future__ import annotations

import os
import re
import select
import typing as t

from ._errors import RollbackError

_COPY = re.compile(rb'^COPY (?:"(?:[^"]|"")*"|[^"])*? FROM stdin;\n', re.MULTILINE)  # names may hold line feeds
_LONGEST_HEAD = 1 << 20
_LAST = b"\\.\n"
_GLANCE = 0.2


class Rows:
    """Passes a script with one COPY on to several pipes: what stands around the rows goes to each, every row to one of them."""

    def __init__(self, pipes: t.Sequence[int], deserted: t.Callable[[], bool]) -> None:
        self._given = dict.fromkeys(pipes, 0)
        self._deserted = deserted
        self._rest = b""
        self._part = self._before
        for pipe in pipes:
            os.set_blocking(pipe, False)

    def feed(self, chunk: bytes) -> bytes:
        self._rest = self._part(self._rest + chunk)
        return b""

    def end(self) -> None:
        if self._part != self._after:
            raise RollbackError("The rows of a table broke off.")

    def _before(self, text: bytes) -> bytes:
        found = _COPY.search(text)
        if not found:
            if len(text) > _LONGEST_HEAD:
                raise RollbackError("pg_restore wrote something else than the rows of a table.")
            return text
        self._give_all(text[: found.end()])
        self._part = self._inside
        return self._inside(text[found.end() :])

    def _inside(self, text: bytes) -> bytes:
        """A row is a line; line feeds in data are written in another way, and so is what looks like the last line."""
        last = 0 if text.startswith(_LAST) else text.find(b"\n" + _LAST) + 1
        ended = text.startswith(_LAST) or last > 0
        whole = last if ended else text.rfind(b"\n") + 1
        if whole:
            self._give(self._wait(self._given), text[:whole])
        if not ended:
            return text[whole:]
        self._part = self._after
        return self._after(text[whole:])

    def _after(self, text: bytes) -> bytes:
        self._give_all(text)
        return b""

    def _give_all(self, text: bytes) -> None:
        for pipe in self._given:
            self._give(pipe, text)

    def _give(self, pipe: int, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            self._wait([pipe])
            rest = rest[os.write(pipe, rest) :]
        self._given[pipe] += len(text)

    def _wait(self, pipes: t.Collection[int]) -> int:
        """Of those of these pipes that take something, the one that was given least."""
        while True:
            ready = select.select([], pipes, [], _GLANCE)[1]
            if ready:
                return min(ready, key=lambda pipe: self._given[pipe])
            if self._deserted():
                raise BrokenPipeError
