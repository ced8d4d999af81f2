# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts of an application go back together, or none does."""

from __future__ import annotations

import functools

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.acted import acted

MIGRATION = "2026_01_02_000000_rename_users_name"
requirement = pytest.mark.requirement
act = functools.partial(acted, "three_hosts")


@requirement("G-13")
def test_both_go_back_and_the_database_is_touched_once() -> None:
    found = act("together")
    assert found.rc == 0, found.output
    assert found.after("commit") == ["v1.2.3", "v1.2.3"]
    assert found.after("status") == [200, 200]
    assert found.after("version") == ["1.2.3", "1.2.3"]
    before, after = found.data("migrations")
    assert MIGRATION in before
    assert MIGRATION not in after
    made = [len(set(after) - set(before)) for before, after in zip(found.before("backups"), found.after("backups"), strict=True)]
    assert made == [2, 0]  # a file and its manifest, on the first host only
    assert found.output.count("Take down the migrations") == 1


@requirement("G-13", "CHOM-1.3-04", "CHOM-6.2-09")
def test_code_data_and_configuration_go_back_together_and_the_database_once() -> None:
    asked, found = act("all_asked"), act("all_restored")
    assert asked.rc == 2, asked.output
    assert asked.hosts_untouched
    assert "sites: 100 deleted" in asked.words
    assert found.rc == 0, found.output
    assert found.endings == ["ROLLED BACK"] * 2
    assert found.outcomes == [["rolled_back"] * 2] * 2
    assert found.after("version") == ["1.2.3", "1.2.3"]
    assert found.after("configuration") == act("good").after("configuration")
    assert found.after("configuration")[1] != found.before("configuration")[1]
    assert found.data("sites") == (19900, 20000)
    assert found.output.count("Make the restored database the live one") == 1
    assert all(report["closed_seconds"] for report in found.reports)


@requirement("G-13")
def test_an_undo_closes_all_hosts_while_the_one_database_goes_back() -> None:
    found = act("all_undone")
    assert found.rc == 0, found.output
    assert found.data("sites")[1] == 19900
    assert found.after("commit") == act("all_restored").before("commit")
    assert found.after("configuration") == act("all_restored").before("configuration")
    assert found.output.count("Make the database that was replaced the live one again") == 1
    assert all(report["closed_seconds"] for report in found.reports)
    assert found.endings == ["UNDONE"] * 2


def test_workers_run_only_where_they_ran() -> None:
    for name in ("together", "all_restored", "all_undone", "repaired", "undone"):
        assert [len(workers) for workers in act(name).after("workers")] == [5, 0], name


@requirement("G-01")
def test_the_lock_is_free_afterwards_everywhere() -> None:
    for name in ("together", "all_asked", "all_restored", "all_undone", "disagree", "unreachable", "one_fails", "repaired", "undone"):
        assert act(name).after("locked") == [False, False], name


def test_the_report_says_how_it_ended_on_each_host() -> None:
    assert act("together").outcomes == [["rolled_back"] * 2] * 2
    assert act("one_fails").outcomes == [["held"] * 2] * 2
    assert act("together").endings == ["ROLLED BACK"] * 2


def test_hosts_that_would_go_to_different_versions_go_nowhere() -> None:
    found = act("disagree")
    assert found.rc == 2, found.output
    assert "The hosts do not agree on the target" in found.words
    assert "-e target=<tag or commit>" in found.words
    assert found.untouched


def test_without_one_of_them_nothing_begins() -> None:
    found = act("unreachable")
    assert found.rc != 0
    assert found.untouched
    assert found.endings == ["REFUSED", "UNKNOWN"]


@requirement("G-12", "G-13")
def test_when_one_fails_users_get_the_maintenance_page_from_all() -> None:
    found = act("one_fails")
    assert found.rc == 2, found.output
    assert found.after("closed") == [True, True]
    assert found.after("status") == [503, 503]
    assert f"(on {found.names[1]})" in found.words
    assert found.endings == ["HELD IN MAINTENANCE"] * 2


def test_after_the_repair_it_goes_on_everywhere() -> None:
    found = act("repaired")
    assert found.rc == 0, found.output
    assert found.after("status") == [200, 200]
    assert found.after("version") == ["1.2.3", "1.2.3"]
    assert found.after("closed") == [False, False]


def test_undone_everywhere() -> None:
    found = act("undone")
    assert found.rc == 0, found.output
    assert found.after("commit") == act("one_fails").before("commit")
    assert found.after("closed") == [False, False]
    assert found.endings == ["UNDONE"] * 2


def test_a_run_that_one_host_has_left_is_finished_there_and_nowhere_else() -> None:
    assert act("alone_fails").after("closed") == [False, True]
    found = act("alone_repaired")
    assert found.rc == 0, found.output
    assert found.after("closed") == [False, False]
    assert found.after("version")[1] == "1.2.3"
    host = found.names[0]
    assert found.record["before"]["hosts"][host] == found.record["after"]["hosts"][host]
    assert found.endings == ["NOTHING TO DO", "ROLLED BACK"]
