# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import pathlib
import shutil
import sqlite3

import pytest
from local_runner import Local

from ansible_collections.lastgood.rollback.plugins.module_utils import _migrations
from ansible_collections.lastgood.rollback.plugins.module_utils._database import query
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._database_error import OTHER, UNKNOWN_DATABASE, DatabaseError


class Module:
    def get_bin_path(self, program: str) -> str | None:
        return shutil.which(program)


RUNNER = Local().runner(Module())


@pytest.fixture
def login(tmp_path: pathlib.Path) -> Credentials:
    path = tmp_path / "a ?#%file.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE migrations (id INTEGER PRIMARY KEY, migration VARCHAR NOT NULL, batch INTEGER NOT NULL)")
        base.executemany("INSERT INTO migrations (migration, batch) VALUES (?, ?)", [("m1", 1), ("m3", 2), ("m2", 2)])
        base.commit()
    return Credentials(engine="sqlite", database=str(path))


def test_rows_arrive_as_text(login: Credentials) -> None:
    assert query(RUNNER, login, "SELECT id, migration, NULL FROM migrations WHERE id < 2") == [["1", "m1", "NULL"]]


def test_the_migrations_are_read_the_last_first(login: Credentials) -> None:
    assert [(held.name, held.batch) for held in _migrations.applied(RUNNER, login)] == [("m3", 2), ("m2", 2), ("m1", 1)]


def test_the_schema_is_its_tables_and_columns_with_their_types(login: Credentials) -> None:
    assert _migrations.schema(RUNNER, login) == {
        "migrations": "",
        "migrations.id": "INTEGER",
        "migrations.migration": "VARCHAR",
        "migrations.batch": "INTEGER",
    }


@pytest.mark.parametrize("sql", ["DELETE FROM migrations", "ATTACH ':memory:' AS other; SELECT 1", "PRAGMA user_version = 7"])
def test_nothing_can_be_changed(login: Credentials, sql: str) -> None:
    before = pathlib.Path(login.database).read_bytes()
    with contextlib.suppress(DatabaseError):
        query(RUNNER, login, sql)
    assert pathlib.Path(login.database).read_bytes() == before


@pytest.mark.parametrize(("sql", "reason"), [("SELECT * FROM nowhere", OTHER), ("DELETE FROM migrations", OTHER)])
def test_a_failure_says_why(login: Credentials, sql: str, reason: str) -> None:
    with pytest.raises(DatabaseError, match=r"a \?#%file.sqlite could not be asked: ") as caught:
        query(RUNNER, login, sql)
    assert caught.value.reason == reason


def test_a_file_that_is_not_there_is_not_made(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DatabaseError, match="does not exist") as caught:
        query(RUNNER, Credentials(engine="sqlite", database=str(tmp_path / "none.sqlite")), "SELECT 1")
    assert caught.value.reason == UNKNOWN_DATABASE
    assert list(tmp_path.iterdir()) == []
