# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What a long step has done so far: in a file for whoever asks, and as lines for whoever waits, when somebody listens.

from __future__ import annotations

import contextlib
import os
import threading
import time
import typing as t

from ._clock import utc
from ._errors import RollbackError
from ._journal import alive, this_process
from ._run import read_json, write_json

NAME = "progress.json"
LINE = "lastgood progress: "  # what the action plugin rollback_session shows
_FILE_SECONDS = 2.0
_LINE_SECONDS = 10.0
_UNITS = ("bytes", "kB", "MB", "GB")


class Progress:
    """Counts bytes, from several threads; that it cannot be written down is no reason to stop."""

    listened_to: t.ClassVar[bool] = False  # set where lines on standard error reach somebody at once

    def __init__(self, folder: str | None = None, step: str = "") -> None:
        self._path = folder and os.path.join(folder, NAME)
        self._step = step
        self._turn = threading.Lock()
        self._facts: dict[str, t.Any] = {}

    @contextlib.contextmanager
    def of(self, doing: str, expected: int | None = None) -> t.Iterator[None]:
        """What the block does, and how many bytes are expected where that is known."""
        with self._turn:
            self._facts = {"step": self._step, "doing": doing, "bytes": 0, "of": expected, "since": utc(), "process": this_process()}
            self._written = self._said = time.monotonic()
        try:
            yield
        finally:
            with self._turn, contextlib.suppress(OSError):
                self._facts = {}
                if self._path:
                    os.unlink(self._path)

    def add(self, number: int) -> None:
        with self._turn:
            if not self._facts:
                return
            self._facts["bytes"] += number
            now = time.monotonic()
            if self._path and now - self._written >= _FILE_SECONDS:
                self._written = now
                with contextlib.suppress(RollbackError):
                    write_json(self._path, {**self._facts, "at": utc()})
            if self.listened_to and now - self._said >= _LINE_SECONDS:
                self._said = now
                with contextlib.suppress(OSError):
                    os.write(2, f"{LINE}{in_words(self._facts)}\n".encode())


def read(*folders: str) -> dict[str, t.Any] | None:
    """What a step that is at work at this moment has done so far."""
    for folder in folders:
        with contextlib.suppress(RollbackError):
            found = read_json(os.path.join(folder, NAME))
            if found and alive(found.get("process") or {}):
                return {**found, "text": in_words(found)}
    return None


def in_words(found: t.Mapping[str, t.Any]) -> str:
    done, of = found["bytes"], found.get("of")
    share = f" of {_readable(of)} ({min(100, done * 100 // of)} %)" if of else ""
    return f"{found['step']}: {found['doing']}, {_readable(done)}{share}"


def _readable(number: float) -> str:
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == _UNITS[0] or number >= 100 else f"{number:.1f} {unit}"
