# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from . import _database_mysql, _database_postgresql, _database_sqlite

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_ASK: dict[str, t.Callable[..., list[list[str]]]] = {
    "mysql": _database_mysql.query,
    "postgresql": _database_postgresql.query,
    "sqlite": _database_sqlite.query,
}
_READ_ONLY = {
    "mysql": "SET SESSION TRANSACTION READ ONLY;\n",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\n",
    "sqlite": "",  # never can, see there
}


def query(runner: Runner, credentials: Credentials, sql: str, *, timeout: float = 60) -> list[list[str]]:
    """The rows that statements which every server understands give, as text."""
    return _ASK[credentials.engine](runner, credentials, sql, timeout=timeout)


def ask(runner: Runner, credentials: Credentials, sql: str, *, timeout: float) -> list[list[str]]:
    """The rows of a query in a session that cannot write."""
    return query(runner, credentials, _READ_ONLY[credentials.engine] + sql, timeout=timeout)
