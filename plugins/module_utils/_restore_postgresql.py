# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import contextlib
import os
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from . import _database_postgresql, _postgresql_survey
from ._database_postgresql import MAINTENANCE_DATABASE, quoted_name, quoted_text
from ._errors import RollbackError
from ._restore import RETURNING, Counter
from ._restore_postgresql_load import Loader
from ._restore_postgresql_tables import Exchange

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Keys
    from ._restore import Backup
    from ._restore_record import Record

_SLOW = 3600
_WRITABLE = "SET default_transaction_read_only = off;\n"  # where the database's own setting says otherwise
_READ_ONLY = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\n"
_COUNTERS = """
SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), COALESCE(last_value, 0), max_value FROM pg_sequences
  WHERE increment_by > 0 AND NOT cycle
"""
_SERVER = """
SELECT 'server', current_setting('server_version_num'), rolsuper, rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user;
SELECT 'role', rolname, pg_has_role(oid, 'MEMBER') FROM pg_roles;
SELECT 'extension', name FROM pg_available_extensions;
SELECT 'tablespace', spcname, pg_tablespace_location(oid) FROM pg_tablespace;
SELECT 'database', datname, pg_has_role(datdba, 'MEMBER') FROM pg_database;
SELECT 'directory', CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER') THEN current_setting('data_directory') ELSE '' END;
SELECT 'memory', setting FROM pg_settings WHERE name = 'maintenance_work_mem';
"""


@dataclass
class _Server:
    """What counts for a restore."""

    number: int = 0
    superuser: bool = False
    creates: bool = False
    directory: str = ""
    memory: int = 0
    known: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"role": {}, "extension": {}, "tablespace": {}, "database": {}},
    )


