# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The physical form: what is copied, by whom, and what is refused before that; the server plays back a transcript."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import threading
import time
import typing as t

import pytest
from databases import DUMP, Streaming, mysql_host

from ansible_collections.lastgood.rollback.plugins.module_utils import _command, _mariadb_backup, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from conftest import RunModule

PASSWORD = 'pa$$"word#'
ALL = "GRANT ALL PRIVILEGES ON *.* TO `mysql`@`localhost`\n"
COPIED = b"[00] 2026-11-22 Streaming ./chom/users.ibd\n[00] 2026-11-22 Streaming ./chom/migrations.ibd\n"
VERSION = "mariadb-backup based on MariaDB server 11.8.6-MariaDB debian-linux-gnu (x86_64)"


class Host(Streaming):
    """A host with a server of MariaDB; what the tests change is the answer to one of the questions."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(**vars(mysql_host()))
        self.complaints = COPIED
        self.replies = {
            "@@datadir": f"11.8.6-MariaDB\t{folder}\t/run/mysqld/mysqld.sock\t{socket.gethostname()}\n",
            "create_options": "users\tInnoDB\t\nmigrations\tInnoDB\t\n",
            "innodb_sys_tables": "",
            "USING filename": "users\t\t\tusers\t\t\nmigrations\t\t\tmigrations\t\t\n",
            "SELECT table_name FROM information_schema.views": "active\n",
            "SHOW CREATE": "users\tCREATE users AUTO_INCREMENT=3\nmigrations\tCREATE migrations\n",
            "SELECT COUNT(*) FROM `": "1\n2\n",
        }
        self.first("mariadb *", t.cast("str", self.answer))
        self.first("mariadb --no-defaults *", t.cast("str", lambda: self.replies["innodb_sys_tables"]))
        self.first("mariadb --no-defaults *GRANTS", ALL)
        self.on("mariadb-backup --version", VERSION)
        self.on("test -w *")
        self.on("du *", f"3000\t{folder}/chom\n6000\t{folder}/ibdata1\n")

    def answer(self) -> str:
        sql = self.calls[-1].stdin or ""
        found = next((reply for words, reply in self.replies.items() if words in sql), None)
        return found if found is not None else self.survey if "information_schema" in sql else "2026_01_01_000000_create_users_table\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Host:
    scripted = Host(tmp_path)
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


def arguments(directory: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    login = {"environment_file": "/var/www/chom/.env", "environment_user": "www-data"}
    return {"directory": str(directory), "form": "physical", "minimum_free": 0, **login, **more}


def test_the_files_lie_between_the_statements_that_make_tables_and_programs(
    run_module: RunModule, host: Host, directory: pathlib.Path
) -> None:
    result = run_module("db_backup", arguments(directory))
    backup = result["backup"]
    assert (backup["form"], backup["file"].endswith(".mariadb.zst"), result["expected_bytes"]) == ("physical", True, 3000)
    assert [part["kind"] for part in backup["parts"]] == ["schema", "files", "programs", "programs"]
    content = pathlib.Path(result["path"]).read_bytes()
    files = backup["parts"][1]
    assert content[files["offset"] : files["offset"] + files["bytes"]] == host.files
    assert content == DUMP + host.files + DUMP + DUMP
    assert pathlib.Path(result["path"]).stat().st_mode & 0o777 == 0o600
    listed = run_module("db_backup_info", {"directory": str(directory), "verify": True})["backups"]
    assert [(one["form"], one["verified"]) for one in listed] == [("physical", True)]


@pytest.mark.requirement("D-007")
def test_the_copy_is_made_by_the_user_whose_the_files_are_and_who_logs_in_by_the_socket(
    run_module: RunModule, host: Host, directory: pathlib.Path
) -> None:
    result = run_module("db_backup", arguments(directory))
    copying = next(stages[0] for stages in host.pipelines if "--backup" in stages[0])
    assert copying[:3] == ["sudo", "-n", "--"]  # the folder of this test belongs to who runs it
    assert "--databases=chom" in copying
    login = next(text for text in host.logins if 'password=""' in text)
    assert 'socket="/run/mysqld/mysqld.sock"' in login
    assert PASSWORD not in json.dumps(result) + "".join(host.lines()) + str(host.pipelines)


def test_the_given_user_logs_in_where_the_servers_own_may_not(run_module: RunModule, host: Host, directory: pathlib.Path) -> None:
    host.first("mariadb --no-defaults *", rc=1, stderr="ERROR 1698 (28000): Access denied")
    assert "has the privileges PROCESS and RELOAD" in run_module("db_backup", arguments(directory))["msg"]
    grants, answer = "GRANT RELOAD, PROCESS ON *.* TO `chom`@`localhost`\n", host.answer
    host.first("mariadb --defaults*", t.cast("str", lambda: grants if host.calls[-1].stdin == "SHOW GRANTS" else answer()))
    result = run_module("db_backup", arguments(directory))
    assert result["changed"]
    assert any(PASSWORD.replace('"', '\\"') in text and 'protocol="socket"' in text for text in host.logins)


@pytest.mark.parametrize(
    ("question", "answer", "says"),
    [
        ("create_options", "users\tMyISAM\t\n", "The table users is not of InnoDB but of MyISAM"),
        ("create_options", "users\tInnoDB\tENCRYPTED=YES\n", "encrypted or lie elsewhere"),
        ("create_options", "\tencrypted\tINNODB_ENCRYPT_LOG\n", "encrypts its files"),
        ("innodb_sys_tables", "chom/notes\nchom/notes\n", "These tables have, or had, full-text indexes: notes:"),
        ("@@datadir", "11.8.6-MariaDB\t/nowhere\t/run/s.sock\tanother-host\n", "is on another-host, not on this host"),
        ("@@datadir", f"11.8.6-MariaDB\t/nowhere\t/run/s.sock\t{socket.gethostname()}\n", "physical backups need its files"),
        ("@@datadir", "8.4.1\t/var/lib/mysql\t/run/s.sock\tx\n", "Physical backups are for MariaDB"),
        ("@@datadir", "10.11.6-MariaDB\t/var/lib/mysql\t/run/s.sock\tx\n", "does not fit the server"),
        ("USING filename", "users\t\t\tusers\t\t\nold\t\t\told\t\t\n", "no files of their own (innodb_file_per_table): old"),
    ],
)
def test_what_could_not_be_restored_is_not_backed_up(
    run_module: RunModule, host: Host, directory: pathlib.Path, question: str, answer: str, says: str
) -> None:
    host.replies[question] = answer
    result = run_module("db_backup", arguments(directory))
    assert says in result["msg"]
    assert "logical" in result["next_command"]
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"database": "my-shop"}, "other characters than letters"),
        ({"engine": "sqlite", "database": "/x.sqlite", "environment_file": None, "environment_user": None}, "no physical form"),
    ],
)
def test_what_has_no_physical_form_is_refused(
    run_module: RunModule, host: Host, directory: pathlib.Path, more: dict[str, t.Any], says: str
) -> None:
    wanted = {name: value for name, value in arguments(directory, **more).items() if value is not None}
    assert says in run_module("db_backup", wanted)["msg"]


def test_without_the_right_to_the_files_it_says_what_to_grant(run_module: RunModule, host: Host, directory: pathlib.Path) -> None:
    host.first("test -w *", rc=1, stderr="sudo: a password is required")
    result = run_module("db_backup", arguments(directory))
    assert "deploy may not run programs as" in result["msg"]
    assert "docs/sudoers.md" in result["next_command"]
    host.missing.add("mariadb-backup")
    assert "apt-get install mariadb-backup" in run_module("db_backup", arguments(directory), check=True)["next_command"]


def test_a_definition_that_changes_meanwhile_fails_the_backup(run_module: RunModule, host: Host, directory: pathlib.Path) -> None:
    texts = iter(["users\tCREATE users\n", "users\tCREATE users, more\n"])
    answer = host.answer
    host.first("mariadb --defaults*", t.cast("str", lambda: next(texts) if "SHOW CREATE" in (host.calls[-1].stdin or "") else answer()))
    assert "was changed while the files were copied" in run_module("db_backup", arguments(directory))["msg"]
    assert list(directory.iterdir()) == []


def test_a_copy_that_fails_says_why_and_leaves_nothing(run_module: RunModule, host: Host, directory: pathlib.Path) -> None:
    said = "[00] 2026-11-22 Connecting\n[00] FATAL ERROR: 2026-11-22 failed to read page 7 of chom/users.ibd\n[00] closing\n"
    original = host.pipeline

    def fail(stages: t.Sequence[t.Sequence[str]], **more: t.Any) -> None:
        if "--backup" in stages[0]:
            raise _command._failure(Completed(tuple(stages[0]), 1, "", said), None)
        original(stages, **more)

    host.pipeline = fail  # type: ignore[method-assign] # as a server that breaks off
    result = run_module("db_backup", arguments(directory))
    assert "failed to read page 7" in result["msg"]
    assert "Connecting" not in result["msg"]
    assert list(directory.iterdir()) == []


class Session:
    """A session with the server that answers once it may."""

    def __init__(self, before: t.Callable[[], None] = lambda: None) -> None:
        self._before = before
        self.asked: list[str] = []

    def say(self, line: str, _timeout: float) -> str:
        self.asked.append(line)
        self._before()
        return "taken"

    def tell(self, text: str) -> None:
        self.asked.append(text)


@pytest.mark.requirement("D-008")
@pytest.mark.parametrize(("late", "taken"), [(False, True), (True, False)], ids=["while they wait", "too late"])
def test_a_snapshot_counts_only_if_nobody_could_commit_yet(tmp_path: pathlib.Path, late: bool, taken: bool) -> None:
    with (tmp_path / "errors").open("w+b", buffering=0) as errors:
        asked = threading.Event()

        def before() -> None:
            if late:
                errors.write(_mariadb_backup._FREE)
            asked.set()

        session = Session(before)
        moment = _mariadb_backup._Moment(t.cast("t.Any", session), os.dup(errors.fileno()), "questions")
        with moment.watching():
            errors.write(b"Starting BACKUP STAGE BLOCK_COMMIT\n")
            time.sleep(0.02)
            assert session.asked == []
            errors.write(_mariadb_backup._HELD + b"\n")
            assert asked.wait(5)
            time.sleep(0.02)
            errors.write(_mariadb_backup._FREE)
        assert moment.taken is taken
        assert session.asked[1:] == (["questions"] if taken else [])
