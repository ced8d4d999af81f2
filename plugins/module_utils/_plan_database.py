# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Which backup a rollback of the database goes back to, and how its schema fits the code. Nothing is chosen silently.

from __future__ import annotations

import time
import typing as t

from ._backup_catalogue import fitting, newest_of_schema, read
from ._errors import RollbackError
from ._migrations import Applied, not_applied, unknown_to

_SHOWN = 5
_FACTS = (
    "id",
    "path",
    "manifest",
    "started",
    "finished",
    "sha256",
    "bytes",
    "engine",
    "database",
    "application_version",
    "label",
    "migrations",
)

Entry = dict[str, t.Any]
Wanted = t.Mapping[str, t.Any]


def choose(application: t.Mapping[str, t.Any], wanted: Wanted, recorded: str | None) -> Entry:
    """The backup that the operator named or described, or that the restore point has on record."""
    directory = application["backup"]["directory"]
    if not directory:
        raise RollbackError("The profile names no backup folder (backup.directory), so there is no backup to go back to.")
    backups = [backup for backup in read(directory, time.time())[0] if backup.get("application") == application["name"]]
    described = {name: wanted.get(name) for name in ("backup", "before", "version", "label") if wanted.get(name)}
    if not described and recorded:
        described = {"backup": recorded}
    if not described:
        raise RollbackError(f"No backup was named. {_offered(directory, backups)}", next_command=_again(backups))
    found = fitting(
        backups,
        described.get("before"),
        id=described.get("backup"),
        application_version=described.get("version"),
        label=described.get("label"),
    )
    if not found:
        said = ", ".join(f"{name} {value}" for name, value in described.items())
        raise RollbackError(f"No backup fits {said}. {_offered(directory, backups)}", next_command=_again(backups))
    if wanted.get("tables") and found[0]["engine"] == "sqlite":
        raise RollbackError("A SQLite database goes back as a whole, not by single tables.", next_command="run again without -e tables=")
    unknown = sorted(set(wanted.get("tables") or ()) - set(found[0].get("tables") or ()))
    if unknown:
        raise RollbackError(
            f"The backup {found[0]['id']} has no table {', '.join(unknown)}.", next_command="name tables that it has, or none for all"
        )
    return {name: found[0].get(name) for name in _FACTS}


def _offered(directory: str, backups: t.Sequence[Entry]) -> str:
    if not backups:
        return f"{directory} holds no backup of this application."
    shown = "; ".join(
        f"{backup['id']} ({backup.get('application_version') or 'version not recorded'}, {backup.get('label') or 'no label'})"
        for backup in backups[:_SHOWN]
    )
    return f"The newest of {len(backups)} in {directory}: {shown}."


def _again(backups: t.Sequence[Entry]) -> str:
    name = backups[0]["id"] if backups else "<identifier>"
    return f"run again with -e backup={name}, or with -e before=<time in ISO 8601>, -e version=<version> or -e label=<label>"


def compare(tables: t.Sequence[str], configured: t.Sequence[Wanted]) -> list[Wanted]:
    """Which tables are compared to say what would be lost: those that go back, else those of the profile; without any it is all of them."""
    known = {table["name"]: table for table in configured}
    return [known.get(name, {"name": name}) for name in tables] if tables else list(configured)


def schema_after(backup: Entry, target_migrations: t.Collection[str], decision: str) -> dict[str, t.Any]:
    """How the schema in the backup and the target's differ; a schema that is older can be brought up by the target's own migrations."""
    if backup["migrations"] is None:
        raise RollbackError(f"The backup {backup['id']} does not say which migrations it holds: whether its schema fits cannot be known.")
    held = [Applied(name, 0) for name in backup["migrations"]]
    lacking = not_applied(target_migrations, held)
    return {
        "unknown_to_target": [{"name": name, "reversible": False, "destructive": False} for name in unknown_to(target_migrations, held)],
        "not_applied": lacking,
        "decision": decision,
        "down": [],
        "up": lacking if decision == "up" else [],
    }


def refuse_schema(
    application: t.Mapping[str, t.Any], backup: Entry, target: str, known: t.Collection[str], facts: t.Mapping[str, t.Any]
) -> None:
    """What the code would not understand is nothing to go back to, unless somebody says that it does."""
    unknown = [migration["name"] for migration in facts["unknown_to_target"]]
    if unknown and facts["decision"] != "keep":
        telling = (each for each in read(application["backup"]["directory"], time.time())[0] if each.get("migrations") is not None)
        fits = newest_of_schema(telling, application["name"], known)
        way = f"backup={fits['id']}" if fits else "migrations=keep, if the code can do with them"
        raise RollbackError(
            f"The backup {backup['id']} has {len(unknown)} migration(s) that {target} does not know: {', '.join(unknown)}. "
            + (f"The newest one that has none of that kind is {fits['id']}." if fits else "There is no backup without."),
            next_command=f"run again with -e {way}",
        )
    if facts["not_applied"] and facts["decision"] not in ("up", "keep"):
        raise RollbackError(
            f"The backup {backup['id']} is older than the schema of {target}: it lacks {', '.join(facts['not_applied'])}.",
            next_command="run again with -e migrations=up, which applies them after the restore, or with -e migrations=keep",
        )


def in_words(plan: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """The database's part of a plan."""
    found = plan["database"]
    backup, tables = found["backup"], found["tables"]
    what = f"the tables {', '.join(tables)}" if tables else "everything"
    yield f"database: {what} from the backup {backup['id']}, taken {backup['started']}, {backup['bytes']} bytes"
    yield f"backup made while {backup['application_version'] or 'a version that it does not name'} ran; label: {backup['label'] or 'none'}"
    if found["of_running_version"]:
        yield f"WARNING: the backup was made while {plan['from_version']}, the version that runs now, was running already"
    if found["taken_after_bad"]:
        bad = found["taken_after_bad"]
        yield f"WARNING: the backup was begun while {bad['version']} ran, which is marked as bad (reason: {bad['reason'] or 'not given'})"
    yield "the database that is replaced is kept beside the restored one until it is released"
    if plan["severity"] == "full_system":
        point = plan["restore_point"]
        yield (
            f"configuration: as in the restore point {point}"
            if point
            else "configuration: stays, since no restore point of the target holds it"
        )
    if plan["migrations"].get("up"):
        yield f"migrations that will be applied after the restore: {', '.join(plan['migrations']['up'])}"
