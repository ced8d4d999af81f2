# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cases there are, what the watcher is told about them, and how they are shown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.tests.faults import matrix, table
from ansible_collections.lastgood.rollback.tests.faults.faults import FAULTS
from ansible_collections.lastgood.rollback.tests.faults.phases import PHASES, Point, points
from ansible_collections.lastgood.rollback.tests.faults.trial import Case, Finding
from ansible_collections.lastgood.rollback.tests.faults.watcher import Journal

WHOLE = matrix.whole()


def test_each_fault_and_each_phase_is_in_the_matrix_and_each_fault_in_the_core() -> None:
    assert {case.fault for case in WHOLE} == set(FAULTS)
    assert {case.fault for case in matrix.core()} == set(FAULTS) - {"packages_gone"}  # much the same as composer_broken
    assert {case.point.phase for case in WHOLE} == set(PHASES)
    assert len({str(case) for case in WHOLE}) == len(WHOLE)
    assert {case.recovery for case in WHOLE} == {"resume", "undo"}
    assert {bool(case.off) for case in WHOLE} == {True, False}


OF_DATABASES = {"restore beside", "count loss", "swap database"}
NOT_REACHED = {
    "emergency": {"protect", *OF_DATABASES},
    "standard": OF_DATABASES,
    "database": {"prepare", "protect", "migrate down"},
    "releases": {"protect", *OF_DATABASES, "quiesce writers", "close traffic", "migrate down", "reopen"},
}


@pytest.mark.parametrize("playbook", matrix.PLAYBOOKS)
def test_the_controller_is_killed_at_every_moment_of_each_rollback(playbook: str) -> None:
    killed = [case.point for case in WHOLE if case.fault == "sigkill" and case.playbook == playbook]
    expected = [point for point in points() if point.phase not in NOT_REACHED[playbook]]
    if playbook == "database":
        expected.remove(Point("switch code", "inside"))  # the code stays
    if playbook != "releases":
        expected.remove(Point("start services", "inside"))  # only PHP-FPM is reloaded
    assert killed == expected


def test_the_server_dies_in_the_middle_of_loading_and_of_swapping() -> None:
    middle = {str(case.point) for case in WHOLE if (case.fault, case.playbook) == ("mariadb_stopped", "database")}
    assert {"restore beside/inside", "swap database/inside"} <= middle


@pytest.mark.parametrize(
    ("only", "playbook", "fine"),
    [
        ([], None, lambda _case: True),
        (["sigkill"], None, lambda case: case.fault == "sigkill"),
        (["sigkill:gate"], "standard", lambda case: (case.fault, case.point.phase, case.playbook) == ("sigkill", "gate", "standard")),
        ([":gate/ended"], None, lambda case: str(case.point) == "gate/ended"),
    ],
)
def test_cases_are_chosen_by_name(only: list[str], playbook: str | None, fine: t.Callable[[Case], bool]) -> None:
    found = matrix.chosen(WHOLE, only, playbook)
    assert found
    assert found == [case for case in WHOLE if fine(case)]


def test_a_point_has_a_name() -> None:
    assert [Point.parse(str(point)) for point in points()] == points()
    assert Point.parse("gate") == Point("gate", "begun")
    with pytest.raises(ValueError, match="'gat' is not a phase"):
        Point.parse("gat")


JOURNAL = [
    {"event": "opened"},
    {"event": "intent", "step": "db_migration down"},
    {"event": "result", "step": "db_migration down"},
    {"event": "intent", "step": "health_gate"},
    {"event": "closed"},
]


@pytest.mark.parametrize(
    ("point", "line"),
    [
        ("lock/ended", 0),
        ("migrate down/begun", 1),
        ("migrate down/inside", 1),
        ("migrate down/ended", 2),
        ("gate", 3),
        ("close run/ended", 4),
    ],
)
def test_the_watcher_knows_the_line_of_each_moment(point: str, line: int) -> None:
    journal = Journal()
    journal.lines = JOURNAL
    assert journal.index(Point.parse(point).order()) == line


def test_the_same_moments_are_the_work_of_other_modules_where_releases_lie_beside_each_other() -> None:
    orders = [Point.parse(text).order(releases=True) for text in ("prepare/begun", "switch code/inside", "gate/ended")]
    assert [order["step"] for order in orders] == ["release_trial", "release_switch switched", "health_gate"]
    assert orders[1]["appears"] == "/var/www/chom/.current.lastgood"


def test_cases_share_a_host_when_it_looks_the_same_at_their_beginning() -> None:
    assert {case.host: case.release for case in WHOLE} == {"none": "none", "migration": "migration", "releases": "none"}


def test_a_line_that_is_not_there_yet_is_not_found() -> None:
    journal = Journal()
    journal.lines = JOURNAL[:3]
    assert journal.index(Point.parse("gate/ended").order()) is None


def found(**changes: t.Any) -> dict[str, t.Any]:
    finding = Finding(WHOLE[0], "interrupted, resume ended well", 12.34, {"moment_hit": True})
    return {**finding.as_json(), **changes}


def test_the_document_shows_every_finding_and_what_was_not_tried() -> None:
    text = table.document([found(), found(fault="sigterm", phase="gate/begun", invariants={"moment_hit": True, "lock_free": False})], 5)
    assert "| lock/begun | interrupted, resume ended well | 12.3 |" in text
    assert "**WRONG: lock_free**" in text
    assert "2 of 5 cases were tried, 1 of them went wrong. 3 more were not tried." in text
    assert all(f"| {name} |" in text for name in FAULTS)


def test_a_case_without_a_verdict_is_not_good() -> None:
    assert not Finding(WHOLE[0]).good
    assert not Finding(WHOLE[0], invariants={"a": True, "b": False}).good
    assert Finding(WHOLE[0], invariants={"a": True}).good
