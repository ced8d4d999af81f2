# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import typing as t

import pytest
import servers
from checkouts import Checkout, listing
from hosts import PASSWORD, Host
from local_runner import Local

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal, _plan_host

requirement = pytest.mark.requirement

METRICS = "2024_03_01_000000_metrics"


@pytest.fixture
def plan(host: Host, run_module: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    def call(target: str | None = "v1.1.0", check: bool = False, profile: t.Any = None, **options: t.Any) -> dict[str, t.Any]:
        args = {"application": profile or host.profile, "migrations": "keep", **options}
        return t.cast(
            "dict[str, t.Any]", run_module("rollback_plan", {**args, **({} if target is None else {"target": target})}, check=check)
        )

    return call


Plan = t.Callable[..., dict[str, t.Any]]


def refused(result: dict[str, t.Any], *words: str) -> None:
    assert result.get("failed"), result
    for word in words:
        assert word in result["msg"]
    assert "Nothing was changed" in result["system_state"]


# The plan


@requirement("CHOM-5.1-06", "CHOM-5.3-04", "CHOM-CL-07")
def test_says_what_would_happen_without_changing_anything(host: Host, plan: Plan) -> None:
    os.utime(host.app.path / "README.md", (1, 1))
    before = listing(host.app.path.parent, host.state, host.backups)
    result = plan("v1.1.0", severity="standard")
    assert not result.get("failed"), result
    assert not result["changed"]
    assert (result["target"], result["reason"], result["from_version"]) == ("v1.1.0", "given by the operator", "v1.2.0")
    assert (result["to_commit"], result["from_commit"]) == (host.app.at("v1.1.0"), host.app.at("v1.2.0"))
    assert not result["nothing_to_do"]
    assert result["dependencies_change"]
    assert result["pending"] == []
    assert result["budgets"]["total"] == 900
    assert set(result["checks"]) >= {"database", "checkout", "programs", "units", "rights", "state folder", "backup folder", "disk"}
    assert result["diff"] == {"before": "v1.2.0\n", "after": "v1.1.0\n"}
    assert listing(host.app.path.parent, host.state, host.backups) == before


def test_at_the_target_there_is_nothing_to_do(host: Host, plan: Plan) -> None:
    result = plan("v1.2.0")
    assert result["nothing_to_do"]
    assert result["diff"] == {"before": "v1.2.0\n", "after": "v1.2.0\n"}


def test_at_the_target_with_migrations_that_it_does_not_know_there_is_something_to_do(host: Host, plan: Plan) -> None:
    host.app.commit("Migration", **{"database/migrations/2025_x.php": "<?php function up() {} function down() { a(); }"})
    host.migrations.insert(0, "2025_x")
    host.app.git("tag", "v1.3.0")
    assert plan("v1.3.0")["nothing_to_do"]


def test_the_running_version_is_proven_by_any_of_its_names(host: Host, plan: Plan) -> None:
    (probe,) = plan("v1.1.0")["version_probes"]
    commit = host.app.at("v1.1.0")
    assert probe["response_headers"]["X-App-Version"] == sorted(["v1.1.0", "1.1.0", commit, commit[:12], commit[:7]])
    profile = host.profile
    profile["health"]["version_probe"] = {"path": "/v", "json": "version", "header": None}
    (probe,) = plan("v1.1.0", profile=profile)["version_probes"]
    assert "1.1.0" in probe["json"]["version"]


# Which target


@requirement("CHOM-4.1-09")
def test_an_emergency_goes_to_the_newest_release_below(host: Host, plan: Plan) -> None:
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.1.0"
    assert "newest release tag among the ancestors" in result["reason"]
    assert result["budgets"]["total"] == 300


@requirement("D-054")
def test_candidates_and_nightlies_are_no_releases(host: Host, plan: Plan) -> None:
    for tag in ("v1.1.1-rc1", "nightly-2026-01-01", "v2", "before-the-move"):
        host.app.git("tag", tag, "v1.1.0")
    host.app.git("tag", "v1.9.0", "v1.0.0")
    host.app.git("tag", "v1.10.0", "v1.0.0")
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.10.0"
    assert "ignored, not releases: before-the-move, nightly-2026-01-01, v1.1.1-rc1, v2" in result["reason"]


def test_hotfixes_without_a_tag_lead_to_the_release_that_they_are_based_on(host: Host, plan: Plan) -> None:
    host.app.commit("Hotfix one")
    host.app.commit("Hotfix two")
    assert plan(None, severity="emergency")["target"] == "v1.2.0"


def test_releases_of_other_branches_are_not_taken(host: Host, plan: Plan) -> None:
    host.app.git("checkout", "--quiet", "-b", "other", "v1.1.0")
    host.app.commit("Elsewhere", "v1.1.9")
    host.app.git("checkout", "--quiet", "main")
    assert plan(None, severity="emergency")["target"] == "v1.1.0"


def test_another_name_of_the_running_version_is_not_taken(host: Host, plan: Plan) -> None:
    host.app.git("tag", "--annotate", "--message=Approved", "v1.1.9", "v1.1.0")
    host.app.git("tag", "v1.2.1", "v1.2.0")
    host.app.git("tag", "--annotate", "--message=Signed", "signed", "v1.2.0")
    host.app.git("tag", "--annotate", "--message=A tag of a tag", "v1.2.2", "signed")
    assert plan(None, severity="emergency")["target"] == "v1.1.9"


def test_a_tag_of_something_else_than_a_commit_does_not_disturb(host: Host, plan: Plan) -> None:
    host.app.git("tag", "v9.0.0", host.app.git("rev-parse", "v1.0.0:README.md"))
    host.app.git("tag", "v9.0.1", host.app.git("rev-parse", "v1.0.0^{tree}"))
    assert plan(None, severity="emergency")["target"] == "v1.1.0"


def test_the_first_release_has_nothing_below_it(host: Host, plan: Plan) -> None:
    host.app.git("checkout", "--quiet", "--detach", "v1.0.0")
    result = plan(None, severity="emergency")
    refused(result, "No earlier release was found")
    assert "-e target=" in result["next_command"]


def test_the_pattern_of_releases_is_the_profile_s(host: Host, plan: Plan) -> None:
    host.app.git("tag", "release-2026.01", "v1.0.0")
    host.app.git("tag", "release-2025.12", "v1.1.0")
    profile = host.profile
    profile["releases"]["pattern"] = r"^release-(\d+)\.(\d+)$"
    assert plan(None, severity="emergency", profile=profile)["target"] == "release-2026.01"


@requirement("D-051")
def test_a_standard_rollback_must_be_told_its_target(plan: Plan) -> None:
    result = plan(None, severity="standard")
    refused(result, "No target was given")
    assert "tag --list --sort=-version:refname" in result["next_command"]


@requirement("D-051")
@pytest.mark.parametrize("severity", ["standard", "emergency"])
def test_an_empty_target_is_refused(plan: Plan, severity: str) -> None:
    refused(plan("", severity=severity), "target is empty")


@requirement("D-055")
@pytest.mark.parametrize("target", ["--upload-pack=x", "v1; rm -rf /", "../x", "v9.9.9", "main", "v1.1.0\n"], ids=ascii)
def test_a_target_that_is_none_is_refused(plan: Plan, target: str) -> None:
    refused(plan(target), "is not a ")


def test_a_second_trigger_does_not_walk_one_release_further_back(host: Host, plan: Plan) -> None:
    host.app.git("checkout", "--quiet", "--detach", "v1.1.0")
    host.app.write("vendor/composer/installed.json", "[]")
    host.last_run(outcome="rolled_back", target="v1.1.0", to_commit=host.app.at("v1.1.0"), from_commit=host.app.at("v1.2.0"))
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.1.0"
    assert "rolled back to it at 2026-01-01" in result["reason"]


def test_a_configuration_rollback_says_nothing_about_versions(host: Host, plan: Plan) -> None:
    host.last_run(outcome="failed", target="other settings", to_commit=host.app.head, from_commit=host.app.head, severity="configuration")
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.1.0"
    assert result["pending"] == []


def test_what_the_run_before_a_configuration_rollback_did_still_counts(host: Host, plan: Plan) -> None:
    host.app.git("checkout", "--quiet", "--detach", "v1.1.0")
    code = {"outcome": "rolled_back", "target": "v1.1.0", "to_commit": host.app.at("v1.1.0"), "from_commit": host.app.at("v1.2.0")}
    host.last_run(outcome="rolled_back", target="other settings", to_commit=host.app.at("v1.1.0"), severity="configuration", code=code)
    assert plan(None, severity="emergency")["target"] == "v1.1.0"


def test_after_the_next_deployment_the_rollback_before_it_is_history(host: Host, plan: Plan) -> None:
    host.app.commit("Fixed", "v1.3.0")
    host.last_run(outcome="rolled_back", target="v1.1.0", to_commit=host.app.at("v1.1.0"), from_commit=host.app.at("v1.2.0"))
    assert plan(None, severity="emergency")["target"] == "v1.2.0"


@pytest.mark.parametrize(
    ("outcome", "at"),
    [("interrupted", "v1.2.0"), ("interrupted", "v1.0.0"), ("held", "v1.2.0"), ("held", "v1.0.0"), ("failed", "v1.0.0")],
)
def test_an_unfinished_run_is_continued(host: Host, plan: Plan, outcome: str, at: str) -> None:
    host.last_run(outcome=outcome, target="v1.0.0", to_commit=host.app.at("v1.0.0"), from_commit=host.app.at("v1.2.0"))
    host.app.git("checkout", "--quiet", "--detach", at)
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.0.0"
    assert f"did not finish ({outcome})" in result["reason"]
    assert result["pending"] == [f"run r1 ended as {outcome}"]
    assert not result["nothing_to_do"]


def test_a_failed_run_that_is_back_at_its_beginning_is_not_continued(host: Host, plan: Plan) -> None:
    host.last_run(outcome="failed", target="v1.0.0", to_commit=host.app.at("v1.0.0"), from_commit=host.app.at("v1.2.0"))
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.1.0"
    assert result["pending"] == []


def test_an_unfinished_run_of_long_ago_is_not_continued(host: Host, plan: Plan) -> None:
    host.last_run(outcome="failed", target="v1.0.0", to_commit=host.app.at("v1.0.0"), from_commit=host.app.at("v1.1.0"))
    result = plan(None, severity="emergency")
    assert result["target"] == "v1.1.0"
    assert result["pending"] == []


def test_what_a_run_left_undone_is_still_to_do(host: Host, plan: Plan) -> None:
    host.last_run(outcome="interrupted", target="v1.2.0", to_commit=host.app.at("v1.2.0"), from_commit=host.app.at("v1.1.0"))
    (host.state / "chom/workers.json").write_text("{}")
    host.app.write("storage/framework/down", "{}")
    result = plan("v1.2.0")
    assert not result["nothing_to_do"]
    assert len(result["pending"]) == 3


def test_what_goes_on_from_an_unfinished_run_began_where_that_one_did(host: Host, plan: Plan) -> None:
    before = {"run": "r0", "from_version": "v1.2.0", "from_commit": host.app.at("v1.2.0"), "was_down": False, "down": ["m1"]}
    host.last_run(
        outcome="held", to_commit=host.app.at("v1.0.0"), from_commit=host.app.at("v1.1.0"), origin={**before, "phases": {"gate": {}}}
    )
    host.app.git("checkout", "--quiet", "--detach", "v1.0.0")
    assert plan("v1.1.0")["origin"] == {**before, "phases": {"gate": {}}}
    commits = {"to_commit": host.app.at("v1.0.0"), "from_commit": host.app.at("v1.2.0"), "from_version": "v1.2.0"}
    host.last_run(outcome="interrupted", was_down=False, down=["m1"], **commits)
    intent = {"event": "intent", "step": "db_migration down", "at": "2026-11-22T10:00:00Z"}
    (host.state / "chom/runs/r1").mkdir(parents=True)
    _journal.create(str(host.state / "chom/runs/r1"), {"event": "opened", "at": intent["at"]})
    _journal.append(str(host.state / "chom/runs/r1"), intent)
    found = plan("v1.1.0")["origin"]
    assert {name: found[name] for name in before} == {**before, "run": "r1"}
    assert found["phases"]["migrate down"]["interrupted"]


@pytest.mark.parametrize("outcome", ["rolled_back", "undone", "failed"])
def test_what_does_not_go_on_from_another_run_begins_by_itself(host: Host, plan: Plan, outcome: str) -> None:
    host.last_run(outcome=outcome, to_commit=host.app.at("v1.0.0"), from_commit=host.app.head)
    assert plan("v1.1.0")["origin"] == {}


@pytest.mark.parametrize("down", [True, False])
def test_says_whether_users_are_shut_out_already(host: Host, plan: Plan, down: bool) -> None:
    if down:
        host.app.write("storage/framework/down", "{}")
    assert plan()["in_maintenance"] is down


def test_a_php_that_is_not_where_the_profile_says_is_noticed(host: Host, plan: Plan) -> None:
    refused(plan(profile={**host.profile, "php": "/usr/bin/php9.9"}), "Not installed", "/usr/bin/php9.9")


def test_a_damaged_record_is_named(host: Host, plan: Plan) -> None:
    host.last_run()
    (host.state / "chom/last_run.json").write_text("{")
    result = plan()
    refused(result, "last_run.json cannot be read")
    assert "last_run.json.damaged" in result["next_command"]


def test_a_damaged_list_of_stopped_workers_is_named_before_anything_is_done(host: Host, plan: Plan) -> None:
    host.last_run()
    (host.state / "chom/workers.json").write_text("")
    refused(plan(), "workers.json cannot be read")


# The schema


@requirement("D-017", "G-08", "CHOM-5.2-06", "CHOM-5.3-10", "CHOM-9.1-02")
def test_a_schema_that_the_target_does_not_know_stops_it_until_told(plan: Plan) -> None:
    result = plan("v1.1.0", migrations="stop")
    refused(result, METRICS, "v1.1.0 does not know", "migrations=down", "migrations=keep")
    assert "-e migrations=down" in result["next_command"]


def _with_way_back(host: Host, down: str) -> None:
    host.app.commit("Way back", "v1.3.0", **{f"database/migrations/{METRICS}.php": f"<?php function up() {{ a(); }} {down}"})


@requirement("CHOM-5.2-07", "CHOM-5.2-08")
@pytest.mark.parametrize("destructive", [True, False])
def test_migrations_are_planned_to_go_down_when_told(host: Host, plan: Plan, destructive: bool) -> None:
    _with_way_back(host, f"function down() {{ {'Schema::drop(1)' if destructive else 'b()'}; }}")
    migrations = plan("v1.1.0", migrations="down")["migrations"]
    assert migrations["down"] == [METRICS]
    assert migrations["unknown_to_target"] == [{"name": METRICS, "reversible": True, "destructive": destructive}]


def test_migrations_can_be_kept_when_told(plan: Plan) -> None:
    migrations = plan("v1.1.0", migrations="keep")["migrations"]
    assert migrations["down"] == []
    assert [entry["name"] for entry in migrations["unknown_to_target"]] == [METRICS]


@requirement("G-08")
def test_a_migration_without_a_way_back_is_refused(host: Host, plan: Plan) -> None:
    _with_way_back(host, "function down() { /* Schema::drop('x'); */ }")
    refused(plan("v1.1.0", migrations="down"), f"{METRICS} cannot go down")


def test_a_migration_under_one_that_stays_is_refused(host: Host, plan: Plan) -> None:
    _with_way_back(host, "function down() { b(); }")
    host.migrations.remove(METRICS)
    host.migrations.insert(1, METRICS)
    refused(plan("v1.1.0", migrations="down"), "was applied after them and the target needs it")


def test_code_that_cannot_start_cannot_take_its_migrations_down(host: Host, local: Local, plan: Plan) -> None:
    _with_way_back(host, "function down() { b(); }")
    local.on("php * --version --no-ansi", rc=255, stderr="PHP Fatal error: boom")
    refused(plan("v1.1.0", migrations="down"), "cannot start artisan", "boom")


def test_migrations_that_the_database_lacks_are_told(host: Host, plan: Plan) -> None:
    host.migrations.pop()
    assert plan("v1.1.0")["migrations"]["not_applied"] == ["2024_01_01_000000_users"]


# The host


@requirement("G-06")
def test_everything_that_is_wrong_is_told_at_once(host: Host, local: Local, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    host.app.write("README.md", "edited\n")
    host.database = (1, "", "ERROR 1045 (28000): Access denied for user 'chom'@'localhost'")
    host.units.pop("w2.service")
    host.sudo = (1, "", "sudo: a password is required")
    local.missing |= {"composer", "zstd"}
    monkeypatch.setattr(_plan_host, "free_bytes", lambda _path: 1024 * 1024)
    result = plan()
    refused(
        result, "6 of 9 checks", "local changes", "refused the login", "w2", "may not use sudo", "composer, zstd", "Only 1 MiB are free"
    )
    assert len(result["problems"]) == 6
    assert set(result["passed_checks"]) >= {"state folder", "backup folder"}
    assert result["next_command"]
    assert PASSWORD not in str(result)


def test_at_the_target_the_host_need_not_be_able_to_roll_back(host: Host, plan: Plan) -> None:
    host.units.clear()
    assert plan("v1.2.0")["nothing_to_do"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1045 (28000): Access denied", "refused the login"),
        ("2002 (HY000): Can't connect", "cannot be reached"),
        ("1146: No such table", ""),
    ],
)
def test_a_database_that_cannot_be_asked_is_refused(host: Host, plan: Plan, code: str, words: str) -> None:
    host.database = (1, "", f"ERROR {code}")
    result = plan()
    refused(result, words, "The database 'chom'")
    assert PASSWORD not in str(result)


def test_the_right_redis_password_is_needed(host: Host, plan: Plan) -> None:
    with contextlib.closing(servers.FakeRedis(password="right")) as redis:
        env = f"DB_DATABASE=chom\nDB_USERNAME=chom\nREDIS_HOST=127.0.0.1\nREDIS_PORT={redis.port}\nREDIS_PASSWORD="
        host.app.write(".env", f"{env}wrong-secret\n")
        result = plan()
        refused(result, "Redis cannot be used with the application's settings")
        assert "wrong-secret" not in str(result)
        host.app.write(".env", f"{env}right\n")
        assert "redis" in plan()["checks"]


def test_a_unit_that_does_not_exist_is_named(host: Host, plan: Plan) -> None:
    host.units.pop("s.timer")
    refused(plan(), "units that this host does not have: s.timer")


@pytest.mark.parametrize(
    ("state", "says", "then"),
    [
        ("masked", "Masked on this host", "sudo systemctl unmask php8.4-fpm.service && sudo systemctl start php8.4-fpm.service"),
        ("inactive", "php8.4-fpm.service is inactive", "sudo systemctl start php8.4-fpm.service"),
    ],
)
def test_a_unit_that_somebody_switched_off_is_named(host: Host, plan: Plan, state: str, says: str, then: str) -> None:
    host.units["php8.4-fpm.service"] = state
    result = plan()
    refused(result, says)
    assert then in str(result)


def test_what_failed_may_run_again_with_the_target_and_workers_may_be_stopped(host: Host, plan: Plan) -> None:
    host.units.update({"php8.4-fpm.service": "failed", "w1.service": "inactive", "s.timer": "inactive"})
    assert not plan().get("failed")


def test_patterns_of_units_must_fit_something(host: Host, plan: Plan) -> None:
    profile = host.profile
    profile["services"]["workers"] = ["w*.service"]
    assert not plan(profile=profile).get("failed")
    profile["services"]["workers"] = ["x*.service"]
    refused(plan(profile=profile), "No unit of this host fits the pattern x*.service")


LISTED = [
    "stop w1.service",
    "start w1.service",
    "stop w2.service",
    "start w2.service",
    "stop s.timer",
    "start s.timer",
    "reload php8.4-fpm.service",
]


def _sudoers(commands: t.Iterable[str]) -> tuple[int, str, str]:
    rights = "".join(f"    (root) NOPASSWD: /usr/bin/systemctl {command}\n" for command in commands)
    return 0, f"User deploy may run the following commands on chom:\n    (www-data) NOPASSWD: ALL\n{rights}", ""


def test_a_few_listed_commands_are_enough(host: Host, plan: Plan) -> None:
    host.sudo = _sudoers(LISTED)
    assert "rights" in plan()["checks"]


@pytest.mark.parametrize("lacks", LISTED)
def test_each_right_that_is_missing_is_named(host: Host, plan: Plan, lacks: str) -> None:
    host.sudo = _sudoers(command for command in LISTED if command != lacks)
    refused(plan(), f"sudoers does not let deploy run: /usr/bin/systemctl {lacks}.")


@pytest.mark.parametrize(
    ("line", "enough"),
    [
        ("(ALL : ALL) NOPASSWD: ALL", True),
        ("(ALL) NOPASSWD: ALL", True),
        ("(root) NOPASSWD: ALL", True),
        ("(ALL : ALL) SETENV: NOPASSWD: ALL", True),
        ("(ALL : ALL) ALL", False),
        ("(ALL : ALL) PASSWD: ALL", False),
        ("(www-data) NOPASSWD: ALL", False),
        ("(ALL) NOPASSWD: /usr/bin/systemctl stop other", False),
        ("(ALL : ALL) ALL\n    (www-data) NOPASSWD: ALL", False),
    ],
)
def test_what_counts_as_every_right(host: Host, plan: Plan, line: str, enough: bool) -> None:
    host.sudo = (0, f"User deploy may run the following commands on chom:\n    {line}\n", "")
    assert not plan().get("failed") if enough else "sudoers does not let" in plan()["msg"]


def test_root_needs_no_sudo(host: Host, local: Local, plan: Plan) -> None:
    local.me = "root"
    host.sudo = (1, "", "no sudo here")
    assert not plan().get("failed")
    assert local.lines("sudo *") == []


@pytest.mark.parametrize("place", ["app", "state", "backups"])
def test_a_full_disk_is_noticed(host: Host, plan: Plan, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path = {"app": host.app.path, "state": host.state, "backups": host.backups}[place]
    monkeypatch.setattr(_plan_host, "free_bytes", lambda asked: 10 * 1024 * 1024 if asked == str(path) else 10**12)
    refused(plan(), f"Only 10 MiB are free at {path}")


def test_a_run_without_backup_needs_no_place_for_one(host: Host, local: Local, plan: Plan) -> None:
    host.backups.rmdir()
    local.missing.add("zstd")
    checks = plan(backup=False)["checks"]
    assert "backup folder" not in checks


def test_a_backup_that_is_to_be_encrypted_needs_the_program_for_it(host: Host, local: Local, plan: Plan) -> None:
    profile = host.profile
    profile["backup"] |= {"encryption": "age", "recipients": ["age1x"]}
    local.missing.add("age")
    refused(plan(profile=profile), "Not installed on this host: age.")


@pytest.mark.parametrize("option", ["state_directory", "backup.directory"])
def test_a_folder_that_cannot_be_written_is_named_with_the_command_that_makes_it(
    host: Host, plan: Plan, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    path = host.state if option == "state_directory" else host.backups
    really = os.access
    monkeypatch.setattr(os, "access", lambda asked, mode: asked != str(path) and really(asked, mode))
    result = plan()
    refused(result, f"{option} {path} cannot be written")
    assert result["next_command"].startswith("sudo install -d -o $(id -un) -m 0700")


def test_a_folder_that_does_not_exist_yet_is_no_problem(host: Host, plan: Plan, tmp_path: pathlib.Path) -> None:
    profile = host.profile
    profile["state_directory"] = str(tmp_path / "not/yet")
    assert "state folder" in plan(profile=profile)["checks"]


def test_local_changes_and_files_in_the_way_are_problems(host: Host, plan: Plan) -> None:
    host.app.write("app/Legacy.php", "precious\n")
    refused(plan(), "would overwrite")
    host.app.write("README.md", "edited\n")
    refused(plan(), "local changes")
    (host.app.path / "app/Legacy.php").unlink()
    assert not plan(local_changes="save").get("failed")


def test_check_mode_plans_too(plan: Plan) -> None:
    assert plan(check=True)["target"] == "v1.1.0"


def test_a_checkout_is_needed(host: Host, plan: Plan, tmp_path: pathlib.Path) -> None:
    profile = host.profile
    profile["path"] = str(tmp_path)
    refused(plan(profile=profile), "is not a git checkout that www-data can read")


def test_a_checkout_of_somebody_else_s_is_refused(host: Host, local: Local, plan: Plan, app: Checkout) -> None:
    local.on("git * status *", rc=128, stderr="fatal: detected dubious ownership in repository")
    refused(plan(), "dubious ownership")


# The database goes back, too


def backed_up(host: Host, name: str = "b1", **more: t.Any) -> None:
    """A backup of the application, made while v1.1.0 ran."""
    (host.backups / f"{name}.sql.zst").write_bytes(b"12345")
    manifest = {
        "format_version": 1,
        "id": name,
        "file": f"{name}.sql.zst",
        "bytes": 5,
        "sha256": "0" * 64,
        "engine": "mysql",
        "database": "chom",
        "application": "chom",
        "application_version": "v1.1.0",
        "started": "2026-11-22T01:00:00Z",
        "finished": "2026-11-22T01:01:00Z",
        "migrations": sorted(host.migrations),
        "tables": {"users": 1, "a b; rm -rf /": 1},
        **more,
    }
    (host.backups / f"{name}.manifest.json").write_text(json.dumps(manifest))


def database_rollback(plan: Plan, **options: t.Any) -> dict[str, t.Any]:
    return plan(None, severity="database", **{"migrations": "stop", "database": {"backup": "b1"}, **options})


@requirement("CHOM-1.3-03", "CHOM-6.2-07")
def test_with_a_database_the_code_stays_and_there_is_something_to_do(host: Host, plan: Plan) -> None:
    backed_up(host)
    result = database_rollback(plan)
    assert not result.get("failed"), result
    assert (result["target"], result["to_commit"]) == ("v1.2.0", host.app.at("v1.2.0"))
    assert not result["nothing_to_do"]
    assert result["database"]["backup"]["id"] == "b1"
    assert not result["database"]["of_running_version"]
    assert result["budgets"]["total"] == 1800
    assert result["command"] == "ansible-playbook playbooks/database_rollback.yml -e backup=b1"
    assert "the code stays v1.2.0" in result["lastgood_text"]


def test_another_backup_or_other_tables_are_another_plan(host: Host, plan: Plan) -> None:
    backed_up(host)
    backed_up(host, "b2", sha256="1" * 64)
    digests = {
        database_rollback(plan, database=database)["digest"]
        for database in ({"backup": "b1"}, {"backup": "b2"}, {"backup": "b1", "tables": ["users"]})
    }
    assert len(digests) == 3
    before = database_rollback(plan)["digest"]
    backed_up(host, sha256="2" * 64)
    assert database_rollback(plan)["digest"] != before, "the file is not the one that was agreed to"


def test_what_is_agreed_to_holds_while_units_come_and_go(host: Host, plan: Plan) -> None:
    backed_up(host)
    before = database_rollback(plan)
    host.units["w1.service"] = "inactive"
    after = database_rollback(plan)
    assert after["approval"] == before["approval"]
    assert after["digest"] != before["digest"]
    backed_up(host, sha256="2" * 64)
    assert database_rollback(plan)["approval"] != before["approval"]


def test_hostile_names_of_tables_stay_one_word_of_the_command(host: Host, plan: Plan) -> None:
    backed_up(host)
    command = database_rollback(plan, database={"backup": "b1", "tables": ["a b; rm -rf /"]})["command"]
    assert shlex.split(command)[-1] == "tables=a b; rm -rf /"


def test_without_a_backup_that_was_named_nothing_begins(host: Host, plan: Plan) -> None:
    refused(database_rollback(plan, database={}), "No backup was named", "holds no backup of this application")
    backed_up(host)
    refused(database_rollback(plan, database={}), "No backup was named", "b1 (v1.1.0, no label)")
    refused(database_rollback(plan, database={"backup": "b9"}), "No backup fits backup b9")


@requirement("G-13")
def test_a_host_whose_neighbour_restores_the_database_needs_no_backup(host: Host, plan: Plan) -> None:
    host.database = (1, "", "ERROR 1049 (42000): Unknown database 'chom'")
    result = database_rollback(plan, database={"backup": "b1", "restored_by": "web1"})
    assert not result.get("failed"), result
    assert (result["restored_by"], result["database"]) == ("web1", None)
    assert not result["nothing_to_do"]
    assert result["closes"]
    assert result["migrations"]["down"] == []
    assert "database: web1 restores it for all hosts" in result["lastgood_text"]


@requirement("CHOM-6.2-13", "CHOM-6.2-14")
def test_a_backup_with_an_older_schema_needs_a_decision(host: Host, plan: Plan) -> None:
    backed_up(host, migrations=sorted(host.migrations)[:-1])
    newest = max(host.migrations)
    refused(database_rollback(plan), f"it lacks {newest}")
    result = database_rollback(plan, migrations="up")
    assert result["migrations"]["up"] == [newest]
    assert result["command"].endswith("-e backup=b1 -e migrations=up")


def test_it_can_be_planned_while_the_live_database_is_gone(host: Host, plan: Plan) -> None:
    backed_up(host)
    host.database = (1, "", "ERROR 1049 (42000): Unknown database 'chom'")
    assert not database_rollback(plan).get("failed")
    refused(database_rollback(plan, database={"backup": "b1", "tables": ["users"]}), "Unknown database")


@requirement("CHOM-1.3-04")
def test_the_whole_system_goes_to_a_target_and_to_a_backup(host: Host, plan: Plan) -> None:
    backed_up(host)
    result = plan("v1.1.0", severity="full_system", database={"backup": "b1"})
    assert (result["target"], result["restore_point"]) == ("v1.1.0", None)
    assert result["command"] == "ansible-playbook playbooks/full_system_rollback.yml -e target=v1.1.0 -e backup=b1 -e migrations=keep"
    assert "configuration: stays, since no restore point of the target holds it" in result["lastgood_text"]


def test_a_database_rollback_that_is_over_says_nothing_about_versions(host: Host, plan: Plan) -> None:
    commit = host.app.at("v1.2.0")
    code = {"run": "r0", "outcome": "rolled_back", "target": "v1.2.0", "to_commit": commit}
    host.last_run(severity="database", outcome="rolled_back", target="v1.2.0", from_commit=commit, to_commit=commit)
    assert plan(None, severity="emergency")["target"] == "v1.1.0"
    host.last_run(severity="database", outcome="rolled_back", target="v1.2.0", from_commit=commit, to_commit=commit, code=code)
    assert plan(None, severity="emergency")["target"] == "v1.2.0", "the run before it had come from further ahead"


@requirement("G-09")
def test_a_plan_of_a_database_rollback_is_kept_and_done_exactly(host: Host, plan: Plan) -> None:
    backed_up(host)
    planned = database_rollback(plan, details=True, backup=False)
    assert (planned["refusals"], planned["not_kept"]) == ([], "")
    phases = [entry["phase"] for entry in planned["details"]["prediction"]["phases"]]
    assert phases[:2] == ["restore beside", "count loss"]
    assert "swap database" in phases
    assert "-e approve=" in planned["details"]["approval"]["basis"]
    assert not {"protect", "prepare", "migrate down"} & set(phases)
    done = plan(None, severity="database", migrations="stop", database={}, backup=False, plan=planned["digest"][:12])
    assert (done["digest"], done["approval"]) == (planned["digest"], planned["approval"])
    assert done["database"]["backup"]["id"] == "b1"


def test_a_plan_of_a_database_rollback_is_done_with_its_backup_only(host: Host, plan: Plan) -> None:
    backed_up(host)
    backed_up(host, "b2")
    digest = database_rollback(plan, details=True)["digest"]
    said = {"severity": "database", "migrations": "stop", "plan": digest}
    result = plan(None, database={"backup": "b2"}, **said)
    refused(result, "backup contradicts the plan", "which goes back to the backup b1.")
    refused(plan(None, database={"backup": "b1", "tables": ["users"]}, **said), "tables contradicts the plan")
    backed_up(host, sha256="1" * 64)
    refused(plan(None, database={}, **said), "does not fit any more")


def test_a_plan_without_a_backup_says_so(host: Host, plan: Plan) -> None:
    planned = database_rollback(plan, details=True)
    assert "No backup fits backup b1" in planned["refusals"][0]["reason"]
    assert planned["not_kept"] == "it would be refused"
