# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _wiring
from scripted import Scripted

ALL = ["config", "route", "view", "event", "packages"]
COMMANDS = ["package:discover", "config:cache", "event:cache", "route:cache", "view:cache"]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


def answered(**value: t.Any) -> str:
    return f"Warning: the application prints something\n\nlastgood-answer:{json.dumps(value)}\n"


def inventory(digest: str, *without: str) -> dict[str, t.Any]:
    return {name: None if name in without else {"files": 1, "sha256": digest} for name in ALL}


def report(before: dict[str, t.Any], after: dict[str, t.Any], **more: t.Any) -> str:
    return answered(before=before, after=after, **{"commands": dict.fromkeys(COMMANDS, 0.02), "failed": None, **more})


def args(**more: t.Any) -> dict[str, t.Any]:
    return {"path": "/var/www/chom", "user": "www-data", **more}


def order(runner: Scripted) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(runner.calls[-1].stdin or ""))


@pytest.mark.requirement("CHOM-5.2-10", "D-081")
def test_rebuilds_everything_in_one_process_as_the_owner(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("old"), inventory("new")))
    result = run_module("laravel_cache", args())
    assert result["changed"] is True
    assert result["caches"]["config"] == {"state": "present", "changed": True, "seconds": 0.02}
    assert [call.user for call in runner.calls] == ["www-data"]
    assert order(runner) == {"path": "/var/www/chom", "state": "rebuilt", "caches": ALL, "commands": COMMANDS, "forecast": False}


def test_same_content_is_no_change(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("same"), inventory("same")))
    assert run_module("laravel_cache", args())["changed"] is False


def test_only_the_chosen_caches_are_rebuilt(run_module, runner) -> None:
    only = {"view": {"files": 3, "sha256": "x"}}
    runner.on("php -r *", report(only, only, commands={"view:cache": 0.3}))
    result = run_module("laravel_cache", args(caches=["view"]))
    assert result["caches"] == {"view": {"state": "present", "changed": False, "seconds": 0.3}}
    assert order(runner)["commands"] == ["view:cache"]


@pytest.mark.requirement("CHOM-5.2-09")
def test_clearing_runs_no_command_of_the_application(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("x"), inventory("", *ALL), commands=[]))
    result = run_module("laravel_cache", args(state="cleared"))
    assert result["changed"] is True
    assert {cache["state"] for cache in result["caches"].values()} == {"absent"}
    assert order(runner)["commands"] == []


def test_clearing_again_changes_nothing(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("", *ALL), inventory("", *ALL), commands=[]))
    assert run_module("laravel_cache", args(state="cleared"))["changed"] is False


@pytest.mark.parametrize(("state", "changed"), [("rebuilt", True), ("cleared", True)])
def test_check_mode_only_looks(run_module, runner, state, changed) -> None:
    runner.on("php -r *", answered(before=inventory("x"), commands=[], failed=None))
    result = run_module("laravel_cache", args(state=state), check=True, diff=True)
    assert result["changed"] is changed
    assert order(runner)["forecast"] is True
    assert result["diff"]["before"]["config"] == {"files": 1, "sha256": "x"}


def test_failing_command_is_named_with_its_own_words(run_module, runner) -> None:
    failed = {"command": "route:cache", "error": "LogicException: Unable to prepare route [x] (app/Y.php:9)"}
    runner.on("php -r *", report(inventory("old"), inventory("new", "route", "view"), failed=failed))
    result = run_module("laravel_cache", args())
    assert result["failed"] is True
    assert result["msg"].startswith("route:cache failed: LogicException: Unable to prepare route [x]")
    assert result["system_state"] == "Caches that exist now: config, event, packages. Missing: route, view."
    assert result["next_command"] == "sudo -u www-data php /var/www/chom/artisan route:cache"


def test_application_that_cannot_boot_is_said(run_module, runner) -> None:
    failed = {"command": None, "error": "RuntimeException: missing setting", "where": "/var/www/chom/app/P.php:17", "phase": "boot"}
    runner.on("php -r *", report(inventory("old"), inventory("", *ALL), failed=failed, commands=[]))
    result = run_module("laravel_cache", args())
    assert result["failed"] is True
    assert "cannot boot, so nothing could be cached: RuntimeException: missing setting (app/P.php:17)." in result["msg"]


def test_success_without_the_file_is_a_failure(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("old"), inventory("new", "config")))
    result = run_module("laravel_cache", args())
    assert result["failed"] is True
    assert "these caches were not written: config" in result["msg"]


def test_cache_that_stays_after_clearing_is_a_failure(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("old"), inventory("old", "config"), commands=[]))
    assert "still there: route, view, event, packages" in run_module("laravel_cache", args(state="cleared"))["msg"]


def test_store_is_kept_unless_asked(run_module, runner) -> None:
    runner.on("php -r *", report(inventory("x"), inventory("x")))
    run_module("laravel_cache", args())
    assert "cache:clear" not in order(runner)["commands"]


def test_store_of_its_own_is_emptied_last(run_module, runner) -> None:
    runner.on("php -r *return ?'shared'*", answered(shared=[]))
    runner.on("php -r *", report(inventory("x"), inventory("x")))
    result = run_module("laravel_cache", args(application_cache="clear"))
    assert result["changed"] is True
    assert order(runner)["commands"][-1] == "cache:clear"


@pytest.mark.requirement("D-076")
def test_store_that_holds_jobs_is_refused_before_anything_changes(run_module, runner) -> None:
    runner.on("php -r *", answered(shared=["queues (Redis 127.0.0.1:6379 database 0)"]))
    result = run_module("laravel_cache", args(application_cache="clear"))
    assert result["failed"] is True
    assert "would also delete queues (Redis 127.0.0.1:6379 database 0)" in result["msg"]
    assert result["system_state"] == "Nothing was changed."
    assert len(runner.calls) == 1


@pytest.mark.parametrize(
    ("output", "rc", "message"),
    [
        ("", 255, "PHP ended with status 255 and without an answer"),
        (
            answered(error="Error: Class not found", where="/var/www/chom/x.php:1", phase="work"),
            0,
            "failed: Error: Class not found (x.php:1).",
        ),
    ],
)
def test_program_that_dies_is_a_clear_failure(run_module, runner, output, rc, message) -> None:
    runner.on("php -r *", output, rc=rc)
    result = run_module("laravel_cache", args())
    assert result["failed"] is True
    assert message in result["msg"]


def test_php_of_the_profile_is_used(run_module, runner) -> None:
    runner.on("php8.2 -r *", report(inventory("x"), inventory("x")))
    assert run_module("laravel_cache", args(php="php8.2"))["changed"] is False


@pytest.mark.parametrize(("path", "message"), [("relative/chom", "not absolute"), ("/nowhere/at/all", "cannot be looked at")])
def test_useless_path_is_refused(run_module, runner, path, message) -> None:
    result = run_module("laravel_cache", {"path": path})
    assert result["failed"] is True
    assert message in result["msg"]
    assert runner.calls == []
