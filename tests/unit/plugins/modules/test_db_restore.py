# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's front door: there and back with real files of SQLite, and what it refuses to do with a server."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import typing as t

import local_runner
import pytest
from databases import DUMP, Streaming, mysql_host

from ansible_collections.lastgood.rollback.plugins.module_utils import _backup, _database_sqlite, _wiring
from conftest import RunModule

requirement = pytest.mark.requirement
UNTOUCHED = "The live database was not touched."


@pytest.fixture
def live(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    local_runner.install(monkeypatch)
    monkeypatch.setattr(_database_sqlite, "_ASIDE", str(tmp_path))
    path = tmp_path / "data.sqlite"
    change(path, "CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1), (2)")
    return path


def change(path: pathlib.Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(sql)


def content(path: pathlib.Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as base:
        return list(base.iterdump())


def options(live: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    manifests = sorted(str(path) for path in (live.parent / "backups").glob("*.manifest.json"))
    found = {"backup": manifests[-1]} if manifests else {}
    record = str(live.parent / "state/db_restore.json")
    return {"engine": "sqlite", "database": str(live), "record": record, "minimum_free": "0", **found, **more}


def back_up(run_module: RunModule, live: pathlib.Path) -> None:
    (live.parent / "backups").mkdir(exist_ok=True)
    login = {"engine": "sqlite", "database": str(live), "directory": str(live.parent / "backups"), "minimum_free": "0"}
    assert not run_module("db_backup", login).get("failed")


@requirement("CHOM-6.2-10", "D-005")
def test_there_and_back(run_module: RunModule, live: pathlib.Path) -> None:
    back_up(run_module, live)
    good = content(live)
    change(live, "DELETE FROM users; CREATE TABLE added (id INTEGER)")
    bad = content(live)
    forecast = run_module("db_restore", options(live), check=True, diff=True)
    assert (forecast["changed"], forecast["side"], forecast["diff"]["after"]) == (True, None, "beside\n")
    proven = run_module("db_restore", options(live, assertions=["SELECT COUNT(*) = 2 FROM users"]))
    assert proven["side"] == f"{live}__side"
    assert proven["proof"]["census"]["tables"] == {"users": 2}
    assert content(live) == bad
    assert not run_module("db_restore", options(live))["changed"]
    swapped = run_module("db_restore", options(live, state="swapped"))
    assert content(live) == good
    assert content(pathlib.Path(swapped["kept"])) == bad
    assert not run_module("db_restore", options(live, state="swapped"))["changed"]
    returned = run_module("db_restore", options(live, state="returned"))
    assert (returned["stage"], returned["kept"], content(live)) == ("returned", None, bad)
    assert run_module("db_restore", options(live, state="released"))["changed"]
    assert sorted(path.name for path in live.parent.glob("data*")) == ["data.sqlite"]


def test_no_number_is_given_twice(run_module: RunModule, live: pathlib.Path) -> None:
    change(
        live,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT); CREATE TABLE other (id INTEGER PRIMARY KEY AUTOINCREMENT)",
    )
    change(live, "INSERT INTO orders (what) VALUES ('first')")
    back_up(run_module, live)
    change(live, "INSERT INTO orders (what) VALUES ('lost'), ('lost too'); INSERT INTO other DEFAULT VALUES")
    assert run_module("db_restore", options(live, state="swapped"))["changed"]
    change(live, "INSERT INTO orders (what) VALUES ('new'); INSERT INTO other DEFAULT VALUES")
    with contextlib.closing(sqlite3.connect(live)) as base:
        assert list(base.execute("SELECT id, what FROM orders")) == [(1, "first"), (4, "new")]
        assert list(base.execute("SELECT id FROM other")) == [(2,)]


def test_a_table_that_only_speaks_of_numbers_is_no_reason_to_refuse(run_module: RunModule, live: pathlib.Path) -> None:
    change(live, "CREATE TABLE rules (autoincrement_by INTEGER)")
    back_up(run_module, live)
    change(live, "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO orders DEFAULT VALUES")
    assert run_module("db_restore", options(live, state="swapped")).get("changed")


def test_orphans_are_refused_and_named(run_module: RunModule, live: pathlib.Path) -> None:
    change(live, "CREATE TABLE orders (id INTEGER, user INTEGER REFERENCES users); INSERT INTO orders VALUES (1, 7), (2, 8), (3, 1)")
    back_up(run_module, live)
    refused = run_module("db_restore", options(live))
    assert "orders: 2 rows refer to rows that users lacks" in refused["msg"]
    assert UNTOUCHED in refused["msg"]
    assert run_module("db_restore", options(live, orphans="accept"))["proof"]["violations"]


@pytest.mark.parametrize(
    ("sql", "says"),
    [("DROP TABLE users", "readonly"), ("SELECT * FROM nowhere", "no such table"), ("SELECT COUNT(*) = 3 FROM users", "does not hold")],
)
def test_an_assertion_can_only_ask(run_module: RunModule, live: pathlib.Path, sql: str, says: str) -> None:
    back_up(run_module, live)
    assert says in run_module("db_restore", options(live, assertions=[sql]))["msg"]


def test_a_database_that_is_in_use_is_not_swapped(run_module: RunModule, live: pathlib.Path) -> None:
    back_up(run_module, live)
    with contextlib.closing(sqlite3.connect(live)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("INSERT INTO users VALUES (3)")
        base.commit()
        refused = run_module("db_restore", options(live, state="swapped"))
        assert "is in use" in refused["msg"]
        assert UNTOUCHED in refused["msg"]
    assert run_module("db_restore", options(live, state="swapped"))["changed"]
    assert "VALUES(3)" not in "".join(content(live))


def test_a_damaged_or_lost_database_is_replaced_all_the_same(run_module: RunModule, live: pathlib.Path) -> None:
    back_up(run_module, live)
    good = content(live)
    live.write_bytes(b"damaged" * 1000)
    swapped = run_module("db_restore", options(live, state="swapped"))
    assert content(live) == good
    assert pathlib.Path(swapped["kept"]).read_bytes().startswith(b"damaged")
    run_module("db_restore", options(live, state="released"))
    live.unlink()
    assert run_module("db_restore", options(live, state="swapped"))["changed"]
    assert content(live) == good
    assert "no replaced database" in run_module("db_restore", options(live, state="returned"))["msg"]


def test_tables_of_sqlite_are_not_swapped_alone(run_module: RunModule, live: pathlib.Path) -> None:
    back_up(run_module, live)
    assert "as a whole" in run_module("db_restore", options(live, state="swapped", tables=["users"]))["msg"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"minimum_free": "900T"}, "must stay free"),
        ({"database": "data.sqlite"}, "is of the database"),
        ({"database": ""}, "There is no database"),
        ({"backup": "/nowhere/x.manifest.json"}, "is not the manifest of a backup"),
    ],
)
def test_bad_input_is_refused(run_module: RunModule, live: pathlib.Path, more: dict[str, t.Any], says: str) -> None:
    back_up(run_module, live)
    refused = run_module("db_restore", options(live, **more))
    assert says in refused["msg"]


# A server that plays back a transcript.

ALL = "GRANT ALL PRIVILEGES ON *.* TO `admin`@`localhost`\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Streaming:
    scripted = mysql_host()
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


def server(host: Streaming, grants: str, version: str = "11.8.6-MariaDB") -> None:
    def answer() -> str:
        sql = host.calls[-1].stdin or ""
        if "SHOW GRANTS" in sql:
            return f"{version}\t/nowhere/mysql/\tadmin@localhost\n{grants}"
        return "0\n" if "schemata" in sql else ""

    host.first("mariadb *", t.cast("str", answer))


def manifest(tmp_path: pathlib.Path, **more: t.Any) -> str:
    file = tmp_path / "chom-1.sql.zst"
    file.write_bytes(DUMP)
    about = {"format_version": 1, "id": "chom-1", "file": file.name, "bytes": len(DUMP), "sha256": _backup.sha256(str(file))}
    about.update(engine="mysql", database="chom", started="2026-11-22T10:00:00Z", finished="2026-11-22T10:00:01Z", rows_basis="dump")
    about.update(tables={"users": 2, "migrations": 1}, server_version="11.8.6-MariaDB")
    path = tmp_path / "chom-1.manifest.json"
    path.write_text(json.dumps({**about, **more}))
    return str(path)


@pytest.mark.parametrize(
    ("grants", "version", "more", "says"),
    [
        (ALL, "10.11.6-MariaDB", {}, "may not understand the backup"),
        (ALL, "11.8.6", {}, "may not understand the backup"),
        ("GRANT ALL PRIVILEGES ON `chom`.* TO `admin`@`localhost`\n", "11.8.6-MariaDB", {}, "lacks privileges on chom__side: ALTER, "),
        (
            "GRANT ALL PRIVILEGES ON `chom%`.* TO `a`@`b`\n",
            "11.8.6-MariaDB",
            {"definers": ["root@localhost"]},
            "needs the privilege SET USER",
        ),
    ],
    ids=["older server", "other server", "privileges", "definers"],
)
@requirement("D-009")
def test_what_cannot_work_is_refused_before_anything_is_made(
    run_module: RunModule, host: Streaming, tmp_path: pathlib.Path, grants: str, version: str, more: dict[str, t.Any], says: str
) -> None:
    server(host, grants, version)
    login = {"environment_file": "/var/www/chom/.env", "environment_user": "www-data", "login_user": "admin", "login_password": "adm'in"}
    wanted = {**login, "backup": manifest(tmp_path, **more), "application": "chom", "state_directory": str(tmp_path / "state")}
    refused = run_module("db_restore", wanted)
    assert says in refused["msg"]
    assert UNTOUCHED in refused["msg"]
    assert not [call for call in host.calls if "CREATE DATABASE" in (call.stdin or "")]
    assert 'user="admin"' in host.logins[-1]
    assert "adm'in" not in json.dumps(refused) + "".join(host.lines())


def test_the_environment_file_must_be_for_the_same_engine(run_module: RunModule, host: Streaming, tmp_path: pathlib.Path) -> None:
    wanted = {"environment_file": "/var/www/chom/.env", "engine": "sqlite", "record": str(tmp_path / "r.json"), "state": "returned"}
    assert "is for mysql, not for sqlite" in run_module("db_restore", wanted)["msg"]
