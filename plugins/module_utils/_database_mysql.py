# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ._database_error import OTHER, SUMMARIES, UNKNOWN_DATABASE, UNREACHABLE, WRONG_LOGIN, DatabaseError
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_CONNECT_TIMEOUT = 5
EXACTLY = ("--binary-mode", "--comments")
_ERROR = re.compile(r"(?:ERROR|[Ee]rror:?) (\d{4})\b|\((\d{4})\)")
_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}

_REASONS = {
    1044: UNKNOWN_DATABASE,
    1045: WRONG_LOGIN,
    1049: UNKNOWN_DATABASE,
    1698: WRONG_LOGIN,
    2002: UNREACHABLE,
    2003: UNREACHABLE,
    2005: UNREACHABLE,
    2006: UNREACHABLE,
    2013: UNREACHABLE,
    2026: UNREACHABLE,
}


def query(runner: Runner, credentials: Credentials, sql: str, *, timeout: float = 60, exactly: bool = False) -> list[list[str]]:
    """The rows that one or more statements give, as text; SQL's NULL arrives as the text NULL.

    With exactly, comments and line ends within the statements reach the server as they are.
    """
    with option_file(credentials) as options:
        argv = [
            client(runner),
            f"--defaults-file={options}",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            f"--connect-timeout={_CONNECT_TIMEOUT}",
            *(EXACTLY if exactly else ()),
        ]
        if credentials.database:
            argv.append(f"--database={credentials.database}")
        try:
            done = runner.run(argv, stdin=sql, timeout=timeout)
        except CommandError as error:
            raise explained(error, credentials) from None
    return [[_unescaped(value) for value in line.split("\t")] for line in done.stdout.split("\n")[:-1]]


def client(runner: Runner) -> str:
    """The name of the client program that is installed: MariaDB's or MySQL's."""
    return _either(runner, "mariadb", "mysql")


def dump_program(runner: Runner) -> str:
    return _either(runner, "mariadb-dump", "mysqldump")


def place(credentials: Credentials) -> str:
    """The database in words, for messages."""
    where = f"socket {credentials.socket}" if credentials.socket else f"{credentials.host or 'localhost'}:{credentials.port}"
    what = f"The database {credentials.database!r}" if credentials.database else "The database server"
    return f"{what} at {where} (user {credentials.user!r})"


@contextlib.contextmanager
def option_file(credentials: Credentials) -> t.Iterator[str]:
    """A path at which programs of the same user find the login while the block runs."""
    with in_memory("lastgood-login", options(credentials)) as path:
        yield path


@contextlib.contextmanager
def in_memory(name: str, text: str) -> t.Iterator[str]:
    """A path at which programs of the same user find the text while the block runs.

    The file lives in memory only and ends with this process, so even a kill leaves no password behind.
    """
    descriptor = os.memfd_create(name)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def explained(error: CommandError, credentials: Credentials) -> DatabaseError:
    """The same failure in words that tell what is wrong with the login, the server or the database."""
    found = _ERROR.search(error.stderr)
    reason = _REASONS.get(int(found.group(1) or found.group(2)), OTHER) if found else OTHER
    told = _told(error.stderr.strip().splitlines()) or error.message
    return DatabaseError(f"{place(credentials)} {SUMMARIES[reason]}: {told.rstrip('.')}.", reason=reason)


def _told(lines: t.Sequence[str]) -> str:
    """The last error, which quotes the statement with its line breaks; without one, the last line."""
    begins = [number for number, line in enumerate(lines) if line.startswith("ERROR ")]
    return " ".join(" ".join(lines[begins[-1] :] if begins else lines[-1:]).split())


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def quoted_text(text: str) -> str:
    """A text as an SQL literal that no mode of the server can end early."""
    return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)" if text else "''"


def options(credentials: Credentials) -> str:
    """The login as an option file."""
    settings = {"user": credentials.user, "password": credentials.password}
    if credentials.socket:
        settings.update(protocol="socket", socket=credentials.socket)
    elif credentials.host:
        settings["host"] = credentials.host
        if credentials.host != "localhost":
            settings.update(protocol="tcp", port=str(credentials.port))
    if credentials.certificate_authority:
        settings["ssl-ca"] = credentials.certificate_authority
    return "[client]\n" + "".join(f'{name}="{_option_value(value)}"\n' for name, value in settings.items())


def _option_value(value: str) -> str:
    if "\0" in value:
        raise RollbackError("A database login cannot hold a NUL character.")
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(escapes.get(character, character) for character in value)


def _unescaped(value: str) -> str:
    return _UNESCAPE.sub(lambda found: _ESCAPED.get(found.group(1), found.group(0)), value) if "\\" in value else value


def _either(runner: Runner, first: str, second: str) -> str:
    if runner.find(first):
        return first
    if runner.find(second):
        return second
    raise RollbackError(f"Neither {first} nor {second} is installed on this host.")
