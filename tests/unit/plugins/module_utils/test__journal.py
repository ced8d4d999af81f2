# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import multiprocessing
import pathlib
import stat
import tempfile
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError

TEXTS = st.text('aZ0 "\\\n\té\u2028\U0001f600', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
ENTRIES = st.lists(st.dictionaries(st.sampled_from(["event", "step", "result"]), VALUES), min_size=1, max_size=5)


def written(directory: pathlib.Path, *events: str) -> pathlib.Path:
    for event in events:
        _journal.append(str(directory), {"event": event})
    return directory / _journal.NAME


def test_what_was_written_is_read_in_its_order(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "opened", "intent", "result")
    found = _journal.read(str(tmp_path))
    assert found is not None
    assert [(entry["number"], entry["event"]) for entry in found.entries] == [(1, "opened"), (2, "intent"), (3, "result")]
    assert found.broken is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_run_without_a_journal_has_none(tmp_path: pathlib.Path) -> None:
    assert _journal.read(str(tmp_path)) is None


@given(ENTRIES)
def test_any_entries_come_back_as_they_were(entries: list[dict[str, t.Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            _journal.append(folder, entry)
        found = _journal.read(folder)
    assert found is not None
    assert (found.broken, found.torn) == (None, False)
    assert [{key: value for key, value in entry.items() if key in ("event", "step", "result")} for entry in found.entries] == entries


@given(ENTRIES, st.data())
def test_any_change_of_a_byte_shows(entries: list[dict[str, t.Any]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            _journal.append(folder, entry)
        path = pathlib.Path(folder) / _journal.NAME
        before = path.read_bytes()
        at = data.draw(st.integers(0, len(before) - 2))
        instead = data.draw(st.integers(32, 126).filter(lambda byte: byte != before[at]))
        path.write_bytes(before[:at] + bytes([instead]) + before[at + 1 :])
        found = _journal.read(folder)
    assert found is not None
    assert found.broken is not None or [json.loads(line) for line in before.splitlines()] == found.entries  # 1 and 1.0 are no change


@given(ENTRIES, st.data())
def test_a_line_taken_out_or_moved_shows(entries: list[dict[str, t.Any]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for entry in [*entries, {"event": "closed"}]:
            _journal.append(folder, entry)
        path = pathlib.Path(folder) / _journal.NAME
        lines = path.read_text().splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 2))
        path.write_text("".join(lines[:at] + lines[at + 1 :]))
        without = _journal.read(folder)
        path.write_text("".join([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]))
        moved = _journal.read(folder)
    assert without is not None
    assert without.broken
    assert moved is not None
    assert moved.broken


@given(st.integers(1, 200))
def test_after_a_death_in_the_middle_of_a_line_it_goes_on(kept: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(pathlib.Path(folder), "opened", "intent")
        whole = path.read_bytes()
        second = whole.index(b"\n") + 1
        path.write_bytes(whole[: min(second + kept, len(whole) - 1)])
        torn = _journal.read(folder)
        written(pathlib.Path(folder), "resumed")
        found = _journal.read(folder)
    assert torn is not None
    assert torn.torn
    assert torn.broken is None
    assert found is not None
    assert [entry["event"] for entry in found.entries] == ["opened", "resumed"]
    assert found.broken is None


def test_nothing_is_added_to_a_journal_that_was_changed(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "opened", "intent")
    path.write_text(path.read_text().replace("intent", "closed"))
    before = path.read_bytes()
    with pytest.raises(RollbackError, match="line 2 was changed"):
        written(tmp_path, "result")
    assert path.read_bytes() == before


def _write_many(folder: str, name: str) -> None:
    for number in range(20):
        _journal.append(folder, {"event": f"{name}-{number}"})


def test_several_at_once_do_not_break_the_chain(tmp_path: pathlib.Path) -> None:
    processes = multiprocessing.get_context("fork")
    writers = [processes.Process(target=_write_many, args=(str(tmp_path), name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = _journal.read(str(tmp_path))
    assert found is not None
    assert found.broken is None
    assert len(found.entries) == 60


def test_a_folder_that_cannot_be_written_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RollbackError, match="cannot be written: No such file or directory"):
        _journal.append(str(tmp_path / "none"), {"event": "opened"})


def test_a_step_that_is_being_done_is_told_from_one_whose_process_is_gone() -> None:
    doing = {"event": "intent", "step": "db_backup", "process": _journal.this_process()}
    assert _journal.at_work([{"event": "opened"}, doing]) == doing
    gone = {**doing, "process": {**_journal.this_process(), "began": 1}}  # a later process with the same number
    assert _journal.at_work([gone]) is None
    assert _journal.at_work([{**doing, "process": {"id": 2**22 + 1, "began": 5}}]) is None
    assert _journal.at_work([doing, {"event": "result", "step": "db_backup"}]) is None
    assert _journal.at_work([]) is None


NOON = "2026-11-22T12:00:00.000Z"


def test_what_became_of_each_phase() -> None:
    entries = [
        {"event": "opened"},
        {"event": "intent", "step": "service_group stopped", "at": NOON},
        {
            "event": "result",
            "step": "service_group stopped",
            "seconds": 0.5,
            "changed": True,
            "failed": False,
            "facts": {"ran": ["a.service"]},
        },
        {"event": "intent", "step": "laravel_maintenance down", "at": NOON},
        {"event": "result", "step": "laravel_maintenance down", "failed": True, "message": "no"},
        {"event": "intent", "step": "something else"},
        {"event": "intent", "step": "git_version_switch switched", "at": NOON},
    ]
    assert _journal.phases(entries) == {
        "lock": {"changed": True},
        "quiesce writers": {"started": NOON, "seconds": 0.5, "failed": False, "changed": True, "ran": ["a.service"]},
        "close traffic": {"started": NOON, "seconds": None, "failed": True, "changed": False},
        "switch code": {"started": NOON, "failed": True, "interrupted": True},
    }
    assert _journal.phases([]) == {}


def test_every_step_that_modules_record_has_its_phase() -> None:
    modules = pathlib.Path(_journal.__file__).parents[1] / "modules"
    for step in _journal._PHASES:
        text = (modules / f"{step.split()[0]}.py").read_text()
        assert "**JOURNAL" in text
        assert all(f'"{state}"' in text for state in step.split()[1:])
