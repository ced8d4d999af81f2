# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan with everything that somebody wants to know before, and runs that are bound to it."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from checkouts import Checkout, listing
from hosts import Host

from ansible_collections.lastgood.rollback.plugins.module_utils import _plan_details
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError

requirement = pytest.mark.requirement

METRICS = "2024_03_01_000000_metrics"

Plan = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def plan(host: Host, run_module: t.Any) -> Plan:
    def call(check: bool = False, profile: t.Any = None, **options: t.Any) -> dict[str, t.Any]:
        args = {"application": profile or host.profile, **options}
        return t.cast("dict[str, t.Any]", run_module("rollback_plan", args, check=check))

    return call


@pytest.fixture
def planned(plan: Plan) -> dict[str, t.Any]:
    result = plan(target="v1.1.0", migrations="keep", details=True)
    assert not result.get("failed"), result
    return result


# What there is to know


@requirement("G-09")
def test_everything_that_the_run_would_do_is_in_it(host: Host, planned: dict[str, t.Any]) -> None:
    details = planned["details"]
    assert (planned["refusals"], len(planned["digest"])) == ([], 64)
    assert sum(details["files"]["counts"].values()) == planned["files"]
    assert {entry["name"] for entry in details["packages"]} == {"acme/log", "acme/cache", "acme/metrics"}
    assert [(row["unit"], row["role"]) for row in details["services"]] == [
        ("w1.service", "worker"),
        ("w2.service", "worker"),
        ("s.timer", "scheduler"),
        ("php8.4-fpm.service", "reload"),
        ("nginx.service", "required"),
    ]
    assert [place["path"] for place in details["disk"]] == [str(host.app.path), str(host.state), str(host.backups)]
    assert all(place["free_bytes"] > 0 for place in details["disk"])
    assert details["approval"] == {"approvers": [], "basis": "the profile names no approvers"}
    assert details["lock"] is None


def test_packages_have_their_versions_before_and_after(host: Host, plan: Plan) -> None:
    installed = host.app.path / "vendor/composer/installed.json"
    found = json.loads(installed.read_text())
    found["packages"] += [{"name": "old/one", "version": "0.1"}, {"name": "dev/tool", "version": "8"}]
    found["dev-package-names"] = ["dev/tool"]
    same = found["packages"][0]
    same["dist"]["reference"] = "another build"
    installed.write_text(json.dumps(found))
    packages = {entry["name"]: entry for entry in plan(target="v1.2.0", details=True)["details"]["packages"]}
    assert packages["old/one"] == {"name": "old/one", "before": "0.1", "after": None}
    assert packages[same["name"]]["before"] == f"{same['version']} (another)"
    assert "dev/tool" not in packages


def test_settings_that_only_the_target_knows_and_the_application_lacks(host: Host, plan: Plan) -> None:
    host.app.write(".env.example", "DB_DATABASE=\nNEWER=\nMAIL_FROM=\n")
    host.app.commit("Settings", "v1.3.0")
    host.app.git("checkout", "--quiet", "--detach", "v1.2.0")
    (host.app.path / ".env").write_text((host.app.path / ".env").read_text() + "NEWER=1\n")
    details = plan(target="v1.3.0", migrations="keep", details=True)["details"]
    assert "MAIL_FROM" in details["missing_settings"]
    assert "NEWER" not in details["missing_settings"]


def test_units_are_shown_with_what_becomes_of_them(host: Host, plan: Plan) -> None:
    host.units.update({"w1.service": "inactive", "w2.service": "failed", "php8.4-fpm.service": "failed"})
    rows = {row["unit"]: row["action"] for row in plan(target="v1.1.0", migrations="keep", details=True)["details"]["services"]}
    assert rows["w1.service"] == "is off, stays off"
    assert rows["w2.service"].startswith("stopped")
    assert rows["php8.4-fpm.service"] == "restarted, since it does not run"
    assert rows["nginx.service"] == "not touched"


def test_units_that_an_earlier_run_stopped_are_not_called_off(host: Host, plan: Plan) -> None:
    host.units.update({"w1.service": "inactive", "w2.service": "inactive"})
    (host.state / "chom").mkdir()
    (host.state / "chom/workers.json").write_text('{"units": ["w1.service"]}')
    rows = {row["unit"]: row["action"] for row in plan(target="v1.1.0", migrations="keep", details=True)["details"]["services"]}
    assert rows["w1.service"] == "stopped by an earlier run, started after reopening"
    assert rows["w2.service"] == "is off, stays off"


