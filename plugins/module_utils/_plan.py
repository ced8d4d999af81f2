# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import concurrent.futures
import functools
import os
import shlex
import typing as t
from dataclasses import dataclass, field, replace

from ._database_credentials import from_dotenv
from ._dotenv import parse
from ._errors import CommandError, RollbackError
from ._journal import phases
from ._journal import read as read_journal
from ._layout import layout_of
from ._ledger import read as read_ledger
from ._left_behind import astray, in_maintenance, origin, runs
from ._migrations import Applied, applied, judge, not_applied, refuse_gaps, unknown_to
from ._plan_digest import covered, digest_of
from ._plan_host import check_host
from ._probes import ProbeError
from ._probes_redis import probe_from
from ._restore_point import last_good, snapshot_of
from ._run import CONFIGURATION, Folder, read_json, unfinished
from ._versions import Choice, commit_of, name_of

if t.TYPE_CHECKING:
    from ._checkout import Switch
    from ._code import Code
    from ._command import Runner
    from ._git import WorkTree
    from ._layout import Layout
    from ._ledger import Ledger

LAST_GOOD = "last_good"
_TAKEN_AWAY = ("application", "severity", "from_commit", "to_commit", "migrations", "restore_point", "database")
_OF_CODE = (
    "run",
    "outcome",
    "closed",
    "severity",
    "target",
    "to_commit",
    "to_release",
    "from_version",
    "from_commit",
    "from_release",
    "origin",
)


@dataclass(frozen=True)
class Request:
    """What the operator asked for."""

    application: dict[str, t.Any]
    severity: str
    target: str | None
    migrations: str
    local_changes: str
    backup: bool
    details: bool = False  # whether problems are part of the plan, instead of a refusal
    database: dict[str, t.Any] | None = None  # which backup to go back to; without it the database stays as it is

    @property
    def restored_by(self) -> str:
        """The host of the application that restores the database for all, when that is another one."""
        return (self.database or {}).get("restored_by") or ""


@dataclass
class Findings:
    """What the checks found; every problem is kept, so that all are reported at once."""

    passed: list[str] = field(default_factory=list)
    problems: list[RollbackError] = field(default_factory=list)

    def check(self, name: str, work: t.Callable[[], t.Any]) -> t.Any:
        try:
            found = work()
        except RollbackError as error:
            self.problems.append(error)
            return None
        self.passed.append(name)
        return found

    def check_together(self, checks: t.Mapping[str, t.Callable[[], t.Any]]) -> dict[str, t.Any]:
        """Checks that wait for different programs; users may be waiting for them."""
        with concurrent.futures.ThreadPoolExecutor(len(checks)) as pool:
            begun = {name: pool.submit(work) for name, work in checks.items()}
        return {name: self.check(name, future.result) for name, future in begun.items()}

    def refuse(self) -> None:
        if not self.problems:
            return
        first = next((error for error in self.problems if error.next_command), self.problems[0])
        listed = "; ".join(f"({number}) {error.message}" for number, error in enumerate(self.problems, 1))
        raise RollbackError(
            f"{len(self.problems)} of {len(self.problems) + len(self.passed)} checks before the rollback failed: {listed}"
            if len(self.problems) > 1
            else self.problems[0].message,
            state="Nothing was changed, traffic was not touched.",
            next_command=first.next_command,
            facts={"problems": [error.message for error in self.problems], "passed_checks": self.passed},
        )


