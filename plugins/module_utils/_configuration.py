# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Takes the configuration of an application back: all that is asked for is put in place and accepted by who reads it, or nothing is.

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from . import _configuration_kept, _ledger
from ._clock import utc
from ._code import code_of
from ._configuration_checks import NGINX, Check, ask, checks_for
from ._configuration_diff import Differences
from ._configuration_files import Files
from ._configuration_kept import Change
from ._contents import digest
from ._dotenv import edited, parse
from ._errors import RollbackError
from ._ledger import compact
from ._probes_units import full_name
from ._restore_point import configuration_files, kept_files, no_snapshot, units_of
from ._rights import require
from ._run import Folder
from ._versions import commit_of, name_of

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._configuration_files import File
    from ._ledger import Point

LAST_GOOD = "last_good"
_UNTOUCHED = "Every file is as it was before."

Application = t.Mapping[str, t.Any]
Result = dict[str, t.Any]
Texts = dict[str, t.Optional[str]]


@dataclass(frozen=True)
class Goal:
    """What the files are to be, and where that comes from."""

    texts: Texts
    about: dict[str, t.Mapping[str, t.Any]]
    why: str
    point: Point | None = None
    left_alone: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


@dataclass
class Step:
    """From how the files are to how they are to be."""

    goal: Goal
    files: dict[str, File]  # those that differ
    differences: Differences
    environment: str
    checks: list[Check]
    tests: list[dict[str, t.Any]] = field(default_factory=list)

    @property
    def units_change(self) -> bool:
        return any(check.unit for check in self.checks)

    @property
    def reload(self) -> list[str]:
        return [NGINX] if any(check.name == "nginx" for check in self.checks) else []


