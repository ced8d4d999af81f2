# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

import pytest
from local_runner import Local

requirement = pytest.mark.requirement

FIRST, SECOND, THIRD = "2024_01_01_000000_users", "2026_01_02_000000_rename", "2026_01_03_000000_metrics"
PASSWORD = "s3cret!word"


class Database:
    """The table `migrations` and an artisan that takes the last one down, or does not."""

    def __init__(self, local: Local, path: pathlib.Path) -> None:
        self.rows = [(THIRD, 2), (SECOND, 2), (FIRST, 1)]
        self.down: list[str] = []
        self.stubborn: set[str] = set()
        self.failing: set[str] = set()
        self.broken_after: int | None = None
        self.columns = [("users", "id", "int"), ("users", "name", "varchar")]
        self.columns_then = self.columns
        self.asked = 0
        path.joinpath(".env").write_text(f"DB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD={PASSWORD}\n")
        local.present |= {"mariadb", "php"}
        local.when("mariadb *", self._query)
        local.when(f"php {path}/artisan migrate:rollback --step=1 --force --no-interaction --no-ansi", self._rollback)

    def _query(self, argv: tuple[str, ...], sql: str | None) -> tuple[int, str, str]:
        assert PASSWORD not in " ".join(argv)
        columns = "information_schema.columns" in (sql or "")
        if columns and (self.broken_after is None or self.asked <= self.broken_after):
            return 0, "".join("\t".join(column) + "\n" for column in self.columns), ""
        self.asked += 1
        if self.broken_after is not None and self.asked > self.broken_after:
            return 1, "", "ERROR 2002 (HY000): Can't connect to server"
        assert sql == "SELECT migration, batch FROM migrations ORDER BY batch DESC, migration DESC"
        return 0, "".join(f"{name}\t{batch}\n" for name, batch in self.rows), ""

    def _rollback(self, argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        name = self.rows[0][0]
        self.down.append(name)
        if name in self.failing:
            self.columns = self.columns_then
            return 1, "", "SQLSTATE[42S22]: Unknown column 'x'"
        if name not in self.stubborn:
            self.rows.pop(0)
        return 0, f"  {name} ....... DONE", ""


@pytest.fixture
def database(local: Local, tmp_path: pathlib.Path) -> Database:
    return Database(local, tmp_path)


@pytest.fixture
def migrate(run_module: t.Any, tmp_path: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    def call(*names: str, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        args = {"path": str(tmp_path), "names": list(names), **options}
        return t.cast("dict[str, t.Any]", run_module("db_migration", args, check=check, diff=True))

    return call


Migrate = t.Callable[..., dict[str, t.Any]]


@requirement("CHOM-5.2-08", "CHOM-9.1-03", "D-017")
def test_takes_down_the_last_one(database: Database, migrate: Migrate) -> None:
    result = migrate(THIRD)
    assert result["changed"]
    assert result["down"] == [THIRD]
    assert [name for name, _batch in database.rows] == [SECOND, FIRST]
    assert result["diff"] == {"before": f"{THIRD}\n{SECOND}\n{FIRST}\n", "after": f"{SECOND}\n{FIRST}\n"}


@pytest.mark.parametrize("order", [(THIRD, SECOND), (SECOND, THIRD)])
def test_takes_several_down_in_the_only_order_that_works(database: Database, migrate: Migrate, order: tuple[str, str]) -> None:
    assert migrate(*order)["down"] == [THIRD, SECOND]
    assert database.down == [THIRD, SECOND]
    assert database.rows == [(FIRST, 1)]


def test_running_again_changes_nothing(database: Database, migrate: Migrate) -> None:
    migrate(THIRD)
    result = migrate(THIRD)
    assert not result["changed"]
    assert result["down"] == []
    assert database.down == [THIRD]


def test_check_mode_only_looks(database: Database, migrate: Migrate) -> None:
    result = migrate(THIRD, check=True)
    assert result["changed"]
    assert result["down"] == [THIRD]
    assert database.down == []


@requirement("CHOM-5.2-06")
def test_a_migration_below_one_that_stays_is_refused(database: Database, migrate: Migrate) -> None:
    result = migrate(SECOND)
    assert result["failed"]
    assert f"{SECOND} cannot go down alone: {THIRD} was applied after" in result["msg"]
    assert result["system_state"] == "Nothing was changed."
    assert result["schema_unchanged"]
    assert database.down == []


def test_success_is_what_the_table_says(database: Database, migrate: Migrate) -> None:
    database.stubborn.add(THIRD)
    result = migrate(THIRD, SECOND)
    assert result["failed"]
    assert "artisan reported success but" in result["msg"]
    assert "Migrations that are down already: none." in result["system_state"]
    assert database.down == [THIRD]


@requirement("D-131")
def test_a_failure_half_way_says_what_is_down_already(database: Database, migrate: Migrate) -> None:
    database.failing.add(SECOND)
    result = migrate(THIRD, SECOND)
    assert result["failed"]
    assert "Unknown column" in result["msg"]
    assert f"Migrations that are down already: {THIRD}." in result["system_state"]
    assert f"The statements of {SECOND} changed no table or column" in result["system_state"]
    assert result["partial"] == {"name": SECOND, "changed": []}
    assert [name for name, _batch in database.rows] == [SECOND, FIRST]


@requirement("D-131")
def test_a_migration_that_went_down_in_part_is_named_with_the_ways_on(database: Database, migrate: Migrate) -> None:
    database.failing.add(THIRD)
    database.columns_then = [("users", "id", "bigint"), ("people", "id", "int")]
    result = migrate(THIRD)
    changed = ["gone: users.name", "new: people", "new: people.id", "of another type: users.id"]
    assert result["partial"] == {"name": THIRD, "changed": changed}
    assert f"The statements of {THIRD} ran in part, and it is still recorded as applied" in result["system_state"]
    assert all(way in result["next_command"] for way in ("complete it", "reverse it", "restore"))


def test_a_database_that_vanishes_half_way_is_not_called_unchanged(database: Database, migrate: Migrate) -> None:
    database.broken_after = 3
    result = migrate(THIRD)
    assert result["failed"]
    assert "may have run in part" in result["system_state"]
    assert "schema_unchanged" not in result


@requirement("D-007")
def test_a_refused_login_is_named_without_the_password(database: Database, local: Local, migrate: Migrate) -> None:
    local.on("mariadb *", rc=1, stderr="ERROR 1045 (28000): Access denied for user 'chom'@'localhost' (using password: YES)")
    result = migrate(THIRD)
    assert result["failed"]
    assert "refused the login" in result["msg"]
    assert PASSWORD not in str(result)


def test_a_missing_environment_file_is_named(database: Database, migrate: Migrate, tmp_path: pathlib.Path) -> None:
    (tmp_path / ".env").unlink()
    assert f"{tmp_path}/.env could not be read" in migrate(THIRD)["msg"]


@pytest.mark.parametrize("name", ["--force", "a; rm -rf /", "$(id)", "../../x", "", "a\nb", "2026_01_01_x\n", "x" * 300, "é"], ids=ascii)
def test_a_hostile_name_is_refused_before_anything_else(database: Database, local: Local, migrate: Migrate, name: str) -> None:
    result = migrate(THIRD, name)
    assert result["failed"]
    assert "is not the name of a migration" in result["msg"]
    assert local.calls == []


def test_artisan_is_called_with_the_given_php(database: Database, local: Local, migrate: Migrate, tmp_path: pathlib.Path) -> None:
    local.present.add("php8.4")
    local.when("php8.4 *", database._rollback)
    assert migrate(THIRD, php="php8.4")["changed"]
    assert local.lines(f"php8.4 {tmp_path}/artisan migrate:rollback *")


# Up again


def applying(local: Local, database: Database, path: pathlib.Path) -> list[str]:
    """An artisan that applies the migration of one file."""
    files: list[str] = []

    def up(argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        file = next(word for word in argv if word.startswith("--path=")).partition("=")[2]
        files.append(file)
        name = pathlib.PurePath(file).stem
        if name not in database.stubborn:
            database.rows.insert(0, (name, 3))
        return 0, f"  {name} ....... DONE", ""

    local.when(f"php {path}/artisan migrate --path=* --force --no-interaction --no-ansi", up)
    return files


def test_what_went_down_goes_up_again_and_nothing_else(
    local: Local, database: Database, migrate: t.Callable[..., dict[str, t.Any]], tmp_path: pathlib.Path
) -> None:
    files = applying(local, database, tmp_path)
    migrate(SECOND, THIRD)
    assert migrate(THIRD, SECOND, FIRST, state="up", check=True)["up"] == [SECOND, THIRD]
    result = migrate(THIRD, SECOND, FIRST, state="up")
    assert (result["changed"], result["up"]) == (True, [SECOND, THIRD])
    assert files == [f"database/migrations/{SECOND}.php", f"database/migrations/{THIRD}.php"]
    assert result["diff"]["after"].splitlines() == [THIRD, SECOND, FIRST]
    assert not migrate(SECOND, THIRD, state="up")["changed"]


def test_going_up_is_believed_when_the_table_says_so(
    local: Local, database: Database, migrate: t.Callable[..., dict[str, t.Any]], tmp_path: pathlib.Path
) -> None:
    applying(local, database, tmp_path)
    migrate(THIRD)
    database.stubborn.add(THIRD)
    result = migrate(THIRD, state="up")
    assert result["failed"]
    assert f"The migration {THIRD} did not go up" in result["msg"]
    assert "migrate:status" in result["next_command"]
