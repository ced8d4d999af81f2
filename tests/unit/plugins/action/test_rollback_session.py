# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real messenger and the real process behind it; only what ssh does is done here."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t
from unittest import mock

import pytest

from ansible_collections.lastgood.rollback.plugins.action import rollback_session as action
from ansible_collections.lastgood.rollback.plugins.module_utils import _session

INFO = "lastgood.rollback.rollback_info"


class Recorded:
    """An action whose messenger is run on this machine, and which counts what Ansible would have sent in its place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **task: t.Any) -> None:
        self.usual = 0
        self.plugin = action.ActionModule(
            task=mock.Mock(**{"action": INFO, "async_val": 0, "delegate_to": None, "environment": [], **task}),
            connection=mock.Mock(become=None),
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


def test_the_waiting_process_runs_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    result = recorded(_session.begin(5, {}, []))
    assert "missing required arguments: application" in str(result)  # nobody else could know that
    assert recorded.usual == 0


@pytest.mark.parametrize("task", [{"async_val": 9}, {"delegate_to": "localhost"}, {"environment": [{"A": "b"}]}])
def test_special_tasks_run_as_always(monkeypatch: pytest.MonkeyPatch, task: dict[str, t.Any]) -> None:
    assert Recorded(monkeypatch, **task)("/nowhere/socket") == {"as_always": True}


def test_without_a_session_all_is_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Recorded(monkeypatch)(None) == {"as_always": True}


def test_when_nobody_waits_any_more_all_is_as_always(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    assert Recorded(monkeypatch)(str(tmp_path / "socket")) == {"as_always": True}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    path = pathlib.Path(_session.begin(5, {}, []))
    shutil.chown(path.parent, "nobody")
    assert Recorded(monkeypatch)(str(path)) == {"as_always": True}


def test_what_the_process_lacks_is_sent_as_always(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/rollback_info.py").write_text("import there_is_no_such_module\n")
    monkeypatch.setattr(action, "_PLUGINS", tmp_path)
    assert Recorded(monkeypatch)(_session.begin(5, {}, [])) == {"as_always": True}


def test_a_later_ansible_with_other_insides_does_all_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "_built", mock.Mock(side_effect=ImportError))
    assert Recorded(monkeypatch)(_session.begin(5, {}, [])) == {"as_always": True}


def test_both_sides_say_it_with_the_same_words() -> None:
    assert action._UNABLE == _session.UNABLE