def compute(runner: Runner, request: Request) -> dict[str, t.Any]:
    """What a rollback would do now; only looks."""
    application = request.application
    layout = layout_of(runner, application)
    repository = layout.code
    folder = Folder.of(application["state_directory"], application["name"])
    last = _about_versions(read_json(folder.last_run))
    running = repository.work_tree()
    choice = _choose(layout, request, folder, running, last)
    commit = layout.resolve(choice.target)
    application = {**application, "environment_file": layout.environment_file(commit)}
    request = replace(request, application=application)
    switch = layout.survey(choice.target, commit, running)
    closed = in_maintenance(runner, application)
    pending = _pending(folder, last, running, closed=closed)
    if not switch.needed:  # else they are renewed anyway
        pending += astray(runner, application)
    findings = Findings()
    recorded = snapshot_of(folder, commit) if request.severity == "full_system" or application["layout"] == "releases" else None
    database, point = None, recorded if request.severity == "full_system" else None
    if request.database is not None and not request.restored_by:
        names = _names_of_version(repository, running.commit, running.commit)
        database = findings.check("backup", lambda: _backup(request, names, (point or {}).get("backup"), read_ledger(folder.root)))
    migrations = _migrations(runner, request, repository, switch, database, findings)
    findings.check("redis", lambda: _redis_answers(runner, application))
    closes = closed or _closes(application, migrations, request)
    obstacles = functools.partial(
        layout.refuse_obstacles, switch, request.local_changes, (recorded or {}).get("lock_files", {}), closes=closes
    )
    units = check_host(runner, request, layout, switch, obstacles, findings) if switch.needed or pending or request.database else {}
    if not request.details:
        findings.refuse()
    plan = {
        "identity": {"commit": commit},
        **layout.describe(switch),
        "application": application["name"],
        "severity": request.severity,
        "target": choice.target,
        "reason": choice.reason,
        "to_commit": commit,
        "from_commit": running.commit,
        "from_release": running.release or "",
        "nothing_to_do": not (switch.needed or pending or findings.problems or request.database or (migrations and migrations["down"])),
        "pending": pending,
        "in_maintenance": closed,
        "environment_file": application["environment_file"],
        "origin": _origin(folder, application, last, running, closed=closed),
        "database": database,
        "restored_by": request.restored_by,
        "restore_point": point["id"] if point else None,
        "migrations": migrations,
        "local_changes": request.local_changes,
        "backup": request.backup and bool(application["backup"]["directory"]),
        "closes": closes,
        "dependencies_change": switch.moves_dependencies,
        "checks": findings.passed,
        "budgets": application["budgets"][request.severity],
        "refusals": [problem.as_result() for problem in findings.problems],
    }
    known = bool(plan["identity"].get("version", choice.target))
    plan["version_probes"] = [_version_probe(application, _names_of_version(repository, choice.target, commit), known=known)]
    covers = covered(plan, switch, application, units)
    if database:
        covers["restore_point"] = plan["restore_point"]
        covers["database"] = {"backup": database["backup"]["id"], "sha256": database["backup"]["sha256"], "tables": database["tables"]}
        plan["approval"] = digest_of({name: covers[name] for name in _TAKEN_AWAY})
        plan["command"] = _command(request, plan)
    if request.database:
        plan["code"] = {name: (last or {}).get(name) for name in _OF_CODE} if last and request.severity == "database" else {}
    return {**plan, "covers": covers, "digest": digest_of(covers)}


