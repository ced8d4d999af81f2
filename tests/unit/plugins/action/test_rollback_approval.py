# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

DIGEST = "3f2a9c0d41be" + "7" * 52

requirement = pytest.mark.requirement


@pytest.fixture
def args() -> dict[str, t.Any]:
    return {
        "plan": {"approval": DIGEST, "database": {"backup": {"id": "b1", "started": "2026-11-22T02:00:00Z"}}},
        "loss": {"text": "users: 2 new."},
        "given": "",
        "command": "ansible-playbook playbooks/database_rollback.yml -e backup=b1",
        "state": "Nothing was changed.",
    }


@requirement("CHOM-6.2-01", "CHOM-6.2-02")
def test_without_an_agreement_it_stops_says_what_is_lost_and_how_to_agree(act: t.Any, args: dict[str, t.Any]) -> None:
    found = act("rollback_approval", args)
    assert found["failed"]
    assert found["refused"]
    assert "users: 2 new." in found["reason"]
    assert "2026-11-22T02:00:00Z (backup b1)" in found["reason"]
    assert found["next_command"] == f"{args['command']} -e approve=3f2a9c0d41be"
    assert found["state"] == "Nothing was changed."


@pytest.mark.parametrize("given", [DIGEST, DIGEST[:12], DIGEST[:20]])
def test_the_plan_s_own_digest_is_an_agreement(act: t.Any, args: dict[str, t.Any], given: str) -> None:
    found = act("rollback_approval", {**args, "given": given})
    assert not found.get("failed")
    assert "users: 2 new." in found["lastgood_text"]


@pytest.mark.parametrize("given", [DIGEST[:11], "3f", "yes", "4" * 12, "--force", DIGEST + "0", " "])
def test_anything_else_is_none(act: t.Any, args: dict[str, t.Any], given: str) -> None:
    found = act("rollback_approval", {**args, "given": given})
    assert found["failed"]
    assert repr(given) in found["reason"]


def test_in_check_mode_nobody_has_to_agree(act: t.Any, args: dict[str, t.Any]) -> None:
    assert not act("rollback_approval", args, check=True).get("failed")


def test_what_nobody_compared_is_not_called_nothing(act: t.Any, args: dict[str, t.Any]) -> None:
    assert "is not known" in act("rollback_approval", {**args, "loss": {}}, check=True)["lastgood_text"]
