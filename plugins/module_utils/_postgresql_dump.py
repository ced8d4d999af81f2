# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import _database_postgresql, _packing, _postgresql_survey
from ._command import limited
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._database_postgresql import Session
    from ._packing import Packing

_EXPECTED_SHRINKING = 3
_SNAPSHOT = """SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()"""


@dataclass
class PostgresqlSource:
    """A database of PostgreSQL to back up.

    Its archive is written as a stream: unlike one in a folder it needs no room beside itself, and still loads in parallel.
    """

    runner: Runner
    credentials: Credentials
    migrations_table: str
    engine: t.ClassVar[str] = "postgresql"
    suffix: t.ClassVar[str] = ".pgdump.zst"

    @property
    def database(self) -> str:
        return self.credentials.database

    def prepare(self) -> int:
        """Find out what is there; returns about how large the backup will be."""
        self.client_version = self.runner.run(["pg_dump", "--version"]).stdout.strip()
        found = _postgresql_survey.survey(lambda sql: _database_postgresql.query(self.runner, self.credentials, sql))
        return found.data_bytes // _EXPECTED_SHRINKING

    def write(self, output: int, packing: Packing, timeout: float) -> dict[str, t.Any]:
        """Write the compressed dump to output; returns what it holds, seen in the dump's own snapshot."""
        with _database_postgresql.session(self.runner, self.credentials, timeout) as session:
            snapshot = session.query(_SNAPSHOT)[-1][0]
            found = _postgresql_survey.survey(session.query)
            migrations = _migrations(session, found.tables.get(self.migrations_table))
            if found.tables:
                session.say(found.counting())
            try:
                size = self._dump(snapshot, output, packing, timeout)
            except RollbackError as error:
                if found.tables and "snapshot" in error.message:
                    session.hear()  # what fails for want of the session's snapshot is an echo of why the session ended
                raise
            rows = found.counted(session.hear()) if found.tables else {}
        return {
            **found.objects,
            "charset": found.database["encoding"],
            "collation": found.database["collate"],
            "properties": found.database,
            "roles": found.roles,
            "extensions": found.extensions,
            "not_valid": found.not_valid,
            "server_version": found.server_version,
            "server_number": found.server_number,
            "client_version": self.client_version,
            "not_transactional": [],
            "warnings": [],
            "database_bytes": found.database_bytes,
            "uncompressed_bytes": size,
            "tables": rows,
            "rows_basis": "dump",
            "migrations": migrations,
        }

    def _dump(self, snapshot: str, output: int, packing: Packing, timeout: float) -> int:
        """Dump the snapshot, compress it on the way to output and return its size before that."""
        size = 0

        def measure(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)

        with _database_postgresql.connection(self.credentials) as login:
            command = [self.runner.path("pg_dump"), "--format=custom", "--compress=0", "--no-password"]
            command += [f"--snapshot={snapshot}", f"--dbname={login}"]
            argv = limited(command, self.credentials.system_user, timeout, me=self.runner.me)
            try:
                self.runner.pipeline([argv, *packing.stages], output=output, watch=measure, timeout=timeout)
            except CommandError as error:
                raise _explained(error, self.credentials) from None
        return size


def _migrations(session: Session, table: tuple[str, str] | None) -> list[str] | None:
    """The names of the applied migrations, oldest first; None when the database has no such table."""
    if table is None:
        return None
    name = ".".join(_database_postgresql.quoted_name(part) for part in table)
    return [migration for (migration,) in session.query(f"SELECT migration FROM {name} ORDER BY batch, id")]


def _explained(error: CommandError, credentials: Credentials) -> RollbackError:
    return _packing.failed(error) or _database_postgresql.explained(error, credentials)
