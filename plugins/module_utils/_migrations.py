# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._database_mysql import DatabaseError, query
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._git import Repository

_NAME = re.compile(r"^[A-Za-z0-9_]+$")
_DOWN = re.compile(r"function\s+down\s*\([^)]*\)\s*(?::\s*\w+\s*)?\{(?P<body>.*)", re.DOTALL)
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_DESTRUCTIVE = re.compile(
    r"drop(?:IfExists|Column|Table|Columns)?\s*\(|dropAllTables|truncate\s*\(|delete\s*\(|DROP\s|TRUNCATE\s|DELETE\s", re.I
)


@dataclass(frozen=True)
class Applied:
    """A migration that the database has."""

    name: str
    batch: int


@dataclass(frozen=True)
class Unknown:
    """An applied migration that the target does not know, and whether it can go down."""

    name: str
    reversible: bool
    destructive: bool

    def as_dict(self) -> dict[str, t.Any]:
        return {"name": self.name, "reversible": self.reversible, "destructive": self.destructive}


def applied(runner: Runner, credentials: Credentials) -> list[Applied]:
    """The applied migrations, the one that would go down first in front; the order is the framework's."""
    try:
        rows = query(runner, credentials, "SELECT migration, batch FROM migrations ORDER BY batch DESC, migration DESC", timeout=15)
    except DatabaseError as error:
        raise RollbackError(f"The applied migrations cannot be read: {error.message}") from error
    return [Applied(name, int(batch)) for name, batch in rows]


def unknown_to(target: t.Collection[str], held: t.Sequence[Applied]) -> list[str]:
    """Applied migrations that the target does not have, in the order in which they go down."""
    return [migration.name for migration in held if migration.name not in target]


def not_applied(target: t.Collection[str], held: t.Sequence[Applied]) -> list[str]:
    """Migrations of the target that the database does not have."""
    names = {migration.name for migration in held}
    return sorted(name for name in target if name not in names)


def judge(repository: Repository, running: str, names: t.Sequence[str]) -> list[Unknown]:
    """Read the running version's own files to see whether each migration can go down."""
    files = {name: f"{running}:database/migrations/{name}.php" for name in names}
    texts = repository.contents(list(files.values())) if files else {}
    return [_judge(name, texts.get(file)) for name, file in files.items()]


def _judge(name: str, text: str | None) -> Unknown:
    found = _DOWN.search(_COMMENT.sub("", text)) if text else None
    body = found.group("body") if found else ""
    statements = body.split("}", 1)[0] if "{" not in body.split("}", 1)[0] else body
    return Unknown(name, reversible=bool(statements.strip()), destructive=bool(_DESTRUCTIVE.search(body)))


def refuse_gaps(held: t.Sequence[Applied], names: t.Sequence[str]) -> None:
    """Only the migrations that were applied last can go down one by one without touching others."""
    top = [migration.name for migration in held[: len(names)]]
    between = [name for name in top if name not in names]
    if between:
        raise RollbackError(
            f"The migrations {', '.join(names)} cannot go down alone: {', '.join(between)} was applied after them and the target needs it.",
            next_command="restore the database from a backup of the target's version, or roll back to a version that knows these migrations",
        )


def go_down(
    runner: Runner, credentials: Credentials, artisan: t.Sequence[str], user: str, names: t.Sequence[str]
) -> list[dict[str, t.Any]]:
    """Take the named migrations down one at a time with the code that knows them; read the table again after each."""
    done: list[dict[str, t.Any]] = []
    for name in names:
        if not _NAME.match(name):
            raise RollbackError(f"{name!r} is not the name of a migration.")
        held = applied(runner, credentials)
        if name not in {migration.name for migration in held}:
            continue
        refuse_gaps(held, [name])
        try:
            said = runner.run(
                [*artisan, "migrate:rollback", "--step=1", "--force", "--no-interaction", "--no-ansi"], user=user, timeout=900
            )
        except CommandError as error:
            raise _stuck(name, done, error.message) from error
        if name in {migration.name for migration in applied(runner, credentials)}:
            raise _stuck(name, done, f"artisan reported success but the migration is still recorded as applied: {said.output}")
        done.append({"name": name, "output": said.output})
    return done


def _stuck(name: str, done: t.Sequence[t.Mapping[str, t.Any]], why: str) -> RollbackError:
    gone = ", ".join(entry["name"] for entry in done) or "none"
    return RollbackError(
        f"The migration {name} did not go down: {why}",
        state=f"Migrations that are down already: {gone}. The statements of {name} may have run in part. The code was not switched.",
        next_command="compare the schema with the migration's down(), then run the rollback again or restore the backup of this run",
    )
