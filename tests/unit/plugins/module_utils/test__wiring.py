# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module concludes."""

from __future__ import annotations

import json
import pathlib
import types
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal, _run, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from scripted import Scripted


@pytest.fixture
def conclude(run_module: t.Any, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[t.Callable[[], dict[str, t.Any]]], dict[str, t.Any]]:
    """What a module with this work hands to Ansible."""
    monkeypatch.setattr(_wiring, "Runner", lambda module: Scripted())

    def run(work: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
        def main() -> None:
            _wiring.conclude(AnsibleModule(argument_spec={}), lambda _module, _runner: work())

        return t.cast("dict[str, t.Any]", run_module(types.SimpleNamespace(main=main), {}))

    return run


Conclude = t.Callable[[t.Callable[[], dict[str, t.Any]]], dict[str, t.Any]]


def fail(*arguments: t.Any, **more: t.Any) -> t.Callable[[], dict[str, t.Any]]:
    def work() -> dict[str, t.Any]:
        raise RollbackError(*arguments, **more)

    return work


def test_every_result_says_when_and_how_long(conclude: Conclude) -> None:
    for work in (lambda: {"changed": True}, fail("No.")):
        result = conclude(work)
        assert result["started"] <= result["ended"]
        assert result["started"].endswith("Z")
        assert 0 <= result["seconds"] < 5


@pytest.mark.requirement("G-12")
def test_a_failure_says_what_failed_what_state_this_is_and_what_to_type(conclude: Conclude) -> None:
    result = conclude(fail("The disk is full.", state="Nothing was changed.", next_command="df -h", facts={"free": 0}))
    assert result["failed"]
    assert result["msg"] == "The disk is full. Nothing was changed. Next: df -h"
    assert (result["reason"], result["system_state"], result["next_command"], result["free"]) == (
        "The disk is full.",
        "Nothing was changed.",
        "df -h",
        0,
    )


def test_without_a_next_command_none_is_shown(conclude: Conclude) -> None:
    assert conclude(fail("No."))["msg"] == "No. Nothing was changed."


@pytest.mark.parametrize("bad", [False, True])
def test_bytes_that_are_no_text_do_not_break_the_result(conclude: Conclude, bad: bool) -> None:
    facts = {"list": ["caf\udce9"], "nested": {"\udcff": ("é", 1, None, True)}}
    result = conclude(fail("caf\udce9", facts=facts) if bad else lambda: {"msg": "caf\udce9", **facts})
    json.dumps(result, ensure_ascii=False).encode()
    assert result["msg"].startswith("caf?")
    assert result["list"] == ["caf?"]
    assert result["nested"] == {"?": ["é", 1, None, True]}


# The journal

Journaled = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def journaled(run_module: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Journaled:
    """The same for a module that records, into a folder that it finds in its options."""
    monkeypatch.setattr(_wiring, "Runner", lambda module: Scripted())

    def run(work: t.Callable[[], dict[str, t.Any]], *, check: bool = False, journal: pathlib.Path = tmp_path) -> dict[str, t.Any]:
        def main() -> None:
            spec = {**_wiring.JOURNAL, "state": {"type": "str"}}
            _wiring.conclude(AnsibleModule(argument_spec=spec, supports_check_mode=True), lambda _module, _runner: work())

        arguments = {"journal": str(journal), "state": "switched", "_ansible_module_name": "lastgood.rollback.git_version_switch"}
        return t.cast("dict[str, t.Any]", run_module(types.SimpleNamespace(main=main), arguments, check=check))

    return run


def recorded(folder: pathlib.Path) -> list[dict[str, t.Any]]:
    found = _journal.read(str(folder))
    assert found is None or found.broken is None
    return found.entries if found else []


def test_what_is_about_to_be_done_is_recorded_before_it_is_done(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    seen: list[list[dict[str, t.Any]]] = []

    def work() -> dict[str, t.Any]:
        seen.append(recorded(tmp_path))
        return {"changed": True, "switch": {"commit": "abc"}, "page": "not worth recording"}

    journaled(work)
    (intent,) = seen[0]
    assert (intent["event"], intent["step"]) == ("intent", "git_version_switch switched")
    assert _journal.at_work(seen[0]) == intent
    result = recorded(tmp_path)[1]
    assert (result["event"], result["step"], result["changed"], result["failed"]) == ("result", "git_version_switch switched", True, False)
    assert result["facts"] == {"switch": {"commit": "abc"}}


def test_a_failure_is_recorded_with_what_it_left_untouched(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    assert journaled(fail("The disk is full.", facts={"code_unchanged": True}))["failed"]
    result = recorded(tmp_path)[1]
    assert (result["failed"], result["message"], result["facts"]) == (True, "The disk is full.", {"code_unchanged": True})


def test_what_dies_leaves_an_intent(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    def killed() -> dict[str, t.Any]:
        raise SystemExit

    with pytest.raises((IndexError, json.JSONDecodeError)):  # it says nothing to Ansible
        journaled(killed)
    assert [entry["event"] for entry in recorded(tmp_path)] == ["intent"]


def test_check_mode_records_nothing(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    assert journaled(lambda: {"changed": True}, check=True)["changed"]
    assert recorded(tmp_path) == []


def test_what_cannot_be_recorded_is_not_done(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    done: list[int] = []
    result = journaled(lambda: {"changed": bool(done.append(1))}, journal=tmp_path / "none")
    assert "cannot be written" in result["msg"]
    assert not done


def test_what_was_done_is_done_though_it_could_not_be_recorded(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    def work() -> dict[str, t.Any]:
        (tmp_path / _journal.NAME).write_text("something else\n")
        return {"changed": True}

    result = journaled(work)
    assert result["changed"]
    assert not result.get("failed")
    assert "line 1 is not an entry" in str(result["warnings"])


def test_a_step_that_was_not_begun_leaves_no_trace_in_the_way_of_the_one_at_work(journaled: Journaled, tmp_path: pathlib.Path) -> None:
    folder = _run.Folder(str(tmp_path / "chom"))
    folder.create()
    _run.acquire(folder, {"run": "r1"}, take_over=None)
    _run.opened(folder, {"run": "r1"})
    _run.begin_step(folder.run("r1"), {"event": "intent", "step": "db_backup", "at": "now", "process": _journal.this_process()})
    before = _journal.text_of(folder.run("r1"))
    done: list[int] = []
    result = journaled(lambda: {"changed": bool(done.append(1))}, journal=pathlib.Path(folder.run("r1")))
    assert "doing something already" in result["msg"]
    assert done == []
    assert _journal.text_of(folder.run("r1")) == before
