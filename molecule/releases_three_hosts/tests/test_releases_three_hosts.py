# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts whose releases lie beside each other: users never have two versions for longer than a switch takes."""

from __future__ import annotations

import functools
import os

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.acted import Acted, acted

requirement = pytest.mark.requirement
act = functools.partial(acted, "releases_three_hosts")
ENDED = ("together", "undone", "half_undone", "went_back", "resumed", "gone_restored")  # with everybody served, on both hosts


def ids(found: Acted) -> list[str]:
    """The names of the releases that the links lead to."""
    return [os.path.basename(path) for path in found.after("runs_in")]


def served(found: Acted) -> list[str]:
    """The versions that users get in the end; none where they get the maintenance page."""
    return [version for version in found.after("version") if version]


@requirement("G-13")
def test_both_go_back_with_users_on_the_site_though_their_releases_have_other_names() -> None:
    found = act("together")
    assert found.rc == 0, found.output
    assert found.endings == ["ROLLED BACK"] * 2
    assert found.outcomes == [["rolled_back"] * 2] * 2
    assert found.after("commit") == ["v1.2.3", "v1.2.3"]
    assert found.after("version") == ["1.2.3", "1.2.3"]
    assert found.failed_questions == [0, 0]
    numbered, named_by_time = ids(found)
    assert (numbered, len(named_by_time)) == ("2", 14)


@requirement("G-13")
def test_both_are_taken_back_to_where_they_were_with_users_on_the_site() -> None:
    found = act("undone")
    assert found.rc == 0, found.output
    assert found.endings == ["UNDONE"] * 2
    assert found.after("runs_in") == act("together").before("runs_in")
    assert found.failed_questions == [0, 0]


def test_a_release_that_one_host_lacks_is_named_with_the_host_and_nothing_begins() -> None:
    found = act("missing")
    assert found.rc == 2, found.output
    assert found.untouched
    assert f"{found.names[1]}: v1.2.3 is not the id, version or commit of a release in /var/www/chom/releases" in found.words
    assert found.last_lines[0].endswith(f"since it cannot on {found.names[1]}. Nothing was changed.")
    assert found.endings == ["REFUSED"] * 2
    assert found.failed_questions == [0, 0]


def test_without_one_of_them_nothing_begins() -> None:
    found = act("unreachable")
    assert found.rc == 2, found.output
    assert found.untouched
    assert found.endings == ["REFUSED", "UNKNOWN"]


@requirement("G-12", "G-13")
def test_when_the_link_of_one_cannot_be_switched_the_other_is_held_and_both_can_be_taken_back() -> None:
    found, back = act("half_switched"), act("half_undone")
    assert found.rc == 2, found.output
    assert found.endings == ["HELD IN MAINTENANCE", "FAILED"]
    assert found.after("status") == [503, 200]
    assert served(found) == ["1.2.4"]
    assert found.failed_questions[1] == 0  # where nothing was switched nobody notices
    assert found.last_lines[1].endswith(f" on {found.names[0]}.")
    assert "Next: ansible-playbook playbooks/undo.yml" in found.words
    assert back.rc == 0, back.output
    assert back.endings == ["UNDONE"] * 2
    assert back.after("version") == ["1.2.4", "1.2.4"]


def test_a_release_that_is_not_good_on_one_host_is_switched_to_on_none() -> None:
    found = act("not_good")
    assert found.rc == 2, found.output
    assert f"as users will get it (on {found.names[1]})" in found.words
    assert found.endings == ["FAILED"] * 2
    assert found.hosts_untouched
    assert found.failed_questions[0] == 0


@requirement("G-12", "G-13")
def test_when_the_gate_of_one_fails_all_go_back_where_that_is_wanted() -> None:
    found = act("went_back")
    assert found.rc == 2, found.output
    assert found.endings == ["UNDONE"] * 2
    assert found.after("runs_in") == found.before("runs_in")
    assert found.after("version") == ["1.2.4", "1.2.4"]


@requirement("G-12", "G-13")
def test_otherwise_it_is_held_and_the_other_serves_the_one_version_that_is_proven() -> None:
    found = act("held")
    assert found.rc == 2, found.output
    assert found.endings == ["FAILED", "HELD IN MAINTENANCE"]
    assert found.after("status") == [200, 503]
    assert served(found) == ["1.2.3"]
    assert found.failed_questions[0] == 0
    assert found.last_lines[0].endswith(f" on {found.names[1]}.")


def test_after_the_repair_it_goes_on_everywhere() -> None:
    found = act("resumed")
    assert found.rc == 0, found.output
    assert found.endings == ["ROLLED BACK"] * 2
    assert found.after("version") == ["1.2.3", "1.2.3"]
    assert found.failed_questions[0] == 0


@requirement("CHOM-1.3-04", "G-13")
def test_the_whole_system_goes_back_where_the_live_database_is_gone() -> None:
    asked, found = act("gone_asked"), act("gone_restored")
    assert asked.rc == 2, asked.output
    assert asked.hosts_untouched
    assert "WHAT WOULD BE LOST IS NOT KNOWN" in asked.words
    assert found.rc == 0, found.output
    assert found.endings == ["ROLLED BACK"] * 2
    assert found.data("sites") == (0, 20000)
    assert found.output.count("Make the restored database the live one") == 1
    assert all(report["closed_seconds"] for report in found.reports)
    assert found.after("configuration") == act("verified").after("configuration")
    assert found.after("configuration")[1] != found.before("configuration")[1]


@requirement("G-13")
def test_there_is_no_way_back_to_a_database_that_was_gone() -> None:
    found = act("not_gone_again")
    assert found.rc == 2, found.output
    assert found.hosts_untouched
    assert found.data("sites") == (20000, 20000)
    assert "going back would leave the application without data" in found.words
    assert "playbooks/standard_rollback.yml -e target=v1.2.3 -e migrations=keep" in found.words


@requirement("G-13")
@pytest.mark.parametrize("name", ENDED)
def test_workers_run_in_the_release_that_is_served_and_only_where_they_ran(name: str) -> None:
    found = act(name)
    working = found.after("workers")
    assert [len(workers) for workers in working] == [5, 0]
    assert set(working[0].values()) == {found.after("runs_in")[0]}
    assert found.after("scheduler") == ["active", "inactive"]
    assert len(served(found)) == 2
    assert len(set(served(found))) == 1


@requirement("G-01")
@pytest.mark.parametrize("name", [*ENDED, "missing", "unreachable", "half_switched", "not_good", "held", "gone_asked"])
def test_the_lock_is_free_afterwards_and_the_journals_are_whole(name: str) -> None:
    found = act(name)
    assert found.after("locked") == [False, False]
    assert found.journals_whole
