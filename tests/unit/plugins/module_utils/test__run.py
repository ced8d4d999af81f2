# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock is a lease: whoever shows no sign of life loses it, whoever is at work never does."""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
import typing as t

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal, _run
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder

SECONDS = 60
RUNS = ("r1", "r2", "r3")
INTENT = {"event": "intent", "step": "db_backup", "at": "now"}
RESULT = {"event": "result", "step": "db_backup", "at": "later"}


def open_run(folder: Folder, run: str, *, take_over: str | None = None, take_over_from: str | None = None) -> dict[str, t.Any] | None:
    taken = _run.acquire(folder, {"run": run, "actor": run, "lease": SECONDS}, take_over=take_over, take_over_from=take_over_from)
    if _journal.read(folder.run(run)) is None:
        _run.opened(folder, {"run": run})
    return taken


def let_pass(folder: Folder, seconds: float) -> None:
    """Time goes by: everything that was written is that much older."""
    for path in [folder.lock, *(os.path.join(folder.run(run), _journal.NAME) for run in RUNS)]:
        if os.path.exists(path):
            then = os.stat(path).st_mtime - seconds
            os.utime(path, (then, then))


def work(folder: Folder, run: str, process: dict[str, int] | None = None) -> None:
    _run.begin_step(folder.run(run), {**INTENT, "process": process or _journal.this_process()})


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Folder:
    found = Folder(str(tmp_path / "chom"))
    found.create()
    open_run(found, "r1")
    return found


def held(folder: Folder) -> dict[str, t.Any]:
    return _run.holder(folder) or {}


def test_a_run_that_has_just_begun_is_alive(folder: Folder) -> None:
    found = _run.lease(folder, held(folder))
    assert found["alive"]
    assert not found["at_work"]


def test_silence_ends_the_lease(folder: Folder) -> None:
    let_pass(folder, SECONDS + 1)
    assert not _run.lease(folder, held(folder))["alive"]
    with pytest.raises(RollbackError, match="counts as dead since") as refused:
        open_run(folder, "r2")
    assert "playbooks/resume.yml" in str(refused.value.next_command)


def test_each_line_of_the_journal_renews_it(folder: Folder) -> None:
    let_pass(folder, SECONDS + 1)
    _journal.append(folder.run("r1"), RESULT)
    assert _run.lease(folder, held(folder))["alive"]


def test_a_step_that_is_going_on_keeps_it(folder: Folder) -> None:
    work(folder, "r1")
    let_pass(folder, 100 * SECONDS)
    assert _run.lease(folder, held(folder)) == {**_run.lease(folder, held(folder)), "alive": True, "at_work": True}


def test_a_step_whose_process_is_gone_does_not(folder: Folder) -> None:
    work(folder, "r1", {"id": 2**22 + 1, "began": 1})
    let_pass(folder, SECONDS + 1)
    assert not _run.lease(folder, held(folder))["alive"]


def test_a_run_that_was_given_up_is_dead_at_once(folder: Folder) -> None:
    _run.abandoned(folder, "r1", {"silent_seconds": 61})
    found = _run.lease(folder, held(folder))
    assert not found["alive"]
    assert found["expires"] <= _run.utc(time.time() + 1)
    with pytest.raises(RollbackError, match="dead-man timer gave it up"):
        open_run(folder, "r2")


def test_a_lock_from_before_there_were_leases_has_the_usual_one(folder: Folder) -> None:
    _run.write_json(folder.lock, {"run": "r1"})
    assert _run.lease(folder, held(folder))["alive"]
    let_pass(folder, _run.LEASE + 1)
    assert not _run.lease(folder, held(folder))["alive"]


def test_who_follows_a_run_is_refused_when_another_one_has_the_lock(folder: Folder) -> None:
    open_run(folder, "r2", take_over="r1 is dead")
    with pytest.raises(RollbackError, match="run r2 from"):
        open_run(folder, "r3", take_over="r1 is dead", take_over_from="r1")
    assert held(folder)["run"] == "r2"


def test_who_follows_a_run_is_refused_when_another_one_came_and_went(folder: Folder) -> None:
    open_run(folder, "r2", take_over="r1 is dead")
    _run.closed(folder, "r2", "rolled_back", {})
    _run.release(folder, "r2")
    with pytest.raises(RollbackError, match="Run r1 was to be followed, but the last run is r2"):
        open_run(folder, "r3", take_over_from="r1")
    open_run(folder, "r3", take_over_from="r2")


def test_a_controller_that_comes_back_finds_its_lock_gone(folder: Folder) -> None:
    open_run(folder, "r2", take_over="its laptop is off")
    with pytest.raises(RollbackError, match="Run r1 has lost the lock: run r2 of r2 holds it") as refused:
        work(folder, "r1")
    assert "not begun" in refused.value.state
    assert refused.value.facts["lost_lock"]
    _run.release(folder, "r2")
    with pytest.raises(RollbackError, match="nobody holds it"):
        work(folder, "r1")
    entries = (_journal.read(folder.run("r1")) or _journal.Reading([])).entries
    assert [entry["event"] for entry in entries] == ["opened"]


