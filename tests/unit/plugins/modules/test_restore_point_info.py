# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from checkouts import listing
from hosts import Host

Call = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def info(host: Host, run_module: t.Any) -> Call:
    def call(**options: t.Any) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", run_module("restore_point_info", {"application": host.profile, **options}))

    return call


@pytest.fixture
def verified(host: Host, run_module: t.Any) -> Call:
    def call(version: str, state: str = "verified") -> dict[str, t.Any]:
        host.app.git("checkout", "--quiet", version)
        return t.cast("dict[str, t.Any]", run_module("restore_point", {"application": host.profile, "state": state})["restore_point"])

    return call


def test_an_empty_ledger_is_said_to_be_empty(host: Host, info: Call) -> None:
    before = listing(host.state)
    result = info()
    assert (result["restore_points"], result["last_good"], result["broken"], result["changed"]) == ([], None, None, False)
    assert listing(host.state) == before


def test_lists_the_newest_first_and_names_the_last_good_one(info: Call, verified: Call) -> None:
    verified("v1.0.0")
    verified("v1.1.0")
    verified("v1.2.0", "live")
    result = info()
    assert [point["version"] for point in result["restore_points"]] == ["v1.2.0", "v1.1.0", "v1.0.0"]
    assert result["last_good"]["version"] == "v1.1.0"


def test_says_what_cannot_be_gone_back_to(host: Host, info: Call, verified: Call) -> None:
    old, new = verified("v1.0.0"), verified("v1.1.0")
    host.app.git("checkout", "--quiet", "v1.2.0")
    pathlib.Path(host.state, "chom/restore_points", new["id"], "files/000").unlink()
    result = info()
    assert result["last_good"]["id"] == old["id"]
    (passed,) = result["passed_over"]
    assert passed.startswith(f"v1.1.0 ({new['id']}): ")
    assert "cannot be read" in passed
    assert result["restore_points"][0]["trouble"].endswith("No such file or directory")


def test_compares_with_what_runs_now_without_showing_a_value(host: Host, info: Call, verified: Call) -> None:
    point = verified("v1.1.0")
    host.app.git("checkout", "--quiet", "v1.2.0")
    (host.app.path / ".env").write_text("NEW=hunter22\nDB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD=hunter33\n")
    host.migrations.insert(0, "2025_x")
    host.units["w2.service"] = "failed"
    found = info(compare="v1.1.0")
    different = found["differences"]
    assert different["code"]
    assert different["lock_files"] == ["composer.lock"]
    assert different["migrations"]["only_now"] == ["2025_x"]
    assert different["files"] == {f"{host.app.path}/.env": "changed"}
    assert set(different["settings"]) == {"NEW", "DB_PASSWORD"}
    assert different["settings"]["NEW"]["then"] is None
    assert different["units"] == ["w2.service"]
    assert "hunter" not in json.dumps(found)
    assert different["settings"] != info(compare=point["id"])["differences"]["settings"]  # each call has a salt of its own


@pytest.mark.parametrize("name", ["v9.9.9", "--help", "../../etc"])
def test_what_is_not_in_the_ledger_cannot_be_compared(info: Call, verified: Call, name: str) -> None:
    verified("v1.1.0")
    assert "The ledger has no entry" in info(compare=name)["msg"]


def test_a_damaged_snapshot_is_not_compared(host: Host, info: Call, verified: Call) -> None:
    point = verified("v1.1.0")
    pathlib.Path(host.state, "chom/restore_points", point["id"], "files/000").write_text("x")
    assert "cannot be compared: its copy of" in info(compare="v1.1.0")["msg"]


def test_a_checkout_tells_what_stayed_and_what_was_passed_through(host: Host, info: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = {"v1.0.0": "2026-01-01T00:00:00Z", "v1.1.0": "2026-01-05T00:00:00Z", "v1.2.0": "2026-01-05T00:01:00Z"}
    (host.app.path / ".git/logs/HEAD").unlink()
    for tag, moment in moments.items():
        monkeypatch.setenv("GIT_COMMITTER_DATE", moment)
        host.app.git("checkout", "--quiet", "--detach", tag)
    seen = {each["version"]: each for each in info(discover=True)["discovered"]}
    assert (seen["v1.0.0"]["sure"], seen["v1.0.0"]["why"]) == ("likely", "it was checked out for 4 days; a release tag points at it")
    assert (seen["v1.1.0"]["sure"], seen["v1.1.0"]["why"]) == ("a guess", "it was checked out for 60 seconds; a release tag points at it")
    assert (seen["v1.2.0"]["current"], seen["v1.2.0"]["since"]) == (True, "2026-01-05T00:01:00Z")