def _backup(folder: pathlib.Path, number: int, size: int, seconds: int, application: str = "chom") -> None:
    name = f"chom-2026112{number}"
    (folder / f"{name}.sql.zst").write_bytes(b"x" * size)
    manifest = {
        "format_version": 1,
        "id": name,
        "file": f"{name}.sql.zst",
        "bytes": size,
        "sha256": "0",
        "engine": "mysql",
        "database": "chom",
        "application": application,
        "application_version": f"v{number}",
        "started": f"2026-11-2{number}T00:00:00Z",
        "finished": f"2026-11-2{number}T00:00:{seconds:02}Z",
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))


def test_the_backup_to_expect_is_judged_by_earlier_ones(host: Host, plan: Plan) -> None:
    for number, size, seconds in ((1, 100, 3), (2, 900, 9), (3, 200, 5)):
        _backup(host.backups, number, size, seconds)
    _backup(host.backups, 4, 5000, 50, application="another")
    backup = plan(target="v1.1.0", migrations="keep", details=True)["details"]["backup"]
    assert (backup["planned"], backup["bytes"], backup["seconds"], backup["runs"]) == (True, 200, 5.0, 3)
    assert backup["basis"] == f"median of the 3 newest backups in {host.backups}"
    assert backup["newest"]["application_version"] == "v3"


def test_without_earlier_backups_nothing_is_guessed(host: Host, plan: Plan, planned: dict[str, t.Any]) -> None:
    backup = planned["details"]["backup"]
    assert (backup["bytes"], backup["seconds"]) == (None, None)
    assert backup["basis"] == f"no earlier backup of chom in {host.backups}"
    emergency = plan(severity="emergency", migrations="keep", backup=False, details=True)["details"]
    assert emergency["backup"]["planned"] is False
    assert emergency["approval"]["basis"] == "an emergency waits for nobody"


def test_a_rollback_at_work_is_named(host: Host, plan: Plan) -> None:
    (host.state / "chom").mkdir()
    (host.state / "chom/lock").write_text(json.dumps({"actor": "ada", "run": "r9"}))
    assert plan(target="v1.1.0", migrations="keep", details=True)["details"]["lock"]["actor"] == "ada"


# What would be refused is shown with all the rest


@requirement("G-09", "CHOM-5.2-06")
def test_undecided_migrations_are_part_of_the_plan(plan: Plan) -> None:
    result = plan(target="v1.1.0", details=True)
    assert not result.get("failed"), result
    assert [entry["name"] for entry in result["migrations"]["unknown_to_target"]] == [METRICS]
    assert METRICS in result["refusals"][0]["reason"]
    assert "migrations=down" in result["refusals"][0]["next_command"]
    assert (result["kept"], result["not_kept"]) == (None, "it would be refused")


def test_a_database_that_cannot_be_asked_leaves_the_rest_of_the_plan(host: Host, plan: Plan) -> None:
    host.database = (1, "", "ERROR 2002 (HY000): Can't connect")
    result = plan(target="v1.1.0", details=True)
    assert result["migrations"] is None
    assert len(result["refusals"]) == 1
    assert not result["nothing_to_do"]
    assert result["details"]["services"]


# What is written


def test_nothing_but_the_plan_is_written(host: Host, plan: Plan) -> None:
    os.utime(host.app.path / "README.md", (1, 1))
    before = listing(host.app.path.parent, host.backups)
    result = plan(target="v1.1.0", migrations="keep", details=True)
    assert listing(host.app.path.parent, host.backups) == before
    assert not result["changed"]
    assert [path for path in host.state.rglob("*") if path.is_file()] == [pathlib.Path(result["kept"])]


def test_in_check_mode_and_without_anything_to_do_nothing_is_kept(host: Host, plan: Plan) -> None:
    assert plan(target="v1.1.0", migrations="keep", details=True, check=True)["not_kept"] == "in check mode nothing is written"
    assert plan(target="v1.2.0", details=True)["not_kept"] == "there is nothing to do"
    assert list(host.state.iterdir()) == []


def test_a_plan_that_cannot_be_kept_is_shown_all_the_same(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_anything: t.Any) -> str:
        raise RollbackError("plans cannot be written: No space left on device.")

    monkeypatch.setattr(_plan_details, "keep", full)
    result = plan(target="v1.1.0", migrations="keep", details=True)
    assert (result["kept"], result["not_kept"]) == (None, "plans cannot be written: No space left on device.")


# Exactly that, or nothing


@requirement("G-09")
@pytest.mark.parametrize("length", [12, 64])
def test_what_was_planned_is_what_is_done(host: Host, plan: Plan, planned: dict[str, t.Any], length: int) -> None:
    """Target and decisions come from the plan, the digest is all there is to type."""
    result = plan(plan=planned["digest"][:length])
    assert not result.get("failed"), result
    assert result["digest"] == planned["digest"]
    assert (result["target"], result["migrations"]["decision"], result["local_changes"]) == ("v1.1.0", "keep", "refuse")
    assert result["reason"].startswith("given by the operator (planned at 20")
    assert f"digest: {planned['digest'][:12]}" in result["lastgood_text"]
    assert "covers" not in result


