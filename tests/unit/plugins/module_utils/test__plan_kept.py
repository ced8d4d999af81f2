# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans on the host: found by their digest, trusted only when they are what it says."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._plan_digest import digest_of
from ansible_collections.lastgood.rollback.plugins.module_utils._plan_kept import find, keep
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder


def plan(number: int = 0) -> dict[str, t.Any]:
    covers = {"application": "chom", "target": "v1.2.3", "number": number}
    return {"covers": covers, "digest": digest_of(covers), "from_version": "v1.2.4", "reason": "told to", "commits": ["left out"]}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Folder:
    return Folder.of(str(tmp_path / "state"), "chom")


def refusal(folder: Folder, wanted: str) -> RollbackError:
    with pytest.raises(RollbackError) as caught:
        find(folder, wanted)
    assert caught.value.state == "Nothing was changed."
    assert "playbooks/plan.yml" in str(caught.value.next_command)
    return caught.value


def test_a_kept_plan_is_found_by_its_digest_and_by_its_first_twelve_characters(folder: Folder) -> None:
    path = keep(folder, plan())
    assert path == f"{folder.root}/plans/{plan()['digest']}.json"
    assert (os.stat(path).st_mode & 0o777, os.stat(folder.plans).st_mode & 0o777) == (0o600, 0o700)
    for length in (12, 13, 64):
        assert find(folder, plan()["digest"][:length])["covers"] == plan()["covers"]
    assert "commits" not in find(folder, plan()["digest"])


@pytest.mark.parametrize(
    "wanted", ["", "--x", "abc", "0123456789a", "0123456789aG", "../../../etc/passwd", "*" * 12, "a" * 65, "0123456789ab\n"]
)
def test_what_is_no_digest_is_refused(folder: Folder, wanted: str) -> None:
    keep(folder, plan())
    assert "is not the digest of a plan: at least its first 12 characters" in refusal(folder, wanted).message


def test_an_unknown_digest_is_refused_with_those_that_are_kept(folder: Folder) -> None:
    assert f"(in {folder.plans}, the newest 10: none)" in refusal(folder, "0123456789ab").message
    keep(folder, plan())
    message = refusal(folder, "0123456789ab").message
    assert "No plan 0123456789ab is kept on this host" in message
    assert f"{plan()['digest'][:12]} v1.2.4 -> v1.2.3 of 20" in message


def test_a_beginning_that_two_plans_share_is_refused(folder: Folder) -> None:
    path = pathlib.Path(keep(folder, plan()))
    (path.parent / f"{plan()['digest'][:-1]}x.json").write_text("{}")
    assert "2 plans begin with" in refusal(folder, plan()["digest"][:20]).message


@pytest.mark.parametrize("text", ["[]", "{}", "", '{"covers": {"target": "v9"}}'])
def test_a_plan_that_was_changed_is_not_trusted(folder: Folder, text: str) -> None:
    path = pathlib.Path(keep(folder, plan()))
    path.write_text(text)
    with pytest.raises(RollbackError, match="was changed after it was made" if text else "cannot be read"):
        find(folder, plan()["digest"])


def test_only_the_newest_plans_stay(folder: Folder) -> None:
    for number in range(12):
        path = keep(folder, plan(number))
        os.utime(path, (number, number))
    kept = {json.loads(path.read_text())["covers"]["number"] for path in pathlib.Path(folder.plans).iterdir()}
    assert kept == set(range(2, 12))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: pathlib.Path) -> None:
    folder = Folder.of(str(tmp_path), "chom")
    folder.create()
    pathlib.Path(folder.plans).write_text("")
    with pytest.raises(RollbackError, match="plans cannot be written"):
        keep(folder, plan())
