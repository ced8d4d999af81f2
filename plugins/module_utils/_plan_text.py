# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A plan in words.

from __future__ import annotations

import typing as t


def in_words(plan: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if plan["nothing_to_do"]:
        yield f"NOTHING TO DO: {plan['application']} runs {plan['target']} already ({plan['reason']})."
        return
    if plan["severity"] == "database":
        yield f"{plan['application']}: the code stays {plan['target']} ({plan['to_commit'][:12]})"
    else:
        yield from _code(plan)
    if "release_path" in plan:
        tried = ", and get it when PHP-FPM has answered well from it" if plan["entry"] else ""
        users = "get the maintenance page" if plan["closes"] else f"stay on the site{tried}"
        yield f"release: {plan['release_path']}, with packages of its own; users {users}"
    elif plan["dependencies_change"] or plan["severity"] != "database":
        yield "dependencies: " + ("built beside the live ones" if plan["dependencies_change"] else "already right, nothing to build")
    if plan["restored_by"]:
        yield f"database: {plan['restored_by']} restores it for all hosts, and takes care of its migrations"
    else:
        yield from _migrations(plan["migrations"])
    if plan["database"]:
        from . import _plan_database  # only where it is used: an emergency does not wait for it

        yield from _plan_database.in_words(plan)
    for name, side in (("only in the running version", "running"), ("only in the target", "target")):
        if plan["config_keys"][side]:
            yield f"configuration keys {name}: {', '.join(plan['config_keys'][side])}"
    for line in plan["pending"]:
        yield f"left undone: {line}"
    yield f"digest: {plan['digest'][:12]}"


def _code(plan: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    yield f"{plan['application']}: {plan['from_version']} ({plan['from_commit'][:12]}) -> {plan['target']} ({plan['to_commit'][:12]})"
    yield f"target: {plan['reason']}"
    yield f"leaves {len(plan['commits'])} commit(s) behind, {plan['files']} files differ" + (
        f", lock files: {', '.join(plan['lock_files'])}" if plan["lock_files"] else ""
    )


def _migrations(migrations: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if migrations["down"]:
        yield f"migrations that will go down: {', '.join(migrations['down'])}"
    elif migrations["unknown_to_target"]:
        names = ", ".join(entry["name"] for entry in migrations["unknown_to_target"])
        yield f"migrations the target does not know, kept as told: {names}"
    else:
        yield "migrations: the target knows all that the database has"
    if migrations["not_applied"]:
        yield f"WARNING: the target has migrations that the database lacks: {', '.join(migrations['not_applied'])}"
