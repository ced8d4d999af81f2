# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import typing as t

import local_runner
import pytest
from local_runner import Local

from conftest import RunModule

OLDER = """
CREATE TABLE zones (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE accounts (id INTEGER PRIMARY KEY, zone_id INTEGER NOT NULL REFERENCES zones, raw, extra TEXT);
CREATE TABLE nodes (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES nodes);
CREATE TABLE temporary (id INTEGER PRIMARY KEY);
INSERT INTO zones VALUES (1, 'one');
INSERT INTO accounts VALUES (1, 1, 'x', NULL), (2, 1, 'y', NULL);
"""
SINCE = """
INSERT INTO zones VALUES (2, 'two'), (3, 'three');
INSERT INTO accounts VALUES (3, 2, x'00ff', ''), (4, 3, 0.1, NULL);
UPDATE accounts SET raw = 'z' WHERE id = 2;
INSERT INTO nodes VALUES (1, 2), (2, NULL);
INSERT INTO temporary VALUES (1);
"""


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    return local_runner.install(monkeypatch)


@pytest.fixture
def restored(run_module: RunModule, local: Local, tmp_path: pathlib.Path) -> tuple[pathlib.Path, str]:
    """A database as it is after a restore, and the folder of what was saved before."""
    live, side = tmp_path / "live.sqlite", tmp_path / "side.sqlite"
    execute(live, OLDER + SINCE)
    execute(side, OLDER)
    saved = run_module("data_loss", {"engine": "sqlite", "database": str(live), "side": str(side), "directory": str(tmp_path)})
    assert saved["totals"]["new"] == 7
    execute(side, "DROP TABLE temporary")
    return side, saved["salvage"]


def execute(path: pathlib.Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(script)


def content(path: pathlib.Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as base:
        return sorted(base.iterdump())


def arguments(restored: tuple[pathlib.Path, str], **more: t.Any) -> dict[str, t.Any]:
    return {"engine": "sqlite", "database": str(restored[0]), "salvage": restored[1], **more}


def test_rows_come_back_once_and_conflicts_are_left(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    before = content(restored[0])
    forecast = run_module("data_salvage", arguments(restored), check=True, diff=True)
    assert content(restored[0]) == before
    put = run_module("data_salvage", arguments(restored))
    again = run_module("data_salvage", arguments(restored))
    assert [forecast["changed"], put["changed"], again["changed"]] == [True, True, False]
    assert forecast["tables"] == put["tables"]
    assert forecast["diff"]["after"] == put["text"] + "\n"
    assert put["text"].splitlines() == [
        "accounts: 2 inserted, 0 there already, 1 left because the key has other content now.",
        "nodes: 2 inserted, 0 there already.",
        "temporary: There is no such table now.",
        "zones: 2 inserted, 0 there already.",
    ]
    assert put["tables"][0]["conflict_keys"] == [[2]]
    assert again["tables"][0]["present"] == 2


def test_overwritten_rows_are_as_they_were(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    put = run_module("data_salvage", arguments(restored, conflicts="overwrite"))
    again = run_module("data_salvage", arguments(restored, conflicts="overwrite"))
    assert [table["overwritten"] for table in put["tables"]] == [1, 0, 0, 0]
    assert not again["changed"]
    execute(restored[0].with_name("live.sqlite"), "DROP TABLE temporary")
    assert content(restored[0]) == content(restored[0].with_name("live.sqlite"))


def test_a_row_that_another_unique_key_keeps_out_is_left(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    execute(restored[0], "INSERT INTO zones VALUES (9, 'two')")
    put = run_module("data_salvage", arguments(restored, tables=["zones"]))
    (zones,) = put["tables"]
    assert (zones["inserted"], zones["blocked"]) == (1, 1)
    assert "1 left because another unique key is taken" in put["text"]


def test_rows_whose_parents_are_missing_are_refused(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    before = content(restored[0])
    result = run_module("data_salvage", arguments(restored, tables=["accounts", "nodes"]))
    assert result["failed"]
    assert "rows of accounts (zone_id) refer to rows that are neither in the database nor among those that were saved" in result["msg"]
    assert content(restored[0]) == before


def test_columns_that_are_gone_and_triggers_are_said(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    execute(restored[0], "ALTER TABLE accounts DROP COLUMN extra; CREATE TRIGGER t AFTER INSERT ON zones BEGIN SELECT 1; END")
    put = run_module("data_salvage", arguments(restored))
    assert put["tables"][0]["without"] == ["extra"]
    assert "without the columns extra" in put["text"]
    assert "These tables have triggers, which run for each row that is put back: zones." in json.dumps(put["warnings"])


def test_a_table_without_a_key_is_left(run_module: RunModule, restored: tuple[pathlib.Path, str]) -> None:
    execute(restored[0], "DROP TABLE nodes; CREATE TABLE nodes (id INT, parent_id INT)")
    put = run_module("data_salvage", arguments(restored, tables=["nodes"]))
    assert put["tables"][0]["reason"] == "The table has no key by which to tell whether a row is there already."
    assert not put["changed"]


@pytest.mark.parametrize("damage", ["byte", "manifest", "version", "engine", "table", "rows"])
def test_damaged_rows_change_nothing(run_module: RunModule, restored: tuple[pathlib.Path, str], damage: str) -> None:
    folder = pathlib.Path(restored[1])
    manifest = folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    more = {}
    if damage == "byte":
        file = folder / facts["tables"][0]["file"]
        file.write_bytes(file.read_bytes().replace(b'"z"', b'"Z"'))
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-20])
    elif damage == "table":
        more = {"tables": ["nobody"]}
    else:
        facts.update({"version": {"format_version": 9}, "engine": {"engine": "mysql"}}.get(damage, {}))
        facts["tables"][0]["new"] += damage == "rows"
        manifest.write_text(json.dumps(facts))
    before = content(restored[0])
    result = run_module("data_salvage", arguments(restored, **more))
    assert result["failed"]
    expected = {
        "byte": "is damaged: its checksum",
        "manifest": "cannot be read",
        "version": "another version",
        "engine": "are from mysql, not from sqlite",
        "table": "There are no rows of nobody",
        "rows": "not as many rows as were saved",
    }
    assert expected[damage] in result["msg"]
    assert content(restored[0]) == before
