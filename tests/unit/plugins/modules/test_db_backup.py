# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import getpass
import hashlib
import json
import pathlib
import signal
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from databases import DUMP, SURVEY, Streaming, mysql_host

from ansible_collections.lastgood.rollback.plugins.module_utils import _backup, _database_sqlite, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from conftest import RunModule

PASSWORD = 'pa$$"word#'


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Streaming:
    scripted = mysql_host()
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


def arguments(directory: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    wanted = {
        "directory": str(directory),
        "environment_file": "/var/www/chom/.env",
        "environment_user": "www-data",
        "application": "chom",
        "application_version": "v1.2.4",
        "label": "pre-rollback",
        **more,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def failed(result: dict[str, t.Any], directory: pathlib.Path) -> str:
    """The message of a backup that failed; nothing of it may be left."""
    assert result["failed"]
    assert "The database was only read. No backup was made." in result["msg"]
    assert not directory.exists() or list(directory.iterdir()) == []
    return t.cast("str", result["msg"])


def test_a_backup_is_a_file_and_a_manifest_that_agree(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    result = run_module("db_backup", arguments(directory))
    file, manifest = pathlib.Path(result["path"]), pathlib.Path(result["manifest"])
    assert sorted(directory.iterdir()) == sorted([file, manifest])
    assert result["changed"]
    assert result["backup"] == json.loads(manifest.read_text())
    assert file.read_bytes() == DUMP
    assert result["backup"]["sha256"] == hashlib.sha256(DUMP).hexdigest()
    assert result["backup"]["bytes"] == result["backup"]["uncompressed_bytes"] == len(DUMP)
    assert file.stat().st_mode & 0o777 == manifest.stat().st_mode & 0o777 == 0o600


@pytest.mark.requirement("D-029")
def test_the_manifest_says_what_the_backup_holds_and_who_ran(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    backup = run_module("db_backup", arguments(directory))["backup"]
    expected = {
        "format_version": 1,
        "engine": "mysql",
        "database": "chom",
        "application": "chom",
        "application_version": "v1.2.4",
        "label": "pre-rollback",
        "server_version": "11.8.6-MariaDB",
        "client_version": "mariadb-dump from 11.8.6-MariaDB",
        "charset": "utf8mb4",
        "collation": "utf8mb4_unicode_ci",
        "tables": {"users": 2, "migrations": 1},
        "rows_basis": "dump",
        "views": 1,
        "triggers": 1,
        "routines": 0,
        "events": 2,
        "migrations": ["2026_01_01_000000_create_users_table"],
        "not_transactional": [],
        "warnings": [],
        "compression": "zstd",
    }
    assert {name: backup[name] for name in expected} == expected
    assert backup["started"] <= backup["finished"]
    assert backup["id"].startswith("chom-2")
    assert backup["id"].endswith("Z-pre-rollback")


def test_the_password_is_only_in_a_file_for_this_user(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    result = run_module("db_backup", arguments(directory), diff=True)
    assert host.logins[0].splitlines() == [
        "[client]",
        'user="chom"',
        'password="pa$$\\"word#"',
        'host="127.0.0.1"',
        'protocol="tcp"',
        'port="3306"',
    ]
    everything = json.dumps(result) + "".join(host.lines()) + json.dumps(host.pipelines)
    assert "word#" not in everything
    assert [call.user for call in host.calls if call.user] == ["www-data"]  # only the environment file is read as somebody else


def test_the_login_comes_before_all_other_arguments(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.missing.add("stdbuf")
    run_module("db_backup", arguments(directory))
    dump, zstd = host.pipelines[0]
    assert dump[0] == "mariadb-dump"
    assert dump[1].startswith("--defaults-file=/proc/")
    assert {"--single-transaction", "--routines", "--events", "--triggers", "--no-tablespaces"} < set(dump)
    assert dump[-2:] == ["--", "chom"]
    assert zstd == ["zstd", "--quiet", "-1", "-T0"]


@pytest.mark.parametrize("name", ["--all-databases", "a/../b`c", "-x", "..", "a b\n"])
def test_a_hostile_database_name_is_only_a_name(run_module: RunModule, host: Streaming, directory: pathlib.Path, name: str) -> None:
    result = run_module("db_backup", arguments(directory, database=name))
    assert host.pipelines[0][0][-2:] == ["--", name]
    assert pathlib.Path(result["path"]).parent == directory
    assert pathlib.Path(result["path"]).name[0] not in "-."
    assert result["backup"]["database"] == name


def test_login_options_take_the_place_of_the_environment_file(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    login = {"login_user": "backup", "login_password": "s3cret-\\", "login_unix_socket": "/run/mysqld/mysqld.sock"}
    result = run_module("db_backup", arguments(directory, environment_file=None, environment_user=None, database="shop", **login))
    assert not result.get("failed")
    assert host.logins[0].splitlines()[1:] == [
        'user="backup"',
        'password="s3cret-\\\\"',
        'protocol="socket"',
        'socket="/run/mysqld/mysqld.sock"',
    ]
    assert "s3cret" not in json.dumps(result)


def test_check_mode_forecasts_and_writes_nothing(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    result = run_module("db_backup", arguments(directory), check=True, diff=True)
    assert result["changed"]
    assert result["expected_bytes"] == 1100
    assert result["free_bytes"] > 0
    assert result["diff"] == {"before": "", "after": f"{result['path']}\n{result['manifest']}\n"}
    assert host.pipelines == []
    assert list(directory.iterdir()) == []


def test_rows_that_the_dump_does_not_show_are_counted_by_the_server(
    run_module: RunModule, host: Streaming, directory: pathlib.Path
) -> None:
    host.missing |= {"mariadb-dump", "mariadb"}
    host.on("mysqldump --version", "mysqldump  Ver 8.0.40 for Linux")
    host.on("mysql *", SURVEY).first("mysql *", t.cast("str", lambda: SURVEY if "schema" in (host.calls[-1].stdin or "") else "7\n"))
    host.stream = DUMP.replace(b"VALUES\n(1,'Anna", b"VALUES (1,'Anna").replace(b",\n(2", b",(2")
    backup = run_module("db_backup", arguments(directory))["backup"]
    assert backup["tables"] == {"users": 7, "migrations": 1}
    assert backup["rows_basis"] == "server"
    assert {"--set-gtid-purged=OFF", "--column-statistics=0"} < set(host.pipelines[0][0])


@pytest.mark.parametrize(
    ("survey", "version", "encoding"),
    [
        (SURVEY, "mariadb-dump from 11.8.6-MariaDB", "binary"),
        (SURVEY + "encoding\tlatin1\n", "mariadb-dump from 11.8.6-MariaDB", "utf8mb4"),
        (SURVEY, "mysqldump  Ver 8.0.40 for Linux", "utf8mb4"),
        (SURVEY.replace("-MariaDB", ""), "mariadb-dump from 11.8.6-MariaDB", "utf8mb4"),
    ],
    ids=["all in UTF-8", "something else", "MySQL's client", "MySQL's server"],
)
def test_texts_are_converted_only_where_they_must_be_and_the_file_is_the_same(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, survey: str, version: str, encoding: str
) -> None:
    host.survey = survey
    host.first("mariadb-dump --version", version)
    result = run_module("db_backup", arguments(directory))
    assert f"--default-character-set={encoding}" in host.pipelines[0][0]
    assert pathlib.Path(result["path"]).read_bytes() == DUMP


def test_several_programs_dump_one_snapshot_into_one_file(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    result = run_module("db_backup", arguments(directory, jobs=2))
    backup, file = result["backup"], pathlib.Path(result["path"]).read_bytes()
    assert backup["streams"]["number"] == 3
    assert [part["kind"] for part in backup["parts"]] == ["schema", "data", "data", "data", "programs", "programs"]
    ends = [part["offset"] + part["bytes"] for part in backup["parts"]]
    assert [part["offset"] for part in backup["parts"]] == [0, *ends[:-1]]
    assert ends[-1] == len(file) == backup["bytes"] == backup["uncompressed_bytes"]
    assert all(file[part["offset"] : part["offset"] + part["bytes"]] == DUMP for part in backup["parts"])
    conditions = sorted(argument for stages in host.pipelines for argument in stages[0] if argument.startswith("--where"))
    assert conditions == ["--where=`id` < 51", "--where=`id` >= 51"]
    assert [line.partition(";")[0] for line in host.said] == ["SET SESSION lock_wait_timeout = 3", "BACKUP STAGE START", "BACKUP STAGE END"]
    assert sorted(path.name for path in directory.iterdir()) == sorted([backup["file"], f"{backup['id']}.manifest.json"])


def test_where_commits_cannot_be_held_back_one_program_dumps(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    del host.answers["SELECT 'held';"]
    result = run_module("db_backup", arguments(directory, jobs=2))
    assert result["backup"]["streams"]["number"] == 1
    assert "RELOAD" in result["backup"]["streams"]["why"]
    assert "parts" not in result["backup"]
    assert pathlib.Path(result["path"]).read_bytes() == DUMP


def test_a_lock_that_was_lost_makes_no_backup(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    del host.answers["SELECT 'free';"]
    assert "before all dumps had begun" in failed(run_module("db_backup", arguments(directory, jobs=2)), directory)


def test_one_program_that_fails_ends_all(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.failure = Completed(("mariadb-dump",), -signal.SIGKILL, "", "")
    assert "ended with status -9" in failed(run_module("db_backup", arguments(directory, jobs=2)), directory)


def test_a_dump_that_names_no_encoding_is_no_backup(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.stream = b"x" * 70_000 + DUMP
    assert "names no encoding" in failed(run_module("db_backup", arguments(directory)), directory)
    host.stream = DUMP.replace(b"NAMES", b"NUMBERS")
    assert "ended early" in failed(run_module("db_backup", arguments(directory)), directory)


def test_tables_outside_the_snapshot_are_named(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.survey = SURVEY + "table\tlogs\tBASE TABLE\tMyISAM\t0\n"
    backup = run_module("db_backup", arguments(directory))["backup"]
    assert backup["not_transactional"] == ["logs"]
    assert backup["warnings"] == ["Not in the same snapshot as the rest, for want of transactions: logs."]


@pytest.mark.parametrize(
    ("grant", "hidden"),
    [
        ("ALL PRIVILEGES ON `chom`.*", []),
        ("ALL PRIVILEGES ON *.*", []),
        ("SELECT, TRIGGER, EXECUTE ON `ch%`.*", []),
        ("SELECT, EXECUTE ON `chom`.*", ["triggers"]),
        ("SELECT, TRIGGER ON `c_om`.*", ["routines"]),
        (r"ALL PRIVILEGES ON `c\\_om`.*", ["triggers", "routines"]),
        ("ALL PRIVILEGES ON `chomp`.*", ["triggers", "routines"]),
        ("ALL PRIVILEGES ON `chom`.`users`", ["triggers", "routines"]),
    ],
)
def test_what_this_user_cannot_see_is_said(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, grant: str, hidden: list[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda module, warning: said.append(warning))
    host.survey = SURVEY.partition("GRANT ALL")[0] + f"GRANT {grant} TO `chom`@`localhost`\n"
    result = run_module("db_backup", arguments(directory))
    assert [warning.split()[6] for warning in said] == hidden
    assert result["backup"]["warnings"] == said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ERROR 1045 (28000): Access denied for user 'chom'@'localhost' (using password: YES)", "refused the login"),
        ("ERROR 1049 (42000): Unknown database 'chom'", "does not exist"),
        ("ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)", "cannot be reached"),
    ],
    ids=["wrong password", "unknown database", "server down"],
)
def test_a_database_that_cannot_be_used_is_told_apart(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, said: str, expected: str
) -> None:
    host.first("mariadb *", rc=1, stderr=said)
    assert expected in failed(run_module("db_backup", arguments(directory)), directory)


def test_a_view_that_blocks_every_dump_is_named(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    said = "mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v`': View 'chom.v' references invalid table(s) or column(s) (1356)"
    host.failure = Completed(("mariadb-dump",), 2, "", said)
    assert "Next: mariadb --execute 'DROP VIEW `chom`.`v`'" in failed(run_module("db_backup", arguments(directory)), directory)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Completed(("mariadb-dump",), -signal.SIGKILL, "", ""), "mariadb-dump ended with status -9"),
        (Completed(("mariadb-dump",), 3, "", "mariadb-dump: Error 2013: Lost connection to server"), "Lost connection"),
        (Completed(("zstd",), 1, "", "zstd: error 70 : Write error : No space left on device"), "became full"),
        (Completed(("zstd",), 1, "", "zstd: error 11 : Allocation error"), "zstd ended with status 1"),
    ],
    ids=["killed", "server gone", "disk full", "zstd fails"],
)
def test_a_backup_that_fails_on_the_way_leaves_nothing(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, failure: Completed, expected: str
) -> None:
    host.failure = failure
    assert expected in failed(run_module("db_backup", arguments(directory)), directory)


@pytest.mark.requirement("D-009")
def test_a_dump_that_stops_early_is_no_backup_although_its_program_is_content(
    run_module: RunModule, host: Streaming, directory: pathlib.Path
) -> None:
    host.stream = DUMP[: DUMP.index(b"-- Dump completed")]
    assert "ended early" in failed(run_module("db_backup", arguments(directory)), directory)


def test_a_dump_without_one_of_the_tables_is_no_backup(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.stream = DUMP.replace(b"table `users`", b"table `losers`")
    assert "lacks tables that the database has: users" in failed(run_module("db_backup", arguments(directory)), directory)


def test_a_manifest_that_cannot_be_written_takes_its_backup_along(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_backup, "flush_directory", full)
    assert "No space left on device" in failed(run_module("db_backup", arguments(directory)), directory)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"minimum_free": "900T"}, "must stay free"),
        ({"label": "../x"}, "must be letters"),
        ({"compression_level": 99}, "from 1 to 19"),
        ({"engine": "sqlite"}, "The environment file is for mysql, not for sqlite"),
        ({"environment_file": None}, "There is no database to work on"),
    ],
    ids=["no room", "label", "level", "engine", "no database"],
)
def test_bad_input_is_refused(
    run_module: RunModule, host: Streaming, directory: pathlib.Path, change: dict[str, t.Any], expected: str
) -> None:
    assert expected in failed(run_module("db_backup", arguments(directory, **change)), directory)


@pytest.mark.parametrize("program", ["zstd", "mariadb-dump"])
def test_a_missing_program_is_named(run_module: RunModule, host: Streaming, directory: pathlib.Path, program: str) -> None:
    host.missing |= {program, "mysqldump"}
    message = failed(run_module("db_backup", arguments(directory)), directory)
    assert program in message
    assert "installed on this host" in message


def test_a_missing_directory_is_named_with_the_command_that_makes_it(
    run_module: RunModule, host: Streaming, tmp_path: pathlib.Path
) -> None:
    result = run_module("db_backup", arguments(tmp_path / "nowhere"))
    assert "does not exist" in failed(result, tmp_path / "nowhere")
    assert result["next_command"] == f"sudo install -d -o {getpass.getuser()} -m 0700 {tmp_path}/nowhere"


def test_an_unreadable_environment_file_is_named_and_not_quoted(run_module: RunModule, host: Streaming, directory: pathlib.Path) -> None:
    host.first("cat -- *", rc=1, stderr="cat: /var/www/chom/.env: Permission denied")
    assert "could not be read as www-data" in failed(run_module("db_backup", arguments(directory)), directory)
    host.first("cat -- *", f'DB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD="{PASSWORD}')
    message = failed(run_module("db_backup", arguments(directory)), directory)
    assert "DB_PASSWORD" in message
    assert "pa$$" not in message


FACTS = {
    "integrity": "ok",
    "tables": {"users": 3},
    "rows_basis": "dump",
    "views": 0,
    "triggers": 0,
    "routines": 0,
    "events": 0,
    "migrations": None,
    "charset": "UTF-8",
    "collation": None,
    "uncompressed_bytes": 12,
    "server_version": "3.46.1",
    "client_version": "Python 3.13.5",
    "not_transactional": [],
    "warnings": [],
}


@pytest.fixture
def sqlite_host(monkeypatch: pytest.MonkeyPatch) -> Streaming:
    scripted = Streaming(stream=b"SQLite format")
    scripted.on("cat -- *.env", "DB_CONNECTION=sqlite\nDB_DATABASE=/srv/app/data.sqlite\n")
    scripted.on("stat *", "4096 regular file\n").on("mktemp *", "/var/tmp/lastgood-x\n").on("rm *")
    scripted.on("python3 -c *", json.dumps(FACTS))
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


def test_sqlite_is_copied_as_its_owner_and_the_copy_removed(run_module: RunModule, sqlite_host: Streaming, directory: pathlib.Path) -> None:
    result = run_module("db_backup", arguments(directory))
    assert result["path"].endswith(".sqlite.zst")
    assert result["backup"]["tables"] == {"users": 3}
    assert sqlite_host.pipelines[0][0][:5] == ["sudo", "-n", "-u", "www-data", "--"]
    assert sqlite_host.pipelines[0][0][-3:] == ["/usr/bin/cat", "--", "/var/tmp/lastgood-x/copy.sqlite"]
    assert {call.user for call in sqlite_host.calls} == {"www-data"}
    assert sqlite_host.lines()[-1] == "rm --recursive --force -- /var/tmp/lastgood-x"


@pytest.mark.parametrize(
    ("pattern", "answer", "expected"),
    [
        ("stat *", {"rc": 1}, "is not a file that www-data can read"),
        ("stat *", {"stdout": "4096 directory\n"}, "is not a file that www-data can read"),
        ("python3 *", {"rc": 1, "stderr": "Traceback\nsqlite3.DatabaseError: file is not a database\n"}, "file is not a database"),
        ("python3 *", {"rc": 124}, "it took too long"),
        ("python3 *", {"stdout": json.dumps({**FACTS, "integrity": "row 1 missing"})}, "is damaged: row 1 missing"),
    ],
    ids=["absent", "folder", "not a database", "too slow", "damaged"],
)
def test_a_sqlite_database_that_cannot_be_copied_is_no_backup(
    run_module: RunModule, sqlite_host: Streaming, directory: pathlib.Path, pattern: str, answer: dict[str, t.Any], expected: str
) -> None:
    sqlite_host.first(pattern, **answer)
    assert expected in failed(run_module("db_backup", arguments(directory)), directory)


def test_a_full_disk_ends_a_sqlite_backup(run_module: RunModule, sqlite_host: Streaming, directory: pathlib.Path) -> None:
    sqlite_host.failure = Completed(("zstd",), 1, "", "zstd: error 70 : Write error : No space left on device")
    assert "became full" in failed(run_module("db_backup", arguments(directory)), directory)
    assert sqlite_host.lines()[-1].startswith("rm ")


def test_a_sqlite_database_needs_its_whole_path_and_room_for_a_copy(
    run_module: RunModule, sqlite_host: Streaming, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "absolute path" in failed(run_module("db_backup", arguments(directory, database="data.sqlite")), directory)
    sqlite_host.first("stat *", f"{1 << 60} regular file\n")
    assert f"{_database_sqlite._ASIDE} has no room" in failed(run_module("db_backup", arguments(directory)), directory)
