# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._clock import Clock, Countdown


class Time:
    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("seconds", "interval", "rounds"),
    [(0, 1, 1), (0.9, 1, 1), (3, 1, 3), (3.5, 1, 4)],
    ids=["no time", "less than a pause", "the end is not a round", "a part of a pause"],
)
def test_counts_rounds_until_the_time_is_over(seconds: float, interval: float, rounds: int) -> None:
    time = Time()
    countdown = Countdown(Clock(lambda: time.now, time.sleep), seconds)
    assert list(countdown.rounds(interval)) == list(range(1, rounds + 1))
    assert countdown.elapsed <= seconds
    assert time.slept == [interval] * (rounds - 1)


def test_time_left_is_never_negative() -> None:
    time = Time()
    countdown = Countdown(Clock(lambda: time.now, time.sleep), 2)
    time.now += 1.5
    assert (countdown.elapsed, countdown.remaining) == (1.5, 0.5)
    time.now += 5
    assert countdown.remaining == 0
