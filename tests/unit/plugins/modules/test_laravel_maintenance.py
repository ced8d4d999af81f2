# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files are really written here; only the change of user and PHP are played back."""

from __future__ import annotations

import io
import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _maintenance, _maintenance_files, _source, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_http_client import Response
from scripted import Scripted

STUBS = "vendor/laravel/framework/src/Illuminate/Foundation/Console/stubs"
GATE = "<?php // the framework's gate\n"


@pytest.fixture
def app(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "app"
    for folder in ("storage/framework/views", "config", STUBS):
        (root / folder).mkdir(parents=True)
    (root / "artisan").touch()
    (root / STUBS / "maintenance-mode.stub").write_text(GATE)
    return root


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    scripted.on("python3 -I -S -c *", t.cast("str", lambda: files_program(scripted.calls[-1].stdin or "", monkeypatch)))
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


def files_program(order: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program of its own does, in this process."""
    out = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(_maintenance_files.sys, "stdin", io.StringIO(order))
        patched.setattr(_maintenance_files.sys, "stdout", out)
        _maintenance_files.main()
    return out.getvalue()


def answered(**value: t.Any) -> str:
    return f"Deprecated: noise\nlastgood-answer:{json.dumps(value)}\n"


def marker(app: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads((app / "storage/framework/down").read_text()))


def args(app: pathlib.Path, state: str, **more: t.Any) -> dict[str, t.Any]:
    return {"path": str(app), "user": "www-data", "state": state, **more}


def test_down_writes_what_laravel_writes(run_module, runner, app) -> None:
    result = run_module("laravel_maintenance", args(app, "down"))
    assert (result["changed"], result["was_down"], result["method"], result["state"]) == (True, False, "file", "down")
    found = marker(app)
    assert list(found) == ["except", "redirect", "retry", "refresh", "secret", "status", "template"]
    assert (found["retry"], found["status"], found["redirect"]) == (60, 503, None)
    assert "<h1>503</h1>" in found["template"]
    assert (app / "storage/framework/maintenance.php").read_text() == GATE
    assert result["at"].endswith("Z")


def test_file_driver_needs_one_process_and_no_php(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down"))
    run_module("laravel_maintenance", args(app, "up"))
    assert [call.argv[0] for call in runner.calls] == ["python3", "python3"]
    assert {call.user for call in runner.calls} == {"www-data"}


def test_secret_is_nowhere_but_in_the_marker(run_module, runner, app) -> None:
    result = run_module("laravel_maintenance", args(app, "down", secret="open-sesame-1234"), diff=True)
    assert marker(app)["secret"] == "open-sesame-1234"
    assert "open-sesame-1234" not in json.dumps(result)
    assert not any("open-sesame-1234" in call.line for call in runner.calls)


def test_generated_secrets_are_long_and_differ(run_module, runner, app) -> None:
    secrets = []
    for _time in range(2):
        run_module("laravel_maintenance", args(app, "down"))
        secrets.append(marker(app)["secret"])
        run_module("laravel_maintenance", args(app, "up"))
    assert secrets[0] != secrets[1]
    assert min(map(len, secrets)) >= 32


def test_marker_is_read_by_those_who_write_beside_it(run_module, runner, app) -> None:
    (app / "storage/framework").chmod(0o775)
    run_module("laravel_maintenance", args(app, "down"))
    assert (app / "storage/framework/down").stat().st_mode & 0o777 == 0o640


def test_marker_is_private_when_only_the_owner_writes_beside_it(run_module, runner, app) -> None:
    (app / "storage/framework").chmod(0o755)
    (app / "storage/framework/views").chmod(0o755)
    run_module("laravel_maintenance", args(app, "down"))
    assert (app / "storage/framework/down").stat().st_mode & 0o777 == 0o600


def test_down_again_changes_nothing(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down"))
    before = marker(app)
    result = run_module("laravel_maintenance", args(app, "down", retry=5, page_text="another"))
    assert (result["changed"], result["was_down"]) == (False, True)
    assert marker(app) == before


def test_foreign_marker_only_gains_what_it_lacks(run_module, runner, app) -> None:
    theirs = {"except": ["status/*"], "redirect": None, "retry": 7, "refresh": None, "secret": None, "status": 500, "template": None}
    (app / "storage/framework/down").write_text(json.dumps(theirs))
    result = run_module("laravel_maintenance", args(app, "down"))
    assert (result["changed"], result["was_down"]) == (True, True)
    found = marker(app)
    assert (found["except"], found["retry"], found["status"]) == (["status/*"], 7, 500)
    assert found["secret"]
    assert found["template"]


def test_foreign_secret_is_kept_unless_another_is_asked_for(run_module, runner, app) -> None:
    (app / "storage/framework/down").write_text(json.dumps({"secret": "theirs", "status": 503, "template": "x"}))
    run_module("laravel_maintenance", args(app, "down"))
    assert marker(app)["secret"] == "theirs"
    run_module("laravel_maintenance", args(app, "down", secret="ours-for-certain"))
    assert marker(app)["secret"] == "ours-for-certain"


@pytest.mark.parametrize("text", ["", "not JSON", "[]"])
def test_broken_marker_counts_as_down_and_is_repaired(run_module, runner, app, text) -> None:
    (app / "storage/framework/down").write_text(text)
    assert run_module("laravel_maintenance", args(app, "down"))["was_down"] is True
    assert marker(app)["status"] == 503


def test_up_removes_both_files_and_then_nothing(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down"))
    first = run_module("laravel_maintenance", args(app, "up"))
    second = run_module("laravel_maintenance", args(app, "up"))
    assert (first["changed"], first["was_down"]) == (True, True)
    assert (second["changed"], second["was_down"]) == (False, False)
    assert [path.name for path in (app / "storage/framework").iterdir()] == ["views"]


def test_check_mode_writes_nothing_and_shows_the_change(run_module, runner, app) -> None:
    result = run_module("laravel_maintenance", args(app, "down"), check=True, diff=True)
    assert result["changed"] is True
    assert result["diff"]["before"] == {"state": "up"}
    assert result["diff"]["after"]["secret"] is True
    assert "at" not in result
    assert [path.name for path in (app / "storage/framework").iterdir()] == ["views"]
    run_module("laravel_maintenance", args(app, "down"))
    assert run_module("laravel_maintenance", args(app, "up"), check=True)["changed"] is True
    assert marker(app)["status"] == 503


@pytest.mark.requirement("CHOM-5.2-01")
def test_page_says_the_message_and_retry_after_is_kept(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down", page_text="System <maintenance> in progress", retry=60))
    assert "<p>System &lt;maintenance&gt; in progress</p>" in marker(app)["template"]
    assert marker(app)["retry"] == 60


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app/Http/Middleware/PreventRequestsDuringMaintenance.php", "protected $except = [\n // 'not/this',\n 'status/*', \"ping\",\n];"),
        ("bootstrap/app.php", "$middleware->preventRequestsDuringMaintenance(except: ['status/*', 'ping']);"),
    ],
)
def test_paths_that_the_application_excepts_stay_open(run_module, runner, app, name, text) -> None:
    (app / name).parent.mkdir(parents=True, exist_ok=True)
    (app / name).write_text(text)
    run_module("laravel_maintenance", args(app, "down"))
    assert marker(app)["except"] == ["status/*", "ping"]


def test_excepted_paths_can_be_given(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down", except_paths=["up"]))
    assert marker(app)["except"] == ["up"]


@pytest.mark.parametrize(
    ("name", "text", "env", "expected"),
    [
        ("config/app.php", "'maintenance' => ['driver' => 'file'],", "", "file"),
        ("config/app.php", "'maintenance' => ['driver' => 'cache', 'store' => 'redis'],", "", "cache"),
        ("config/app.php", "'maintenance' => [\n  'driver' => env('APP_MAINTENANCE_DRIVER', 'file'),\n],", "", "file"),
        (
            "config/app.php",
            "'maintenance' => ['driver' => env('APP_MAINTENANCE_DRIVER', 'file')],",
            "APP_MAINTENANCE_DRIVER=cache\n",
            "cache",
        ),
        ("config/app.php", "// 'maintenance' => ['driver' => 'cache'],", "", "file"),
        ("bootstrap/cache/config.php", "'maintenance' => \n    array (\n      'driver' => 'cache',\n    ),", "", "cache"),
        ("config/app.php", "'name' => 'CHOM',", "", "file"),
    ],
)
def test_driver_is_found_without_starting_the_application(app, name, text, env, expected) -> None:
    (app / name).parent.mkdir(parents=True, exist_ok=True)
    (app / name).write_text(f"<?php return [\n{text}\n];")
    (app / ".env").write_text(env)
    assert _maintenance_files.driver(str(app)) == expected


def test_cache_driver_is_told_after_the_files_closed(run_module, runner, app) -> None:
    runner.on("php -r *", answered(was_down=False, changed=True))
    result = run_module("laravel_maintenance", args(app, "down", driver="cache"))
    assert [call.argv[0] for call in runner.calls] == ["python3", "php"]
    assert result["method"] == "artisan"
    assert marker(app)["secret"] not in (runner.calls[1].stdin or "")


def test_cache_driver_is_told_before_the_files_open(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down", method="file"))
    seen: list[bool] = []
    runner.on("php -r *", answered(was_down=True, changed=True), then=lambda: seen.append((app / "storage/framework/down").exists()))
    result = run_module("laravel_maintenance", args(app, "up", driver="cache"))
    assert seen == [True]
    assert (result["changed"], result["was_down"]) == (True, True)
    assert not (app / "storage/framework/down").exists()


def test_cache_driver_that_cannot_be_told_is_a_warning_when_closing(run_module, runner, app, capsys) -> None:
    runner.on("php -r *", answered(error="RuntimeException: no", where=f"{app}/app/X.php:3", phase="boot"))
    result = run_module("laravel_maintenance", args(app, "down", driver="cache"))
    assert (result["changed"], result["method"]) == (True, "file")
    assert any("cannot boot: RuntimeException: no (app/X.php:3)" in str(warning) for warning in result["warnings"])


def test_cache_driver_that_cannot_be_told_fails_when_opening(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down", method="file"))
    runner.on("php -r *", answered(error="RuntimeException: no", where="", phase="boot"))
    result = run_module("laravel_maintenance", args(app, "up", driver="cache"))
    assert result["failed"] is True
    assert "The application is still closed." in result["msg"]
    assert (app / "storage/framework/down").exists()


def test_method_artisan_fails_when_the_application_cannot_boot(run_module, runner, app) -> None:
    runner.on("php -r *", "PHP Fatal error", rc=255, stderr="boom")
    result = run_module("laravel_maintenance", args(app, "down", method="artisan"))
    assert result["failed"] is True
    assert "This host's visitors are kept out" in result["system_state"]


def test_rendered_view_becomes_the_page(run_module, runner, app) -> None:
    runner.on("php -r *", answered(template="<h1>from the view</h1>"))
    run_module("laravel_maintenance", args(app, "down", render="errors::503"))
    assert marker(app)["template"] == "<h1>from the view</h1>"


@pytest.mark.requirement("CHOM-4.1-07")
def test_view_that_cannot_be_rendered_is_replaced_and_said(run_module, runner, app) -> None:
    runner.on("php -r *", answered(error="InvalidArgumentException: View [x] not found.", where="", phase="work"))
    result = run_module("laravel_maintenance", args(app, "down", render="errors::maintenance"))
    assert result["changed"] is True
    assert "<h1>503</h1>" in marker(app)["template"]
    assert any("errors::maintenance could not be rendered" in str(warning) for warning in result["warnings"])


def test_missing_gate_is_said(run_module, runner, app, monkeypatch) -> None:
    monkeypatch.setattr(_maintenance_files, "_STUBS", ("nowhere.stub",))
    result = run_module("laravel_maintenance", args(app, "down"))
    assert any("maintenance-mode.stub" in str(warning) for warning in result["warnings"])


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda app: (app / "artisan").unlink(), "holds no Laravel application"),
        (lambda app: (app / "storage/framework").rename(app / "elsewhere"), "does not exist"),
    ],
)
def test_what_is_no_application_is_refused(run_module, runner, app, prepare, message) -> None:
    prepare(app)
    result = run_module("laravel_maintenance", args(app, "down"))
    assert result["failed"] is True
    assert message in result["msg"]


def test_storage_that_cannot_be_written_is_a_clear_failure(run_module, runner, app, monkeypatch) -> None:
    def refuse(*_args: t.Any) -> int:
        raise PermissionError(13, "Permission denied", str(app / "storage/framework/.down"))

    monkeypatch.setattr(_maintenance_files.os, "open", refuse)
    result = run_module("laravel_maintenance", args(app, "down"))
    assert result["failed"] is True
    assert "Permission denied" in result["msg"]


class Site:
    """A site that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[t.Any] = []

    def send(self, request: t.Any, route: t.Any, seconds: float) -> Response:
        self.asked.append((request.url, route.connect_to))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Response(answer, [], b"", 0.01)


@pytest.mark.parametrize(
    ("state", "answers", "status"),
    [
        ("down", [503], 503),
        ("down", [200, 200, 503], 503),
        ("up", [503, 200], 200),
        ("up", [404], 404),
        ("down", [ProbeError("refused"), 503], 503),
    ],
)
def test_page_proves_the_switch(run_module, runner, app, monkeypatch, state, answers, status) -> None:
    site = Site(*answers)
    monkeypatch.setattr(_maintenance, "send", site.send)
    result = run_module("laravel_maintenance", args(app, state, verify_url="http://chom.test/", verify_seconds=2))
    assert result["page_status"] == status
    assert site.asked[0] == ("http://chom.test/", "127.0.0.1")


@pytest.mark.requirement("D-034")
@pytest.mark.parametrize(
    ("state", "answer", "message"),
    [
        ("down", 200, "answers with status 200 instead of status 503. Visitors may still be using the application."),
        ("up", 503, "answers with status 503. Maintenance mode is off, visitors are not served."),
        ("down", ProbeError("connection refused"), "does not answer: connection refused"),
    ],
)
def test_what_visitors_see_decides(run_module, runner, app, monkeypatch, state, answer, message) -> None:
    monkeypatch.setattr(_maintenance, "send", Site(answer).send)
    result = run_module("laravel_maintenance", args(app, state, verify_url="http://chom.test/", verify_seconds=0.1))
    assert result["failed"] is True
    assert message in result["msg"]


def test_check_mode_asks_no_page(run_module, runner, app, monkeypatch) -> None:
    site = Site(200)
    monkeypatch.setattr(_maintenance, "send", site.send)
    run_module("laravel_maintenance", args(app, "down", verify_url="http://chom.test/"), check=True)
    assert site.asked == []


@pytest.mark.parametrize("url", ["ftp://chom.test/", "http://user:password@chom.test/", "chom.test"])
def test_unusable_page_is_refused_before_anything_changes(run_module, runner, app, url) -> None:
    result = run_module("laravel_maintenance", args(app, "down", verify_url=url))
    assert result["failed"] is True
    assert runner.calls == []


def test_owner_of_the_directory_is_the_default_user(run_module, runner, app) -> None:
    run_module("laravel_maintenance", {"path": str(app), "state": "down"})
    assert runner.calls[0].user == app.owner()


def test_program_is_complete_without_this_collection() -> None:
    compiled = compile(_source.source(_maintenance_files.__name__), "program", "exec")
    assert "lastgood" not in {name.split(".")[0] for name in compiled.co_names}
    assert "\nfrom ." not in _source.source(_maintenance_files.__name__)


def test_what_was_closed_already_is_closed_since_then(run_module, runner, app) -> None:
    run_module("laravel_maintenance", args(app, "down"))
    os.utime(app / "storage/framework/down", (1_000_000_000, 1_000_000_000))
    result = run_module("laravel_maintenance", args(app, "down"))
    assert (result["was_down"], result["at"]) == (True, "2001-09-09T01:46:40.000Z")