@requirement("G-09")
def test_free_disk_times_and_backups_may_change(host: Host, plan: Plan, planned: dict[str, t.Any]) -> None:
    _backup(host.backups, 1, 100, 3)
    host.app.git("gc", "--quiet")
    assert plan(plan=planned["digest"])["digest"] == planned["digest"]


def _deployed_by_hand(host: Host) -> None:
    host.app.commit("Hotfix by hand", "v1.2.5")


def _worker_stopped(host: Host) -> None:
    host.units["w1.service"] = "inactive"


def _tag_moved(host: Host) -> None:
    host.app.git("tag", "--force", "v1.1.0", "v1.0.0")


def _migration_gone(host: Host) -> None:
    host.migrations.remove(METRICS)


def _dependencies_touched(host: Host) -> None:
    (host.app.path / "vendor/composer/installed.json").write_text('{"packages": []}')


def _run_interrupted(host: Host) -> None:
    host.last_run(outcome="interrupted", to_commit=host.app.at("v1.1.0"), from_commit=host.app.at("v1.2.0"), target="v1.1.0")


@requirement("G-09")
@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (_deployed_by_hand, "the plan was made from v1.2.0"),
        (_worker_stopped, "w1.service: runs in the plan, is off now"),
        (_tag_moved, "its tag was moved"),
        (_migration_gone, f"{METRICS} in the plan, nothing more now"),
        (_dependencies_touched, "packages: "),
        (_run_interrupted, "pending: nothing more in the plan, run r1 ended as interrupted now"),
    ],
)
def test_when_reality_has_moved_nothing_is_done(
    host: Host, plan: Plan, planned: dict[str, t.Any], moved: t.Callable[[Host], None], words: str
) -> None:
    moved(host)
    result = plan(plan=planned["digest"][:12])
    assert result["failed"]
    assert f"The plan {planned['digest'][:12]} of 20" in result["reason"]
    assert "does not fit any more" in result["reason"]
    assert words in result["reason"]
    assert any(words in line for line in result["differences"])
    assert result["system_state"] == "Nothing was changed."
    assert result["next_command"].startswith("ansible-playbook playbooks/plan.yml -e severity=standard -e target=v1.1.0 -e migrations=keep")


def test_what_fails_its_checks_now_is_refused_for_that(host: Host, plan: Plan, planned: dict[str, t.Any], app: Checkout) -> None:
    app.write("README.md", "edited\n")
    result = plan(plan=planned["digest"])
    assert "cannot be applied: " in result["reason"]
    assert "local changes in 1 tracked files (README.md)" in result["reason"]


def test_a_plan_that_was_done_is_not_done_again(host: Host, plan: Plan, planned: dict[str, t.Any]) -> None:
    host.app.git("checkout", "--quiet", "--detach", "v1.1.0")
    result = plan(plan=planned["digest"])
    assert "was for leaving v1.2.0, but its target v1.1.0 runs already" in result["reason"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"target": "v1.0.0"}, "target=v1.0.0 contradicts the plan"),
        ({"migrations": "down"}, "migrations=down contradicts the plan"),
        ({"local_changes": "save"}, "local_changes=save contradicts the plan"),
        ({"severity": "emergency"}, "is for a rollback of the kind standard, not emergency"),
    ],
)
def test_what_contradicts_the_plan_is_refused(plan: Plan, planned: dict[str, t.Any], said: dict[str, str], words: str) -> None:
    result = plan(plan=planned["digest"], **said)
    assert words in result["reason"]
    assert result["system_state"] == "Nothing was changed."


def test_the_plan_of_another_application_is_refused(host: Host, plan: Plan, planned: dict[str, t.Any]) -> None:
    (host.state / "other").mkdir()
    (host.state / "chom/plans").rename(host.state / "other/plans")
    result = plan(plan=planned["digest"], profile={**host.profile, "name": "other"})
    assert "is for chom, not for other" in result["reason"]


def test_saying_the_same_as_the_plan_is_no_contradiction(plan: Plan, planned: dict[str, t.Any]) -> None:
    assert plan(plan=planned["digest"], target="v1.1.0", migrations="keep")["digest"] == planned["digest"]


def test_a_plan_is_made_or_applied_not_both(plan: Plan) -> None:
    assert "mutually exclusive" in plan(plan="0" * 12, details=True)["msg"]
