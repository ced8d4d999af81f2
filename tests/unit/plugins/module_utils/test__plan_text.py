# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as a person reads it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _plan_text


@pytest.fixture
def plan() -> dict[str, t.Any]:
    return {
        "application": "chom",
        "severity": "standard",
        "nothing_to_do": False,
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "newest release tag below",
        "commits": ["a", "b"],
        "files": 7,
        "lock_files": ["composer.lock"],
        "dependencies_change": True,
        "migrations": {"down": [], "unknown_to_target": [], "not_applied": []},
        "config_keys": {"running": ["NEW_KEY"], "target": []},
        "pending": ["run r1 ended as held"],
        "digest": "d" * 64,
        "database": None,
        "restored_by": "",
    }


def shown(plan: dict[str, t.Any]) -> str:
    return "\n".join(_plan_text.in_words(plan))


@pytest.mark.requirement("CHOM-5.1-06", "CHOM-5.3-04", "CHOM-CL-07")
def test_a_plan_says_where_to_and_why(plan: dict[str, t.Any]) -> None:
    text = shown(plan)
    for word in (
        "v1.2.4 (444444444444) -> v1.2.3 (333333333333)",
        "newest release tag below",
        "leaves 2 commit(s) behind, 7 files differ, lock files: composer.lock",
        "built beside the live ones",
        "only in the running version: NEW_KEY",
        "run r1 ended as held",
        "digest: dddddddddddd",
    ):
        assert word in text


@pytest.mark.requirement("CHOM-5.2-06", "CHOM-5.3-10")
@pytest.mark.parametrize(
    ("migrations", "words"),
    [
        ({"down": ["m1"], "unknown_to_target": [{"name": "m1"}], "not_applied": []}, "will go down: m1"),
        ({"down": [], "unknown_to_target": [{"name": "m1"}], "not_applied": []}, "kept as told: m1"),
        ({"down": [], "unknown_to_target": [], "not_applied": []}, "knows all that the database has"),
        ({"down": [], "unknown_to_target": [], "not_applied": ["m0"]}, "WARNING: the target has migrations that the database lacks: m0"),
    ],
)
def test_a_plan_says_what_becomes_of_the_schema(plan: dict[str, t.Any], migrations: dict[str, t.Any], words: str) -> None:
    assert words in shown({**plan, "migrations": migrations})


def test_nothing_to_do_is_one_line(plan: dict[str, t.Any]) -> None:
    assert shown({**plan, "nothing_to_do": True}).startswith("NOTHING TO DO: chom runs v1.2.3 already")
