# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import os
import typing as t
import urllib.parse
from dataclasses import dataclass, field, replace

from . import _dotenv
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner

# The options of modules that log in to a database.
LOGIN: dict[str, t.Any] = {
    "environment_file": {"type": "path"},
    "environment_user": {"type": "str"},
    "engine": {"type": "str", "choices": ["mysql", "postgresql", "sqlite"]},
    "database": {"type": "str"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_host": {"type": "str", "default": "127.0.0.1"},
    "login_port": {"type": "int"},
    "login_unix_socket": {"type": "path"},
}

_ENGINES = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "pgsql": "postgresql",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "sqlite": "sqlite",
}
PORTS = {"mysql": 3306, "postgresql": 5432}
_READ_TIMEOUT = 20


@dataclass(frozen=True)
class Credentials:
    """Where a database is and how to log in; the password stays out of every printed form."""

    engine: str = "mysql"
    database: str = ""
    host: str = ""
    port: int = 3306
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    certificate_authority: str = ""
    owner: str | None = None  # the system's user whose file a SQLite database is

    @property
    def system_user(self) -> str | None:
        """As whom programs have to run: whose file it is, or whose login without a password PostgreSQL grants by the system's user (peer)."""
        if self.engine == "sqlite":
            return self.owner
        return self.user if self.engine == "postgresql" and self.socket and not self.password else None

    def with_database(self, database: str) -> Credentials:
        return replace(self, database=database)

    def at_socket(self, socket: str, user: str, password: str) -> Credentials:
        return replace(self, socket=socket, user=user, password=password)

    def with_login(self, other: Credentials) -> Credentials:
        return replace(self, user=other.user, password=other.password, socket=other.socket or self.socket)


def from_options(options: t.Mapping[str, t.Any], runner: Runner) -> Credentials:
    """The login that a module's options give, by themselves or by naming the application's environment file.

    With both, the file says which database on which server, and the options who logs in.
    """
    engine = options["engine"] or "mysql"
    login = Credentials(
        engine=engine,
        host=options["login_host"],
        port=options["login_port"] or PORTS.get(engine, 0),
        socket=options["login_unix_socket"] or "",
        user=options["login_user"] or "",
        password=options["login_password"] or "",
        owner=options["environment_user"],
    )
    if options["environment_file"]:
        found = from_dotenv(runner, options["environment_file"], options["environment_user"])
        if options["engine"] and options["engine"] != found.engine:
            raise RollbackError(f"The environment file is for {found.engine}, not for {options['engine']}.")
        login = found.with_login(login) if login.user else found
    login = login.with_database(options["database"] or login.database)
    if not login.database:
        raise RollbackError("There is no database to work on: neither the option database nor the environment file names one.")
    return login


def from_dotenv(runner: Runner, environment_file: str, user: str | None) -> Credentials:
    """The database login of an application, read as user from the application's own environment file."""
    done = runner.run(["cat", "--", environment_file], user=user, timeout=_READ_TIMEOUT, check=False)
    if done.rc != 0:
        raise RollbackError(
            f"The environment file {environment_file} could not be read as {user or runner.me}: {done.stderr.strip() or 'no reason given'}."
        )
    return from_settings(_dotenv.parse(done.stdout), environment_file, user)


def from_settings(settings: t.Mapping[str, str], environment_file: str = "", owner: str | None = None) -> Credentials:
    """The database login in an application's settings, with Laravel's names and defaults; owner is who may read the file that they are from."""
    known = {name: _dotenv.plain(value) for name, value in settings.items()}
    url = known.get("DB_URL") or known.get("DATABASE_URL") or ""
    if url:
        return _from_url(url, owner)
    connection = known.get("DB_CONNECTION") or "mysql"
    engine = _engine(connection, "DB_CONNECTION")
    if engine == "sqlite":
        place = os.path.join(os.path.dirname(environment_file), "database", "database.sqlite") if environment_file else ""
        return Credentials(engine=engine, database=known.get("DB_DATABASE") or place, owner=owner)
    host = known.get("DB_HOST") or "127.0.0.1"
    return Credentials(
        engine=engine,
        database=_wanted(known, "DB_DATABASE"),
        host=host,
        port=_port(known["DB_PORT"]) if known.get("DB_PORT") else PORTS[engine],
        socket=_socket(engine, host, known.get("DB_SOCKET", "")),
        user=_wanted(known, "DB_USERNAME"),
        password=known.get("DB_PASSWORD", ""),
        certificate_authority=known.get("MYSQL_ATTR_SSL_CA", "") if engine == "mysql" else "",
    )


def _from_url(url: str, owner: str | None) -> Credentials:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise RollbackError("The database address (DB_URL) in the environment file cannot be read.") from None
    engine = _engine(parts.scheme.partition("+")[0], "DB_URL")  # SQLAlchemy names the driver behind a plus sign
    if engine == "sqlite":
        return Credentials(engine=engine, database=urllib.parse.unquote(parts.path), owner=owner)
    host = urllib.parse.unquote(parts.hostname or "127.0.0.1")
    return Credentials(
        engine=engine,
        database=urllib.parse.unquote(parts.path.lstrip("/")),
        host=host,
        port=port or PORTS[engine],
        socket=_socket(engine, host, urllib.parse.parse_qs(parts.query).get("unix_socket", [""])[0]),
        user=urllib.parse.unquote(parts.username or ""),
        password=urllib.parse.unquote(parts.password or ""),
    )


def _engine(name: str, setting: str) -> str:
    if name not in _ENGINES:
        raise RollbackError(f"{setting} names the database kind {name!r}; known kinds: {', '.join(sorted(_ENGINES))}.")
    return _ENGINES[name]


def _socket(engine: str, host: str, socket: str) -> str:
    """The socket that is named; PostgreSQL takes its folder in the place of a host, and knows no other setting for it."""
    if engine == "postgresql":
        return host if host.startswith("/") else ""
    return socket


def _wanted(settings: t.Mapping[str, str], name: str) -> str:
    if not settings.get(name):
        raise RollbackError(f"The environment file has no {name}.")
    return settings[name]


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise RollbackError("DB_PORT in the environment file is not a port number.")
    return int(text)
