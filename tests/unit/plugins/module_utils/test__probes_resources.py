# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_resources as resources
from ansible_collections.lastgood.rollback.plugins.module_utils._clock import Clock
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_resources import Busy, ResourcesProbe

STAT = "cpu  100 20 30 700 50 0 10 5 3 0\ncpu0 1 2 3\nintr 5\n"
MEMINFO = "MemTotal:       4000 kB\nMemFree:         200 kB\nMemAvailable:   1000 kB\nHugePages_Total:       0\n"


def test_waiting_for_disks_is_not_use_of_processors() -> None:
    assert resources.processor(STAT) == Busy(used=165, total=915)


@pytest.mark.requirement("D-092", "CHOM-7.3-02")
@pytest.mark.parametrize(
    ("after", "percent"),
    [(Busy(200, 1000), 100.0), (Busy(100, 1000), 0.0), (Busy(120, 980), 25.0), (Busy(100, 900), None)],
)
def test_the_share_of_the_processors_is_what_was_used(after: Busy, percent: float | None) -> None:
    assert resources.processor_percent(Busy(100, 900), after) == percent


@pytest.mark.requirement("CHOM-7.3-03")
def test_memory_that_can_be_had_is_not_used() -> None:
    assert resources.memory_percent(MEMINFO) == 75.0


@pytest.mark.requirement("CHOM-7.3-04")
def test_the_share_of_a_disk_is_that_of_df() -> None:
    assert resources.disk_percent(blocks=1000, free=300, available=100) == 87.5
    assert resources.disk_percent(blocks=0, free=0, available=0) == 0.0


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"memory_used_percent": 79.9, "disk_used_percent": 10.0}, None),
        ({"memory_used_percent": 80.0, "disk_used_percent": 10.0}, "memory_used_percent is 80, expected less than 80"),
        ({"disk_used_percent": 10.0}, "memory_used_percent could not be measured"),
    ],
)
def test_limits_are_below(values: dict[str, float | None], fault: str | None) -> None:
    assert resources.fault(values, {"memory_used_percent": 80, "disk_used_percent": 80}) == fault


def test_measures_this_machine() -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(0.05)

    probe = ResourcesProbe({"cpu_used_percent": 101, "disk_used_percent": 101}, "/", Clock(sleep=sleep))
    values = probe(5)
    assert 0.9 < slept[0] <= 1.0
    assert all(0 <= value <= 100 for value in values.values() if value is not None)


def test_says_which_limit_is_not_kept() -> None:
    with pytest.raises(ProbeError, match=r"memory_used_percent is [\d.]+, expected less than 0") as caught:
        ResourcesProbe({"memory_used_percent": 0}, "/", Clock())(5)
    assert caught.value.values["disk_used_percent"] >= 0


def test_without_a_limit_it_could_not_fail() -> None:
    with pytest.raises(ValueError, match="it has no limit"):
        ResourcesProbe({}, "/", Clock())
