# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from . import _database_mysql

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

_SURVEY = """
SELECT 'server', VERSION();
SELECT 'charset', default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = DATABASE();
SELECT 'table', table_name, table_type, IFNULL(engine, ''), IFNULL(data_length, 0) FROM information_schema.tables
  WHERE table_schema = DATABASE();
SELECT 'triggers', COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE();
SELECT 'routines', COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT 'events', COUNT(*) FROM information_schema.events WHERE event_schema = DATABASE();
SELECT DISTINCT 'encoding', character_set_name FROM information_schema.columns
  WHERE table_schema = DATABASE() AND character_set_name IS NOT NULL;
SELECT DISTINCT 'encoding', character_set_client FROM information_schema.views WHERE table_schema = DATABASE();
SELECT DISTINCT 'encoding', character_set_client FROM information_schema.triggers WHERE trigger_schema = DATABASE();
SELECT DISTINCT 'encoding', character_set_client FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT DISTINCT 'encoding', character_set_client FROM information_schema.events WHERE event_schema = DATABASE();
SELECT DISTINCT 'definer', definer FROM information_schema.views WHERE table_schema = DATABASE();
SELECT DISTINCT 'definer', definer FROM information_schema.triggers WHERE trigger_schema = DATABASE();
SELECT DISTINCT 'definer', definer FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT DISTINCT 'definer', definer FROM information_schema.events WHERE event_schema = DATABASE();
SHOW GRANTS;
"""
_GRANT = re.compile(r"GRANT (.+?) ON (?:(\*)|`((?:[^`]|``)+)`)\.\* TO ")
_TRANSACTIONAL = {"InnoDB", "ROCKSDB", "TokuDB"}
_SEES = {
    "triggers": {"TRIGGER"},
    "routines": {"EXECUTE", "ALTER ROUTINE", "SHOW CREATE ROUTINE"},
}  # without one of these the server hides them, and the dump does not fail; without SHOW VIEW or EVENT it fails
_UTF8 = {"utf8mb4", "utf8mb3", "utf8", "ascii"}
_EXPECTED_SHRINKING = 3


@dataclass
class Survey:
    """What the server tells about a database before it is dumped."""

    server_version: str = ""
    charset: str = ""
    collation: str = ""
    engines: dict[str, str] = field(default_factory=dict)
    data_bytes: int = 0
    objects: dict[str, int] = field(default_factory=lambda: {"views": 0, "triggers": 0, "routines": 0, "events": 0})
    privileges: set[str] = field(default_factory=set)
    encodings: set[str] = field(default_factory=set)
    definers: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    versioned: list[str] = field(default_factory=list)  # tables with a history

    @property
    def expected_bytes(self) -> int:
        """About how large the compressed backup will be."""
        return self.data_bytes // _EXPECTED_SHRINKING

    @property
    def all_utf8(self) -> bool:
        """Whether everything in the database is stored in UTF-8, so that nothing needs converting."""
        return self.encodings <= _UTF8

    @property
    def not_transactional(self) -> list[str]:
        return sorted(table for table, engine in self.engines.items() if engine not in _TRANSACTIONAL)

    @property
    def warnings(self) -> list[str]:
        """What the backup may lack although it is complete as far as this user can see."""
        found = [
            f"The database user may not see {kind} (no privilege {' or '.join(sorted(needed))}): if there are any, the backup lacks them."
            for kind, needed in _SEES.items()
            if not self.privileges & (needed | {"ALL PRIVILEGES"})
        ]
        if self.versioned:
            found.append(f"What rows were before, which the server remembers of {', '.join(self.versioned)}, is not in the backup.")
        if self.not_transactional:
            found.append(f"Not in the same snapshot as the rest, for want of transactions: {', '.join(self.not_transactional)}.")
        return found


def survey(runner: Runner, credentials: Credentials) -> Survey:
    found = Survey()
    for kind, *values in _database_mysql.query(runner, credentials, _SURVEY):
        if kind == "server":
            found.server_version = values[0]
        elif kind == "charset":
            found.charset, found.collation = values
        elif kind.startswith("GRANT "):
            found.privileges |= _privileges(kind, credentials.database)
        elif kind == "encoding":
            found.encodings.add(values[0])
        elif kind == "definer":
            found.definers.add(values[0])
        elif kind == "table":
            _note_table(found, *values)
        elif kind in found.objects:
            found.objects[kind] = int(values[0])
    return found


def _privileges(grant: str, database: str) -> set[str]:
    """What a line of SHOW GRANTS allows on the database; its scope is a pattern in which a backslash takes the meaning away."""
    found = _GRANT.match(grant)
    if not found:
        return set()
    privileges, everywhere, pattern = found.groups()
    wildcards = {"%": ".*", "_": "."}
    parts = re.findall(r"\\?.", (pattern or "").replace("``", "`"), re.DOTALL)
    covers = everywhere or re.fullmatch("".join(wildcards.get(part, re.escape(part[-1])) for part in parts), database, re.DOTALL)
    return set(privileges.split(", ")) if covers else set()


def global_privileges(grants: t.Iterable[str]) -> set[str]:
    """What lines of SHOW GRANTS allow on the whole server."""
    found = [_GRANT.match(grant) for grant in grants]
    return {privilege for grant in found if grant and grant.group(2) for privilege in grant.group(1).split(", ")}


def privileges_on(grants: t.Iterable[str], database: str) -> set[str]:
    """What lines of SHOW GRANTS allow on everything in a database."""
    return {privilege for grant in grants for privilege in _privileges(grant, database)}


def _note_table(found: Survey, name: str, kind: str, engine: str, size: str) -> None:
    if kind == "SYSTEM VERSIONED":
        found.versioned.append(name)
    if kind == "VIEW":
        found.objects["views"] += 1
        found.views.append(name)
    elif kind == "SEQUENCE":
        found.sequences.append(name)
    else:
        found.engines[name] = engine
        found.sizes[name] = int(size)
        found.data_bytes += int(size)
