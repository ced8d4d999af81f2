# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_units as units
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from scripted import Scripted


def shown(name: str, load: str = "loaded", active: str = "active", sub: str = "running", **more: object) -> str:
    settings = {
        "Id": f"{name}.service",
        "LoadState": load,
        "ActiveState": active,
        "SubState": sub,
        "Result": "success",
        "NRestarts": 0,
        "ActiveEnterTimestampMonotonic": 1000,
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items()) + "\n"


GONE = {"load": "not-found", "active": "inactive", "sub": "dead"}


@pytest.mark.parametrize(
    ("name", "full"),
    [("nginx", "nginx.service"), ("php8.4-fpm", "php8.4-fpm.service"), ("chom.timer", "chom.timer"), ("q-*", "q-*.service")],
)  # fmt: skip
def test_completes_names(name: str, full: str) -> None:
    assert units.full_name(name) == full


@pytest.mark.requirement("CHOM-4.3-01", "CHOM-7.1-01")
def test_asks_for_all_units_in_one_call() -> None:
    runner = Scripted().on("systemctl show *", shown("nginx") + shown("mariadb"))
    values = units.UnitsProbe(runner, units.wanted(["nginx", "mysql", "nginx.service"], None, False))(5)
    assert values["units"] == {"nginx.service": "active (running)", "mariadb.service": "active (running)"}
    assert len(runner.calls) == 1
    assert runner.calls[0].argv[-3:] == ("--", "nginx.service", "mysql.service")
    assert runner.calls[0].user is None


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        pytest.param(shown("x", **GONE), "nginx.service is not-found", id="missing"),
        pytest.param(
            shown("nginx", active="failed", sub="failed", Result="exit-code"),
            "nginx.service is failed (failed, exit-code)",
            id="failed",
        ),
        pytest.param(shown("nginx", active="inactive", sub="dead"), "nginx.service is inactive (dead)", id="stopped"),
        pytest.param(
            shown("nginx", active="activating", sub="auto-restart", Result="exit-code"),
            "nginx.service is activating (auto-restart, exit-code)",
            id="crashing over and over",
        ),
        pytest.param("", "systemctl described 0 of 1 units", id="nothing said"),
    ],
)
def test_names_the_unit_that_is_not_active(block: str, fault: str) -> None:
    with pytest.raises(ProbeError) as caught:
        units.UnitsProbe(Scripted().on("systemctl *", block), units.wanted(["nginx"], None, False))(5)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"NRestarts": 1, "ActiveEnterTimestampMonotonic": 2000}, id="by systemd"),
        pytest.param({"ActiveEnterTimestampMonotonic": 2000}, id="by somebody"),
    ],
)
def test_a_restart_between_two_checks_is_a_failure(second: dict[str, object]) -> None:
    answers = [shown("q"), shown("q"), shown("q", **second), shown("q", **second)]
    runner = Scripted()
    probe = units.UnitsProbe(runner.on("systemctl *", lambda: answers.pop(0)), units.wanted(["q"], None, False))
    probe(5)
    probe(5)
    with pytest.raises(ProbeError, match=r"restarted between two checks: q\.service"):
        probe(5)
    probe(5)


@pytest.mark.requirement("CHOM-7.1-07")
@pytest.mark.parametrize(
    ("active", "minimum", "fault"),
    [
        pytest.param(5, 5, None, id="all"),
        pytest.param(4, 5, "4 units are active, expected at least 5: q4.service is failed (failed)", id="one less"),
        pytest.param(4, None, "q4.service is failed (failed)", id="all by default"),
    ],
)
def test_counts_the_units_that_a_pattern_finds(active: int, minimum: int | None, fault: str | None) -> None:
    blocks = [shown(f"q{number}") for number in range(active)]
    if fault:
        blocks.append(shown(f"q{active}", active="failed", sub="failed"))
    probe = units.UnitsProbe(Scripted().on("systemctl *", "".join(blocks)), units.wanted(["q*"], minimum, False))
    if fault is None:
        assert probe(5)["active"] == active
    else:
        with pytest.raises(ProbeError) as caught:
            probe(5)
        assert str(caught.value) == fault


def test_exact_units_do_not_stand_in_for_those_of_a_pattern() -> None:
    runner = Scripted().on("systemctl *", shown("nginx") + shown("q1"))
    with pytest.raises(ProbeError, match="1 units are active, expected at least 2"):
        units.UnitsProbe(runner, units.wanted(["q*", "nginx"], 2, False))(5)


def test_a_unit_can_be_named_and_found_by_a_pattern() -> None:
    runner = Scripted().on("systemctl *", shown("q1") + shown("q2"))
    assert units.UnitsProbe(runner, units.wanted(["q1", "q*"], 2, False))(5)["active"] == 2


def test_a_number_without_a_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no pattern"):
        units.wanted(["nginx"], 1, False)


def test_a_pattern_that_finds_nothing_is_a_failure() -> None:
    with pytest.raises(ProbeError, match=r"no unit is called q\*\.service"):
        units.UnitsProbe(Scripted().on("systemctl *", "\n"), units.wanted(["q*"], None, False))(5)


def test_no_systemd_is_a_failure() -> None:
    runner = Scripted().on("systemctl *", rc=1, stderr="System has not been booted with systemd")
    with pytest.raises(ProbeError, match="systemctl ended with status 1: System has not been booted with systemd"):
        units.UnitsProbe(runner, units.wanted(["nginx"], None, False))(5)


WAITING = {"active": "activating", "sub": "auto-restart"}


@pytest.mark.parametrize(
    ("answers", "allowed", "fault"),
    [
        pytest.param([{}, WAITING, {"NRestarts": 1}], True, None, id="ended well"),
        pytest.param([{}, WAITING], False, r"q\.service is activating \(auto-restart\)", id="not allowed"),
        pytest.param([{}, {**WAITING, "Result": "exit-code"}], True, r"\(auto-restart, exit-code\)", id="crashed"),
    ],
)
def test_units_that_end_well_may_be_started_again(answers: list[dict], allowed: bool, fault: str | None) -> None:
    blocks = [shown("q", **answer) for answer in answers]
    probe = units.UnitsProbe(Scripted().on("systemctl *", lambda: blocks.pop(0)), units.wanted(["q"], None, allowed))
    for _answer in answers[:-1]:
        probe(5)
    if fault is None:
        assert probe(5)["active"] == 1
    else:
        with pytest.raises(ProbeError, match=fault):
            probe(5)
