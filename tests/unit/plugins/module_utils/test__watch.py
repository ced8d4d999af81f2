# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dead-man timer makes of the run that holds the lock."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import typing as t
import zipfile

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _dead_man, _journal, _run, _watch
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder
from scripted import Scripted

RUN = "20261122T031500Z-emergency-1"
CLOSED = {"event": "result", "step": "laravel_maintenance down", "at": "now", "facts": {"was_down": False}}
SHOW = "\n".join(
    ("Id=w.service", "LoadState=loaded", "ActiveState=active", "SubState=running", "StateChangeTimestampMonotonic=1", "MainPID=1")
)


class Scene:
    """A run that was opened and then died, and a host without users."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.site = folder / "site"
        (self.site / "storage/framework").mkdir(parents=True)
        (self.site / "artisan").write_text("")
        self.folder = Folder(str(folder / "chom"))
        self.folder.create()
        self.runner = Scripted()
        self.runner.on("systemctl stop lastgood-chom.timer")
        self.runner.on("systemctl show *", SHOW)
        self.runner.on("test -e *", rc=1)
        self.runner.on("python3 *", json.dumps({"driver": "file", "was_down": True, "changed": True, "prerendered": True}))
        self.said: list[tuple[str, str]] = []

    def open(self, action: str = "reopen", **facts: t.Any) -> None:
        _run.acquire(self.folder, {"run": RUN, "actor": "on-call", "controller": "laptop", "lease": 60}, take_over=None)
        _run.opened(self.folder, {"run": RUN, **facts})
        orders = {"seconds": 60, "action": action, "path": str(self.site), "user": "www-data", "php": "php", "verify_url": None}
        _run.write_json(self.folder.orders(RUN), orders)

    def write(self, *entries: dict[str, t.Any]) -> None:
        for entry in entries:
            _journal.append(self.folder.run(RUN), entry)

    def silence(self, seconds: float = 61) -> None:
        for path in (self.folder.lock, os.path.join(self.folder.run(RUN), _journal.NAME)):
            then = os.stat(path).st_mtime - seconds
            os.utime(path, (then, then))

    def look(self) -> str:
        return _watch.look(self.folder, t.cast("t.Any", self.runner), lambda level, text: self.said.append((level, text)))

    @property
    def record(self) -> dict[str, t.Any]:
        return _run.read_json(self.folder.record(RUN)) or {}

    @property
    def events(self) -> list[tuple[str, str | None]]:
        found = _journal.read(self.folder.run(RUN))
        assert found is not None
        assert found.broken is None
        return [(entry["event"], entry.get("step")) for entry in found.entries]


@pytest.fixture
def scene(tmp_path: pathlib.Path) -> Scene:
    return Scene(tmp_path)


def test_a_run_that_lives_is_left_alone(scene: Scene) -> None:
    scene.open()
    assert scene.look() == "alive"
    assert scene.record["outcome"] == "interrupted"
    assert (scene.runner.calls, scene.said) == ([], [])


def test_a_step_that_takes_long_is_no_silence(scene: Scene) -> None:
    scene.open()
    scene.write({"event": "intent", "step": "db_backup", "at": "now", "process": _journal.this_process()})
    scene.silence(10000)
    assert scene.look() == "alive"


def test_without_a_run_the_timer_goes(scene: Scene) -> None:
    assert scene.look() == "idle"
    assert scene.runner.lines() == ["systemctl stop lastgood-chom.timer"]
    assert scene.runner.calls[0].user == "root"


def test_a_dead_run_is_recorded_and_told(scene: Scene) -> None:
    scene.open("alarm")
    scene.silence()
    assert scene.look() == "abandoned"
    assert scene.record["outcome"] == "abandoned"
    assert _run.unfinished(scene.record)
    assert scene.record == _run.read_json(scene.folder.last_run)
    assert scene.record["abandoned"]["why"] == "the profile asks for an alarm only"
    assert scene.events == [("opened", None), ("abandoned", None)]
    assert (_run.holder(scene.folder) or {})["run"] == RUN
    ((level, text),) = scene.said
    assert level == "crit"
    for words in ("ROLLBACK ABANDONED: chom on ", RUN, "on-call on laptop", "for 61", "playbooks/status.yml"):
        assert words in text


def test_it_is_told_once_and_again_after_another_sign_of_life(scene: Scene) -> None:
    scene.open("alarm")
    scene.silence()
    scene.look()
    scene.silence()
    assert scene.look() == "abandoned"
    assert len(scene.said) == 1
    scene.write(CLOSED)
    assert scene.look() == "alive"
    scene.silence()
    assert scene.look() == "abandoned"
    assert len(scene.said) == 2


def test_the_site_is_opened_again_when_nothing_was_changed(scene: Scene) -> None:
    scene.open()
    _run.write_json(os.path.join(scene.folder.root, "workers.json"), {"units": ["w.service"]})
    scene.write({"event": "result", "step": "service_group stopped", "at": "now"}, CLOSED)
    scene.silence()
    assert scene.look() == "reopened"
    assert _run.holder(scene.folder) is None
    assert not os.path.exists(os.path.join(scene.folder.root, "workers.json"))
    assert (scene.record["outcome"], scene.record["reopened"]) == ("abandoned", True)
    assert scene.record["abandoned"]["started"] == ["w.service"]
    assert _run.unfinished(scene.record)
    assert scene.events[-3:] == [("abandoned", None), ("intent", _watch.REOPENED), ("result", _watch.REOPENED)]
    (opening,) = (call for call in scene.runner.calls if call.argv[0] == "python3")
    assert opening.user == "www-data"
    assert json.loads(opening.stdin or "")["state"] == "up"
    assert "the site is open as before" in scene.said[0][1]


INTENT = {"event": "intent", "at": "now", "process": {"id": 2**22 + 1, "began": 1}}


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([CLOSED, {**INTENT, "step": "git_version_switch switched"}], "the run had begun: git_version_switch switched"),
        ([CLOSED, {**INTENT, "step": "db_migration down"}], "the run had begun: db_migration down"),
        ([CLOSED, {**INTENT, "step": "db_restore swapped"}], "the run had begun: db_restore swapped"),
        ([CLOSED, {**INTENT, "step": "configuration_restore restored"}], "the run had begun: configuration_restore restored"),
        ([CLOSED, {**INTENT, "step": "something that came later"}], "the run had begun: something that came later"),
        ([{**CLOSED, "facts": {"was_down": True}}], "closed before the run already"),
        ([{**CLOSED, "facts": {}}], "closed before the run already"),
        ([{**INTENT, "step": "laravel_maintenance down"}], "closing the site was interrupted"),
    ],
)
def test_the_site_stays_closed_when_something_may_have_changed(scene: Scene, entries: list[dict[str, t.Any]], why: str) -> None:
    scene.open()
    scene.write(*entries)
    scene.silence()
    assert scene.look() == "abandoned"
    assert why in scene.record["abandoned"]["why"]
    assert why in scene.said[0][1]
    assert scene.runner.lines("python3 *") == []
    assert (_run.holder(scene.folder) or {})["run"] == RUN


@pytest.mark.parametrize("fact", ["follows", "origin", "taken_over"])
def test_a_run_after_another_one_cannot_prove_it(scene: Scene, fact: str) -> None:
    scene.open(**{fact: {"run": "r0"}})
    scene.write(CLOSED)
    scene.silence()
    assert scene.look() == "abandoned"
    assert "where another one stopped" in scene.record["abandoned"]["why"]


def test_a_site_that_somebody_else_closed_stays_closed(scene: Scene) -> None:
    scene.open()
    scene.runner.first("test -e *")
    scene.silence()
    assert scene.look() == "abandoned"
    assert scene.record["abandoned"]["why"] == "the site is closed, but not by this run"


def test_a_damaged_journal_proves_nothing(scene: Scene) -> None:
    scene.open()
    scene.write(CLOSED)
    path = pathlib.Path(scene.folder.run(RUN)) / _journal.NAME
    path.write_text(path.read_text().replace("false", "true "))
    scene.silence()
    assert scene.look() == "abandoned"
    assert "the journal is damaged: line 2" in scene.record["abandoned"]["why"]
    assert "is damaged" in scene.record["abandoned"]["journal_problem"]
    assert len(scene.said) == 1


def test_what_could_not_be_opened_is_said_and_keeps_the_lock(scene: Scene) -> None:
    scene.open()
    scene.write(CLOSED)
    scene.runner.first("python3 *", rc=1, stderr="no")
    scene.silence()
    assert scene.look() == "abandoned"
    assert "that failed: python3" in scene.record["abandoned"]["why"]
    assert "reopened" not in scene.record
    assert (_run.holder(scene.folder) or {})["run"] == RUN


def test_nobody_gets_the_lock_while_the_site_is_opened_again(scene: Scene) -> None:
    scene.open()
    scene.write(CLOSED)
    refused: list[RollbackError] = []

    def somebody() -> None:
        with pytest.raises(RollbackError) as caught:
            _run.acquire(scene.folder, {"run": "other"}, take_over="it is dead")
        refused.append(caught.value)
        with pytest.raises(RollbackError, match=r"has lost the lock: run .* of the dead-man timer holds it") as lost:
            _run.begin_step(scene.folder.run(RUN), {**INTENT, "step": "git_version_switch switched"})
        assert lost.value.facts["lost_lock"]
        assert _run.closed(scene.folder, RUN, "held", {})["outcome"] == "abandoned"
        assert not _run.release(scene.folder, RUN)

    answer = json.dumps({"driver": "file", "was_down": True, "changed": True, "prerendered": True})
    scene.runner.first("python3 *", answer, then=somebody)
    scene.silence()
    assert scene.look() == "reopened"
    assert "at work at this moment: dead-man timer reopened" in refused[0].message
    assert scene.record["outcome"] == "abandoned"


def test_the_site_is_opened_before_the_workers_are_started(scene: Scene) -> None:
    """Behind maintenance mode, workers of some machines end again and again."""
    scene.open()
    scene.write(CLOSED)
    _run.write_json(os.path.join(scene.folder.root, "workers.json"), {"units": ["w.service"]})
    scene.runner.first("systemctl show *", rc=1, stderr="no")
    scene.silence()
    assert scene.look() == "abandoned"
    assert scene.runner.lines("python3 *")
    assert scene.record["abandoned"]["site"] == "opened"
    assert "the site is open, and that failed: systemctl show" in scene.record["abandoned"]["why"]
    assert "maintenance page" not in scene.said[0][1]
    assert (_run.holder(scene.folder) or {})["run"] == RUN


def test_a_timer_that_was_killed_begins_anew(scene: Scene) -> None:
    scene.open()
    scene.write(CLOSED, {"event": "abandoned", "at": "now", "by": _run.WATCH}, {**INTENT, "step": _watch.REOPENED, "by": _run.WATCH})
    assert scene.look() == "reopened"


@contextlib.contextmanager
def receiver(status: int) -> t.Iterator[tuple[str, list[dict[str, t.Any]]]]:
    messages: list[dict[str, t.Any]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_about: t.Any) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret-path", messages
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [200, 500])
def test_the_team_is_told_and_the_address_is_not(scene: Scene, status: int) -> None:
    scene.open("alarm")
    scene.silence()
    with receiver(status) as (url, messages):
        pathlib.Path(scene.folder.webhook(RUN)).write_text(url)
        scene.look()
    assert "ROLLBACK ABANDONED" in messages[0]["text"]
    assert scene.record["abandoned"]["notified"] == (status == 200)
    assert "secret-path" not in json.dumps([scene.record, scene.said, scene.events])


# The program


def test_the_program_runs_on_a_host_that_has_python_alone(scene: Scene) -> None:
    """With the oldest thing that can be said about it here: no site packages, nothing of the environment."""
    pathlib.Path(scene.folder.watch).write_bytes(_dead_man.program())
    scene.open("alarm")
    scene.silence()
    done = subprocess.run([sys.executable, "-I", "-S", scene.folder.watch], capture_output=True, text=True, check=False, cwd="/", env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("<2>ROLLBACK ABANDONED: chom")
    assert scene.record["outcome"] == "abandoned"


def test_the_program_has_everything_that_its_parts_import(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "watch.pyz"
    path.write_bytes(_dead_man.program())
    names = [name.partition("/")[2].removesuffix(".py") for name in zipfile.ZipFile(path).namelist() if "/_" in name and "__" not in name]
    assert "_maintenance" in names
    imports = "; ".join(f"import lastgood_watch.{name}" for name in names)
    code = f"import sys; sys.path.insert(0, {str(path)!r}); {imports}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_sources_make_the_same_program() -> None:
    assert _dead_man.program() == _dead_man.program()