class Configuration:
    """The configuration of an application on this host."""

    def __init__(self, runner: Runner, application: Application) -> None:
        self._runner = runner
        self._application = application
        self._environment = application["environment_file"]
        self._files = Files(runner, application["user"])
        self.folder = Folder.of(application["state_directory"], application["name"])

    # Where to

    def of_restore_point(self, name: str, only: t.Sequence[str] | None, commit: str) -> Goal:
        ledger = _ledger.read(self.folder.root).trusted()
        point, why, passed_over = self._last_good(ledger, commit) if name == LAST_GOOD else (ledger.find(name), "named", [])
        kept = kept_files(self.folder, point)
        unknown = [path for path in only or () if path not in kept]
        if unknown:
            raise RollbackError(f"The restore point {point.id} has no {', '.join(unknown)}; it has {', '.join(kept)}.")
        chosen = {path: kept[path] for path in only or kept}
        now = configuration_files(self._application, units_of(self._runner, self._application)) if only is None else []
        return Goal(
            texts={path: text for path, (text, _about) in chosen.items()},
            about={path: about for path, (_text, about) in chosen.items()},
            why=f"restore point {point.id} ({point.version}, {point.state}), {why}",
            point=point,
            left_alone=tuple(path for path in now if path not in kept),
            passed_over=tuple(passed_over),
        )

    def _last_good(self, ledger: _ledger.Ledger, commit: str) -> tuple[Point, str, list[str]]:
        """The newest snapshot that is verified, of the version that runs: a configuration of another one need not fit its code."""
        passed_over: list[str] = []
        for point in sorted(
            (point for point in ledger.of(commit) if point.state == "verified"), key=lambda point: point.since, reverse=True
        ):
            trouble = no_snapshot(self.folder, point)
            if trouble is None:
                return point, "the newest verified one of the version that runs", passed_over
            passed_over.append(f"{point.id}: {trouble}")
        others = [
            point.id for point in ledger.points if point.manifest and point.commit != commit_of(commit) and point.state == "verified"
        ][-3:]
        named = f" Verified ones of other versions: {', '.join(others)}." if others else ""
        raise RollbackError(
            f"No verified restore point of the version that runs has a configuration that could be restored: "
            f"{'; '.join(passed_over) or 'the ledger has none'}.{named}",
            next_command="-e restore_point=<id>, or -e '{\"configuration_keys\": {...}}' to change single settings",
        )

    def of_keys(self, keys: t.Mapping[str, t.Any]) -> Goal:
        file = self._files.look({self._environment: {}})[self._environment]
        if file.text is None:
            raise RollbackError(f"The environment file {self._environment} does not exist.")
        text = edited(file.text, {str(name): _as_text(str(name), value) for name, value in keys.items()})
        return Goal({self._environment: text}, {self._environment: {}}, f"settings given by hand: {', '.join(sorted(map(str, keys)))}")

    def of_change(self, change: Change) -> Goal:
        """Where it began, unless somebody has changed a file since."""
        before = change.before()
        for path, file in self._files.look(change.files).items():
            now = None if file.text is None else digest(file.text)
            if now not in (change.files[path]["before"], change.files[path]["after"]):
                raise RollbackError(
                    f"{path} was changed since by somebody else: putting back what was there before would lose that.",
                    next_command=f"compare it with {os.path.join(change.place, change.files[path]['stored'])}",
                )
        return Goal(before, dict(change.files), f"what was there before the change {change.name}")

    def take_back(self, name: str) -> None:
        """A change that was interrupted is as if it had never begun: its files are again as it found them, whether they were valid or not."""
        change = _configuration_kept.interrupted(self.folder, name)
        if change is None:
            return
        goal = self.of_change(change)
        for path, file in self._files.look(goal.about).items():
            if file.text != goal.texts[path]:
                self._files.put(file, goal.texts[path])
        _configuration_kept.settle(change, "reverted")

    # What that means

    def step_to(self, goal: Goal) -> Step:
        """What differs, and that it can be done; every refusal that needs no change comes from here."""
        found = self._files.look({self._environment: {}, **goal.about})
        files = {path: found[path] for path, text in goal.texts.items() if found[path].text != text}
        before: Texts = {path: file.text for path, file in found.items()}
        differences = Differences(before, {**before, **goal.texts}, self._environment)
        if self._environment in files:
            parse(goal.texts[self._environment] or "")
        real = [file.real for path, file in files.items() if path != self._environment]
        step = Step(goal, files, differences, self._environment, checks_for(self._runner, self._application["services"]["reload"], real))
        require(self._runner, self._rights(step))
        return step

    def _rights(self, step: Step) -> list[str]:
        """As sudoers has to list them."""
        mine = {path: file for path, file in step.files.items() if file.writer == "root"}
        orders = [order for path, file in mine.items() for order in self._files.orders(file, step.goal.texts[path])]
        orders += [order for file in mine.values() if file.text is None for order in self._files.orders(file, None)]  # should it be refused
        orders += [list(check.argv) for check in step.checks if check.user == "root"]
        orders += [["systemctl", "daemon-reload"]] if step.units_change else []
        orders += [["systemctl", "reload", full_name(unit)] for unit in step.reload]
        return [" ".join([self._runner.path(order[0]), *order[1:]]) for order in orders]

    # Going there

    def go(self, step: Step, change: Change) -> None:
        """Put all files in place and have them accepted; else each is again what it was."""
        touched: list[str] = []
        try:
            for path, file in step.files.items():
                touched.append(path)
                self._files.put(file, step.goal.texts[path])
            step.tests = [ask(self._runner, check, step.differences.hide) for check in step.checks]
            if step.units_change:
                self._runner.run(["systemctl", "daemon-reload"], user="root", timeout=60)
        except RollbackError as error:
            self._put_back(step, touched, error, change)

    def _put_back(self, step: Step, touched: t.Sequence[str], error: RollbackError, change: Change) -> t.NoReturn:
        reason = step.differences.hide(error.message)
        try:
            now = self._files.look({path: change.files.get(path, {}) for path in touched})
            for path in touched:
                if now[path].text != step.files[path].text:
                    self._files.put(now[path], step.files[path].text)
            if step.units_change:
                self._runner.run(["systemctl", "daemon-reload"], user="root", timeout=60)
        except RollbackError as another:
            raise RollbackError(
                f"{reason} Then putting back what was there before failed too: {step.differences.hide(another.message)}",
                state=f"Some files may be new and others old; what was there before is kept in {change.place}.",
                next_command="ansible-playbook playbooks/undo.yml, when the cause is gone",
                facts={"put_back": False},
            ) from error
        raise RollbackError(reason, state=_UNTOUCHED, next_command=error.next_command, facts={"put_back": True}) from error


