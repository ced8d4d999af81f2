# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ._clock import Clock
from ._probes import ProbeError

_WINDOW = 1.0


@dataclass(frozen=True)
class Busy:
    """Processor time since the machine started, in ticks."""

    used: int
    total: int


def processor(stat: str) -> Busy:
    """Processor time from the text of /proc/stat; waiting for disks is not use."""
    ticks = [int(number) for number in stat.splitlines()[0].split()[1:9]]
    return Busy(sum(ticks) - ticks[3] - ticks[4], sum(ticks))


def processor_percent(before: Busy, after: Busy) -> float | None:
    """The share in use between two moments; None when no time has passed."""
    passed = after.total - before.total
    return round(100.0 * (after.used - before.used) / passed, 1) if passed > 0 else None


def memory_percent(meminfo: str) -> float:
    """The share of memory that programs could not have, from the text of /proc/meminfo."""
    found = {name: int(rest.split()[0]) for name, _colon, rest in (line.partition(":") for line in meminfo.splitlines())}
    return round(100.0 * (1 - found["MemAvailable"] / found["MemTotal"]), 1)


def disk_percent(blocks: int, free: int, available: int) -> float:
    """The share in use of what an ordinary user could fill, as df shows it."""
    used = blocks - free
    return round(100.0 * used / (used + available), 1) if used + available else 0.0


class ResourcesProbe:
    """Measures how much of the machine is in use."""

    def __init__(self, limits: t.Mapping[str, float], path: str, clock: Clock) -> None:
        if not limits:
            raise ValueError("it has no limit, so it could not fail")
        self._limits = limits
        self._path = path
        self._clock = clock
        self._before = (clock.monotonic(), processor(_text("/proc/stat")))

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        values = {
            "cpu_used_percent": self._processor(),
            "memory_used_percent": memory_percent(_text("/proc/meminfo")),
            "disk_used_percent": self._disk(),
        }
        problem = fault(values, self._limits)
        if problem:
            raise ProbeError(problem, values)
        return values

    def _processor(self) -> float | None:
        """Use of the processors over a window that is long enough to mean something."""
        if "cpu_used_percent" not in self._limits:
            return None
        since, before = self._before
        rest = _WINDOW - (self._clock.monotonic() - since)
        if rest > 0:
            self._clock.sleep(rest)
        now = (self._clock.monotonic(), processor(_text("/proc/stat")))
        self._before = now
        return processor_percent(before, now[1])

    def _disk(self) -> float:
        disk = os.statvfs(self._path)
        return disk_percent(disk.f_blocks, disk.f_bfree, disk.f_bavail)


def fault(values: t.Mapping[str, float | None], limits: t.Mapping[str, float]) -> str | None:
    """All limits that are not kept; a value that could not be measured keeps none."""
    bad = []
    for name, limit in limits.items():
        value = values.get(name)
        if value is None:
            bad.append(f"{name} could not be measured")
        elif not value < limit:
            bad.append(f"{name} is {value:g}, expected less than {limit:g}")
    return ", ".join(bad) or None


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
