# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees as the tools leave them, written by hand."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _discovery
from ansible_collections.lastgood.rollback.plugins.module_utils._git import Repository
from ansible_collections.lastgood.rollback.plugins.module_utils._versions import RELEASE_PATTERN

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "releases").mkdir()
    return tmp_path


def release(place: pathlib.Path, name: str, revision: str | None = None, **files: str) -> None:
    folder = place / "releases" / name
    folder.mkdir()
    for file, text in {**({"REVISION": f"{revision}\n"} if revision else {}), **files}.items():
        (folder / file).write_text(text)


def current(place: pathlib.Path, name: str, link: str = "current") -> None:
    os.symlink(f"releases/{name}", place / link)


def found(place: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    repository = Repository(t.cast("t.Any", None), str(place / "current"), "www-data")
    return {each["version"]: each for each in _discovery.discover(repository, None, RELEASE_PATTERN)}


def test_deployer_says_when_but_not_whether_it_went_well(place: pathlib.Path) -> None:
    (place / ".dep").mkdir()
    names = ("1", "2", "3", "4")
    log = [{"created_at": f"2026-11-0{name}T10:00:00+0100", "release_name": name, "user": "ci", "target": "main"} for name in names]
    (place / ".dep/releases_log").write_text("\n".join(map(json.dumps, log)) + '\n{"created_at": "2026')
    release(place, "2", A)
    release(place, "3", B, BAD_RELEASE="2026-11-04 by ci")
    release(place, "4", C)
    current(place, "2")
    current(place, "4", "release")
    os.utime(place / "releases/2", (2e9, 2e9))  # touched again later: that says nothing
    seen = found(place)
    assert list(seen) == ["4", "3", "2"]  # 1 is gone
    assert seen["2"] == {
        "version": "2",
        "commit": A,
        "since": "2026-11-02T09:00:00Z",
        "source": "deployer",
        "sure": "likely",
        "why": "Deployer began it for main",
        "place": str(place / "releases/2"),
        "current": True,
    }
    assert (seen["3"]["sure"], seen["3"]["why"]) == ("a guess", "Deployer marked it as bad")
    assert (seen["4"]["sure"], seen["4"]["why"]) == ("a guess", "Deployer did not finish it")


def test_capistrano_logs_what_went_live(place: pathlib.Path) -> None:
    (place / "revisions.log").write_text(
        f"Branch main (at {A[:7]}) deployed as release 20261101100000 by deploy\n"
        f"Branch main (at {B[:7]}) deployed as release 20261102100000 by deploy\n"
        "deploy rolled back to release 20261101100000\n"
    )
    release(place, "20261101100000", A)
    release(place, "20261102100000")
    release(place, "20261103100000", C)
    current(place, "20261101100000")
    seen = found(place)
    assert (seen["20261101100000"]["sure"], seen["20261101100000"]["commit"], seen["20261101100000"]["current"]) == ("certain", A, True)
    assert seen["20261102100000"]["commit"] == B[:7]
    assert (seen["20261103100000"]["sure"], seen["20261103100000"]["why"]) == ("likely", "a release folder that no log mentions")


def test_ansistrano_has_nothing_but_names(place: pathlib.Path) -> None:
    release(place, "20261101100000Z", A)
    release(place, "20261102100000Z", B, DEPLOY_UNFINISHED="")
    release(place, "20261103100000Z")
    os.symlink("20261101100000Z", place / "releases/latest")
    current(place, "20261101100000Z")
    seen = found(place)
    assert set(seen) == {"20261101100000Z", "20261102100000Z", "20261103100000Z"}
    assert (seen["20261101100000Z"]["source"], seen["20261101100000Z"]["sure"]) == ("ansistrano", "likely")
    assert seen["20261102100000Z"]["why"] == "Ansistrano did not finish it"
    assert seen["20261103100000Z"]["why"].endswith("no file says which commit it is")


def test_folders_that_no_tool_made_are_a_guess(place: pathlib.Path) -> None:
    release(place, "before-the-move", A)
    current(place, "before-the-move")
    assert found(place)["before-the-move"]["sure"] == "a guess"
