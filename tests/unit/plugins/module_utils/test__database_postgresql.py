# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import re

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _database, _database_error, _database_postgresql
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._database_error import DatabaseError
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from scripted import Scripted

LOGIN = Credentials(engine="postgresql", database="chom", host="127.0.0.1", port=5432, user="chom", password="se:cr\\et'")
PEER = Credentials(engine="postgresql", socket="/run/postgresql", port=5432, user="postgres")


def test_rows_come_back_as_they_are_stored() -> None:
    runner = Scripted().on("psql *", '1,"a\tb\nc,""d"" \\\\"\n\n2,NULL\n')
    assert _database.query(runner, LOGIN, "SELECT") == [["1", 'a\tb\nc,"d" \\\\'], [""], ["2", "NULL"]]
    (call,) = runner.calls
    assert (call.stdin, call.user) == ("SELECT", None)
    assert "dbname='chom'" in call.argv[-1]
    assert "se:cr" not in call.line


def test_a_large_value_is_read_whole() -> None:
    assert _database_postgresql.query(Scripted().on("psql *", "x" * 200_000 + "\n"), LOGIN, "SELECT") == [["x" * 200_000]]


def test_a_login_by_the_system_s_user_runs_as_that_user() -> None:
    runner = Scripted().on("psql *", "1\n")
    _database_postgresql.query(runner, PEER, "SELECT 1")
    assert runner.calls[0].user == "postgres"
    assert "host='/run/postgresql'" in runner.calls[0].line
    assert "dbname='postgres'" in runner.calls[0].line
    assert "passfile" not in runner.calls[0].line


def test_the_password_is_in_a_file_that_ends_with_the_block() -> None:
    with _database_postgresql.connection(LOGIN) as login:
        path = re.findall("passfile='(.*)'", login)[0]
        assert pathlib.Path(path).read_text() == "*:*:*:*:se\\:cr\\\\et'\n"
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not pathlib.Path(path).exists()


def test_a_login_cannot_end_a_setting_early() -> None:
    with _database_postgresql.connection(Credentials(engine="postgresql", host="h", database="a' host='evil", user="b\\")) as login:
        assert "user='b\\\\' dbname='a\\' host=\\'evil'" in login
    for password in ("a\nb", "a\0b"):
        with pytest.raises(RollbackError, match="line's end"), _database_postgresql.connection(Credentials(password=password)):
            pass


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('psql: error: connection to server at "h", port 1 failed: FATAL:  password authentication failed for user "u"\nx', "wrong_login"),
        ('psql: error: connection to server on socket "s" failed: FATAL:  Peer authentication failed for user "postgres"', "wrong_login"),
        ('psql: error: connection to server at "h", port 1 failed: fe_sendauth: no password supplied', "wrong_login"),
        ('psql: error: connection to server at "h", port 1 failed: FATAL:  role "u" does not exist', "wrong_login"),
        ('psql: error: connection to server at "h", port 1 failed: FATAL:  database "d" does not exist', "unknown_database"),
        ('psql: error: connection to server at "h", port 1 failed: FATAL:  permission denied for database "d"', "unknown_database"),
        (
            'psql: error: connection to server at "h", port 1 failed: FATAL:  database "d" is not currently accepting connections',
            "unknown_database",
        ),
        ('psql: error: connection to server at "h", port 1 failed: Connection refused\n\tIs the server running', "unreachable"),
        ('psql: error: could not translate host name "h" to address: Name or service not known', "unreachable"),
        ('psql: error: connection to server at "h", port 1 failed: FATAL:  the database system is shutting down', "unreachable"),
        ("FATAL:  terminating connection due to administrator command\nserver closed the connection unexpectedly", "unreachable"),
        ('ERROR:  relation "x" does not exist', "other"),
        ("", "other"),
    ],
)
def test_failures_have_a_reason(said: str, reason: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        _database_postgresql.query(Scripted().on("psql *", rc=2, stderr=said), LOGIN, "SELECT 1")
    assert caught.value.reason == reason
    assert caught.value.message.startswith(f"The database 'chom' at 127.0.0.1:5432 (user 'chom') {_database_error.SUMMARIES[reason]}: ")
    assert "secret" not in caught.value.message


def test_names_and_texts_are_quoted() -> None:
    assert _database_postgresql.quoted_name('a"b') == '"a""b"'
    assert _database_postgresql.quoted_text("'é\\") == "E'''é\\\\'"
    with pytest.raises(RollbackError, match="no NUL"):
        _database_postgresql.quoted_text("\0")
