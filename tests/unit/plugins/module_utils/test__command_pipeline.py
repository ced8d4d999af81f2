# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines of real programs."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._command import Runner, limited
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import CommandError, RollbackError


class Module:
    """As much of AnsibleModule as a pipeline needs."""

    def get_bin_path(self, name: str) -> str | None:
        import shutil

        return shutil.which(name)


@pytest.fixture
def runner() -> Runner:
    return Runner(t.cast("t.Any", Module()))


def through(runner: Runner, path: pathlib.Path, *stages: list[str], **more: t.Any) -> bytes:
    with path.open("wb") as output:
        runner.pipeline(stages, output=output.fileno(), **more)
    return path.read_bytes()


def test_stages_are_connected(runner: Runner, tmp_path: pathlib.Path) -> None:
    assert through(runner, tmp_path / "out", ["printf", "b\\na\\n"], ["sort"], ["tr", "a-z", "A-Z"]) == b"A\nB\n"


@pytest.mark.parametrize("stages", [[["seq", "200000"]], [["seq", "200000"], ["cat"]], [["seq", "200000"], ["cat"], ["cat"]]])
def test_what_the_first_stage_writes_is_seen_on_its_way(runner: Runner, tmp_path: pathlib.Path, stages: list[list[str]]) -> None:
    seen: list[bytes] = []
    written = through(runner, tmp_path / "out", *stages, watch=seen.append)
    assert b"".join(seen) == written
    assert written.endswith(b"200000\n")


def test_what_the_watcher_returns_goes_on_instead(runner: Runner, tmp_path: pathlib.Path) -> None:
    assert through(runner, tmp_path / "out", ["printf", "small"], ["cat"], watch=bytes.upper) == b"SMALL"
    assert through(runner, tmp_path / "out", ["printf", "small"], watch=lambda chunk: b"") == b""


@pytest.mark.requirement("D-009")
@pytest.mark.parametrize("watch", [None, lambda chunk: None], ids=["unwatched", "watched"])
def test_a_stage_that_fails_fails_the_pipeline(runner: Runner, tmp_path: pathlib.Path, watch: t.Callable[[bytes], None] | None) -> None:
    for stages in ([["sh", "-c", "echo part; echo why >&2; exit 3"], ["cat"]], [["yes"], ["sh", "-c", "echo why >&2; exit 3"]]):
        with pytest.raises(CommandError, match="ended with status 3: why"):
            through(runner, tmp_path / "out", *stages, watch=watch)


def test_a_killed_stage_fails_the_pipeline(runner: Runner, tmp_path: pathlib.Path) -> None:
    with pytest.raises(CommandError, match="ended with status -9"):
        through(runner, tmp_path / "out", ["sh", "-c", "echo part; kill -9 $$"], ["cat"], watch=lambda chunk: None)


@pytest.mark.parametrize("watch", [None, lambda chunk: None], ids=["unwatched", "watched"])
def test_time_runs_out(runner: Runner, tmp_path: pathlib.Path, watch: t.Callable[[bytes], None] | None) -> None:
    started = time.monotonic()
    with pytest.raises(CommandError, match="did not end in time"):
        through(runner, tmp_path / "out", ["sleep", "60"], ["cat"], watch=watch, timeout=0.2)
    assert time.monotonic() - started < 5


def test_a_watcher_that_objects_stops_everything(runner: Runner, tmp_path: pathlib.Path) -> None:
    def object_to(chunk: bytes) -> None:
        raise RollbackError("Enough.")

    with pytest.raises(RollbackError, match="Enough"):
        through(runner, tmp_path / "out", ["yes"], ["cat"], watch=object_to)


def test_a_missing_program_starts_nothing_that_stays(runner: Runner, tmp_path: pathlib.Path) -> None:
    with pytest.raises(RollbackError, match="no-such-program is not installed"):
        through(runner, tmp_path / "out", ["yes"], ["no-such-program"])


def test_the_first_stage_reads_from_an_open_file(runner: Runner, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_text("abc")
    with (tmp_path / "in").open() as source:
        assert through(runner, tmp_path / "out", ["cat", "/dev/stdin"], source=source.fileno()) == b"abc"


def test_a_conversation_goes_on_after_an_answer_of_many_lines(runner: Runner) -> None:
    with runner.converse(["cat"]) as talk:
        talk.tell("a\nb\nend\n")
        assert talk.hear("end", 5) == "a\nb\n"
        talk.tell("late\n")
        assert talk.hear("end", 0.1) is None


def test_a_conversation_ends_with_a_reason(runner: Runner) -> None:
    with runner.converse(["sh", "-c", "echo part; echo why >&2"]) as talk:
        assert talk.hear("end", 5) is None
        assert talk.complaint == "why"


def test_a_stage_of_another_user_has_a_time_limit_of_its_own() -> None:
    assert limited(["cat"], None, 60, me="deploy") == limited(["cat"], "deploy", 60, me="deploy") == ["cat"]
    assert limited(["cat"], "postgres", 60, me="root") == [
        *("runuser", "-u", "postgres", "--", "env", "LC_ALL=C.UTF-8"),
        *("timeout", "--kill-after=5", "60", "cat"),
    ]


@pytest.mark.parametrize("watched", [0, None])
def test_a_last_stage_that_may_be_satisfied_needs_not_read_everything(runner: Runner, tmp_path: pathlib.Path, watched: int | None) -> None:
    stages = [["yes"], ["head", "-n", "1"]]
    with (tmp_path / "out").open("wb") as output:
        with pytest.raises(CommandError):
            runner.pipeline(stages, output=output.fileno(), watched=watched)
        runner.pipeline(stages, output=output.fileno(), watched=watched, satisfied=True)


@pytest.mark.parametrize("stages", [[["sh", "-c", "echo y; exit 3"], ["cat"]], [["yes"], ["sh", "-c", "head -n 1; exit 3"]]])
def test_who_fails_is_not_satisfied(runner: Runner, tmp_path: pathlib.Path, stages: list[list[str]]) -> None:
    with (tmp_path / "out").open("wb") as output, pytest.raises(CommandError, match="status 3"):
        runner.pipeline(stages, output=output.fileno(), watched=None, satisfied=True)
