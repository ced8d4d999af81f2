# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import sys
import time
import typing as t
import uuid

from ._command import limited
from ._database_error import OTHER, SUMMARIES, UNKNOWN_DATABASE, UNREACHABLE, WRONG_LOGIN, DatabaseError
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Conversation, Runner
    from ._database_credentials import Credentials

MAINTENANCE_DATABASE = "postgres"  # the one to log in to when no other is meant
_CONNECT_TIMEOUT = 5
_REASONS = (
    (
        WRONG_LOGIN,
        r"(password|Peer|Ident|certificate|LDAP|PAM|GSSAPI) authentication failed|no password supplied"
        r"|FATAL: +role .* (does not exist|is not permitted to log in)|no pg_hba.conf entry",
    ),
    (UNKNOWN_DATABASE, r"FATAL: +(database .* (does not exist|is not currently accepting connections)|permission denied for database)"),
    (
        UNREACHABLE,
        r"connection to server .* failed: (?!FATAL|fe_sendauth)|could not translate host name|the database system is"
        r"|server closed the connection|terminating connection|connection to server was lost|too many clients|timeout expired",
    ),
)


def query(runner: Runner, credentials: Credentials, sql: str, *, timeout: float = 60) -> list[list[str]]:
    """The rows that one or more statements give, as text; SQL's NULL arrives as the text NULL."""
    with connection(credentials) as login:
        try:
            done = runner.run(_client(login), user=credentials.system_user, stdin=sql, timeout=timeout)
        except CommandError as error:
            raise explained(error, credentials) from None
    return _rows(done.stdout)


class Session:
    """A login that stays, so that a snapshot does."""

    def __init__(self, conversation: Conversation, credentials: Credentials, deadline: float) -> None:
        self._conversation = conversation
        self._credentials = credentials
        self._deadline = deadline
        self._ends: list[str] = []

    def say(self, sql: str) -> None:
        """Hand statements over without waiting for their rows; these come with hear(), in the same order."""
        self._ends.append(f"end-{uuid.uuid4().hex}")
        self._conversation.tell(f"{sql}\n;\n\\echo {self._ends[-1]}\n")

    def hear(self) -> list[list[str]]:
        said = self._conversation.hear(self._ends.pop(0), self._deadline - time.monotonic())
        if said is None:
            why = self._conversation.complaint if time.monotonic() < self._deadline else "psql did not end in time"
            raise explained(CommandError(why, rc=1, stdout="", stderr=why), self._credentials)
        return _rows(said)

    def query(self, sql: str) -> list[list[str]]:
        self.say(sql)
        return self.hear()


@contextlib.contextmanager
def session(runner: Runner, credentials: Credentials, timeout: float) -> t.Iterator[Session]:
    deadline = time.monotonic() + timeout
    with connection(credentials) as login:
        argv = limited([runner.path("psql"), *_client(login)[1:]], credentials.system_user, timeout, me=runner.me)
        with runner.converse(argv) as conversation:
            yield Session(conversation, credentials, deadline)


def _client(login: str) -> list[str]:
    return [
        "psql",
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--tuples-only",
        "--csv",
        "--pset=null=NULL",
        "--set=ON_ERROR_STOP=1",
        f"--dbname={login}",
    ]


def _rows(text: str) -> list[list[str]]:
    csv.field_size_limit(sys.maxsize)
    return [row or [""] for row in csv.reader(io.StringIO(text, newline=""))]


@contextlib.contextmanager
def connection(credentials: Credentials, **more: str) -> t.Iterator[str]:
    """What programs are told to log in to the database by, while the block runs; the password is not in it.

    The password lives in a file in memory only, which ends with this process, so even a kill leaves none behind.
    """
    settings = {
        "host": credentials.socket or credentials.host,
        "port": str(credentials.port),
        "user": credentials.user,
        "dbname": credentials.database or MAINTENANCE_DATABASE,
        "connect_timeout": str(_CONNECT_TIMEOUT),
        "client_encoding": "UTF8",
        "application_name": "lastgood",
        **more,
    }
    if not credentials.password:
        yield _words(settings)
        return
    descriptor = os.memfd_create("lastgood-login")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"*:*:*:*:{_password(credentials.password)}\n".encode())
        yield _words({**settings, "passfile": f"/proc/{os.getpid()}/fd/{descriptor}"})
    finally:
        os.close(descriptor)


def place(credentials: Credentials) -> str:
    """The database in words, for messages."""
    where = f"socket {credentials.socket}" if credentials.socket else f"{credentials.host or 'localhost'}:{credentials.port}"
    return f"The database {credentials.database or MAINTENANCE_DATABASE!r} at {where} (user {credentials.user!r})"


def explained(error: CommandError, credentials: Credentials) -> DatabaseError:
    """The same failure in words that tell what is wrong with the login, the server or the database."""
    reason = next((reason for reason, pattern in _REASONS if re.search(pattern, error.stderr)), OTHER)
    told = [line for line in error.stderr.splitlines() if re.search(r"(FATAL|ERROR|error): ", line)] or [error.message]
    return DatabaseError(f"{place(credentials)} {SUMMARIES[reason]}: {told[0].strip().rstrip('.')}.", reason=reason)


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + _without_nul(name).replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as an SQL literal that no setting of the server can end early."""
    return "E'" + _without_nul(text).replace("\\", "\\\\").replace("'", "''") + "'"


def _words(settings: t.Mapping[str, str]) -> str:
    """Settings in the form that PostgreSQL's library reads."""
    escaped = {name: _without_nul(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in settings.items()}
    return " ".join(f"{name}='{value}'" for name, value in escaped.items() if value)


def _password(password: str) -> str:
    if re.search(r"[\0\r\n]", password):
        raise RollbackError("A password of PostgreSQL cannot hold a NUL character or a line's end.")
    return password.replace("\\", "\\\\").replace(":", "\\:")


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise RollbackError("PostgreSQL takes no NUL character in a name or text.")
    return text
