# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from . import _database_mysql, _database_postgresql

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials


def query(runner: Runner, credentials: Credentials, sql: str, *, timeout: float = 60) -> list[list[str]]:
    """The rows that statements which every server understands give, as text."""
    ask = _database_postgresql.query if credentials.engine == "postgresql" else _database_mysql.query
    return ask(runner, credentials, sql, timeout=timeout)