def test_a_run_does_one_thing_at_a_time(folder: Folder) -> None:
    work(folder, "r1")
    with pytest.raises(RollbackError, match="doing something already: db_backup"):
        work(folder, "r1")


def test_what_the_timer_reopened_is_not_written_over_by_a_controller_that_comes_back(folder: Folder) -> None:
    _run.abandoned(folder, "r1", {"silent_seconds": 61})
    _run.amended(folder, "r1", {"reopened": True})
    _run.release(folder, "r1")
    assert _run.closed(folder, "r1", "held", {"state": "HELD"})["outcome"] == "abandoned"
    assert _run.unfinished(_run.read_json(folder.last_run))


class Leases(RuleBasedStateMachine):
    """Any order of opening, working, dying, waiting, taking over and closing."""

    def __init__(self) -> None:
        super().__init__()
        self._scratch = tempfile.TemporaryDirectory()
        self.folder = Folder(os.path.join(self._scratch.name, "chom"))
        self.folder.create()
        self.owner: str | None = None
        self.busy: set[str] = set()

    def teardown(self) -> None:
        self._scratch.cleanup()

    @rule(run=st.sampled_from(RUNS), take_over=st.booleans(), follows=st.sampled_from([None, *RUNS]))
    def opens(self, run: str, take_over: bool, follows: str | None) -> None:
        before = self.owner
        try:
            open_run(self.folder, run, take_over="dead" if take_over else None, take_over_from=follows)
        except RollbackError:
            assert before is not None or follows, "a free lock is given to whoever asks"
            return
        assert before in (None, run) or take_over, "taken without a reason"
        assert before in (None, run) or before not in self.busy, "taken from a run that is at work"
        assert before in (None, run) or follows in (None, before), "taken from another run than the one that is followed"
        self.owner = run

    @rule(run=st.sampled_from(RUNS))
    def begins_a_step(self, run: str) -> None:
        try:
            work(self.folder, run)
        except RollbackError:
            assert run != self.owner or run in self.busy, "the owner may work"
            return
        assert run == self.owner, "worked without the lock"
        assert run not in self.busy, "did two things at once"
        self.busy.add(run)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def ends_a_step(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.busy)))
        _journal.append(self.folder.run(run), RESULT)
        self.busy.discard(run)

    @rule(seconds=st.sampled_from([1, SECONDS - 1, SECONDS + 1]))
    def waits(self, seconds: int) -> None:
        let_pass(self.folder, seconds)

    @rule(run=st.sampled_from(RUNS))
    def closes(self, run: str) -> None:
        if run in self.busy:
            return  # the same controller first sees its step end
        assert _run.release(self.folder, run) == (run == self.owner), "gave back a lock that is not its own"
        if run == self.owner:
            self.owner = None

    @invariant()
    def one_owner(self) -> None:
        assert (_run.holder(self.folder) or {}).get("run") == self.owner

    @invariant()
    def nobody_else_works(self) -> None:
        assert self.busy <= {self.owner}

    @invariant()
    def who_works_is_alive(self) -> None:
        if self.busy:
            assert _run.lease(self.folder, held(self.folder))["alive"]


TestLeases = Leases.TestCase
TestLeases.settings = hypothesis.settings(max_examples=150, stateful_step_count=25)


# Locks that were left over


def lock_only(tmp_path: pathlib.Path, run: str = "r1") -> Folder:
    found = Folder(str(tmp_path / "cut_off"))
    found.create()
    _run.acquire(found, {"run": run, "actor": run}, take_over=None)
    let_pass(found, SECONDS)
    return found


def test_a_run_that_was_cut_off_before_it_was_recorded_left_its_lock(tmp_path: pathlib.Path) -> None:
    found = lock_only(tmp_path)
    assert _run.left_over(found) == "r1"
    assert _run.give_back(found, "r1")
    assert _run.holder(found) is None
    assert not _run.give_back(found, "r1")


def test_a_run_that_is_just_beginning_did_not(tmp_path: pathlib.Path) -> None:
    found = lock_only(tmp_path)
    os.utime(found.lock)
    assert _run.left_over(found) is None
    with pytest.raises(RollbackError, match="Another rollback holds the lock"):
        _run.give_back(found, "r1")


def test_a_run_that_was_cut_off_after_it_was_closed_left_its_lock(folder: Folder) -> None:
    let_pass(folder, SECONDS)
    assert _run.left_over(folder) is None
    _run.closed(folder, "r1", "rolled_back", {})
    assert _run.left_over(folder) == "r1"


def test_a_run_that_did_something_is_not_left_over_whatever_is_recorded_last(tmp_path: pathlib.Path) -> None:
    found = lock_only(tmp_path)
    _run.opened(found, {"run": "r1"})
    os.unlink(found.last_run)
    let_pass(found, SECONDS)
    assert _run.left_over(found) == "r1"  # only opened
    work(found, "r1", {"id": 1, "began": 0})
    let_pass(found, SECONDS)
    assert _run.left_over(found) is None
