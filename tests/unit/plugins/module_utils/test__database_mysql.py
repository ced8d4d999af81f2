# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from databases import Streaming

from ansible_collections.lastgood.rollback.plugins.module_utils import _database_error, _database_mysql
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._database_error import DatabaseError
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError

LOGIN = Credentials(database="chom", host="127.0.0.1", user="chom", password="secret")


def test_rows_come_back_as_they_are_stored() -> None:
    runner = Streaming().on("mariadb *", "1\ta\\tb\\nc\\\\d\\0e\\x\n\n2\tNULL\n")
    assert _database_mysql.query(runner, LOGIN, "SELECT") == [["1", "a\tb\nc\\d\0e\\x"], [""], ["2", "NULL"]]
    assert runner.calls[0].stdin == "SELECT"
    assert "--database=chom" in runner.calls[0].argv


def test_a_login_without_a_database_names_none() -> None:
    runner = Streaming().on("mysql *", "1\n")
    runner.missing.add("mariadb")
    _database_mysql.query(runner, Credentials(host="localhost", user="root", certificate_authority="/ca.pem"), "SELECT 1")
    assert not runner.lines("*--database*")
    assert runner.logins[0].splitlines()[-2:] == ['host="localhost"', 'ssl-ca="/ca.pem"']


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ERROR 1045 (28000): Access denied", _database_error.WRONG_LOGIN),
        ("ERROR 1698 (28000): Access denied", _database_error.WRONG_LOGIN),
        ("mariadb-dump: Got error: 1045: Access denied", _database_error.WRONG_LOGIN),
        ("ERROR 1044 (42000): Access denied to database", _database_error.UNKNOWN_DATABASE),
        ("ERROR 1049 (42000): Unknown database", _database_error.UNKNOWN_DATABASE),
        ("ERROR 2002 (HY000): Can't connect", _database_error.UNREACHABLE),
        ("ERROR 2026 (HY000): TLS/SSL error", _database_error.UNREACHABLE),
        ("mariadb-dump: Couldn't execute 'SELECT `a`': TLS/SSL error: unexpected eof while reading (2026)", _database_error.UNREACHABLE),
        ("mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a` at row: 1", _database_error.UNREACHABLE),
        ("ERROR 1205 (HY000): Lock wait timeout", _database_error.OTHER),
        ("", _database_error.OTHER),
    ],
)
def test_failures_have_a_reason(said: str, reason: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        _database_mysql.query(Streaming().on("mariadb *", rc=1, stderr=said), LOGIN, "SELECT 1")
    assert caught.value.reason == reason
    assert "'chom' at 127.0.0.1:3306" in caught.value.message
    assert "secret" not in caught.value.message


def test_an_error_that_quotes_several_lines_is_told_from_its_beginning() -> None:
    said = "some warning\nERROR 1064 (42000) at line 3: You have an error near ')\n) ENGINE=Inn...' at line 6\n"
    with pytest.raises(DatabaseError, match=r"ERROR 1064 \(42000\) at line 3: You have an error near '\) \) ENGINE=Inn...' at line 6\.$"):
        _database_mysql.query(Streaming().on("mariadb *", rc=1, stderr=said), LOGIN, "SELECT 1")


def test_the_login_is_gone_when_the_block_ends() -> None:
    with _database_mysql.option_file(LOGIN) as path:
        assert "secret" in pathlib.Path(path).read_text()
    assert not pathlib.Path(path).exists()


def test_a_login_cannot_end_an_option_early() -> None:
    with _database_mysql.option_file(Credentials(user='a"\nhost=evil', password="#\\\t\r\n")) as path:
        assert pathlib.Path(path).read_text() == '[client]\nuser="a\\"\\nhost=evil"\npassword="#\\\\\\t\\r\\n"\n'
    with pytest.raises(RollbackError, match="NUL"), _database_mysql.option_file(Credentials(password="a\0b")):
        pass


def test_names_and_texts_are_quoted() -> None:
    assert _database_mysql.quoted_name("a`b") == "`a``b`"
    assert _database_mysql.quoted_text("'é") == "CONVERT(0x27c3a9 USING utf8mb4)"
    assert _database_mysql.quoted_text("") == "''"


def test_no_client_at_all_is_said() -> None:
    runner = Streaming()
    runner.missing |= {"mariadb", "mysql"}
    with pytest.raises(RollbackError, match="Neither mariadb nor mysql is installed"):
        _database_mysql.query(runner, LOGIN, "SELECT 1")
