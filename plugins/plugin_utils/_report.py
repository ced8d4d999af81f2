# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import datetime
import os
import typing as t

_HEADLINES = {
    "rolled_back": "ROLLED BACK",
    "held": "HELD IN MAINTENANCE",
    "failed": "FAILED",
    "refused": "REFUSED",
    "nothing_to_do": "NOTHING TO DO",
    "undone": "UNDONE",
    "aborted": "ABORTED",
}
_TITLES = {"undo": "Undo report", "abort": "Abort report"}
_ENDING = ("quiesce writers", "start services", "start workers")  # the steps that see how workers ended
_FOLLOWED = {"undo": "Undone run", "abort": "Aborted run"}

Step = t.Mapping[str, t.Any]


def headline(outcome: str) -> str:
    return _HEADLINES[outcome]


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def phases(steps: t.Mapping[str, Step], budgets: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """What ran, in the order of the clock, with what it took on the host and what it was allowed."""
    ran = [(name, step) for name, step in steps.items() if step and step.get("started")]
    ran.sort(key=lambda entry: moment(entry[1]["started"]))
    return [
        {
            "phase": name,
            "started": step["started"],
            "seconds": step["seconds"],
            "budget": budgets.get(name),
            "outcome": "failed" if step.get("failed") else "changed" if step.get("changed") else "ok",
        }
        for name, step in ran
    ]


def closed_seconds(steps: t.Mapping[str, Step]) -> float | None:
    """How long the maintenance page was up, by the host's clock; None while it still is or when it never was."""
    down, up = steps.get("close traffic", {}), steps.get("reopen", {})
    if not down.get("at") or not up.get("at"):
        return None
    return round(moment(up["at"]) - moment(down["at"]), 2)


def compose(facts: t.Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
    """The report as data; the Markdown form is made from it."""
    plan, steps, identity = facts["plan"], facts["steps"], facts["identity"]
    backup = steps.get("protect", {})
    return {
        "outcome": facts["outcome"],
        "state": facts["state"],
        "application": plan["application"],
        "hosts": facts["hosts"],
        "each_host": facts.get("each_host", []),
        "type": identity["severity"],
        "run": identity["run"],
        "follows": facts.get("follows") or None,
        "executed_by": f"{identity['actor']} on {identity['controller']}",
        "began": iso(identity["began"]),
        "ended": iso(now),
        "duration_seconds": round(now - identity["began"], 1),
        "budget_seconds": plan["budgets"].get("total"),
        "closed_seconds": closed_seconds(steps),
        "reason": facts["reason"],
        "incident": facts["incident"],
        "from_version": plan["from_version"],
        "from_commit": plan["from_commit"],
        "target": plan["target"],
        "target_commit": plan["to_commit"],
        "target_reason": plan["reason"],
        "plan_digest": plan.get("digest"),
        "commits_left_behind": plan["commits"],
        "migrations_taken_down": steps.get("migrate down", {}).get("down", []),
        "migrations_applied_again": steps.get("migrate up", {}).get("up", []),
        "migrations_failed": any(steps.get(name, {}).get("failed") for name in ("migrate down", "migrate up")),
        "backup": _backup(backup),
        "local_changes_saved": steps.get("switch code", {}).get("patch"),
        "database": _restored(steps, plan.get("database")),
        "jobs_interrupted": sorted({name for step in _ENDING for name in steps.get(step, {}).get("interrupted", [])}),
        "phases": phases(steps, plan["budgets"]),
        "probes": _probes(steps.get("gate", {})),
        "watch": {k: steps["watch"].get(k) for k in ("passed", "rounds", "availability")} if steps.get("watch", {}).get("rounds") else None,
        "failure": facts["failure"],
        "next_steps": facts["next_steps"],
        "notifications": facts["notifications"],
    }


def _backup(step: Step) -> dict[str, t.Any] | None:
    if not step.get("backup"):
        return None
    return {"path": step["path"], **{name: step["backup"].get(name) for name in ("bytes", "sha256", "tables")}}


def _restored(steps: t.Mapping[str, Step], planned: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Which database is the live one now, what was lost by that, and where it is."""
    swap, back, loss = (steps.get(name, {}) for name in ("swap database", "return database", "count loss"))
    if not (swap or back or loss or planned):
        return None
    backup = (planned or {}).get("backup", {})
    return {
        "backup": backup.get("id"),
        "data_of": backup.get("started"),
        "tables": (planned or {}).get("tables", []),
        "swapped": bool(swap) and not swap.get("failed") and not swap.get("skipped"),
        "returned": bool(back) and not back.get("failed") and not back.get("skipped"),
        "kept": swap.get("kept"),
        "loss": {name: loss.get(name) for name in ("totals", "text", "salvage")} if loss.get("text") else None,
        "compared_before_closing": loss.get("started") if _before(loss, steps.get("close traffic", {})) else None,
    }


def _before(loss: Step, closed: Step) -> bool:
    """Whether users could still write after the databases were compared."""
    return bool(loss.get("text") and loss.get("started") and closed.get("at")) and moment(loss["started"]) < moment(closed["at"])


def _probes(gate: Step) -> list[dict[str, t.Any]]:
    return [{k: p.get(k) for k in ("name", "type", "passed", "last_error", "measured")} for p in gate.get("probes", [])]


def iso(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def write(path: str, text: str) -> None:
    """For whoever runs this and nobody else."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def markdown(report: t.Mapping[str, t.Any]) -> str:
    parts = [_summary(report), _each_host(report), _why(report), _actions(report), _data(report), _verification(report), _outlook(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: t.Iterable[t.Sequence[t.Any]], *heads: str) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: t.Any) -> str:
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines() or [""])


def _summary(report: t.Mapping[str, t.Any]) -> str:
    closed = report["closed_seconds"]
    rows = [
        ("Outcome", f"**{headline(report['outcome'])}**. {report['state']}"),
        ("Type", report["type"]),
        ("Application", f"{report['application']} on {', '.join(report['hosts'])}"),
        ("From", f"{report['from_version']} (`{report['from_commit'][:12]}`)"),
        ("Target", f"{report['target']} (`{report['target_commit'][:12]}`), {report['target_reason']}"),
        *([("Plan", f"digest `{report['plan_digest']}`")] if report["plan_digest"] else []),
        ("Began", report["began"]),
        ("Ended", report["ended"]),
        ("Duration", _duration(report)),
        ("Closed to users", "not closed or still closed" if closed is None else f"{closed} s, measured on the host"),
        ("Executed by", report["executed_by"]),
        ("Run", f"`{report['run']}`"),
    ]
    if report["follows"]:
        rows.append((_FOLLOWED.get(report["type"], "Follows run"), f"`{report['follows']}`"))
    return f"# {_TITLES.get(report['type'], 'Rollback report')}: {report['application']} to {report['target']}\n\n{table(rows, 'What', 'Value')}"


def _each_host(report: t.Mapping[str, t.Any]) -> str:
    if not report["each_host"]:
        return ""
    rows = [(entry["host"], _HEADLINES.get(entry["outcome"], "UNKNOWN"), entry["state"]) for entry in report["each_host"]]
    return "## Hosts\n\n" + table(rows, "Host", "Outcome", "State")


def _duration(report: t.Mapping[str, t.Any]) -> str:
    took = f"{report['duration_seconds']} s"
    return f"{took} of {report['budget_seconds']} s" if report["budget_seconds"] else took


def _why(report: t.Mapping[str, t.Any]) -> str:
    incident = f"\n\nIncident: {report['incident']}" if report["incident"] else ""
    failure = report["failure"]
    failed = f"\n\n## What failed\n\n{failure['task']}\n\n{quoted(failure['message'])}" if failure else ""
    return f"## Reason\n\n{report['reason']}{incident}{failed}"


def _actions(report: t.Mapping[str, t.Any]) -> str:
    rows = [
        (n, p["phase"], p["started"], f"{p['seconds']:.2f}", p["budget"] or "", p["outcome"]) for n, p in enumerate(report["phases"], 1)
    ]
    return "## Actions taken\n\n" + table(rows, "", "Phase", "Started (UTC)", "Seconds on the host", "Budget", "Outcome")


def _data(report: t.Mapping[str, t.Any]) -> str:
    lines = ["## Data"]
    backup = report["backup"]
    lines.append(
        f"- Backup before the switch: `{backup['path']}`, {backup['bytes']} bytes, {sum((backup['tables'] or {}).values())} rows "
        f"in {len(backup['tables'] or {})} tables, sha256 `{backup['sha256']}`"
        if backup
        else "- No backup was made by this run."
    )
    down = report["migrations_taken_down"]
    if report["database"]:
        lines += _database(report["database"])
    elif down:
        kept = "is only in the backup" if backup else "was not kept by this run"
        lines.append(f"- Migrations taken down: {', '.join(down)}. What their columns held {kept}.")
    elif report["migrations_applied_again"]:
        again = ", ".join(report["migrations_applied_again"])
        lines.append(f"- Migrations applied again: {again}. What columns that went down with them held is only in a backup from before.")
    elif report["migrations_failed"]:
        lines.append("- Migrations were being changed when that failed. Compare the schema with what the code expects.")
    else:
        by = "from this host, see the reports of the others" if report["each_host"] else "by this run"
        lines.append(f"- The database was not changed {by}: no row was replaced or removed.")
    if report["local_changes_saved"]:
        lines.append(f"- Changes that were made by hand were saved in `{report['local_changes_saved']}`. An undo does not put them back.")
    lines.append("- Queues and sessions in Redis were not touched.")
    return "\n".join(lines)


def _database(found: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    what = f"The tables {', '.join(found['tables'])}" if found["tables"] else "The database"
    if found["returned"]:
        yield "- The database is the one from before the rollback again. The restored one is kept beside it."
    elif found["swapped"]:
        replaced = (
            f"What was replaced is kept as `{found['kept']}`." if found["kept"] else "There was no database, or none with tables, before."
        )
        yield f"- {what} went back to {found['data_of']} (backup `{found['backup']}`). {replaced}"
    else:
        yield "- The live database was not replaced by this run."
    if found["loss"]:
        word = "In comparison, the restored one has" if found["returned"] else "Lost" if found["swapped"] else "Would have been lost"
        yield f"- {word}: {_lost(found['loss']['totals'])}"
        yield from (f"  - {line}" for line in found["loss"]["text"].splitlines())
        if found["loss"]["salvage"]:
            yield f"- The rows that are lost were saved in `{found['loss']['salvage']}`; playbooks/salvage_replay.yml puts them back."
        if (found["swapped"] or found["returned"]) and found["compared_before_closing"]:
            since, where = found["compared_before_closing"], "the restored one" if found["returned"] else f"`{found['kept']}`"
            yield f"- That is how it was at {since}. Rows written from then until the site was closed are only in {where}."


def _lost(totals: t.Mapping[str, t.Any] | None) -> str:
    if totals is None:
        return "not known"
    said = ", ".join(f"{totals[name]} {name}" for name in ("new", "changed", "deleted"))
    return f"{said} rows in {len(totals['tables'])} tables" if totals["tables"] else "nothing, as far as was compared"


def _verification(report: t.Mapping[str, t.Any]) -> str:
    if not report["probes"]:
        return "## Verification\n\nThe gate was not reached."
    rows = [(p["name"], p["type"], "passed" if p["passed"] else "FAILED", p["last_error"] or "") for p in report["probes"]]
    watch = report["watch"]
    watched = f"\n\nWatched after reopening: {watch['rounds']} rounds, {watch['availability']} % of answers good." if watch else ""
    return "## Verification\n\n" + table(rows, "Probe", "Type", "Result", "Last error") + watched


def _outlook(report: t.Mapping[str, t.Any]) -> str:
    left = "\n".join(f"- {line}" for line in report["commits_left_behind"]) or "- none"
    steps = "\n".join(f"{n}. {step}" for n, step in enumerate(report["next_steps"], 1))
    told = ", ".join(
        f"{entry['event']}: {'delivered' if entry.get('delivered') else 'NOT delivered (' + str(entry.get('error', entry.get('status'))) + ')'}"
        for entry in report["notifications"]
    )
    return f"## Next steps\n\n{steps}\n\n## Commits left behind\n\n{left}\n\n## Notifications\n\n{told or 'none configured'}"
