# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A plan for people: as lines on a terminal, and as a Markdown page. What may hurt comes first.

from __future__ import annotations

import os
import re
import textwrap
import typing as t

from ._report import iso, table

NOT_WRITTEN = "NOT WRITTEN"

_NAME_WIDTH = 17
_WIDTH = 116
_SHOWN_COMMITS = 5
_VERDICTS = {"down": "goes down", "keep": "stays"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

Plan = t.Mapping[str, t.Any]


def compose(facts: t.Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
    """The plan as data, with what is said about it."""
    plan = facts["plan"]
    left_out = ("lastgood_text", "switch", "version_probes", "diff", "started", "ended", "changed")
    return {
        **{name: value for name, value in plan.items() if name not in left_out},
        "made": iso(now),
        "made_by": f"{facts['identity']['actor']} on {facts['identity']['controller']}",
        "host": facts["host"],
        "title": title(plan),
        "warnings": list(warnings(plan)),
        "loss": facts["loss"],
        "next": facts["next"],
    }


def title(plan: Plan) -> str:
    if plan["severity"] == "database" and plan["database"]:
        way = f"the data of {plan['application']} to {plan['database']['backup']['started']}; {plan['from_version']} stays"
        return f"{'WOULD BE REFUSED: database rollback' if plan['refusals'] else 'PLAN of a rollback (database)'}: {way}"
    way = f"{plan['application']} {plan['from_version']} ({plan['from_commit'][:12]}) -> {plan['target']} ({plan['to_commit'][:12]})"
    if plan["refusals"]:
        return f"WOULD BE REFUSED: {plan['severity']} rollback of {way}"
    if plan["nothing_to_do"]:
        return f"NOTHING TO DO: {plan['application']} runs {plan['target']} already ({plan['reason']})"
    return f"PLAN of a rollback ({plan['severity']}): {way}"


def warnings(plan: Plan) -> t.Iterator[str]:
    """What somebody has to know before anything else."""
    yield from (refusal["reason"] for refusal in plan["refusals"])
    yield from plan.get("concerns", [])
    details = plan["details"]
    lock = details["lock"]
    if lock is not None:
        yield f"another rollback holds the lock: {lock.get('actor', 'somebody')} since {lock.get('since', 'an unknown time')}"
    yield from (f"left undone: {line}" for line in plan["pending"])
    yield from _about_database(plan) if plan["database"] else _about_data(plan)
    if details["missing_settings"]:
        yield f"the environment file lacks settings that the target's example names: {', '.join(details['missing_settings'])}"
    if details["changed_files"] and plan["local_changes"] == "save":
        yield f"changed by hand, taken away and kept as a patch: {', '.join(details['changed_files'])}"
    yield from _about_space(details)
    others = [name for name in plan["lock_files"] if not name.endswith("composer.lock")]
    if others and "release_path" not in plan:  # a release has packages of its own
        yield f"{', '.join(others)} differ, but only the packages of composer.lock are exchanged"
    off = [row["unit"] for row in details["services"] if row["action"].startswith("is off")]
    if off:
        yield f"off now, and will stay off: {', '.join(off)}"


def _about_database(plan: Plan) -> t.Iterator[str]:
    found, migrations = plan["database"], plan["migrations"] or {"unknown_to_target": [], "not_applied": [], "up": []}
    if found["of_running_version"]:
        yield f"the backup was made while {plan['from_version']}, the version that runs now, was running already"
    if found["taken_after_bad"]:
        bad = found["taken_after_bad"]
        yield f"the backup was begun while {bad['version']} ran, which is marked as bad (reason: {bad['reason'] or 'not given'})"
    stay = [entry["name"] for entry in migrations["unknown_to_target"]]
    if stay and not plan["refusals"]:
        yield f"the schema will have migrations that {plan['target']} does not know: {', '.join(stay)}"
    lacking = [name for name in migrations["not_applied"] if name not in (migrations.get("up") or ())]
    if lacking and not plan["refusals"]:
        yield f"the schema will lack migrations of {plan['target']}: {', '.join(lacking)}"


def _about_data(plan: Plan) -> t.Iterator[str]:
    migrations = plan["migrations"]
    if migrations is None:
        return
    lost = [entry["name"] for entry in migrations["unknown_to_target"] if entry["destructive"] and entry["name"] in migrations["down"]]
    if lost:
        kept = "will be in the backup only" if plan["backup"] else "WILL BE LOST: no backup is made"
        yield f"taking down {', '.join(lost)} removes tables, columns or rows; what they hold {kept}"
    elif migrations["down"] and not plan["backup"]:
        yield "migrations go down and no backup is made before"
    stay = [entry["name"] for entry in migrations["unknown_to_target"]]
    if stay and migrations["decision"] == "keep":
        yield f"the target will run on a schema that it does not know: {', '.join(stay)} stay"
    if migrations["not_applied"]:
        yield f"the target has migrations that the database lacks: {', '.join(migrations['not_applied'])}"


def _about_space(details: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    expected = details["backup"]["bytes"]
    for place in details["disk"]:
        if place["what"] == "backup" and expected and place["free_bytes"] < 2 * expected:
            yield f"{size(place['free_bytes'])} are free at {place['path']}, the backup will take about {size(expected)}"


def size(count: float) -> str:
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.0f} {_UNITS[power]}" if power == 0 or count >= 100 else f"{count:.1f} {_UNITS[power]}"


def age(seconds: float) -> str:
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"


# Statements: a name and what there is to say, the same on the terminal and in Markdown


def statements(plan: Plan) -> t.Iterator[tuple[str, str]]:
    details = plan["details"]
    counts = details["files"]["counts"]
    prediction, backup = details["prediction"], details["backup"]
    yield "target", plan["reason"]
    if plan["severity"] != "database":
        yield "leaves behind", f"{_many(len(plan['commits']), 'commit')}"
        yield "files", f"{plan['files']} differ: {counts['added']} added, {counts['removed']} removed, {counts['changed']} changed"
    if plan["database"]:
        yield from _database(plan)
    yield "migrations", "; ".join(f"{name}: {fate}" for name, fate in fates(plan)) or _no_migrations(plan)
    if plan["severity"] != "database":
        packages = ", ".join(_package(entry) for entry in details["packages"]) or "none change"
        yield "packages", packages + (", built beside the live ones" if plan["dependencies_change"] else ", nothing to build")
        yield "configuration", _configuration(plan)
    yield from _services(details["services"])
    if not plan["database"]:
        yield "backup", _backup(backup)
    yield "free disk", "; ".join(f"{size(place['free_bytes'])} at {place['path']} ({place['what']})" for place in details["disk"])
    yield "closed to users", _seconds(prediction["closed"])
    yield "whole run", _seconds(prediction["total"])
    yield "must approve", _approval(details["approval"])


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _database(plan: Plan) -> t.Iterator[tuple[str, str]]:
    found = plan["database"]
    backup = found["backup"]
    what = f"the tables {', '.join(found['tables'])} go" if found["tables"] else "everything goes"
    made = f"made while {backup['application_version'] or 'a version that it does not name'} ran; label: {backup['label'] or 'none'}"
    yield "database", f"{what} back to {backup['started']}: backup {backup['id']}, {size(backup['bytes'])}, {made}"
    yield "would be lost", f"{plan['loss'] or 'not known'} The rollback itself compares row by row before it asks for approval."
    yield "is kept", "the database that is replaced, until database_release.yml removes it; undo.yml brings it back"


def fates(plan: Plan) -> t.Iterator[tuple[str, str]]:
    """Each migration that the target does not know, and what becomes of it; in the order in which they go down."""
    migrations = plan["migrations"] or {"unknown_to_target": []}
    if plan["database"] and not plan["database"]["tables"]:  # the schema is the backup's
        yield from ((entry["name"], f"stays, and {plan['target']} does not know it") for entry in migrations["unknown_to_target"])
        applied = migrations.get("up") or ()
        lacking = migrations.get("not_applied") or ()
        yield from ((name, "is applied after the restore" if name in applied else "is lacking, and is not applied") for name in lacking)
        return
    for entry in migrations["unknown_to_target"]:
        drops = "its down() DROPS tables, columns or rows" if entry["destructive"] else "its down() drops nothing"
        able = drops if migrations["decision"] == "down" else f"can go down; {drops}"
        able = able if entry["reversible"] else "CANNOT go down: its down() is missing or empty"
        yield entry["name"], f"{_VERDICTS.get(migrations['decision'], 'NOT DECIDED')} ({able})"


def _no_migrations(plan: Plan) -> str:
    if plan["database"] and plan["migrations"] is not None:
        return f"none: the schema of the backup is that of {plan['target']}"
    return "NOT KNOWN: the database could not be read" if plan["migrations"] is None else "none: the target knows all that the database has"


def _package(entry: t.Mapping[str, t.Any]) -> str:
    return f"{entry['name']} {entry['before'] or 'not installed'} -> {entry['after'] or 'removed'}"


def _configuration(plan: Plan) -> str:
    if plan["restore_point"]:
        return f"as in the restore point {plan['restore_point']}"
    sides = (("only the running version knows", "running"), ("only the target knows", "target"))
    said = [f"{words} {', '.join(plan['config_keys'][side])}" for words, side in sides if plan["config_keys"][side]]
    return "; ".join(said) or "the examples of both versions name the same keys"


def _services(rows: t.Sequence[t.Mapping[str, str]]) -> t.Iterator[tuple[str, str]]:
    for name, roles in (("workers", ("worker", "scheduler")), ("reloads", ("reload",)), ("needed", ("required",))):
        by_action: dict[str, list[str]] = {}
        for row in rows:
            if row["role"] in roles:
                by_action.setdefault(row["action"], []).append(_unit(row))
        yield name, "; ".join(f"{len(units)} {action}: {', '.join(units)}" for action, units in by_action.items()) or "none"


def _unit(row: t.Mapping[str, str]) -> str:
    """The state is worth a word when it is not the usual one."""
    name = row["unit"].replace(".service", "")
    return name if row["state"] in ("active (running)", "active (waiting)") else f"{name} ({row['state']})"


def _backup(backup: t.Mapping[str, t.Any]) -> str:
    said = f"to {backup['directory']} before the switch" if backup["planned"] else "none is made by this rollback"
    if backup["planned"]:
        expected = f"about {size(backup['bytes'])} in {backup['seconds']} s" if backup["bytes"] is not None else "size and time not known"
        said += f", {expected} ({backup['basis']})"
    newest = backup["newest"]
    if newest:
        return f"{said}; the newest one is of {newest['application_version']}, {age(newest['age_seconds'])} old"
    return said if backup["planned"] else f"{said}; {backup['basis']}"


def _seconds(estimate: t.Mapping[str, t.Any]) -> str:
    if estimate["seconds"] is None:
        return f"not known ({estimate['basis']})"
    if not estimate["seconds"]:
        return f"not at all: {estimate['basis']}"
    spread = estimate["spread"]
    between = f", {spread[0]:g} to {spread[1]:g} s" if spread and spread[0] != spread[1] else ""
    about = "about" if estimate["runs"] else "not measured yet, budget"
    return f"{about} {estimate['seconds']:g} s ({estimate['basis']}{between})"


def _approval(approval: t.Mapping[str, t.Any]) -> str:
    return f"{', '.join(str(one) for one in approval['approvers']) or 'nobody by name'} ({approval['basis']})"


def lines(report: Plan) -> t.Iterator[str]:
    """The plan on a terminal."""
    yield report["title"]
    for number, line in enumerate(report["warnings"]):
        yield from _said("REFUSED BECAUSE" if number < len(report["refusals"]) else "WARNING", line)
    if report["nothing_to_do"]:
        return
    for name, text in statements(report):
        yield from _said(name, text)
        if name == "leaves behind":
            more = len(report["commits"]) - _SHOWN_COMMITS
            shown = [*report["commits"][:_SHOWN_COMMITS], *([f"and {more} more"] if more > 0 else [])]
            yield from (f"{'':<{_NAME_WIDTH}}{line}" for line in shown)
    yield from _said("digest", report["digest"])


def _said(name: str, text: str) -> list[str]:
    """In two columns, as wide as a terminal at night."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{name + ':':<{_NAME_WIDTH}}",
        subsequent_indent=" " * _NAME_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )


def ending(report: Plan, place: str) -> t.Iterator[str]:
    """What to type next."""
    if report["kept"]:
        yield f"Nothing of the application was changed. The plan is kept on {report['host']} in {os.path.dirname(report['kept'])}."
    else:
        yield f"Nothing was changed. The plan cannot be applied by its digest: {report['not_kept']}."
    yield from (f"NEXT: {command}" for command in report["next"])
    yield f"The page is {place}." if place.startswith(NOT_WRITTEN) else f"NEXT: less {place}   # the whole plan"


def other_playbook(arguments: t.Mapping[str, t.Any], playbook: str) -> str:
    """The command for another playbook of the collection, on the same inventory and hosts as this one was called with."""
    called = (arguments.get("args") or ["playbooks/plan.yml"])[0]
    inventories = [word for path in arguments.get("inventory") or () for word in ("-i", _near(path))]
    limit = ["-l", arguments["subset"]] if arguments.get("subset") else []
    name = re.sub(r"plan(\.ya?ml)?$", lambda end: f"{playbook}{end.group(1) or ''}", str(called))
    return " ".join(["ansible-playbook", *inventories, *limit, name])


def _near(path: str) -> str:
    """As somebody types it who is where we are; a list of hosts stays what it is."""
    here = os.path.join(os.getcwd(), "")
    return path[len(here) :] if path.startswith(here) and "," not in path else path


# Markdown


def markdown(report: Plan) -> str:
    parts = [_head(report), _warned(report), _overview(report)]
    if not report["nothing_to_do"]:
        parts += [_migrations(report), _times(report), _units(report), _changes(report)]
    return "\n\n".join([*(part for part in parts if part), _applied(report)]) + "\n"


def _head(report: Plan) -> str:
    return (
        f"# {report['title']}\n\nMade {report['made']} for {report['host']} by {report['made_by']}. Nothing of the application was changed."
    )


def _warned(report: Plan) -> str:
    if not report["warnings"]:
        return ""
    head = "Why it would be refused, and warnings" if report["refusals"] else "Warnings"
    return f"## {head}\n\n" + "\n".join(f"{n}. {' '.join(line.split())}" for n, line in enumerate(report["warnings"], 1))


def _overview(report: Plan) -> str:
    if report["nothing_to_do"]:
        return ""
    shown = [(name.capitalize(), text) for name, text in statements(report) if name not in ("workers", "reloads", "needed", "migrations")]
    return "## What would happen\n\n" + table([*shown, ("Digest", f"`{report['digest']}`")], "What", "Value")


def _times(report: Plan) -> str:
    phases = report["details"]["prediction"]["phases"]
    if not any(entry["runs"] or entry["budget"] for entry in phases):
        return "## Time\n\nNo earlier run on this host was measured, and the phases have no budgets of their own."
    rows = [
        (
            entry["phase"],
            "not known" if entry["seconds"] is None else f"{entry['seconds']:g} s",
            f"{entry['budget']} s" if entry["budget"] else "none",
            entry["basis"],
        )
        for entry in phases
    ]
    return "## Time\n\n" + table(rows, "Phase", "Predicted", "Budget", "Basis")


def _migrations(report: Plan) -> str:
    rows = list(fates(report))
    return "## Migrations\n\n" + (table(rows, "Migration", "What becomes of it") if rows else f"{_no_migrations(report).capitalize()}.")


def _changes(report: Plan) -> str:
    details = report["details"]
    commits = "\n".join(f"- {line}" for line in report["commits"]) or "- none"
    packages = [(entry["name"], entry["before"] or "not installed", entry["after"] or "removed") for entry in details["packages"]]
    said = table(packages, "Package", "Installed now", "Wanted by the target") if packages else "No package changes."
    files = "\n".join(f"- {kind}: `{name}`" for kind, names in details["files"]["names"].items() for name in names) or "- none"
    most = details["files"]["listed_at_most"]
    return (
        f"## Commits left behind\n\n{commits}\n\n## Packages\n\n{said}\n\n"
        f"## Files\n\nSeen from the running version, at most {most} of each kind.\n\n{files}"
    )


def _units(report: Plan) -> str:
    rows = [(row["unit"], row["role"], row["state"], row["action"]) for row in report["details"]["services"]]
    return "## Services\n\n" + table(rows, "Unit", "Role", "Now", "What becomes of it")


def _applied(report: Plan) -> str:
    kept = (
        f"The plan is kept on {report['host']} as `{report['kept']}`." if report["kept"] else f"Not kept on the host: {report['not_kept']}."
    )
    commands = "\n".join(report["next"])
    return f"## Next\n\n{kept}" + (f"\n\n```console\n{commands}\n```" if commands else "")
