# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import stat
import typing as t

import pytest
from checkouts import listing
from hosts import PASSWORD, Host
from local_runner import Local

Call = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def point(host: Host, run_module: t.Any) -> Call:
    def call(state: str = "live", check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        options.setdefault("who", {"actor": "deployment", "reason": "routine"})
        return t.cast(
            "dict[str, t.Any]", run_module("restore_point", {"application": host.profile, "state": state, **options}, check=check)
        )

    return call


@pytest.fixture
def plan(host: Host, run_module: t.Any) -> Call:
    def call(**options: t.Any) -> dict[str, t.Any]:
        args = {"application": host.profile, "migrations": "keep", "severity": "emergency", **options}
        return t.cast("dict[str, t.Any]", run_module("rollback_plan", args))

    return call


def snapshot(host: Host, result: dict[str, t.Any]) -> pathlib.Path:
    return pathlib.Path(host.state, "chom/restore_points", result["restore_point"]["id"])


def states(host: Host) -> list[str]:
    lines = (host.state / "chom/ledger.jsonl").read_text().splitlines()
    return [json.loads(line)["state"] for line in lines]


@pytest.mark.requirement("G-04")
def test_what_runs_is_written_down_whole(host: Host, point: Call) -> None:
    result = point()
    assert result["changed"], result
    assert result["restore_point"]["state"] == "live"
    assert result["restore_point"]["version"] == "v1.2.0"
    manifest = json.loads((snapshot(host, result) / "manifest.json").read_text())
    assert manifest["commit"] == host.app.at("v1.2.0")
    assert manifest["migrations"] == sorted(host.migrations)
    assert set(manifest["lock_files"]) == {"composer.lock"}
    assert manifest["units"]["w1.service"] == "active (running)"
    kept = manifest["files"][f"{host.app.path}/.env"]
    assert (snapshot(host, result) / kept["stored"]).read_text() == (host.app.path / ".env").read_text()


@pytest.mark.parametrize("telling", [True, False], ids=["it says which migrations it holds", "it does not say"])
def test_its_backup_is_the_newest_one_whose_schema_it_can_have_had(host: Host, point: Call, telling: bool) -> None:
    """The one that was made before a rollback holds the schema of the version that was left."""
    backup = {"format_version": 1, "bytes": 5, "sha256": "0" * 64, "engine": "mysql", "database": "shop", "tables": {}}
    found = {
        "fits": host.migrations if telling else None,
        "of_the_version_before": [*host.migrations, "2099_later"],
        "of_another": host.migrations,
    }
    for hour, (name, migrations) in enumerate(found.items(), 1):
        application = "another" if name == "of_another" else host.profile["name"]
        times = {"started": f"2026-11-22T0{hour}:00:00Z", "finished": f"2026-11-22T0{hour}:10:00Z"}
        manifest = {**backup, **times, "id": name, "file": f"{name}.sql.zst", "application": application, "migrations": migrations}
        (host.backups / f"{name}.sql.zst").write_bytes(b"12345")
        (host.backups / f"{name}.manifest.json").write_text(json.dumps(manifest))
    assert json.loads((snapshot(host, point()) / "manifest.json").read_text())["backup"]["id"] == "fits"


def test_only_its_user_can_read_it_and_no_result_holds_a_secret(host: Host, point: Call) -> None:
    result = point()
    for path in (host.state / "chom").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert PASSWORD not in json.dumps(result)
    assert PASSWORD not in (snapshot(host, result) / "manifest.json").read_text()


def test_the_same_is_not_written_twice(host: Host, point: Call) -> None:
    first = point()
    again = point()
    assert not again["changed"]
    assert again["restore_point"]["id"] == first["restore_point"]["id"]
    verified = point("verified")
    assert verified["changed"]
    assert not point("verified")["changed"]
    assert not point()["changed"]
    assert verified["restore_point"]["id"] == first["restore_point"]["id"]


def test_check_mode_writes_nothing(host: Host, point: Call) -> None:
    before = listing(host.state, host.app.path)
    assert point(check=True)["changed"]
    assert point("started", check=True, version="v1.1.0")["changed"]
    assert listing(host.state, host.app.path) == before


def test_other_settings_are_another_restore_point(host: Host, point: Call) -> None:
    first = point()
    (host.app.path / ".env").write_text("APP_KEY=other\nDB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD=x\n")
    second = point()
    assert second["restore_point"]["id"] != first["restore_point"]["id"]
    assert states(host) == ["live", "live", "superseded"]


def test_a_deployment_goes_from_started_to_verified(host: Host, point: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.1.0")
    begun = point("started", version="v1.2.0")
    assert begun["restore_point"]["state"] == "started"
    assert not point("started", version="v1.2.0")["changed"]
    host.app.git("checkout", "--quiet", "v1.2.0")
    done = point("verified")
    assert done["restore_point"]["id"] == begun["restore_point"]["id"]
    assert [said["state"] for said in done["restore_point"]["history"]] == ["started", "live", "verified"]
    assert done["restore_point"]["snapshot"]


@pytest.mark.parametrize("version", ["v9.9.9", "--upload-pack=x", "../x", ""])
def test_a_version_that_cannot_be_is_refused(host: Host, point: Call, version: str) -> None:
    assert point("started", version=version)["failed"]
    assert not (host.state / "chom").exists()


def test_changed_files_are_no_version(host: Host, point: Call) -> None:
    host.app.write("README.md", "by hand")
    result = point()
    assert result["failed"]
    assert "local changes in 1 tracked files" in result["msg"]
    assert not (host.state / "chom").exists()


def test_a_database_that_does_not_answer_is_no_restore_point(host: Host, point: Call) -> None:
    host.database = (1, "", "ERROR 2002 (HY000): Can't connect")
    result = point()
    assert "applied migrations cannot be read" in result["msg"]
    assert not (host.state / "chom").exists()


def test_a_file_that_cannot_be_read_is_named(host: Host, point: Call) -> None:
    profile = host.profile
    profile["configuration"]["files"] = ["/nowhere/site.conf"]
    result = point(application=profile)
    assert "The configuration file /nowhere/site.conf cannot be read by www-data" in result["msg"]
    assert not (host.state / "chom").exists()


def test_the_workers_own_unit_files_belong_to_it(host: Host, point: Call, local: Local) -> None:
    show = host._unit
    host._unit = lambda name: show(name) + f"\nFragmentPath=/etc/systemd/system/{name}\nDropInPaths="  # type: ignore[method-assign]
    local.when("cat -- /etc/systemd/system/*", lambda argv, _stdin: (0, f"[Service] # {argv[-1]}\n", ""))
    local.on("stat --format=%a %U %G -- /etc/systemd/system/*", "644 root root\n")
    manifest = point()["manifest"]
    assert manifest["files"]["/etc/systemd/system/w2.service"]["owner"] == "root"


@pytest.mark.requirement("G-05")
def test_calling_a_version_bad_needs_a_reason(host: Host, point: Call) -> None:
    point("verified")
    assert "Say why" in point("bad", who={})["msg"]
    result = point("bad", name="v1.2.0", who={"reason": "loses orders", "incident": "I-7"})
    assert result["restore_point"]["state"] == "bad"
    assert "is bad: loses orders" in point("verified", name="v1.2.0", who={})["msg"]
    assert point("verified", name="v1.2.0")["restore_point"]["state"] == "verified"
    assert "no entry 'v7'" in point("bad", name="v7")["msg"]


def test_a_full_disk_leaves_nothing_behind(host: Host, point: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_point

    def full(_path: str, _text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_restore_point, "write_new", full)
    assert "No space left" in point()["msg"]
    assert list((host.state / "chom/restore_points").iterdir()) == []
    assert not (host.state / "chom/ledger.jsonl").exists()


# What the emergency makes of it


@pytest.mark.requirement("G-04")
def test_the_emergency_goes_to_the_version_that_was_verified_last(host: Host, point: Call, plan: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.0.0")
    host.migrations = ["2024_01_01_000000_users"]
    point("verified")
    host.app.git("checkout", "--quiet", "v1.2.0")
    result = plan()
    assert result["target"] == "v1.0.0", result  # the tags alone would say v1.1.0
    assert "the last good version: verified at" in result["reason"]
    assert plan(severity="standard", target="last_good")["target"] == "v1.0.0"


def test_a_version_without_a_tag_is_gone_back_to_by_its_commit(host: Host, point: Call, plan: Call) -> None:
    commit = host.app.commit("Hotfix")
    point("verified")
    host.app.commit("Bad", "v1.3.0")
    assert plan()["target"] == commit[:12]


def test_what_is_damaged_is_passed_over_with_the_reason(host: Host, point: Call, plan: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.0.0")
    host.migrations = ["2024_01_01_000000_users"]
    point("verified")
    host.app.git("checkout", "--quiet", "v1.1.0")
    newer = point("verified")
    host.app.git("checkout", "--quiet", "v1.2.0")
    assert plan()["target"] == "v1.1.0"
    (snapshot(host, newer) / "files/000").write_text("changed")
    result = plan()
    assert result["target"] == "v1.0.0"
    assert f"PASSED OVER: v1.1.0 ({newer['restore_point']['id']}): its copy of {host.app.path}/.env was changed" in result["reason"]
    (snapshot(host, newer) / "manifest.json").unlink()
    assert "manifest.json cannot be read" in plan()["reason"]


def test_when_nothing_that_was_verified_is_whole_nothing_is_guessed(host: Host, point: Call, plan: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.1.0")
    result = point("verified")
    host.app.git("checkout", "--quiet", "v1.2.0")
    (snapshot(host, result) / "files/000").write_text("changed")
    refused = plan()
    assert "No verified version can be gone back to on this host: v1.1.0" in refused["msg"]
    assert plan(target="v1.1.0")["target"] == "v1.1.0"


def test_a_damaged_ledger_decides_nothing(host: Host, point: Call, plan: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.1.0")
    point("verified")
    host.app.git("checkout", "--quiet", "v1.2.0")
    path = host.state / "chom/ledger.jsonl"
    path.write_text(path.read_text().replace("routine", "another"))
    assert "The ledger is damaged: line 1 was changed" in plan()["msg"]
    assert plan(target="v1.1.0")["target"] == "v1.1.0"
    assert "The ledger is damaged" in point()["msg"]


@pytest.mark.requirement("G-05")
def test_without_a_verified_version_tags_decide_but_never_for_a_bad_one(host: Host, point: Call, plan: Call) -> None:
    host.app.git("checkout", "--quiet", "v1.1.0")
    point()
    point("bad", name="v1.1.0")
    host.app.git("checkout", "--quiet", "v1.2.0")
    result = plan()
    assert result["target"] == "v1.0.0"
    assert "the ledger calls v1.1.0 bad" in result["reason"]
