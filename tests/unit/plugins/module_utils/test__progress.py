# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import local_runner
import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _command, _progress
from ansible_collections.lastgood.rollback.plugins.module_utils._progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[float], None]:
    """Lets time pass."""
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_a_step_is_seen_while_it_works_and_not_after_it(tmp_path: pathlib.Path, clock: t.Callable[[float], None]) -> None:
    progress = Progress(str(tmp_path), "db_restore of shop")
    with progress.of("loading", 4_000_000):
        progress.add(1_000_000)
        assert _progress.read(str(tmp_path)) is None  # what is over at once is not worth a file
        clock(3)
        progress.add(500_000)
        found = _progress.read(str(tmp_path / "nowhere"), str(tmp_path))
        assert found is not None
        assert found["text"] == "db_restore of shop: loading, 1.5 MB of 4.0 MB (37 %)"
    assert _progress.read(str(tmp_path)) is None
    assert os.listdir(tmp_path) == []


def test_what_a_killed_step_left_is_not_taken_for_work(tmp_path: pathlib.Path, clock: t.Callable[[float], None]) -> None:
    progress = Progress(str(tmp_path), "db_backup of shop")
    with progress.of("dumping"):
        clock(3)
        progress.add(10)
        left = json.loads((tmp_path / _progress.NAME).read_text())
    (tmp_path / _progress.NAME).write_text(json.dumps({**left, "process": {"id": os.getpid(), "began": 1}}))
    assert _progress.read(str(tmp_path)) is None
    (tmp_path / _progress.NAME).write_text("half a fi")
    assert _progress.read(str(tmp_path)) is None


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: pathlib.Path, clock: t.Callable[[float], None]) -> None:
    progress = Progress(str(tmp_path / "nowhere"), "db_backup of shop")
    with progress.of("dumping"):
        clock(60)
        progress.add(10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("listened_to", [True, False])
def test_lines_are_only_for_who_listens_and_rare(
    listened_to: bool, monkeypatch: pytest.MonkeyPatch, clock: t.Callable[[float], None], capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Progress, "listened_to", listened_to)
    progress = Progress(None, "db_backup of shop")
    with progress.of("dumping"):
        for _second in range(25):
            clock(1)
            progress.add(1 << 30)
    said = capfd.readouterr().err.splitlines()
    lines = ["lastgood progress: db_backup of shop: dumping, 10.7 GB", "lastgood progress: db_backup of shop: dumping, 21.5 GB"]
    assert said == (lines if listened_to else [])


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (5 * 10**12, "5000 GB")]
)
def test_numbers_are_readable(number: int, text: str) -> None:
    assert _progress.in_words({"step": "s", "doing": "d", "bytes": number, "of": None}) == f"s: d, {text}"


def test_more_than_was_expected_is_not_more_than_all() -> None:
    assert _progress.in_words({"step": "s", "doing": "d", "bytes": 300, "of": 100}) == "s: d, 300 bytes of 100 bytes (100 %)"


@pytest.mark.parametrize("stages", [[["printf", "abc"], ["cat"]], [["printf", "abc"]]], ids=len)
def test_a_runner_says_how_many_bytes_pass_by(stages: list[list[str]], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = _command.Runner(t.cast("t.Any", local_runner.Local()))
    monkeypatch.setattr(runner, "find", lambda program: f"/usr/bin/{program}")
    counted: list[int] = []
    runner.meter = counted.append
    with open(tmp_path / "out", "wb") as out:
        runner.pipeline(stages, output=out.fileno())
        runner.pipeline(stages, output=out.fileno(), watch=lambda chunk: chunk.upper())
    assert (tmp_path / "out").read_text() == "abcABC"
    assert sum(counted) == 6
