# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves on the host for others to see: a timer that watches it, a freeze, Deployer's lock."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
import time
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _dead_man, _freeze, _journal, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder
from scripted import Scripted

RUN = "20261122T031500Z-emergency-1"
OTHER = "20261122T031501Z-emergency-2"
SECRET = "https://hooks.example.com/services/secret-path"
DEAD_MAN = {"seconds": 60, "action": "reopen", "path": "/srv/chom", "user": "www-data", "webhook_url": SECRET, "channel": "#incidents"}
ARMING = (
    "systemd-run --quiet --collect --unit lastgood-chom --uid deploy --on-active 15 --on-unit-inactive 15 "
    "--timer-property AccuracySec=1s /usr/bin/python3 -I {}/chom/watch.pyz"
)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    found = Scripted()
    found.on("systemd-run *")
    found.on("systemctl stop lastgood-chom.timer")
    found.on("systemctl is-active lastgood-chom.timer", "inactive\n", rc=3)
    monkeypatch.setattr(_wiring, "Runner", lambda module: found)
    monkeypatch.setattr(_dead_man, "_PATIENCE", 5)
    return found


@pytest.fixture
def state(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state"


@pytest.fixture
def run(run_module: t.Any, scripted: Scripted, state: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    def call(how: str, run: str | None = RUN, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        args: dict[str, t.Any] = {"application": "chom", "state_directory": str(state), "state": how}
        args.update({"run": run} if run else {})
        args.update({"outcome": "rolled_back"} if how == "closed" else {"facts": {"actor": "on-call", "reason": "500"}})
        return t.cast("dict[str, t.Any]", run_module("rollback_run", {**args, **options}, check=check))

    return call


Run = t.Callable[..., dict[str, t.Any]]


def files(state: pathlib.Path) -> dict[str, pathlib.Path]:
    return {path.name: path for path in (state / "chom").rglob("*") if path.is_file()}


# The timer


def test_opening_arms_a_timer_with_a_command_that_sudoers_can_list(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    result = run("opened", dead_man=DEAD_MAN)
    assert result["watched"] is True
    assert scripted.lines("systemd-run *") == [ARMING.format(state)]
    assert scripted.calls[0].user == "root"
    assert result["record"]["dead_man"] == {"seconds": 60, "action": "reopen"}
    assert json.loads(files(state)["lock"].read_text())["lease"] == 60
    orders = json.loads(files(state)["watch.json"].read_text())
    assert (orders["action"], orders["path"], orders["user"]) == ("reopen", "/srv/chom", "www-data")


def test_the_command_is_the_one_in_the_documentation() -> None:
    text = (pathlib.Path(__file__).parents[4] / "docs/sudoers.md").read_text()
    words = _dead_man.command("deploy", "chom", "/var/lib/lastgood/chom/watch.pyz", "/usr/bin/python3")
    assert f"/usr/bin/{' '.join(words)}".replace("=", r"\=") in " ".join(text.replace("\\\n", " ").split())


def test_the_secret_is_in_one_private_file_only_and_goes_with_the_run(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    result = run("opened", dead_man=DEAD_MAN)
    assert [name for name, path in files(state).items() if b"secret-path" in path.read_bytes()] == ["webhook"]
    assert files(state)["webhook"].stat().st_mode & 0o777 == 0o600
    assert "secret-path" not in json.dumps([result, scripted.lines()])
    run("closed")
    assert "webhook" not in files(state)


def test_whoever_takes_over_removes_the_dead_run_s_secret(run: Run, state: pathlib.Path) -> None:
    run("opened", dead_man=DEAD_MAN)
    assert run("opened", OTHER, take_over="it is dead")["changed"]
    assert "webhook" not in files(state)


def test_closing_disarms_it_before_the_lock_is_free(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    run("opened", dead_man=DEAD_MAN)
    locked: list[bool] = []
    scripted.first("systemctl stop *", then=lambda: locked.append((state / "chom/lock").exists()))
    run("closed")
    assert locked == [True]


def test_a_run_that_lost_its_lock_does_not_disarm_its_successor_s(run: Run, scripted: Scripted) -> None:
    run("opened", dead_man=DEAD_MAN)
    run("opened", OTHER, take_over="it is dead", dead_man=DEAD_MAN)
    run("closed", outcome="failed")
    assert scripted.lines("systemctl stop *") == []


@pytest.mark.parametrize("how", ["refused", "no systemd"])
def test_a_run_that_nobody_watches_goes_on_and_says_so(run: Run, scripted: Scripted, state: pathlib.Path, how: str) -> None:
    if how == "refused":
        scripted.first("systemd-run *", rc=1, stderr="sudo: a password is required")
    else:
        scripted.missing.add("systemd-run")
    result = run("opened", dead_man=DEAD_MAN)
    assert result["changed"]
    assert result["watched"] is False
    assert result["to_be_watched"] == f"sudo {ARMING.format(state)}"
    assert f"NOBODY WATCHES THIS RUN: should it die, nothing on this host raises the alarm. {result['unwatched_because']}" in str(
        result["warnings"]
    )
    assert result["to_be_watched"] in str(result["warnings"])
    record = json.loads(files(state)["last_run.json"].read_text())
    assert record == result["record"]
    assert record["watched"] is False
    assert record["unwatched_because"] == result["unwatched_because"]
    run("closed")
    assert scripted.lines("systemctl stop *") == []


def test_the_timer_of_a_dead_run_watches_its_successor(run: Run, scripted: Scripted) -> None:
    scripted.first("systemd-run *", rc=1, stderr="Unit lastgood-chom.timer was already loaded or has a fragment file.")
    scripted.first("systemctl is-active *", "active\n")
    assert run("opened", dead_man=DEAD_MAN)["watched"] is True


def test_a_timer_that_is_just_ending_is_waited_for(run: Run, scripted: Scripted) -> None:
    scripted.first(
        "systemd-run *",
        rc=1,
        stderr="Unit lastgood-chom.service was already loaded or has a fragment file.",
        then=lambda: t.cast("None", scripted.rules.pop(0)),
    )
    assert run("opened", dead_man=DEAD_MAN)["watched"] is True
    assert len(scripted.lines("systemd-run *")) == 2


def test_systemd_is_not_waited_for(run: Run, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dead_man, "_PATIENCE", 0.02)
    scripted.first("systemd-run *", then=lambda: time.sleep(0.5))
    result = run("opened", dead_man=DEAD_MAN)
    assert result["watched"] is None
    assert "watched" not in result["record"]


def test_a_program_that_cannot_be_written_stops_nothing(run: Run, state: pathlib.Path) -> None:
    (state / "chom/watch.pyz").mkdir(parents=True)
    result = run("opened", dead_man=DEAD_MAN)
    assert result["changed"]
    assert "watch.pyz cannot be written" in result["unwatched_because"]


def test_without_it_nothing_is_armed(run: Run, scripted: Scripted) -> None:
    assert "watched" not in run("opened")
    run("closed")
    assert scripted.calls == []


def test_closing_goes_on_when_the_timer_cannot_be_disarmed(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    run("opened", dead_man=DEAD_MAN)
    scripted.missing.add("systemctl")
    result = run("closed", freeze_hours=1)
    assert result["problems"] == ["The program systemctl is not installed on this host."]
    assert "systemctl is not installed" in str(result["warnings"])
    assert result["freeze"]
    assert not (state / "chom/lock").exists()


# The freeze


def test_a_rollback_freezes_the_application(run: Run, state: pathlib.Path) -> None:
    run("opened", facts={"actor": "on-call", "reason": "500", "incident": "INC-1"})
    result = run("closed", freeze_hours=2)
    frozen = json.loads(files(state)["freeze"].read_text())
    assert frozen == result["freeze"]
    assert {name: frozen[name] for name in ("run", "actor", "reason", "incident")} == {
        "run": RUN,
        "actor": "on-call",
        "reason": "500",
        "incident": "INC-1",
    }
    since, expires = (datetime.datetime.strptime(frozen[name], "%Y-%m-%dT%H:%M:%SZ") for name in ("since", "expires"))
    assert expires - since == datetime.timedelta(hours=2)


def test_so_does_one_that_was_aborted_when_it_was_proven(run: Run, state: pathlib.Path) -> None:
    began = {"run": "r0", "from_version": "v1.2.5", "from_commit": "c" * 40}
    run("opened", facts={"actor": "on-call", "from_version": "v1.2.3", "to_commit": "a" * 40, "origin": began, "proven": True})
    frozen = run("closed", outcome="aborted", freeze_hours=2)["freeze"]
    assert frozen["from_version"] == "v1.2.5"
    assert '"state":"bad"' in (state / "chom/ledger.jsonl").read_text()


@pytest.mark.parametrize(("outcome", "hours"), [("rolled_back", 0), ("held", 24), ("failed", 24), ("aborted", 24)])
def test_nothing_else_does(run: Run, state: pathlib.Path, outcome: str, hours: int) -> None:
    run("opened")
    assert "freeze" not in run("closed", outcome=outcome, freeze_hours=hours)
    assert "freeze" not in files(state)


def test_a_freeze_is_lifted_with_a_reason_that_is_recorded(run: Run, state: pathlib.Path) -> None:
    run("opened")
    run("closed", freeze_hours=2)
    assert "was not said" in run("unfrozen", None, facts={"actor": "dev", "reason": " "})["msg"]
    facts = {"actor": "dev", "reason": "v1.2.5 repairs it"}
    assert run("unfrozen", None, check=True, facts=facts)["changed"]
    assert "freeze" in files(state)
    result = run("unfrozen", None, facts=facts)
    assert result["changed"]
    assert result["freeze"]["run"] == RUN
    assert "freeze" not in files(state)
    found = _journal.read(str(state / "chom"))
    assert found is not None
    assert [entry["event"] for entry in found.entries] == ["frozen", "unfrozen"]
    assert (found.entries[1]["actor"], found.entries[1]["reason"]) == ("dev", "v1.2.5 repairs it")
    assert not run("unfrozen", None, facts=facts)["changed"]


def test_an_undone_rollback_freezes_nothing_any_more(run: Run, state: pathlib.Path) -> None:
    run("opened")
    run("closed", freeze_hours=2)
    run("opened", OTHER, facts={"actor": "on-call", "follows": RUN})
    run("closed", OTHER, outcome="undone", freeze_hours=2)
    assert "freeze" not in files(state)


def test_a_freeze_that_cannot_be_recorded_does_not_keep_the_lock(run: Run, state: pathlib.Path) -> None:
    run("opened")
    (state / "chom/journal.jsonl").write_text("nonsense\n")
    result = run("closed", freeze_hours=2)
    assert "is damaged" in result["problems"][0]
    assert "is damaged" in str(result["warnings"])
    assert not (state / "chom/lock").exists()


SCRIPT = pathlib.Path(__file__).parents[4] / "docs/deployments.md"


@pytest.mark.parametrize(
    ("left", "may"),
    [("nothing", True), ("lock", False), ("freeze", False), ("expired", True), ("torn", False)],
)
def test_the_documented_lines_honour_it(tmp_path: pathlib.Path, left: str, may: bool) -> None:
    folder = Folder(str(tmp_path / "chom"))
    folder.create()
    if left == "lock":
        pathlib.Path(folder.lock).write_text("{}")
    if left in ("freeze", "expired"):
        record = {"run": RUN, "reason": '"expires": "2000-01-01T00:00:00Z"'}
        _freeze.freeze(folder, record, 1 if left == "freeze" else -1)
    if left == "torn":
        pathlib.Path(folder.freeze).write_text('{"exp')
    script = SCRIPT.read_text().partition("```sh\n")[2].partition("```")[0].replace("/var/lib/lastgood", str(tmp_path))
    done = subprocess.run(["sh", "-eu", "-c", f"{script}\necho deploying"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == may, done
    assert (done.stdout == "deploying\n") == may
    assert (done.stderr != "") != may
    assert (_freeze.frozen(folder) is None) == (left not in ("freeze", "torn"))


# Deployer's lock


@pytest.fixture
def deployer(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "site/.dep").mkdir(parents=True)
    return tmp_path / "site/.dep/deploy.lock"


def where(deployer: pathlib.Path) -> dict[str, str]:
    return {"deploy_path": str(deployer.parents[1])}


def test_deployer_is_locked_while_a_run_has_the_lock(run: Run, deployer: pathlib.Path) -> None:
    run("opened", **where(deployer))
    assert deployer.read_text() == f"on-call (lastgood run {RUN})\n"
    run("closed", outcome="held", **where(deployer))
    assert os.listdir(deployer.parent) == []


def test_nothing_is_left_where_deployer_never_was(run: Run, deployer: pathlib.Path) -> None:
    deployer.parent.rmdir()
    assert run("opened", **where(deployer))["changed"]
    assert not deployer.parent.exists()


def test_deployer_stays_locked_while_frozen(run: Run, deployer: pathlib.Path) -> None:
    run("opened", **where(deployer))
    run("closed", freeze_hours=1, **where(deployer))
    assert deployer.exists()
    run("opened", OTHER, **where(deployer))
    assert OTHER in deployer.read_text()
    run("closed", OTHER, outcome="failed", **where(deployer))
    assert deployer.exists()
    run("unfrozen", None, **where(deployer))
    assert not deployer.exists()


def test_a_deployment_in_progress_refuses_the_run(run: Run, deployer: pathlib.Path, state: pathlib.Path) -> None:
    deployer.write_text("jenkins\n")
    result = run("opened", **where(deployer))
    assert result["failed"]
    assert "A deployment is in progress: jenkins holds" in result["msg"]
    assert "take_over" in result["next_command"]
    assert not (state / "chom/lock").exists()
    assert deployer.read_text() == "jenkins\n"


def test_a_deployment_s_lock_is_never_touched(run: Run, deployer: pathlib.Path) -> None:
    deployer.write_text("jenkins\n")
    result = run("opened", take_over="that deployment died", **where(deployer))
    assert result["record"]["deploying"] == "jenkins"
    run("closed", **where(deployer))
    assert deployer.read_text() == "jenkins\n"


def test_where_only_the_application_s_user_may_write(
    run: Run, scripted: Scripted, deployer: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".dep") and really(path, mode))
    scripted.on("python3 -I -S -c *", json.dumps({"changed": True}))
    assert run("opened", user="www-data", **where(deployer))["changed"]
    (call,) = (call for call in scripted.calls if call.argv[0] == "python3")
    assert call.user == "www-data"
    order = json.loads(call.stdin or "")
    done = subprocess.run(call.argv, input=call.stdin, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"changed": True}
    assert deployer.read_text() == f"{order['text']}\n"