def _as_text(name: str, value: t.Any) -> str | None:
    """A value of YAML as it stands in a .env; null takes the setting away."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise RollbackError(f"The new value of {name} is neither text nor a number nor true, false or null.")


def restore(runner: Runner, application: Application, options: t.Mapping[str, t.Any], *, check_mode: bool) -> Result:
    """Take files back to a restore point, or give single settings other values."""
    configuration = Configuration(runner, application)
    running = _running(runner, application)
    if options["change"] and not check_mode:
        configuration.take_back(options["change"])
    if options["keys"]:
        goal = configuration.of_keys(options["keys"])
    else:
        goal = configuration.of_restore_point(options["restore_point"], options["files"], running["commit"])
    step = configuration.step_to(goal)
    result = {**running, **_facts(step)}
    if not step.files or check_mode:
        return {**result, "lastgood_text": "\n".join(_words(step))} if check_mode else result
    name = options["change"] or f"{compact(utc())}-{os.getpid()}"
    change = _configuration_kept.begin(configuration.folder, name, step.files, goal.texts)
    try:
        configuration.go(step, change)
    except RollbackError as error:
        if error.facts.get("put_back"):
            _configuration_kept.settle(change, "reverted")
        raise
    _configuration_kept.settle(change, "made")
    return {**result, "tests": step.tests, "change": change.name, "kept": change.place}


def revert(runner: Runner, application: Application, options: t.Mapping[str, t.Any], *, check_mode: bool) -> Result:
    """Put back what a change replaced; what was not valid then stays away."""
    configuration = Configuration(runner, application)
    change = _configuration_kept.find(configuration.folder, options["change"])
    result = {**_running(runner, application), "change": change.name, "kept": change.place}
    if change.state == "reverted":
        return {**result, "changed": False, "files": {}, "settings": {}, "tests": [], "reload": []}
    step = configuration.step_to(configuration.of_change(change))
    result.update(_facts(step))
    if check_mode:
        return {**result, "lastgood_text": "\n".join(_words(step))}
    configuration.go(step, change)
    _configuration_kept.settle(change, "reverted")
    return {**result, "tests": step.tests}


def _running(runner: Runner, application: Application) -> Result:
    repository = code_of(runner, application)
    commit = repository.work_tree().commit
    return {"commit": commit, "version": name_of(commit, repository.tags(), application["releases"]["pattern"])}


def _facts(step: Step) -> Result:
    goal = step.goal
    return {
        "changed": bool(step.files),
        "restore_point": goal.point.as_result() if goal.point else None,
        "why": goal.why,
        "passed_over": list(goal.passed_over),
        "left_alone": list(goal.left_alone),
        "files": {path: _action(step, path) for path in goal.texts},
        "settings": step.differences.settings(),
        "tests": [],
        "untested": _untested(step),
        "reload": step.reload,
        "diff": step.differences.as_diff(),
    }


def _action(step: Step, path: str) -> str:
    if path not in step.files:
        return "same"
    if step.files[path].text is None:
        return "created"
    return "removed" if step.goal.texts[path] is None else "replaced"


def _untested(step: Step) -> list[str]:
    tested = {name for check in step.checks for name in check.files}
    return [path for path, file in step.files.items() if file.real not in tested and path != step.environment]


def _words(step: Step) -> t.Iterator[str]:
    yield f"configuration: {step.goal.why}"
    yield from (f"passed over: {line}" for line in step.goal.passed_over)
    yield from step.differences.in_words()
    if not step.files:
        yield "  every file is that already"
    same = [path for path in step.goal.texts if path not in step.files]
    if same and step.files:
        yield f"  as it is to be already: {', '.join(same)}"
    if step.goal.left_alone:
        yield f"  was not there then, and is left alone: {', '.join(step.goal.left_alone)}"
    if _untested(step):
        yield f"  no program is known that could test it: {', '.join(_untested(step))}"
