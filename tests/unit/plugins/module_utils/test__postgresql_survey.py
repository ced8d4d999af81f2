# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from postgresql_server import COUNTS, Server

from ansible_collections.lastgood.rollback.plugins.module_utils import _database_postgresql, _postgresql_survey
from ansible_collections.lastgood.rollback.plugins.module_utils._postgresql_survey import Survey

ABOUT: dict[str, t.Any] = {
    "owner": "shop",
    "encoding": "UTF8",
    "collate": "C.UTF-8",
    "ctype": "C.UTF-8",
    "provider": "libc",
    "locale": None,
    "rules": None,
    "tablespace": "pg_default",
    "connection_limit": -1,
    "comment": None,
    "grants_changed": False,
    "grants": [],
    "settings": [],
}


@pytest.fixture
def found() -> Survey:
    return _postgresql_survey.survey(lambda sql: _database_postgresql._rows(Server().answer(sql)))


def test_what_the_server_tells_is_kept(found: Survey) -> None:
    assert (found.server_version, found.server_number, found.data_bytes, found.database_bytes) == ("17.2", 170002, 3600, 5000)
    assert found.roles == ["reader", "shop"]
    assert found.extensions == {"hstore": "1.8"}
    assert found.not_valid == ["old on users"]
    assert (found.objects["views"], found.objects["sequences"]) == (2, 0)
    assert found.database["grants"][1] == {"role": "reader", "privilege": "CREATE", "grantable": True}
    assert found.database["comment"] is None


def test_tables_are_counted_by_one_statement(found: Survey) -> None:
    assert 'SELECT 2, COUNT(*) FROM ONLY "audit"."a.b"' in found.counting()
    assert found.counted(_database_postgresql._rows(COUNTS)) == {"users": 2, "migrations": 1, 'audit."a.b"': 0}


def test_a_table_s_name_says_its_schema_and_cannot_mislead() -> None:
    name = _postgresql_survey.table_name
    assert (name("public", "users"), name("audit", "users"), name("public", "audit.users")) == ("users", "audit.users", '"audit.users"')


def test_a_database_like_the_one_that_was_backed_up_is_created() -> None:
    assert _postgresql_survey.creation('a"b', ABOUT, 140000) == (
        'CREATE DATABASE "a""b" TEMPLATE = template0 OWNER = "shop" ENCODING = \'UTF8\' LC_COLLATE = \'C.UTF-8\''
        " LC_CTYPE = 'C.UTF-8' CONNECTION LIMIT = -1"
    )
    icu = _postgresql_survey.creation("x", {**ABOUT, "provider": "icu", "locale": "nl-NL", "rules": "&a < 'b"}, 170000)
    assert icu.endswith("LOCALE_PROVIDER = icu ICU_LOCALE = 'nl-NL' ICU_RULES = '&a < ''b'")
    assert "BUILTIN_LOCALE = 'C'" in _postgresql_survey.creation("x", {**ABOUT, "provider": "builtin", "locale": "C"}, 170000)


def test_only_a_tablespace_of_its_own_is_named_since_that_takes_a_right() -> None:
    assert 'TABLESPACE = "fa""st"' in _postgresql_survey.creation("x", {**ABOUT, "tablespace": 'fa"st'}, 140000)


def test_its_own_settings_and_privileges_follow() -> None:
    about = {
        **ABOUT,
        "comment": "it's \\",
        "grants_changed": True,
        "grants": [{"role": "", "privilege": "CONNECT", "grantable": False}, {"role": "a b", "privilege": "CREATE", "grantable": True}],
        "settings": [
            {"role": "", "name": "search_path", "value": 'public, "Odd, ""one"""'},
            {"role": "", "name": "search_path", "value": ""},
            {"role": "a b", "name": "my.setting", "value": "a, b"},
        ],
    }
    assert _postgresql_survey.properties("x", about) == [
        "COMMENT ON DATABASE \"x\" IS E'it''s \\\\'",
        'REVOKE ALL ON DATABASE "x" FROM PUBLIC',
        'REVOKE ALL ON DATABASE "x" FROM "shop"',
        'GRANT CONNECT ON DATABASE "x" TO PUBLIC',
        'GRANT CREATE ON DATABASE "x" TO "a b" WITH GRANT OPTION',
        'ALTER DATABASE "x" SET "search_path" TO \'public\', \'Odd, "one"\'',
        'ALTER DATABASE "x" SET "search_path" TO \'\'',
        'ALTER ROLE "a b" IN DATABASE "x" SET "my"."setting" TO \'a, b\'',
    ]
    assert _postgresql_survey.properties("x", ABOUT) == []
