# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import os
import threading
import typing as t

if t.TYPE_CHECKING:
    from ._command import Runner

_CHUNK = 1 << 17


def answered(
    runner: Runner,
    stages: t.Sequence[t.Sequence[str]],
    take: t.Callable[[bytes], object],
    timeout: float,
    watch: t.Callable[[bytes], bytes] | None = None,
) -> None:
    """Let a pipeline work, and hand on what its last program writes while it does."""
    source, sink = os.pipe()
    reader = _Reader(source, take)
    reader.start()
    try:
        runner.pipeline(stages, output=sink, watch=watch, timeout=timeout)
    finally:
        os.close(sink)
        reader.join()
        os.close(source)
    if reader.failure:
        raise reader.failure


class _Reader(threading.Thread):
    """Reads a pipe to its end, also when nobody wants what comes any more: who writes must not wait."""

    def __init__(self, source: int, take: t.Callable[[bytes], object]) -> None:
        super().__init__(daemon=True)
        self._source, self._take = source, take
        self.failure: Exception | None = None

    def run(self) -> None:
        while chunk := os.read(self._source, _CHUNK):
            try:
                if self.failure is None:
                    self._take(chunk)
            except Exception as failure:
                self.failure = failure