@dataclass
class PostgresqlEngine:
    """Databases of one PostgreSQL server; whole ones change places by two renames in one transaction."""

    runner: Runner
    credentials: Credentials
    record: Record
    minimum_free: int = 0
    engine: t.ClassVar[str] = "postgresql"
    proves_by_loading: t.ClassVar[bool] = True
    longest_name: t.ClassVar[int] = 63

    def __post_init__(self) -> None:
        self._not_valid: set[str] = set()

    def check(self, backup: Backup, side: str) -> None:
        """Refuse a backup that this server, this login or these programs cannot load; changes nothing."""
        server = self._server()
        about = backup["properties"]
        if backup["server_number"] // 10000 > server.number // 10000:
            raise RollbackError(
                f"The backup {backup['id']} is from PostgreSQL {backup['server_version']}; this server is older ({server.number // 10000})."
            )
        if _major(backup["client_version"]) > _major(self.runner.run(["pg_restore", "--version"]).stdout):
            raise RollbackError(f"The backup was written by {backup['client_version']}; pg_restore on this host is older.")
        for kind, wanted in {
            "role": backup["roles"],
            "extension": backup["extensions"],
            "tablespace": [about["tablespace"]],
        }.items():
            lacking = sorted(set(wanted) - set(server.known[kind]))
            if lacking:
                raise RollbackError(f"The backup needs what this server does not have: {kind} {', '.join(lacking)}.")
        self._check_privileges(server, about["owner"], backup["database"])
        location = server.known["tablespace"][about["tablespace"]] or server.directory
        _require_space(location, backup["database_bytes"], self.minimum_free, "the database server's data")

    def _check_privileges(self, server: _Server, owner: str, live: str) -> None:
        login = self.credentials.user
        if not server.creates:
            raise RollbackError(f"The database user {login!r} may not create databases.", next_command=f"ALTER ROLE {login} CREATEDB")
        if server.known["role"][owner] != "t":
            raise RollbackError(f"The database user {login!r} may not create a database for {owner!r}, whose the backup is.")
        if server.known["database"].get(live, "t") != "t":
            raise RollbackError(f"The database user {login!r} may not rename the database {live!r}, which belongs to another user.")

    def exists(self, database: str) -> bool:
        return database in self._databases()

    def load(self, backup: Backup, side: str, *, keys: Keys, jobs: int, timeout: float) -> None:
        """Create the side database like the one that was backed up, and fill it."""
        self._not_valid = set(backup["not_valid"])
        about = backup["properties"]
        server = self._server()
        with Loader(self.runner, self.credentials.with_database(side), backup, keys, timeout, server.memory) as loader:
            contents = loader.contents()  # what is no archive is refused before anything is made
            self._administer(_postgresql_survey.creation(side, about, server.number))
            loader.run(contents, jobs)
        # only now, since settings such as a read-only default are not meant for the loading
        properties = _postgresql_survey.properties(side, about)
        self._ask(side, "ANALYZE;\n" + "".join(f"{statement};\n" for statement in properties), timeout=_SLOW)

    def census(self, database: str) -> dict[str, t.Any]:
        """What a database holds, with the keys of the manifest."""
        with _database_postgresql.session(self.runner, self.credentials.with_database(database), _SLOW) as session:
            session.query("SET row_security = off")
            found = _postgresql_survey.survey(session.query)
            rows = found.counted(session.query(found.counting())) if found.tables else {}
        return {"tables": rows, **found.objects, "properties": found.database}

    def violations(self, database: str) -> list[str]:
        """Constraints that were not proven and indexes that cannot be used, unless they were so before."""
        with _database_postgresql.session(self.runner, self.credentials.with_database(database), _SLOW) as session:
            found = _postgresql_survey.survey(session.query)
        return [f"{name} does not hold" for name in found.not_valid if name not in self._not_valid]

    def ask(self, database: str, sql: str) -> list[list[str]]:
        """The rows of one query that can change nothing, as text."""
        return self._ask(database, _READ_ONLY + sql, timeout=_SLOW)

    def orphans(self, live: str, incoming: str, tables: t.Sequence[str]) -> list[str]:
        return Exchange(self.runner, self.credentials, live, incoming, tables).orphans()

    def counters(self, database: str) -> dict[str, Counter]:
        found = self._ask(database, _COUNTERS, timeout=_SLOW)
        return {sequence: Counter(int(number), int(limit)) for sequence, number, limit in found}

    def count_on(self, database: str, counters: t.Mapping[str, int]) -> None:
        sequences = (f"SELECT setval({quoted_text(sequence)}, {number});\n" for sequence, number in counters.items())
        self._ask(database, _WRITABLE + "".join(sequences), timeout=_SLOW)

    def swap(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str] = ()) -> None:
        """Let two databases change places in one transaction; sessions with them are ended, and new ones wait outside for that moment.

        Of single tables the rows change places; users stay logged in, and wait for what is locked.
        """
        if tables:
            tolerant = self.record.facts.get("stage") == RETURNING or bool((self.record.facts.get("proof") or {}).get("orphans"))
            Exchange(self.runner, self.credentials, live, incoming, tables).run(outgoing, tolerant)
            return
        present = self._databases()
        if _swapped(present, live, incoming, outgoing):
            return
        if live not in present and incoming in present and outgoing not in present:
            self._administer(f"CREATE DATABASE {quoted_name(live)} TEMPLATE template0")  # what is gone is replaced by way of an empty one
            present.add(live)
        if not {live, incoming} <= present or outgoing in present:
            raise RollbackError(f"{incoming} cannot take the place of {live}: of these and {outgoing}, the server has {sorted(present)}.")
        self._refuse_prepared(live)
        try:
            self._administer(_exchange(live, incoming, outgoing))
        except RollbackError as error:
            if _swapped(self._databases(), live, incoming, outgoing):
                return
            self._administer("".join(f"ALTER DATABASE {quoted_name(name)} ALLOW_CONNECTIONS true;\n" for name in (live, incoming)))
            error.facts["untouched"] = True
            raise

    def _refuse_prepared(self, live: str) -> None:
        """A transaction that was prepared outlives its session, and no database with one can be renamed."""
        found = self._administer(f"SELECT gid FROM pg_prepared_xacts WHERE database = {quoted_text(live)} ORDER BY prepared")
        if found:
            raise RollbackError(
                f"{live} has {len(found)} prepared transactions that were neither committed nor rolled back, the first of them {found[0][0]!r}.",
                facts={"untouched": True},
                next_command=f"{_typed(live, f'ROLLBACK PREPARED {quoted_text(found[0][0])}')}   # or COMMIT PREPARED",
            )

    def drop(self, database: str) -> None:
        found = self._administer(f"SELECT slot_name FROM pg_replication_slots WHERE database = {quoted_text(database)}")
        if found:
            raise RollbackError(
                f"The replication slot {found[0][0]} reads from {database} and would be gone with it.",
                next_command=f"{_typed(database, f'SELECT pg_drop_replication_slot({quoted_text(found[0][0])})')}   # when nobody reads from it",
            )
        self._administer(f"DROP DATABASE {quoted_name(database)} WITH (FORCE)")

    def _server(self) -> _Server:
        found = _Server()
        for kind, *values in self._administer(_SERVER):
            if kind == "server":
                found.number, found.superuser, found.creates = int(values[0]), values[1] == "t", values[2] == "t"
            elif kind == "directory":
                found.directory = values[0]
            elif kind == "memory":
                found.memory = int(values[0])
            else:
                found.known[kind][values[0]] = values[-1]
        return found

    def _databases(self) -> set[str]:
        return {name for (name,) in self._administer("SELECT datname FROM pg_database")}

    def _administer(self, sql: str) -> list[list[str]]:
        return self._ask(MAINTENANCE_DATABASE, sql, timeout=_SLOW)

    def _ask(self, database: str, sql: str, *, timeout: float) -> list[list[str]]:
        return _database_postgresql.query(self.runner, self.credentials.with_database(database), sql, timeout=timeout)


def _typed(database: str, sql: str) -> str:
    """What somebody types to have a statement carried out."""
    return shlex.join(["psql", "--dbname", database, "--command", sql])


def _swapped(present: t.Container[str], live: str, incoming: str, outgoing: str) -> bool:
    return live in present and outgoing in present and incoming not in present


def _exchange(live: str, incoming: str, outgoing: str) -> str:
    """What makes two databases change places. Until the transaction's end, live is the old one; from then on, the new one."""
    old, new, kept = quoted_name(live), quoted_name(incoming), quoted_name(outgoing)
    return f"""
ALTER DATABASE {old} ALLOW_CONNECTIONS false;
ALTER DATABASE {new} ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({quoted_text(live)}, {quoted_text(incoming)});
BEGIN;
ALTER DATABASE {old} RENAME TO {kept};
ALTER DATABASE {new} RENAME TO {old};
ALTER DATABASE {old} ALLOW_CONNECTIONS true;
ALTER DATABASE {kept} ALLOW_CONNECTIONS true;
COMMIT;
"""


def _require_space(folder: str, needed: int, minimum_free: int, what: str) -> None:
    """Refuse what would not fit; a folder that is on another host, or not to be seen, is not judged."""
    with contextlib.suppress(OSError):
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        if free < needed + minimum_free:
            raise RollbackError(f"{folder} has {free} bytes free; {what} needs about {needed} and {minimum_free} must stay free.")


def _major(version: str) -> int:
    """The main number of "pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)"."""
    found = re.search(r"\) (\d+)", version)
    if not found:
        raise RollbackError(f"{version!r} does not say a version of PostgreSQL.")
    return int(found.group(1))