def _about_versions(last: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    """The last run, unless it says nothing about versions but what the run before it did: it is over and left the code alone."""
    kind = (last or {}).get("severity")
    return (last or {}).get("code") or None if kind == CONFIGURATION or (kind == "database" and not unfinished(last)) else last


def _backup(request: Request, names: t.Collection[str], recorded: str | None, ledger: Ledger) -> dict[str, t.Any]:
    """Which backup, and what speaks against it."""
    from ._backup_catalogue import taken_after_bad
    from ._plan_database import choose, compare  # only where it is used: an emergency does not wait for it

    wanted = request.database or {}
    backup = choose(request.application, wanted, recorded)
    tables = sorted(wanted.get("tables") or [])
    return {
        "backup": backup,
        "tables": tables,
        "compare": compare(tables, request.application["database"]["loss"]),
        "of_running_version": backup["application_version"] in names,
        "taken_after_bad": taken_after_bad(backup, ledger.points),
    }


def _command(request: Request, plan: t.Mapping[str, t.Any]) -> str:
    """What somebody types to have exactly this done."""
    decided = {
        "target": plan["target"] if request.severity == "full_system" else "",
        "backup": plan["database"]["backup"]["id"],
        "tables": ",".join(plan["database"]["tables"]),
        "migrations": request.migrations if request.migrations != "stop" else "",
        "local_changes": request.local_changes if request.local_changes != "refuse" else "",
    }
    said = " ".join(shlex.join(["-e", f"{name}={value}"]) for name, value in decided.items() if value)
    return f"ansible-playbook playbooks/{request.severity}_rollback.yml {said}"


def _migrations(
    runner: Runner,
    request: Request,
    repository: Code,
    switch: Switch,
    database: dict[str, t.Any] | None,
    findings: Findings,
) -> dict[str, t.Any] | None:
    """What is between the schema that there will be and the target's."""
    if request.restored_by:
        return {"unknown_to_target": [], "not_applied": [], "decision": request.migrations, "down": [], "up": []}
    if request.database is not None and database is None:  # no backup fits: that is a problem already
        return None
    if database is None or database["tables"]:
        schema = findings.check("database", lambda: _schema(runner, request, repository, switch))
        if schema:
            findings.check("migrations", lambda: _refuse_migrations(runner, request, switch, *schema))
        return schema[0] if schema else None
    from ._plan_database import refuse_schema, schema_after

    backup = database["backup"]
    facts = findings.check("database", lambda: schema_after(backup, switch.target_migrations, request.migrations))
    if facts:
        findings.check("migrations", lambda: refuse_schema(request.application, backup, switch.target, switch.target_migrations, facts))
    return t.cast("dict[str, t.Any] | None", facts)


def _choose(layout: Layout, request: Request, folder: Folder, running: WorkTree, last: t.Mapping[str, t.Any] | None) -> Choice:
    if request.target and request.target != LAST_GOOD:
        return Choice(request.target, "given by the operator")
    if request.target == "":
        raise RollbackError("The target is empty.", next_command="give a release tag or a commit: -e target=v1.2.3")
    repository = layout.code
    if request.severity == "database" and request.target is None:
        name = name_of(running.commit, repository.tags(), request.application["releases"]["pattern"])
        return Choice(name, "it runs, and stays as it is")
    if request.target is None and request.severity != "emergency":
        raise RollbackError(
            "No target was given. Only the emergency rollback chooses one by itself.",
            next_command=f"{layout.list_command}, then run again with -e target=<tag> or -e target=last_good",
        )
    if last is not None and runs(running, last.get("to_release"), last.get("to_commit")) and last.get("outcome") == "rolled_back":
        return Choice(
            last["target"],
            f"the application was rolled back to it at {last.get('closed')} (run {last.get('run')}); to go further back give -e target=",
        )
    if last is not None and _left_open(last, running):
        return Choice(last["target"], f"target of the run {last.get('run')} that did not finish ({last.get('outcome')})")
    ledger = read_ledger(folder.root)
    return _by_ledger(repository, folder, ledger, running) or layout.previous(ledger, running)


def _by_ledger(repository: Code, folder: Folder, ledger: Ledger, running: WorkTree) -> Choice | None:
    """The last good version; None where no version was ever verified."""
    found, passed_over = last_good(repository, folder, ledger, running.commit)
    if found is None and passed_over:
        raise RollbackError(
            f"No verified version can be gone back to on this host: {'; '.join(passed_over)}.",
            next_command="run again with an explicit target: -e target=<tag or commit>",
        )
    if found is None:
        return None
    said = next(entry for entry in reversed(found.history) if entry["state"] == "verified")
    why = f"the last good version: verified at {said['at']} ({said.get('reason', 'no reason was given')})"
    name = found.version if repository.resolve(found.version) == found.commit else found.commit
    return Choice(name, f"{why}; PASSED OVER: {'; '.join(passed_over)}" if passed_over else why)


def _origin(
    folder: Folder, application: t.Mapping[str, t.Any], last: dict[str, t.Any] | None, running: WorkTree, *, closed: bool
) -> dict[str, t.Any]:
    """Where it all began, when this run goes on from one that left something undone.

    One that failed where it began left nothing, nor did one whose site the timer opened again.
    """
    if last is None or not last.get("run") or not _left_open(last, running) or last.get("reopened"):
        return {}
    if last.get("outcome") == "failed" and running.commit == last.get("from_commit"):
        return {}
    journal = read_journal(folder.run(last["run"]))
    own = phases(journal.entries) if journal else {}
    return origin(last, own, layout=application["layout"], commit=running.commit, closed=closed)


def _left_open(last: t.Mapping[str, t.Any] | None, running: WorkTree) -> bool:
    """Whether the last run did not finish, and what is checked out is still one of its two ends.

    A failed run that is back at its beginning left nothing open, and its target may be one that nobody can reach.
    """
    if last is None or not unfinished(last):
        return False
    if running.commit == last.get("from_commit") != last.get("to_commit"):
        return last.get("outcome") != "failed"
    return running.commit == last.get("to_commit")


def _names_of_version(repository: Code, target: str, commit: str) -> list[str]:
    """How the application may name the version when it is asked: any tag of the commit, with or without v, or the commit."""
    plain = commit_of(commit)
    tags = {target, *(tag for tag, at in repository.tags().items() if commit_of(at) == plain)}
    return sorted({*tags, *(tag.lstrip("v") for tag in tags), plain, plain[:12], plain[:7]})


def _version_probe(application: t.Mapping[str, t.Any], names: list[str], *, known: bool) -> dict[str, t.Any]:
    """The probe that proves which version answers; required where it is known how the application names it."""
    where = application["health"]["version_probe"]
    probe: dict[str, t.Any] = {"name": "running version", "type": "http", "path": where["path"], "required": known}
    if where.get("header"):
        probe["response_headers"] = {where["header"]: names}
    else:
        probe["json"] = {where["json"]: names}
    return probe


def _pending(folder: Folder, last: t.Mapping[str, t.Any] | None, running: WorkTree, *, closed: bool) -> list[str]:
    """What an earlier run left undone, even when the code is at the target already."""
    found = []
    if last is not None and _left_open(last, running):
        found.append(f"run {last.get('run')} ended as {last.get('outcome')}")
        if closed:
            found.append("the application is in maintenance mode")
    if os.path.exists(os.path.join(folder.root, "workers.json")):
        found.append("workers that it stopped are not running again")
    return found


def _closes(application: t.Mapping[str, t.Any], migrations: dict[str, t.Any] | None, request: Request) -> bool:
    """Whether users get the maintenance page: a link that is switched in one moment needs none, a schema that changes does."""
    down = bool(migrations and migrations["down"])
    return application["layout"] == "git" or down or bool(request.database)


def _schema(runner: Runner, request: Request, repository: Code, switch: Switch) -> tuple[dict[str, t.Any], list[Applied]]:
    """How the database's schema and the target's differ, and all the migrations that the database has."""
    application = request.application
    credentials = from_dotenv(runner, application["environment_file"], application["user"])
    held = applied(runner, credentials)
    names = unknown_to(switch.target_migrations, held)
    facts = {
        "unknown_to_target": [migration.as_dict() for migration in judge(repository, switch.running.commit, names)],
        "not_applied": not_applied(switch.target_migrations, held),
        "decision": request.migrations,
        "down": names if request.migrations == "down" else [],
    }
    return facts, held


def _refuse_migrations(runner: Runner, request: Request, switch: Switch, facts: dict[str, t.Any], held: t.Sequence[Applied]) -> None:
    names = [migration["name"] for migration in facts["unknown_to_target"]]
    if names and request.migrations == "stop":
        raise _undecided(switch, names)
    if facts["down"]:
        irreversible = [migration["name"] for migration in facts["unknown_to_target"] if not migration["reversible"]]
        _refuse_impossible_down(runner, request.application, held, irreversible, names)


def _redis_answers(runner: Runner, application: t.Mapping[str, t.Any]) -> None:
    """Whether the application's own login works, when its settings name a Redis server."""
    settings = parse(runner.run(["cat", application["environment_file"]], user=application["user"]).stdout)
    if "REDIS_HOST" not in settings and "REDIS_URL" not in settings:
        return
    try:
        probe_from({}, settings)(5)
    except (ProbeError, ValueError) as error:
        then = "systemctl status redis-server   # and compare REDIS_* in the application's .env"
        raise RollbackError(f"Redis cannot be used with the application's settings: {error}.", next_command=then) from error


def _undecided(switch: Switch, names: t.Sequence[str]) -> RollbackError:
    return RollbackError(
        f"The database has {len(names)} migration(s) that {switch.target} does not know: {', '.join(names)}. "
        f"The code of {switch.target} may fail on this schema. With migrations=down they are taken down first, by the code that knows "
        "them; what their dropped columns hold is then in the backup only. With migrations=keep the schema stays as it is.",
        next_command=f"ansible-playbook playbooks/standard_rollback.yml -e target={switch.target} -e migrations=down",
    )


def _refuse_impossible_down(
    runner: Runner,
    application: t.Mapping[str, t.Any],
    held: t.Sequence[Applied],
    irreversible: t.Sequence[str],
    names: t.Sequence[str],
) -> None:
    if irreversible:
        raise RollbackError(
            f"{', '.join(irreversible)} cannot go down: its down() is missing or empty.",
            next_command="restore the database from a backup taken before the release, or run again with -e migrations=keep",
        )
    refuse_gaps(held, names)
    artisan = f"{application['path']}/artisan"
    try:
        runner.run([application["php"], artisan, "--version", "--no-ansi"], user=application["user"], timeout=20)
    except CommandError as error:
        raise RollbackError(
            f"The migrations {', '.join(names)} cannot go down: the running version cannot start artisan ({error.stderr.strip()[-200:] or error.message})."
        ) from error
