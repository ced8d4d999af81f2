# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import tempfile
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils import _ledger
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError

OLD, NEW, NEWEST = "1" * 40, "2" * 40, "3" * 40


class Book:
    """A ledger in a folder, written line by line; its moments go by the minute."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._minute = 0

    @property
    def now(self) -> str:
        self._minute += 1
        return f"2026-01-01T{self._minute // 60:02d}:{self._minute % 60:02d}:00.000Z"

    @property
    def read(self) -> _ledger.Ledger:
        return _ledger.read(self.root)

    def record(self, commit: str, state: str = "live") -> str:
        at = self.now
        name = f"{_ledger.compact(at)}-{commit[:12]}"
        _ledger.record(
            self.root, {"id": name, "commit": commit, "version": f"v{commit[0]}", "since": at, "source": "test", "at": at}, state, {}
        )
        return name

    def mark(self, name: str, state: str, reason: str = "because") -> None:
        _ledger.mark(self.root, self.read.find(name), state, self.now, {"reason": reason, "actor": "me"})

    def end(self, outcome: str, before: str, after: str, **more: t.Any) -> None:
        record = {"run": "r1", "actor": "on-call", "reason": "it is down", "incident": "I-1", "closed": self.now, "outcome": outcome}
        _ledger.conclude_run(self.root, {**record, "from_commit": before, "to_commit": after, "from_version": f"v{before[0]}", **more})

    def choice(self, running: str) -> str | None:
        found = self.read.candidates(running)
        return found[0].version if found else None


@pytest.fixture
def book(tmp_path: pathlib.Path) -> Book:
    return Book(str(tmp_path))


def test_without_a_file_it_is_empty(book: Book) -> None:
    assert book.read == _ledger.Ledger()
    assert book.choice(OLD) is None


@pytest.mark.requirement("G-04")
def test_an_entry_keeps_all_that_was_said_about_it(book: Book) -> None:
    name = book.record(OLD, "started")
    book.mark(name, "live")
    book.mark(name, "verified", "smoke tests passed")
    (point,) = book.read.points
    assert [said["state"] for said in point.history] == ["started", "live", "verified"]
    assert point.as_result()["history"][-1] == {
        "state": "verified",
        "at": "2026-01-01T00:03:00.000Z",
        "actor": "me",
        "reason": "smoke tests passed",
    }


@pytest.mark.requirement("G-05")
def test_a_bad_version_is_never_a_candidate_until_somebody_says_why_it_is_good(book: Book) -> None:
    book.mark(book.record(OLD), "verified")
    name = book.record(NEW)
    book.mark(name, "verified")
    assert book.choice(NEWEST) == "v2"
    book.mark(name, "bad")
    assert book.choice(NEWEST) == "v1"
    with pytest.raises(RollbackError, match="is bad: because"):
        book.mark(name, "verified", "")
    book.mark(name, "verified", "it was the network")
    assert book.choice(NEWEST) == "v2"


def test_what_was_said_last_about_a_commit_counts_for_all_its_entries(book: Book) -> None:
    first = book.record(OLD)
    book.mark(first, "verified")
    book.mark(first, "bad")
    assert book.choice(NEW) is None
    again = book.record(OLD)
    book.mark(again, "verified", "with the right settings")
    assert book.choice(NEW) == "v1"


@pytest.mark.parametrize(("state", "then"), [("started", "verified"), ("bad", "live"), ("superseded", "verified"), ("verified", "started")])
def test_what_cannot_follow_is_refused(book: Book, state: str, then: str) -> None:
    name = book.record(OLD, state)
    with pytest.raises(RollbackError, match=f"is {state}; it cannot become {then}"):
        book.mark(name, then)


def test_an_entry_is_found_by_id_or_as_the_newest_of_its_version(book: Book) -> None:
    first, second = book.record(OLD), book.record(OLD)
    assert book.read.find(first).id == first
    assert book.read.find("v1").id == book.read.find(OLD).id == second
    with pytest.raises(RollbackError, match="no entry 'v9'"):
        book.read.find("v9")


@pytest.mark.requirement("G-05")
def test_a_rollback_calls_what_it_left_bad_and_what_it_reached_good(book: Book) -> None:
    good = book.record(OLD)
    book.mark(good, "verified")
    bad = book.record(NEW)
    book.end("rolled_back", NEW, OLD)
    assert [book.read.find(name).state for name in (bad, good)] == ["bad", "verified"]
    assert book.read.find(bad).history[-1]["incident"] == "I-1"
    assert book.choice(NEWEST) == "v1"


def test_a_rollback_from_a_version_that_nobody_recorded_is_remembered(book: Book) -> None:
    book.end("rolled_back", NEW, OLD)
    (point,) = book.read.points
    assert (point.state, point.version, point.manifest) == ("bad", "v2", None)


def test_a_resumed_rollback_left_the_version_that_the_first_run_began_with(book: Book) -> None:
    bad = book.record(NEW)
    book.end("rolled_back", OLD, OLD, origin={"from_commit": NEW, "from_version": "v2", "phases": {}})
    assert book.read.find(bad).state == "bad"


def test_an_undone_rollback_gives_back_what_it_took(book: Book) -> None:
    good = book.record(NEW)
    book.mark(good, "verified")
    book.end("rolled_back", NEW, OLD)
    book.end("undone", OLD, NEW, run="r2")
    assert book.read.find(good).state == "verified"


@pytest.mark.parametrize("outcome", ["held", "failed", "aborted", "refused", "interrupted"])
def test_a_run_that_proved_nothing_says_nothing(book: Book, outcome: str) -> None:
    book.mark(book.record(NEW), "verified")
    before = book.read
    book.end(outcome, NEW, OLD)
    book.end("rolled_back", NEW, NEW)
    assert book.read == before


def test_a_changed_line_is_noticed_and_nothing_is_decided_by_it(book: Book) -> None:
    book.mark(book.record(OLD), "verified")
    path = pathlib.Path(book.root, _ledger.NAME)
    path.write_text(path.read_text().replace("because", "instead"))
    assert book.read.broken == "line 2 was changed"
    with pytest.raises(RollbackError, match="cannot say which version was last good"):
        book.read.trusted()


SAID = st.lists(st.tuples(st.sampled_from([OLD, NEW, NEWEST]), st.sampled_from(["new", "verified", "bad", "rolled_back"])), max_size=12)


@given(SAID, st.sampled_from([OLD, NEW, NEWEST]))
def test_whatever_was_said_a_candidate_is_verified_and_neither_bad_nor_running(said: list[tuple[str, str]], running: str) -> None:
    """The last word about each commit is kept beside, as simply as possible."""
    last: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        book = Book(folder)
        for commit, what in said:
            known = book.read.of(commit)
            if what == "new":
                book.record(commit)
            elif what == "rolled_back":
                book.end("rolled_back", commit, "9" * 40)
                last[commit] = "bad"
            elif known and what in _ledger.STATES[known[-1].state]:
                book.mark(known[-1].id, what)
                last[commit] = what
        found = book.read
        assert found.broken is None
        candidates = found.candidates(running)
    assert {point.commit for point in candidates} == {commit for commit, what in last.items() if what == "verified" and commit != running}
    assert [point.since for point in candidates] == sorted((point.since for point in candidates), reverse=True)


def test_releases_of_one_commit_are_one_version(book: Book) -> None:
    book.end("rolled_back", "a" * 40, "a" * 40 + "+2")
    assert not book.read.points  # neither good nor bad by that
    book.end("rolled_back", "a" * 40 + "+2", "b" * 40)
    assert book.read.known_bad("a" * 40)
    assert book.read.known_bad("a" * 40 + "+2")
    assert book.read.points[0].commit == "a" * 40
