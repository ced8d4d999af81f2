# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts of an application go back together, or none does."""

from __future__ import annotations

import functools
import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.three_hosts.cluster import FOLDER, WITH_WORKERS, WITHOUT

WEB1, WEB2 = WITH_WORKERS.name, WITHOUT.name
MIGRATION = "2026_01_02_000000_rename_users_name"
requirement = pytest.mark.requirement


@functools.cache
def record(act: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads((FOLDER / f"{act}.json").read_text()))


def after(act: str, fact: str) -> list[t.Any]:
    hosts = record(act)["after"]["hosts"]
    return [hosts[WEB1][fact], hosts[WEB2][fact]]


def last_lines(act: str) -> list[str]:
    return [line for line in record(act)["output"].splitlines() if line.strip()][-2:]


def outcomes(act: str) -> list[list[str]]:
    """How each report says it ended, host by host; the first one is that of the run."""
    return [[entry["outcome"] for entry in report["each_host"]] for report in record(act)["reports"]]


def untouched_hosts(act: str) -> bool:
    """But for what a run that was refused writes down about itself."""
    found = record(act)
    told = ("last_run",)
    each = [
        [{name: fact for name, fact in host.items() if name not in told} for host in found[when]["hosts"].values()]
        for when in ("before", "after")
    ]
    return each[0] == each[1]


def untouched(act: str) -> bool:
    found = record(act)
    return bool(found["before"] == found["after"])


@requirement("G-13")
def test_both_go_back_and_the_database_is_touched_once() -> None:
    found = record("together")
    assert found["rc"] == 0, found["output"]
    assert after("together", "commit") == ["v1.2.3", "v1.2.3"]
    assert after("together", "status") == [200, 200]
    assert after("together", "version") == ["1.2.3", "1.2.3"]
    assert MIGRATION in found["before"]["migrations"]
    assert MIGRATION not in found["after"]["migrations"]
    made = [len(set(found["after"]["hosts"][host]["backups"]) - set(found["before"]["hosts"][host]["backups"])) for host in (WEB1, WEB2)]
    assert made == [2, 0]  # a file and its manifest, on the first host only
    assert found["output"].count("Take down the migrations") == 1


@requirement("G-13", "CHOM-6.2-09")
def test_the_database_goes_back_once_and_all_hosts_wait_for_it() -> None:
    asked, found = record("asked"), record("data_restored")
    assert asked["rc"] == 2, asked["output"]
    assert untouched_hosts("asked")
    assert found["rc"] == 0, found["output"]
    assert (asked["before"]["data"]["sites"], found["after"]["data"]["sites"]) == (19900, 20000)
    assert found["output"].count("Make the restored database the live one") == 1
    assert all(report["closed_seconds"] for report in found["reports"])
    assert outcomes("data_restored") == [["rolled_back"] * 2] * 2


@requirement("G-13")
def test_an_undo_closes_all_hosts_while_the_one_database_goes_back() -> None:
    found = record("data_returned")
    assert found["rc"] == 0, found["output"]
    assert found["after"]["data"]["sites"] == 19900
    assert found["output"].count("Make the database that was replaced the live one again") == 1
    assert all(report["closed_seconds"] for report in found["reports"])
    assert [line.partition(":")[0] for line in last_lines("data_returned")] == ["UNDONE"] * 2


def test_workers_run_only_where_they_ran() -> None:
    for act in ("together", "data_restored", "data_returned", "repaired", "undone"):
        assert after(act, "workers") == [5, 0], act


@requirement("G-01")
def test_the_lock_is_free_afterwards_everywhere() -> None:
    for act in ("together", "asked", "data_restored", "data_returned", "disagree", "unreachable", "one_fails", "repaired", "undone"):
        assert after(act, "locked") == [False, False], act


def test_the_report_says_how_it_ended_on_each_host() -> None:
    assert outcomes("together") == [["rolled_back"] * 2] * 2
    assert outcomes("one_fails") == [["held"] * 2] * 2
    assert [line.partition(":")[0] for line in last_lines("together")] == ["ROLLED BACK"] * 2
    assert {host for line in last_lines("together") for host in (WEB1, WEB2) if host in line} == {WEB1, WEB2}


def test_hosts_that_would_go_to_different_versions_go_nowhere() -> None:
    found = record("disagree")
    assert found["rc"] == 2, found["output"]
    words = " ".join(found["output"].split())
    assert "The hosts do not agree on the target" in words
    assert "-e target=<tag or commit>" in words
    assert untouched("disagree")


def test_without_one_of_them_nothing_begins() -> None:
    found = record("unreachable")
    assert found["rc"] != 0
    assert untouched("unreachable")
    assert any(line.startswith("UNKNOWN") and WEB2 in line for line in last_lines("unreachable"))
    assert any(line.startswith("REFUSED") and WEB1 in line for line in last_lines("unreachable"))


@requirement("G-12", "G-13")
def test_when_one_fails_users_get_the_maintenance_page_from_all() -> None:
    found = record("one_fails")
    assert found["rc"] == 2, found["output"]
    assert after("one_fails", "closed") == [True, True]
    assert after("one_fails", "status") == [503, 503]
    words = " ".join(found["output"].split())
    assert f"(on {WEB2})" in words
    assert words.count("HELD IN MAINTENANCE: chom on") == 2


def test_after_the_repair_it_goes_on_everywhere() -> None:
    assert record("repaired")["rc"] == 0, record("repaired")["output"]
    assert after("repaired", "status") == [200, 200]
    assert after("repaired", "version") == ["1.2.3", "1.2.3"]
    assert after("repaired", "closed") == [False, False]


def test_undone_everywhere() -> None:
    assert record("undone")["rc"] == 0, record("undone")["output"]
    assert after("undone", "commit") == record("one_fails")["before"]["hosts"][WEB1]["commit"].split() * 2
    assert after("undone", "closed") == [False, False]
    assert [line.partition(":")[0] for line in last_lines("undone")] == ["UNDONE"] * 2


def test_a_run_that_one_host_has_left_is_finished_there_and_nowhere_else() -> None:
    assert after("alone_fails", "closed") == [False, True]
    found = record("alone_repaired")
    assert found["rc"] == 0, found["output"]
    assert after("alone_repaired", "closed") == [False, False]
    assert after("alone_repaired", "version")[1] == "1.2.3"
    assert found["before"]["hosts"][WEB1] == found["after"]["hosts"][WEB1]
    assert [line.partition(":")[0] for line in last_lines("alone_repaired")] == ["NOTHING TO DO", "ROLLED BACK"]
