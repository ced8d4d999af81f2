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


def test_workers_run_only_where_they_ran() -> None:
    for act in ("together", "repaired", "undone"):
        assert after(act, "workers") == [5, 0], act


@requirement("G-01")
def test_the_lock_is_free_afterwards_everywhere() -> None:
    for act in ("together", "disagree", "unreachable", "one_fails", "repaired", "undone"):
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
