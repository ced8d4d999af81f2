# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real messenger and the real process behind it; only what ssh does is done here."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.lastgood.rollback.plugins.action import rollback_session as action
from ansible_collections.lastgood.rollback.plugins.module_utils import _progress, _session

INFO = "lastgood.rollback.rollback_info"


@pytest.fixture
def session() -> t.Iterator[str]:
    home = tempfile.mkdtemp()  # the path of a socket must be short; a module's process would remove a TemporaryDirectory when it ends
    path = _session.begin(home, 5, {}, [])
    assert path
    yield path
    shutil.rmtree(home)


class Recorded:
    """An action whose messenger is run on this machine, and which counts what Ansible would have sent in its place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **task: t.Any) -> None:
        self.usual = 0
        self.plugin = action.ActionModule(
            task=mock.Mock(**{"action": INFO, "async_val": 0, "delegate_to": None, "environment": [], **task}),
            connection=mock.Mock(become=None, allow_executable=False),
            play_context=mock.Mock(),
            loader=mock.Mock(),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        monkeypatch.setattr(action.Normal, "_configure_module", self._usual, raising=False)
        monkeypatch.setattr(action.Normal, "run", self._run)
        monkeypatch.setattr(self.plugin, "_is_pipelining_enabled", lambda *_any: True)

    def _usual(self, *_any: t.Any) -> t.Any:
        self.usual += 1
        return None, "path"

    def _run(self, _tmp: t.Any, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        built = self.plugin._configure_module(INFO, {}, task_vars)
        if built[0] is None:
            return {"as_always": True}
        program = built[0].b_module_data if len(built) == 2 else built[2]
        done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, check=False)
        text = done.stdout.decode()
        return json.loads(text) if text.startswith("{") else {"module_stdout": text, "module_stderr": done.stderr.decode()}

    def __call__(self, session: str | None) -> dict[str, t.Any]:
        return self.plugin.run(None, {"ansible_facts": {"lastgood_session": session} if session else {}})


def test_the_waiting_process_runs_the_module(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    recorded = Recorded(monkeypatch)
    result = recorded(session)
    assert "missing required arguments: application" in str(result)  # nobody else could know that
    assert recorded.usual == 0


@pytest.mark.parametrize("task", [{"async_val": 9}, {"delegate_to": "localhost"}, {"environment": [{"A": "b"}]}])
def test_special_tasks_run_as_always(monkeypatch: pytest.MonkeyPatch, task: dict[str, t.Any]) -> None:
    assert Recorded(monkeypatch, **task)("/nowhere/socket") == {"as_always": True}


def test_without_a_session_all_is_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Recorded(monkeypatch)(None) == {"as_always": True}


def test_when_nobody_waits_any_more_all_is_as_always(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    assert Recorded(monkeypatch)(str(tmp_path / "socket")) == {"as_always": True}


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()


def test_somebody_who_does_not_greet_is_not_told_anything(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    os.remove(session)
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(session)
        impostor.listen()
        threading.Thread(target=_hang_up, args=(impostor,), daemon=True).start()
        assert Recorded(monkeypatch)(session) == {"as_always": True}


@pytest.fixture
def line(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ssh does with a line: our end leads to the host's."""
    monkeypatch.setattr(action.constants, "DEFAULT_LOCAL_TMP", str(pathlib.Path(session).parents[1] / "ours"))
    here = action._line(session)
    os.makedirs(os.path.dirname(here))
    os.symlink(session, here)


def asked(recorded: Recorded, session: str) -> dict[str, t.Any]:
    recorded.plugin._session = session
    recorded.plugin._configure_module(INFO, {}, {})
    return t.cast("dict[str, t.Any]", recorded.plugin._low_level_execute_command("python3", in_data=b""))


@pytest.mark.usefixtures("line")
def test_with_a_line_no_command_is_started_on_the_host(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    recorded = Recorded(monkeypatch)
    assert "missing required arguments: application" in asked(recorded, session)["stdout"]
    assert not recorded.plugin._connection.exec_command.called


def test_without_a_line_the_messenger_is_sent(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    recorded = Recorded(monkeypatch)
    recorded.plugin._connection.exec_command.return_value = 0, "by messenger", ""
    assert asked(recorded, session)["stdout"] == "by messenger"
    assert "python3 -I -S" in recorded.plugin._connection.exec_command.call_args[0][0]


@pytest.mark.usefixtures("line")
def test_an_order_that_was_heard_is_never_given_twice(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    """Whoever answers died: the module may have done something. The command that is run then does nothing; it fails where there is no connection."""
    recorded = Recorded(monkeypatch)
    recorded.plugin._connection.exec_command.side_effect = AnsibleConnectionFailure("no route")
    monkeypatch.setattr(recorded.plugin, "_ask", lambda: "")
    with pytest.raises(AnsibleConnectionFailure, match="no route"):
        asked(recorded, session)
    recorded.plugin._connection.exec_command.side_effect = None
    recorded.plugin._connection.exec_command.return_value = 0, "", ""
    assert asked(recorded, session)["stdout"] == ""
    assert "python" not in recorded.plugin._connection.exec_command.call_args[0][0]


def test_what_a_person_should_read_is_shown_whatever_shows_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    monkeypatch.setattr(action.Normal, "run", lambda *_any: {"lastgood_text": "goes back"})
    assert recorded(None) == {"lastgood_text": "goes back", "msg": "goes back", "_ansible_verbose_always": True}


def test_what_the_process_lacks_is_sent_as_always(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, session: str) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/rollback_info.py").write_text("import there_is_no_such_module\n")
    monkeypatch.setattr(action, "_PLUGINS", tmp_path)
    assert Recorded(monkeypatch)(session) == {"as_always": True}


def test_a_later_ansible_with_other_insides_does_all_as_always(monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    monkeypatch.setattr(action, "_built", mock.Mock(side_effect=ImportError))
    assert Recorded(monkeypatch)(session) == {"as_always": True}


def _report(listener: socket.socket) -> None:
    """A module that takes long: what it says comes in pieces, and before its answer."""
    visitor = listener.accept()[0]
    with visitor:
        visitor.sendall(_session.GREETING)
        while visitor.recv(1 << 16):
            pass
        for piece in (b"lastgood progr", b"ess: dumping, 1.0 GB\nlastgood progress: dumping, 2.0", b' GB\n{"chan', b'ged": true}'):
            visitor.sendall(piece)
            time.sleep(0.05)


def test_what_a_module_says_of_its_progress_is_shown_and_is_no_part_of_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/line")
        listener.listen()
        threading.Thread(target=_report, args=(listener,), daemon=True).start()
        monkeypatch.setattr(action, "_line", lambda _session: f"{folder}/line")
        recorded = Recorded(monkeypatch)
        shown: list[str] = []
        monkeypatch.setattr(recorded.plugin, "_display", mock.Mock(display=shown.append))
        recorded.plugin._task_host = "chom-1"
        assert asked(recorded, "/nowhere/socket")["stdout"] == '{"changed": true}'
    assert shown == ["  chom-1: dumping, 1.0 GB", "  chom-1: dumping, 2.0 GB"]


def test_both_sides_say_it_with_the_same_words() -> None:
    assert (action._UNABLE, action._GREETING) == (_session.UNABLE, _session.GREETING)
    assert action._PROGRESS.decode() == _progress.LINE
