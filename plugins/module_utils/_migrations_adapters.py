# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# By the tool that keeps the migrations: what is applied, what is to go down and how.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._database import query
from ._database_mysql import quoted_name as quoted_by_mysql
from ._database_postgresql import quoted_name as quoted_by_postgresql
from ._errors import CommandError, RollbackError
from ._migrations import Tool, applied, check_names, in_order, refuse_gaps, schema
from ._migrations_alembic import Alembic, Revision, closure, half_done, youngest_first

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials

BASE = "base"


@dataclass
class Survey:
    """What is applied, the last first, and what of it is to go down."""

    tool: Tool
    applied: list[str]
    wanted: list[str]
    delta: list[dict[str, t.Any]] | None = None


def survey(runner: Runner, credentials: Credentials, options: t.Mapping[str, t.Any], user: str) -> Survey:
    """Find out what is to go down, and refuse what cannot."""
    if options["framework"] == "laravel":
        return _laravel(runner, credentials, options, user)
    if credentials.engine == "sqlite":
        raise RollbackError("Migrations of a SQLite database cannot be taken down by this module.")
    if not options["names"] and not options["target"]:
        raise RollbackError("Neither names nor target says what is to go down.")
    return (_alembic if options["framework"] == "alembic" else _commands)(runner, credentials, options, user)


def _laravel(runner: Runner, credentials: Credentials, options: t.Mapping[str, t.Any], user: str) -> Survey:
    def down(name: str) -> str:
        refuse_gaps(applied(runner, credentials), [name])
        rollback = ["migrate:rollback", "--step=1", "--force", "--no-interaction", "--no-ansi"]
        return runner.run([options["php"], f"{options['path']}/artisan", *rollback], user=user, timeout=900).output

    held = applied(runner, credentials)
    wanted = in_order(options["names"], held)
    refuse_gaps(held, wanted)
    tool = Tool("artisan", down, lambda: [migration.name for migration in applied(runner, credentials)], "artisan migrate")
    return Survey(tool, [migration.name for migration in held], wanted)


def _alembic(runner: Runner, credentials: Credentials, options: t.Mapping[str, t.Any], user: str) -> Survey:
    alembic = Alembic(runner, options["alembic"], options["path"], options["configuration"], user)
    quoted = (quoted_by_postgresql if credentials.engine == "postgresql" else quoted_by_mysql)(options["version_table"])
    known = alembic.revisions()

    def recorded() -> list[str]:
        rows = query(runner, credentials, f"SELECT version_num FROM {quoted}", timeout=15)
        return youngest_first(known, closure(known, [name for (name,) in rows]))

    def down(name: str) -> str:
        return alembic.run("downgrade", known[name].parents[0] if known[name].parents else BASE)

    held = recorded()
    wanted = _wanted(held, options, keep=closure(known, [options["target"]] if options["target"] not in (None, BASE) else []))
    delta = [known[name].as_dict() for name in wanted]
    _refuse_half_done(known, held, schema(runner, credentials), options["path"])
    for name in wanted:
        _refuse(known, held, wanted, known[name], delta)
    return Survey(Tool("alembic", down, recorded, "alembic upgrade head"), held, wanted, delta)


def _wanted(held: t.Sequence[str], options: t.Mapping[str, t.Any], keep: t.Collection[str]) -> list[str]:
    if options["target"]:
        return [name for name in held if name not in keep]
    return [name for name in held if name in options["names"]]


def _refuse_half_done(known: t.Mapping[str, Revision], held: t.Collection[str], there: t.Collection[str], path: str) -> None:
    for found in half_done(known, held, there):
        recorded = "recorded as applied" if found["recorded"] else "not recorded as applied"
        raise RollbackError(
            f"The migration {found['name']} is there in part, and {recorded}. Done: {', '.join(found['done']) or 'nothing'}."
            f" Not done: {', '.join(found['not_done']) or 'nothing'}.",
            next_command=f"one of three: complete it (do the rest by hand, then: cd {path} && alembic stamp {found['name']});"
            " reverse it (undo by hand what was done, and stamp the one before it); or restore the database from a backup",
            facts={"partial": found},
        )


def _refuse(
    known: t.Mapping[str, Revision], held: t.Sequence[str], wanted: t.Sequence[str], revision: Revision, delta: list[dict[str, t.Any]]
) -> None:
    restore = "restore the database from a backup of the target's version"
    if len(revision.parents) > 1:
        raise RollbackError(
            f"The migration {revision.name} brings several together, which Alembic does not take apart.", next_command=restore
        )
    above = [name for name in held if revision.name in known[name].parents and name not in wanted]
    beside = [name for name in held if name not in wanted and name != revision.name and set(known[name].parents) & set(revision.parents)]
    if above or beside:
        raise RollbackError(
            f"The migration {revision.name} cannot go down alone: {', '.join(above or beside)} would go down with it.", next_command=restore
        )
    if not revision.reversible:
        raise RollbackError(
            f"The migration {revision.name} cannot go down: its downgrade does nothing.", next_command=restore, facts={"delta": delta}
        )


def _commands(runner: Runner, _credentials: Credentials, options: t.Mapping[str, t.Any], user: str) -> Survey:
    commands = options["commands"]

    def run(argv: t.Sequence[str]) -> str:
        return runner.run(["env", f"--chdir={options['path']}", *argv], user=user, timeout=900).stdout

    def listed() -> list[str]:
        names = [line.strip() for line in run(commands["status"]).splitlines() if line.strip()]
        check_names(names)
        return names[::-1]

    def down(name: str) -> str:
        held = listed()
        below = held[held.index(name) + 1 :]
        places = {"{to}": below[0] if below else BASE, "{name}": name}
        return run([places.get(word, word) for word in commands["down"]])

    _audit(run, commands["audit"])
    held = listed()
    if options["target"] not in (None, BASE, *held):
        raise RollbackError(f"The migration {options['target']} is not applied, so nothing can go down to it.")
    wanted = _wanted(held, options, keep=held[held.index(options["target"]) :] if options["target"] in held else [])
    between = [name for name in held[: len(wanted)] if name not in wanted]
    if between:
        raise RollbackError(f"The migrations {', '.join(wanted)} cannot go down alone: {', '.join(between)} was applied after them.")
    delta = [{"name": name, "reversible": None, "destructive": None} for name in wanted]
    return Survey(Tool(commands["down"][0], down, listed, "the tool's way up"), held, wanted, delta)


def _audit(run: t.Callable[[t.Sequence[str]], str], argv: t.Sequence[str]) -> None:
    if not argv:
        return
    try:
        said = run(argv).strip()
    except CommandError as error:
        raise RollbackError(f"The audit of the schema failed: {error.message}") from error
    if said:
        raise RollbackError(f"The audit of the schema found: {said[:800]}")
