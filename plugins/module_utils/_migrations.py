# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._database import query
from ._database_error import DatabaseError
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._code import Code
    from ._command import Runner
    from ._database_credentials import Credentials

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_DOWN = re.compile(r"function\s+down\s*\([^)]*\)\s*(?::\s*\??\w+\s*)?\{", re.I)
_TEXT_OR_COMMENT = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|<<<\s*(?P<quote>['"]?)(?P<word>\w+)(?P=quote)\r?\n.*?\n\s*(?P=word)\b)"""
    r"""|//[^\n]*|\#(?!\[)[^\n]*|/\*.*?\*/""",
    re.DOTALL,
)
_NO_WAY_BACK = re.compile(r"\s*(?:throw\b|return\s*;|$)", re.I)
_DESTRUCTIVE = re.compile(
    r"drop(?:IfExists|Columns?|Table|AllTables|Timestamps(?:Tz)?|SoftDeletes(?:Tz)?|(?:Nullable)?Morphs|RememberToken"
    r"|ConstrainedForeignId(?:For)?)?\s*\(|removeColumn\s*\(|truncate\s*\(|(?<!on)delete\s*\("
    r"|\bDROP\s+(?!INDEX|KEY|FOREIGN|CONSTRAINT|PRIMARY|CHECK)|\b(?:TRUNCATE|DELETE)\s",
    re.I,
)

_OF_SCHEMA = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = "
_COLUMNS = {
    "mysql": f"{_OF_SCHEMA}DATABASE()",
    "postgresql": f"{_OF_SCHEMA}current_schema()",
    "sqlite": "SELECT t.name, c.name, c.type FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
}


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


def judge(repository: Code, running: str, names: t.Sequence[str]) -> list[Unknown]:
    """Read the running version's own files to see whether each migration can go down."""
    files = {name: f"{running}:database/migrations/{name}.php" for name in names}
    texts = repository.contents(list(files.values())) if files else {}
    return [_judge(name, texts.get(file)) for name, file in files.items()]


def _judge(name: str, text: str | None) -> Unknown:
    masked, body = _body_of_down(text or "")
    return Unknown(name, reversible=not _NO_WAY_BACK.match(masked), destructive=bool(_DESTRUCTIVE.search(body)))


def _body_of_down(text: str) -> tuple[str, str]:
    """What stands between the braces of down(), without comments: with its texts made unreadable, and as it is."""
    code = _TEXT_OR_COMMENT.sub(lambda found: found.group("text") or " ", text)
    masked = _TEXT_OR_COMMENT.sub(lambda found: "x" * len(found.group(0)), code)
    opening = _DOWN.search(masked)
    if opening is None:
        return "", ""
    depth, end = 1, opening.end()
    while depth and end < len(masked):
        depth += {"{": 1, "}": -1}.get(masked[end], 0)
        end += 1
    inside = slice(opening.end(), end - 1 if not depth else end)
    return masked[inside], code[inside]


def refuse_gaps(held: t.Sequence[Applied], names: t.Sequence[str]) -> None:
    """Only the migrations that were applied last can go down one by one without touching others."""
    top = [migration.name for migration in held[: len(names)]]
    between = [name for name in top if name not in names]
    if between:
        raise RollbackError(
            f"The migrations {', '.join(names)} cannot go down alone: {', '.join(between)} was applied after them and the target needs it.",
            next_command="restore the database from a backup of the target's version, or roll back to a version that knows these migrations",
        )


def check_names(names: t.Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise RollbackError(f"{name!r} is not the name of a migration.")


def in_order(names: t.Collection[str], held: t.Sequence[Applied]) -> list[str]:
    """Those of the names that are applied, in the order in which they go down."""
    return [migration.name for migration in held if migration.name in names]


@dataclass(frozen=True)
class Tool:
    """What takes migrations down: its name, how it takes one down, what is applied by its record, and what would complete one."""

    name: str
    down: t.Callable[[str], str]
    applied: t.Callable[[], t.Sequence[str]]
    complete: str


def schema(runner: Runner, credentials: Credentials) -> dict[str, str]:
    """The tables, and the columns with their types, that are there."""
    rows = query(runner, credentials, _COLUMNS[credentials.engine], timeout=60)
    return {**{table: "" for table, _column, _type in rows}, **{f"{table}.{column}": type_ for table, column, type_ in rows}}


def descend(tool: Tool, names: t.Sequence[str], look: t.Callable[[], dict[str, str]]) -> list[dict[str, t.Any]]:
    """Take one after the other down, in this order; what counts is what is recorded afterwards, and that nothing else went down, too."""
    done: list[dict[str, t.Any]] = []
    for name in names:
        before, held = look(), set(tool.applied())
        try:
            said = tool.down(name)
            now = set(tool.applied())
        except RollbackError as error:
            raise _stuck(tool, name, done, error.message, _changed(before, look)) from error
        if name in now:
            why = f"{tool.name} reported success but the migration is still recorded as applied: {said}"
            raise _stuck(tool, name, done, why, _changed(before, look))
        if now != held - {name}:
            others = ", ".join(sorted((held - {name}) ^ now))
            raise _stuck(tool, name, done, f"the record of others changed with it: {others}", _changed(before, look))
        done.append({"name": name, "output": said})
    return done


def _changed(before: t.Mapping[str, str], look: t.Callable[[], dict[str, str]]) -> list[str] | None:
    """Which tables and columns are gone, new or of another type; None when nobody can say."""
    try:
        after = look()
    except RollbackError:
        return None
    gone = [f"gone: {name}" for name in sorted(before) if name not in after]
    new = [f"new: {name}" for name in sorted(after) if name not in before]
    return [*gone, *new, *(f"of another type: {name}" for name in sorted(before) if after.get(name, before[name]) != before[name])]


def go_up(runner: Runner, credentials: Credentials, path: str, php: str, user: str, names: t.Sequence[str]) -> None:
    """Apply the named migrations again, one at a time, and no others; read the table again after each."""
    check_names(names)
    for name in names:
        file = f"database/migrations/{name}.php"
        said = runner.run(
            [php, f"{path}/artisan", "migrate", f"--path={file}", "--force", "--no-interaction", "--no-ansi"], user=user, timeout=900
        )
        if name not in {migration.name for migration in applied(runner, credentials)}:
            raise RollbackError(
                f"The migration {name} did not go up: artisan reported success but the migration is not recorded as applied: {said.output}",
                state="Migrations before it are applied again.",
                next_command=f"sudo -u {user} {php} {path}/artisan migrate:status",
            )


def _stuck(tool: Tool, name: str, done: t.Sequence[t.Mapping[str, t.Any]], why: str, changed: list[str] | None) -> RollbackError:
    gone = ", ".join(entry["name"] for entry in done) or "none"
    if changed is None:
        part = f"The statements of {name} may have run in part."
    elif changed:
        part = f"The statements of {name} ran in part, and it is still recorded as applied. Of tables and columns {', '.join(changed)}."
    else:
        part = f"The statements of {name} changed no table or column; its data may have changed."
    return RollbackError(
        f"The migration {name} did not go down: {why.rstrip('.')}.",
        state=f"Migrations that are down already: {gone}. {part} The code was not switched.",
        next_command=f"one of three: complete it (do the rest of the down of {name} by hand, then run the rollback again);"
        f" reverse it (undo by hand what was done, so that {tool.complete} finds nothing to do); or restore the backup of this run",
        facts={"partial": {"name": name, "changed": changed}},
    )
