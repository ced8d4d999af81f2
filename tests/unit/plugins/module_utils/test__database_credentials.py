# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import LOGIN as OPTIONS
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials, from_options, from_settings
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from scripted import Scripted

LOGIN = {"DB_DATABASE": "chom", "DB_USERNAME": "chom", "DB_PASSWORD": "secret"}


def test_laravel_defaults_fill_what_is_not_said() -> None:
    found = from_settings(LOGIN)
    assert found == Credentials(engine="mysql", database="chom", host="127.0.0.1", port=3306, user="chom", password="secret")


def test_everything_that_is_said_is_used() -> None:
    said = {"DB_CONNECTION": "mariadb", "DB_HOST": "db", "DB_PORT": "3307", "DB_SOCKET": "/run/db.sock", "MYSQL_ATTR_SSL_CA": "/ca.pem"}
    found = from_settings({**LOGIN, **said})
    assert (found.engine, found.host, found.port, found.socket, found.certificate_authority) == (
        "mysql",
        "db",
        3307,
        "/run/db.sock",
        "/ca.pem",
    )


def test_an_address_beats_the_single_settings() -> None:
    found = from_settings({**LOGIN, "DATABASE_URL": "mysql://us%40er:p%23w@db.example.test:3310/shop?unix_socket=/run/x.sock"})
    assert found == Credentials(
        engine="mysql", database="shop", host="db.example.test", port=3310, user="us@er", password="p#w", socket="/run/x.sock"
    )
    assert from_settings({"DB_URL": "sqlite:////srv/app/data.sqlite"}).database == "//srv/app/data.sqlite"


def test_sqlite_needs_only_a_path() -> None:
    assert from_settings({"DB_CONNECTION": "sqlite", "DB_DATABASE": "/srv/data.sqlite"}) == Credentials(
        engine="sqlite", database="/srv/data.sqlite"
    )


def test_a_file_of_sqlite_that_is_not_named_is_where_laravel_puts_it_and_belongs_to_the_application() -> None:
    found = from_settings({"DB_CONNECTION": "sqlite"}, "/var/www/chom/.env", "www-data")
    assert (found.database, found.system_user) == ("/var/www/chom/database/database.sqlite", "www-data")


def test_postgresql_has_its_own_port_and_names_a_socket_as_host() -> None:
    assert from_settings({**LOGIN, "DB_CONNECTION": "pgsql", "DB_SOCKET": "/run/mysqld/mysqld.sock"}) == Credentials(
        engine="postgresql", database="chom", host="127.0.0.1", port=5432, user="chom", password="secret"
    )
    address = from_settings({"DB_URL": "postgres://us%40er:p%23w@db.example.test/shop"})
    assert (address.engine, address.host, address.port, address.user, address.system_user) == (
        "postgresql",
        "db.example.test",
        5432,
        "us@er",
        None,
    )
    peer = from_settings({"DB_CONNECTION": "pgsql", "DB_HOST": "/run/postgresql", "DB_DATABASE": "chom", "DB_USERNAME": "chom"})
    assert (peer.socket, peer.system_user) == ("/run/postgresql", "chom")


def test_a_password_of_null_is_no_password() -> None:
    assert from_settings({**LOGIN, "DB_PASSWORD": "null"}).password == ""


def test_printing_a_login_does_not_print_its_password() -> None:
    assert "secret" not in repr(from_settings(LOGIN))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"DB_CONNECTION": "oracle"}, "DB_CONNECTION names the database kind 'oracle'"),
        ({"DB_URL": "mongodb://x"}, "DB_URL names"),
        ({"DB_URL": "mysql://db:port/x"}, "cannot be read"),
        ({"DB_DATABASE": ""}, "has no DB_DATABASE"),
        ({"DB_USERNAME": "null"}, "has no DB_USERNAME"),
        ({"DB_PORT": "99999"}, "is not a port number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_cannot_be_used_are_named(change: dict[str, str], expected: str) -> None:
    with pytest.raises(RollbackError, match=expected):
        from_settings({**LOGIN, **change})


def test_an_administrator_logs_in_to_the_database_of_the_environment_file() -> None:
    environment = "DB_HOST=db\nDB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD=secret\nDB_SOCKET=/run/db.sock\n"
    runner: t.Any = Scripted().on("cat -- /srv/.env", environment)
    options = {name: option.get("default") for name, option in OPTIONS.items()}
    options.update(environment_file="/srv/.env", login_user="root", login_password="other")
    assert from_options(options, runner) == Credentials(database="chom", host="db", socket="/run/db.sock", user="root", password="other")
