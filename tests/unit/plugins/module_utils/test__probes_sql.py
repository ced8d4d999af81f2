# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_limits import Limits
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_sql import SqlProbe
from scripted import Scripted

LOGIN = Credentials(database="chom", host="127.0.0.1", user="chom", password="geheim")


def asked(output: str, limits: Limits, query: str = "SELECT 1", **more: t.Any) -> tuple[Scripted, SqlProbe]:
    runner = Scripted().on("mariadb *", output, **more)
    return runner, SqlProbe(runner, LOGIN, query, limits)


@pytest.mark.requirement("CHOM-7.1-05")
def test_asks_in_a_session_that_can_only_read() -> None:
    runner, probe = asked("1\n", Limits(expected="1"))
    assert probe(5) == {"value": "1", "rows": 1}
    assert runner.calls[0].stdin == "SET SESSION TRANSACTION READ ONLY;\nSELECT 1"
    assert "geheim" not in runner.calls[0].line


@pytest.mark.parametrize(
    ("output", "limits", "message"),
    [
        pytest.param("", Limits(), "the query gave no row, so there is no data", id="no row"),
        pytest.param("0\n", Limits(expected="1"), "the query gave '0', expected '1'", id="other value"),
        pytest.param("12\n", Limits(maximum=5), "the query gave 12, expected at most 5", id="too much"),
        pytest.param("2\n", Limits(minimum=5), "the query gave 2, expected at least 5", id="too little"),
        pytest.param("NULL\n", Limits(minimum=5), "the query gave 'NULL', which is not a number", id="null"),
    ],
)
def test_a_result_that_is_not_wanted_is_a_failure(output: str, limits: Limits, message: str) -> None:
    with pytest.raises(ProbeError) as caught:
        asked(output, limits)[1](5)
    assert str(caught.value) == message


def test_a_refused_login_is_a_failure_without_the_password() -> None:
    _runner, probe = asked("", Limits(), rc=1, stderr="ERROR 1045 (28000): Access denied for user 'chom'@'localhost'")
    with pytest.raises(RollbackError, match=r"refused the login: .*Access denied") as caught:
        probe(5)
    assert "geheim" not in str(caught.value)


def test_postgresql_is_asked_by_its_own_client() -> None:
    runner = Scripted().on("psql *", "1\n")
    assert SqlProbe(runner, replace(LOGIN, engine="postgresql"), "SELECT 1", Limits(expected="1"))(5)["value"] == "1"
    assert runner.calls[0].stdin == "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\nSELECT 1"
    assert "geheim" not in runner.calls[0].line


def test_a_file_of_sqlite_is_asked_as_whose_it_is() -> None:
    runner = Scripted().on("python3 *", '[["1"]]')
    login = Credentials(engine="sqlite", database="/srv/chom.sqlite", owner="www-data")
    assert SqlProbe(runner, login, "SELECT 1", Limits(expected="1"))(5)["value"] == "1"
    assert runner.calls[0].user == "www-data"


@pytest.mark.parametrize(
    ("value", "limits", "good"),
    [
        ("1", Limits(expected="1.0"), True),
        ("ok", Limits(expected="ok"), True),
        ("nan", Limits(minimum=0), False),
        ("nan", Limits(maximum=0), False),
        ("nan", Limits(expected="1"), False),
        ("5", Limits(minimum=5, maximum=5), True),
        ("anything", Limits(), True),
    ],
)
def test_compares_values(value: str, limits: Limits, good: bool) -> None:
    assert (limits.fault(value) is None) == good
