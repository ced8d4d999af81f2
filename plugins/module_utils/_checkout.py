# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import os
import pwd
import re
import typing as t
from dataclasses import dataclass, field

from ._composer import AUTOLOAD, LOCK_FILE, MANIFEST, Composer, stale_autoload, unmet
from ._depot import KEPT, Depot
from ._errors import CommandError, RollbackError
from ._git import Repository
from ._switching import switch_files
from ._versions import check_target, looks_like_commit, name_of

if t.TYPE_CHECKING:
    from ._code import Code
    from ._command import Runner
    from ._git import Difference, Entry, WorkTree

_KEY = re.compile(r"^([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_MIGRATIONS = "database/migrations/"


@dataclass(frozen=True)
class Switch:
    """What a switch would do; computed without changing anything."""

    running: WorkTree
    commit: str
    target: str
    difference: Difference
    entries: dict[str, Entry] = field(repr=False)
    unmet_packages: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def moves_code(self) -> bool:
        return self.running.commit != self.commit

    @property
    def moves_dependencies(self) -> bool:
        return bool(self.unmet_packages or self.vanished)

    @property
    def needed(self) -> bool:
        return self.moves_code or self.moves_dependencies

    @property
    def target_migrations(self) -> list[str]:
        return sorted(name[len(_MIGRATIONS) : -4] for name in self.entries if _is_migration(name))


def _is_migration(name: str) -> bool:
    return name.startswith(_MIGRATIONS) and name.endswith(".php")


def resolve(repository: Repository, target: str, *, remote: str | None) -> str:
    """The commit of a target; the remote is asked only for what the checkout does not have."""
    check_target(target)
    commit = repository.resolve(target)
    if commit is None and remote:
        trouble = None
        try:
            repository.fetch(remote)
        except CommandError as error:  # also when only another tag could not be taken over, because it was moved
            trouble = error
        commit = repository.resolve(target)
        if commit is None and trouble is not None:
            why = trouble.stderr.strip()[-300:].rstrip(".") or trouble.message.rstrip(".")
            raise RollbackError(f"{target} is not in {repository.path}, and fetching from {remote} failed: {why}.") from trouble
    if commit is None:
        kind = "tag or commit" if looks_like_commit(target) else "tag"
        meant = f" Did you mean v{target}?" if f"v{target}" in repository.tags() else ""
        raise RollbackError(
            f"{target} is not a {kind} of {repository.path}" + (f" or its remote {remote}.{meant}" if remote else f".{meant}"),
            next_command=f"sudo -u {repository.user} git -C {repository.path} tag --list --sort=-version:refname",
        )
    return commit


def survey(runner: Runner, repository: Repository, target: str, commit: str, running: WorkTree) -> Switch:
    """Compare the running commit with the target and verify that the target is whole."""
    entries = repository.tree(commit)
    modules = [name for name, entry in entries.items() if entry.mode == "160000"]
    if modules:
        raise RollbackError(f"{target} uses git submodules ({_listed(modules)}), which are not supported.")
    lost = repository.missing_objects(entries)
    if lost:
        raise RollbackError(
            f"The repository does not hold all files of {target}: {_listed(lost)}.",
            next_command=f"sudo -u {repository.user} git -C {repository.path} fetch --refetch --tags",
        )
    difference = repository.difference(running.commit, commit)
    lock, *manifests = _manifests(repository, running.commit, commit, entries, difference)
    installed, autoload = _vendor_state(runner, repository) if lock is not None else (None, "")
    return Switch(
        running=running,
        commit=commit,
        target=target,
        difference=difference,
        entries=entries,
        unmet_packages=tuple(unmet(lock, installed)),
        vanished=tuple(stale_autoload(autoload, difference, (manifests[0], manifests[1]))),
    )


def _manifests(
    repository: Repository, running: str, target: str, entries: t.Container[str], difference: Difference
) -> tuple[str | None, str | None, str | None]:
    """The target's lock file; and composer.json of both, where they differ."""
    lock = f"{target}:{LOCK_FILE}" if LOCK_FILE in entries else None
    manifests = [f"{running}:{MANIFEST}", f"{target}:{MANIFEST}"] if lock and MANIFEST in difference.files else []
    texts = repository.contents([*([lock] if lock else []), *manifests])
    before, after = (texts.get(name) for name in manifests or ("", ""))
    return texts.get(lock or ""), before, after


def _vendor_state(runner: Runner, repository: Repository) -> tuple[str | None, str]:
    composer = f"{repository.path}/vendor/composer"
    installed = runner.run(["cat", f"{composer}/installed.json"], user=repository.user, check=False)
    autoload = runner.run(["cat", *(f"{composer}/{name}" for name in AUTOLOAD)], user=repository.user, check=False)
    return (installed.stdout if installed.rc == 0 else None), autoload.stdout


def refuse_obstacles(repository: Repository, switch: Switch, *, local_changes: str) -> None:
    """Refuse what would lose work or stop a checkout half-way."""
    changed = switch.running.changed_files
    if changed and local_changes == "refuse":
        raise RollbackError(
            f"{repository.path} has local changes in {len(changed)} tracked files ({_listed(changed)}).",
            next_command="look at them, then run again with -e local_changes=save to keep them as a patch in the run's folder",
        )
    unsaveable = [*switch.running.unmerged_files, *(repository.untracked(changed) if changed else [])]
    if unsaveable:
        raise RollbackError(
            f"{repository.path} has local changes that a patch cannot hold: {_listed(unsaveable)} (unmerged, or removed from the index only).",
            next_command=f"sudo -u {repository.user} git -C {repository.path} status",
        )
    lock = repository.held_by()
    if lock:
        raise RollbackError(
            f"Another git process is at work in {repository.path}, or one was killed a moment ago: {lock} exists.",
            next_command=f"see that no git process runs there, then: sudo -u {repository.user} rm {lock}",
        )
    blocking = repository.in_the_way(switch.difference, switch.commit)
    if blocking:
        raise RollbackError(
            f"{switch.target} has files where {repository.path} holds others that git does not know: {_listed(blocking)}. "
            "The switch would overwrite them.",
            next_command="move them away, then run again",
        )


def _listed(names: t.Sequence[str]) -> str:
    """The first few of many names, safe to print."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


# The sequence behind the module git_version_switch


def run(runner: Runner, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Look, prepare, switch: as far as the state says."""
    repository = Repository(runner, options["path"], options["user"] or owner(options["path"]))
    if options["prepared"] and options["state"] != "resolved":
        return _as_planned(runner, repository, options, check_mode=check_mode)
    check_target(options["target"])
    running = repository.work_tree()
    commit = resolve(repository, options["target"], remote=options["remote"] or None)
    switch = survey(runner, repository, options["target"], commit, running)
    needed = switch.needed or bool(running.changed_files and options["local_changes"] == "save")
    if needed:
        refuse_obstacles(repository, switch, local_changes=options["local_changes"])
    result = describe(repository, switch)
    if options["state"] == "resolved" or not needed:
        return {**result, "changed": False}
    depot = Depot(runner, repository)
    moves = options["state"] == "switched"
    if check_mode:
        return {**result, "changed": moves or (switch.moves_dependencies and not depot.holds(commit))}
    if switch.moves_dependencies:
        result["dependencies"] = depot.prepare(result["switch"], _composer(runner, repository, options))
    if moves:
        result.update(switch_files(runner, repository, result["switch"], options))
    return {**result, "changed": moves or result.get("dependencies", KEPT) != KEPT}


def owner(path: str) -> str:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except (OSError, KeyError) as error:
        raise RollbackError(f"The owner of {path} cannot be found: {error}.") from error


def describe(repository: Repository, switch: Switch) -> dict[str, t.Any]:
    before = name_of(switch.running.commit, repository.tags())
    return {
        "switch": {
            "from_commit": switch.running.commit,
            "commit": switch.commit,
            "dependencies": switch.moves_dependencies,
            "install": bool(switch.unmet_packages),
        },
        "from_version": before,
        "commits": repository.commits_between(switch.commit, switch.running.commit),
        "files": len(switch.difference.files),
        "lock_files": list(switch.difference.lock_files),
        "packages": list(switch.unmet_packages),
        "migrations": switch.target_migrations,
        "config_keys": config_keys(repository, switch),
        "diff": {"before": f"{before}\n", "after": f"{switch.target if switch.needed else before}\n"},
    }


def config_keys(repository: Code, switch: Switch) -> dict[str, list[str]]:
    if ".env.example" not in switch.difference.files:
        return {"running": [], "target": []}
    wanted = [f"{commit}:.env.example" for commit in (switch.running.commit, switch.commit)]
    texts = repository.contents(wanted)
    running, target = (set(_KEY.findall(texts.get(expression, ""))) for expression in wanted)
    return {"running": sorted(running - target), "target": sorted(target - running)}


def _composer(runner: Runner, repository: Repository, options: t.Mapping[str, t.Any]) -> Composer:
    return Composer(
        runner,
        repository.user,
        program=options["composer"],
        cache_directory=options["composer_cache_directory"],
        network=options["composer_network"],
        timeout=options["composer_timeout"],
    )


def _as_planned(runner: Runner, repository: Repository, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Prepare or switch without looking at everything again."""
    switch = options["prepared"]
    if not all(looks_like_commit(switch[name]) for name in ("from_commit", "commit")):
        raise RollbackError("What was prepared does not name commits.", facts={"code_unchanged": True})
    running = repository.work_tree()
    if running.commit not in (switch["from_commit"], switch["commit"]):
        raise RollbackError(
            f"{repository.path} is at {running.commit[:12]} now; the switch was planned from {switch['from_commit'][:12]}.",
            next_command="run the rollback again",
        )
    if options["state"] == "prepared":
        return _prepare_as_planned(runner, repository, options, check_mode=check_mode)
    needed = running.commit != switch["commit"] or switch["dependencies"]
    result: dict[str, t.Any] = {"switch": dict(switch), "changed": needed}
    if needed and running.changed_files and options["local_changes"] == "refuse":
        raise RollbackError(f"{repository.path} has local changes now: {_listed(running.changed_files)}.", facts={"code_unchanged": True})
    if needed and not check_mode:
        result.update(switch_files(runner, repository, switch, options, running))
    return result


def _prepare_as_planned(runner: Runner, repository: Repository, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    switch = options["prepared"]
    result: dict[str, t.Any] = {"switch": dict(switch), "changed": False}
    depot = Depot(runner, repository)
    if not switch["dependencies"]:
        return result
    if check_mode:
        return {**result, "changed": not depot.holds(switch["commit"])}
    how = depot.prepare(switch, _composer(runner, repository, options))
    return {**result, "dependencies": how, "changed": how != KEPT}
