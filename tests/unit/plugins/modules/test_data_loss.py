# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import sqlite3
import typing as t

import local_runner
import pytest
from local_runner import Local

from ansible_collections.lastgood.rollback.plugins.module_utils import _salvage
from conftest import RunModule

OLDER = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE NOT NULL UNIQUE, picture BLOB);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, amount NUMERIC, made DATETIME);
CREATE TABLE pairs (a INT NOT NULL, b TEXT NOT NULL, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE sessions (id TEXT NOT NULL PRIMARY KEY, payload TEXT);
CREATE TABLE lines (line TEXT, at DATETIME);
CREATE TABLE dropped (id INTEGER PRIMARY KEY);
CREATE VIEW totals AS SELECT SUM(amount) FROM orders;
INSERT INTO users VALUES (1, 'Anna', x'00ff'), (2, 'Bert', NULL);
INSERT INTO orders VALUES (1, 1, 10, '2026-11-01 00:00:00'), (2, 1, 20, '2026-11-01 00:00:00'), (3, 2, 5, NULL);
INSERT INTO pairs VALUES (1, 'a', NULL), (1, 'b', 'x');
INSERT INTO sessions VALUES ('s', 'old');
INSERT INTO lines VALUES ('old', '2026-11-01 00:00:00');
INSERT INTO dropped VALUES (1);
"""
SINCE = """
INSERT INTO users VALUES (3, 'NULL', x''), (4, '🦊 "q", line
end', NULL);
UPDATE users SET name = 'anna' WHERE id = 1;
INSERT INTO orders VALUES (4, 3, 1.25, '2026-11-22T10:00:00+01:00'), (5, 4, 2.5, 1795348800);
UPDATE orders SET amount = 11 WHERE id = 1;
DELETE FROM orders WHERE id = 2;
DELETE FROM pairs WHERE b = 'a';
INSERT INTO pairs VALUES (2, 'a', 'y');
UPDATE sessions SET payload = 'new';
INSERT INTO lines VALUES ('new', '2026-11-22 10:00:00'), ('when?', NULL);
DROP TABLE dropped;
CREATE TABLE added (id INTEGER PRIMARY KEY);
INSERT INTO added VALUES (1);
ALTER TABLE pairs ADD COLUMN extra TEXT DEFAULT 'none';
"""


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    return local_runner.install(monkeypatch)


@pytest.fixture
def bases(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    live, side = tmp_path / "live.sqlite", tmp_path / "side.sqlite"
    for path, scripts in ((live, (OLDER, SINCE)), (side, (OLDER,))):
        with contextlib.closing(sqlite3.connect(path)) as base:
            for script in scripts:
                base.executescript(script)
    (tmp_path / "saved").mkdir()
    return live, side


def arguments(bases: tuple[pathlib.Path, pathlib.Path], **more: t.Any) -> dict[str, t.Any]:
    live, side = bases
    wanted = {"engine": "sqlite", "database": str(live), "side": str(side), "directory": str(live.parent / "saved"), **more}
    return {name: value for name, value in wanted.items() if value is not None}


def by_name(result: dict[str, t.Any]) -> dict[str, t.Any]:
    assert not result.get("failed"), result
    return {table["name"]: table for table in result["tables"]}


def kinds(table: dict[str, t.Any]) -> tuple[int | None, int | None, int | None]:
    return table["new"], table["changed"], table["deleted"]


def lines(path: str) -> list[t.Any]:
    return [json.loads(line) for line in pathlib.Path(path).read_bytes().splitlines()]


@pytest.mark.requirement("D-025")
def test_rows_are_told_apart_by_their_key(run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]) -> None:
    before = [path.read_bytes() for path in bases]
    result = run_module("data_loss", arguments(bases, transient=["sessions"]))
    found = by_name(result)
    assert {name: kinds(table) for name, table in found.items() if table["basis"] == "key"} == {
        "added": (1, 0, 0),
        "dropped": (0, 0, 1),
        "orders": (2, 1, 1),
        "pairs": (1, 0, 1),  # what an added column holds by default is no change
        "sessions": (0, 1, 0),
        "users": (2, 1, 0),  # the same name to its collation is another name
    }
    assert result["totals"] == {
        "new": 6,
        "changed": 2,
        "deleted": 3,
        "tables": ["added", "dropped", "lines", "orders", "pairs", "users"],
        "undetermined": ["lines"],
    }
    assert [path.read_bytes() for path in bases] == before


def test_what_cannot_be_known_says_why(run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]) -> None:
    result = run_module("data_loss", arguments(bases, transient=["sessions"]))
    found = by_name(result)
    assert (found["lines"]["basis"], kinds(found["lines"])) == ("count", (None, None, None))
    assert (found["lines"]["rows"], found["lines"]["rows_side"]) == (3, 1)
    assert found["totals"]["basis"] == "view"
    assert result["text"].splitlines() == [
        f"added: 1 new. There is no such table in the database {bases[1]}.",
        "dropped: 1 deleted. There is no such table in the live database.",
        "lines: 3 rows, 1 in the other database. It has no key, so its rows were only counted.",
        "orders: 2 new, 1 changed, 1 deleted.",
        "pairs: 1 new, 1 deleted, columns that would be gone: extra.",
        "users: 2 new, 1 changed.",
        "Different but not counted as loss: sessions.",
    ]


def test_columns_are_added_up(run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]) -> None:
    wanted = [{"name": "orders", "sums": ["amount", "made"]}]
    result = run_module("data_loss", arguments(bases, tables=wanted, directory=None))
    sums = by_name(result)["orders"]["sums"]
    assert sums["amount"] == {"new": "3.75", "changed": "1", "deleted": "20"}
    assert sums["made"] == {"new": None, "changed": None, "deleted": None}
    assert result["text"] == "orders: 2 new (amount 3.75), 1 changed (amount 1), 1 deleted (amount 20)."
    assert not result["changed"]
    nothing = by_name(run_module("data_loss", arguments(bases, tables=[{"name": "users", "sums": ["id"]}])))["users"]["sums"]
    assert nothing == {"id": {"new": "7", "changed": "0", "deleted": "0"}}


def test_a_key_that_is_not_guaranteed_is_proven_first(
    run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]
) -> None:
    wanted = [{"name": "lines", "key": ["line"]}]
    assert kinds(by_name(run_module("data_loss", arguments(bases, tables=wanted)))["lines"]) == (2, 0, 0)
    with contextlib.closing(sqlite3.connect(bases[0])) as base:
        base.execute("INSERT INTO lines VALUES ('new', NULL)")
        base.commit()
    doubled = by_name(run_module("data_loss", arguments(bases, tables=wanted)))["lines"]
    assert kinds(doubled) == (None, None, None)
    assert doubled["reason"] == "Several rows have the same line, so its rows were only counted."


def test_without_another_database_the_time_of_a_row_counts(
    run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]
) -> None:
    wanted = [{"name": "orders", "timestamp": "made", "sums": ["amount"]}, {"name": "users"}]
    how = arguments(bases, tables=wanted, side=None, since="2026-11-22T10:00:00.700+01:00")
    found = by_name(run_module("data_loss", how))
    assert (found["orders"]["basis"], kinds(found["orders"])) == ("timestamp", (2, None, None))
    assert found["orders"]["sums"] == {"amount": {"new": "3.75"}}
    assert "1 rows have no made" in found["orders"]["reason"]
    assert kinds(found["users"]) == (None, None, None)
    assert found["users"]["reason"].startswith("Without another database")
    assert len(lines(found["orders"]["salvage"])) == 3


def test_saved_rows_are_exact_and_only_for_their_owner(
    run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]
) -> None:
    result = run_module("data_loss", arguments(bases, csv=True))
    folder = pathlib.Path(result["salvage"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    header, *rows = lines(by_name(result)["users"]["salvage"])
    assert (header["table"], header["key"]) == ("users", ["id"])
    assert rows == [
        {"kind": "new", "row": {"id": 3, "name": "NULL", "picture": {"base64": ""}}},
        {"kind": "new", "row": {"id": 4, "name": '🦊 "q", line\nend', "picture": None}},
        {"kind": "changed", "row": {"id": 1, "name": "anna", "picture": {"base64": "AP8="}}},
    ]
    csv = next(folder.glob("*users.csv")).read_text()
    assert csv == '"kind","id","name","picture"\n"new","3","NULL",""\n"new","4","🦊 ""q"", line\nend",\n"changed","1","anna","AP8="\n'
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["engine"], manifest["database"], manifest["side"]) == ("sqlite", str(bases[0]), str(bases[1]))
    for table in manifest["tables"]:
        assert hashlib.sha256((folder / table["file"]).read_bytes()).hexdigest() == table["sha256"]
    assert {table["table"]: (table["new"], table["changed"]) for table in manifest["tables"]}["users"] == (2, 1)


def test_check_mode_counts_and_saves_nothing(run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]) -> None:
    forecast = run_module("data_loss", arguments(bases), check=True, diff=True)
    assert list((bases[0].parent / "saved").iterdir()) == []
    assert forecast["changed"]
    assert forecast["salvage"] is None
    assert forecast["diff"]["after"] == forecast["text"] + "\n"
    assert forecast["totals"] == run_module("data_loss", arguments(bases))["totals"]


def test_equal_databases_lose_nothing(run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path]) -> None:
    live, _side = bases
    copy = live.with_name("copy.sqlite")
    copy.write_bytes(live.read_bytes())
    result = run_module("data_loss", arguments(bases, side=str(copy), tables=[{"name": "users"}, {"name": "orders"}]))
    assert (result["changed"], result["salvage"], result["text"]) == (False, None, "Nothing would be lost.")
    assert list((live.parent / "saved").iterdir()) == []


def test_what_is_saved_is_what_was_counted(
    run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = _salvage._Rows.write

    def forgetful(rows: _salvage._Rows, kind: str, row: list[t.Any]) -> None:
        if kind == "new":
            written(rows, kind, row)

    monkeypatch.setattr(_salvage._Rows, "write", forgetful)
    result = run_module("data_loss", arguments(bases))
    assert result["failed"]
    assert "were counted" in result["msg"]
    assert list((bases[0].parent / "saved").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"side": "live"}, "is the live one"),
        ({"side": "none"}, "unable to open database"),
        ({"side": "relative.sqlite"}, "by its absolute path"),
        ({"side": None, "since": "2026-11-22 10:00"}, "has no offset from UTC"),
        ({"side": None, "since": "soon"}, "is not a point in time"),
        ({"tables": [{"name": "nobody"}]}, "There is no table nobody"),
        ({"tables": [{"name": "users", "key": ["nr"]}]}, "users has no column nr"),
        ({"directory": "/nowhere"}, "does not exist"),
        ({"side": "empty"}, "has no tables"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_compared_is_refused(
    run_module: RunModule, local: Local, bases: tuple[pathlib.Path, pathlib.Path], change: dict[str, t.Any], expected: str
) -> None:
    empty = bases[0].with_name("empty.sqlite")
    empty.touch()
    paths = {"live": str(bases[0]), "none": str(bases[0].with_name("none")), "empty": str(empty)}
    result = run_module(
        "data_loss", arguments(bases, **{**change, "side": paths.get(change.get("side", str(bases[1])), change.get("side", str(bases[1])))})
    )
    assert result["failed"]
    assert expected in result["msg"]
    assert list((bases[0].parent / "saved").iterdir()) == []
