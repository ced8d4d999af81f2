# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import datetime
import time
import typing as t
from dataclasses import dataclass


def utc(moment: float | None = None) -> str:
    """A moment as UTC ISO 8601 with milliseconds."""
    when = datetime.datetime.fromtimestamp(time.time() if moment is None else moment, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Clock:
    """The three things one can ask of time; tests hand in their own."""

    monotonic: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep
    wall: t.Callable[[], float] = time.time


class Countdown:
    """Time that passes from the moment this is made until a number of seconds is over."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self.seconds = seconds

    @property
    def elapsed(self) -> float:
        return self._clock.monotonic() - self._started

    @property
    def remaining(self) -> float:
        return max(0.0, self.seconds - self.elapsed)

    def rounds(self, interval: float, *, steady: bool = False) -> t.Iterator[int]:
        """Count 1, 2, 3, … with a pause between; at least once, and no further once the time is over.

        The interval is the length of the pause; with steady, the time from the beginning of a round to that of the next.
        """
        number = 1
        began = self.elapsed
        yield number
        while self.remaining > interval:
            pause = interval - (self.elapsed - began if steady else 0.0)
            if pause > 0:
                self._clock.sleep(pause)
            began = self.elapsed
            number += 1
            yield number
