# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _left_behind as left_behind
from ansible_collections.lastgood.rollback.plugins.module_utils._git import WorkTree

LAST: dict[str, t.Any] = {"run": "b", "from_version": "v2", "from_commit": "2", "to_commit": "1", "was_down": False}
ORIGIN = {
    "run": "a",
    "from_version": "v3",
    "from_commit": "3",
    "was_down": True,
    "down": ["m1"],
    "phases": {"close traffic": {"was_down": True}, "reopen": {}},
}
CUT = {"switch code": {"interrupted": True}}


def carried(
    last: dict[str, t.Any], own: left_behind.Phases, *, layout: str = "git", commit: str = "2", closed: bool = False
) -> dict[str, t.Any]:
    return left_behind.carried(last, own, layout=layout, commit=commit, closed=closed)


def test_a_run_that_goes_on_from_none_begins_itself() -> None:
    assert carried(LAST, {"prepare": {}}) == {
        "run": "b",
        "from_version": "v2",
        "from_commit": "2",
        "from_release": "",
        "was_down": False,
        "down": [],
        "phases": {"prepare": {}},
    }


def test_without_any_run_there_is_nothing_to_go_back_to() -> None:
    found = carried({}, {}, closed=True)
    assert (found["from_commit"], found["was_down"], found["phases"]) == ("", True, {})


def test_a_run_that_finishes_others_began_where_the_first_of_them_did() -> None:
    found = carried({**LAST, "origin": ORIGIN}, {"gate": {}})
    assert (found["run"], found["from_commit"], found["was_down"]) == ("a", "3", True)
    assert set(found["phases"]) == {"close traffic", "reopen", "gate"}


def test_what_was_closed_again_is_not_open() -> None:
    assert "reopen" not in carried({**LAST, "origin": ORIGIN}, {}, closed=True)["phases"]


def test_who_closed_the_site_says_how_it_was_before() -> None:
    assert carried(LAST, {"close traffic": {"was_down": True}})["was_down"] is True


@pytest.mark.parametrize(("own", "down"), [({}, ["m1"]), ({"migrate down": {"interrupted": True}}, ["m1", "m2"])])
def test_migrations_may_be_down_once_the_first_was_begun(own: left_behind.Phases, down: list[str]) -> None:
    assert carried({**LAST, "origin": ORIGIN, "down": ["m1", "m2"]}, own)["down"] == down


@pytest.mark.parametrize(
    ("commit", "switched"),
    [
        ("1", {"failed": False, "changed": True}),
        ("2", {"failed": True, "changed": False, "code_unchanged": True}),
        ("9", {"interrupted": True}),
    ],
)
def test_where_a_link_is_says_how_far_an_interrupted_switch_came(commit: str, switched: dict[str, bool]) -> None:
    assert carried(LAST, CUT, layout="releases", commit=commit)["phases"]["switch code"] == switched


@pytest.mark.parametrize("before", [{"origin": {**ORIGIN, "phases": CUT}}, {"undoes": {**ORIGIN, "phases": CUT}}])
def test_a_link_says_nothing_about_a_switch_before_this_one(before: dict[str, t.Any]) -> None:
    assert carried({**LAST, **before}, CUT, layout="releases", commit="1")["phases"]["switch code"] == {"interrupted": True}


def test_files_of_a_checkout_may_be_of_either_version() -> None:
    assert carried(LAST, CUT, commit="1")["phases"] == CUT


def test_what_goes_on_from_an_undo_began_where_the_run_that_was_undone_did() -> None:
    last = {**LAST, "undoes": ORIGIN, "down": ["m2"]}
    found = left_behind.origin(last, {"migrate down": {}}, layout="git", commit="2", closed=True)
    assert (found["run"], found["from_commit"]) == ("a", "3")
    assert found["down"] == ["m1", "m2"]
    assert "migrate down" in found["phases"]


def test_a_rollback_goes_on_from_where_its_forerunner_began() -> None:
    assert left_behind.origin(LAST, {}, layout="git", commit="2", closed=False)["run"] == "b"


@pytest.mark.parametrize(
    ("last", "commit", "release", "since"),
    [
        ({"to_commit": "1"}, "1", None, False),
        ({"to_commit": "1"}, "2", None, False),  # where it began
        ({"to_commit": "1"}, "3", None, True),
        ({}, "3", None, False),  # a record that does not say
        ({"to_commit": "1", "to_release": "10"}, "1", "10", False),
        ({"to_commit": "1", "to_release": "10"}, "2", "11", False),
        ({"to_commit": "1", "to_release": "10"}, "1", "12", True),  # the same commit, deployed again
    ],
)
def test_what_was_deployed_since_is_neither_where_a_run_went_nor_where_it_began(
    last: dict[str, t.Any], commit: str, release: str | None, since: bool
) -> None:
    began = {"from_commit": "2", "from_release": "11" if "to_release" in last else ""}
    assert left_behind.deployed_since(last, began, WorkTree(commit, None, (), release=release)) is since
