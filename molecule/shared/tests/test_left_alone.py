# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is refused, has nothing to do, or only looks or writes a restore point, changes nothing, and users notice nothing."""

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, digest_planned, only, unchanged

EXPECTED = {"refused", "nothing_to_do", "checked", "recorded"}
requirement = pytest.mark.requirement


def test_the_command_says_why_and_its_exit_status_agrees(rehearsed: Rehearsed) -> None:
    assert (rehearsed.record.rc != 0) == (rehearsed.run.expected == "refused"), rehearsed.record.output
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words


def test_the_host_is_as_it_was(rehearsed: Rehearsed) -> None:
    """Commit, every file, units and their processes, rows, queues, sessions, backups."""
    assert unchanged(rehearsed.record.before, rehearsed.record.after) == []


def test_no_lock_is_left_and_no_worker_is_waited_for(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["durable"], rehearsed.record.after["durable"]
    assert (after["lock"], after["workers.json"]) == (before["lock"], before["workers.json"])


def test_users_notice_nothing(rehearsed: Rehearsed) -> None:
    """They get from beginning to end what they got before, be it good or bad, and never the maintenance page."""
    pages = [answer for answer in rehearsed.record.users if answer.path == "/"]
    before = {(answer.status, answer.version) for answer in pages if answer.t < rehearsed.record.began}
    during = {(answer.status, answer.version) for answer in pages if answer.t >= rehearsed.record.began}
    assert before
    assert during == before


@only(lambda rehearsed: rehearsed.run.expected != "refused")
def test_no_question_goes_without_a_good_answer(rehearsed: Rehearsed) -> None:
    users = rehearsed.users()
    assert users.asked >= 5
    assert users.failed == 0
    assert rehearsed.users("/health/ready").failed == 0


@only(lambda rehearsed: rehearsed.run.name == "not_told")
@requirement("CHOM-5.2-06", "CHOM-5.2-07", "CHOM-5.3-10")
def test_undecided_migrations_are_refused_with_what_to_type(rehearsed: Rehearsed) -> None:
    assert "-e migrations=down" in rehearsed.record.words
    assert "what their dropped columns hold is then in the backup only" in rehearsed.record.words
    assert rehearsed.record.report == {}


@only(lambda rehearsed: rehearsed.run.playbook == "plan")
@requirement("G-09")
def test_a_plan_is_kept_on_the_host_and_nothing_else_is_written_there(rehearsed: Rehearsed) -> None:
    kept = f"plans/{digest_planned(rehearsed)}.json"
    new = set(rehearsed.record.after["durable"]["files"]) - set(rehearsed.record.before["durable"]["files"])
    assert kept in new
    assert {name for name in new if not name.endswith("/")} == {kept}
    assert f"digest: {digest_planned(rehearsed)}" in rehearsed.record.words


@only(lambda rehearsed: bool(rehearsed.run.plan_of))
@requirement("G-09")
def test_a_plan_that_does_not_fit_is_refused_before_the_lock(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.after["durable"] == rehearsed.record.before["durable"]
    assert "Nothing was changed" in rehearsed.record.words


@only(lambda rehearsed: rehearsed.run.name == "locked")
def test_the_owner_of_the_lock_is_named(rehearsed: Rehearsed) -> None:
    owner = rehearsed.record.before["durable"]["lock"]
    assert owner["run"] in rehearsed.record.words
    assert owner["since"] in rehearsed.record.words


@only(lambda rehearsed: rehearsed.run.expected == "refused")
def test_no_secret_is_said(rehearsed: Rehearsed) -> None:
    for secret in rehearsed.record.after["secrets"]:
        assert secret == "wrong" or secret not in rehearsed.record.output
