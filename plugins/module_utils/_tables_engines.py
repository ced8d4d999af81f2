# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from ._tables_mysql import MysqlTables
from ._tables_postgresql import PostgresqlTables
from ._tables_sqlite import SqliteTables

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._tables import Engine


def tables_of(credentials: Credentials, runner: Runner, user: str | None) -> Engine:
    """What asks a database of this kind about its tables."""
    if credentials.engine == "sqlite":
        return SqliteTables(runner, credentials.database, user)
    if credentials.engine == "postgresql":
        return PostgresqlTables(runner, credentials)
    return MysqlTables(runner, credentials)
