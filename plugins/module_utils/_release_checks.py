# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Whether a release is whole, so that users can be sent to it.

from __future__ import annotations

import re
import typing as t

from ._composer import LOCK_FILE, unmet
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._releases import Release, Releases

_ENTRIES = ("artisan", "public/index.php", "package.json", "composer.json")  # one without them, beside one with them, was not completed
_INSTALLED = "vendor/composer/installed.json"
_PLATFORM = "vendor/composer/platform_check.php"
_NODE = ("package-lock.json", "yarn.lock", "pnpm-lock.yaml")
_SETTINGS = ".env"
_SHOWN = 5


def refuse_broken(
    runner: Runner, releases: Releases, target: Release, running: Release, php: str, recorded: t.Mapping[str, str] | None = None
) -> list[str]:
    """Refuse a release that could not serve users, with everything that is wrong with it; recorded are checksums of its lock files."""
    if target.missing:
        raise RollbackError(f"The release {target.id} is not in {releases.folder} any more.")
    checks: dict[str, t.Callable[[], list[str]]] = {
        "finished": lambda: [target.unfinished] if target.unfinished else [],
        "complete": lambda: _incomplete(releases, target, running),
        "packages": lambda: _packages(releases, target),
        "lock files": lambda: _otherwise(releases, target, recorded or {}),
        "shared links": lambda: _links(releases, target, running),
        "php version": lambda: _platform(runner, releases, target, php),
        "owner": lambda: _owner(runner, releases, target, running),
    }
    found = {name: check() for name, check in checks.items()}
    problems = [problem for each in found.values() for problem in each]
    if problems:
        raise RollbackError(
            f"The release {target.called} cannot be switched to: {'; '.join(problems)}.",
            next_command=f"sudo -u {releases.user} ls -la {target.path}, or give another release: "
            f"sudo -u {releases.user} ls {releases.folder}",
        )
    return list(found)


def _incomplete(releases: Releases, target: Release, running: Release) -> list[str]:
    there, here = releases.files(target), releases.files(running)
    if not there:
        return [f"{target.path} holds no files"]
    missing = [name for name in _ENTRIES if name in here and name not in there]
    return [f"{', '.join(missing)} is missing"] if missing else []


def _packages(releases: Releases, target: Release) -> list[str]:
    """Whether the packages are those of its lock file."""
    files = releases.files(target)
    if LOCK_FILE in files:
        lock, installed = (releases.ask("cat", "--", f"{target.path}/{name}") for name in (LOCK_FILE, _INSTALLED))
        if not installed:
            return ["its Composer packages are not installed (vendor is incomplete)"]
        lacking = unmet(lock, installed)
        if lacking:
            return [f"its packages are not those of its composer.lock: {_listed(lacking)}"]
    elif any(name in files for name in _NODE) and not releases.ask("ls", "--almost-all", "--", f"{target.path}/node_modules"):
        return ["its Node packages are not installed (node_modules is empty)"]
    return []


def _otherwise(releases: Releases, target: Release, recorded: t.Mapping[str, str]) -> list[str]:
    files = releases.files(target)
    changed = sorted(name for name, checksum in recorded.items() if files.get(name) != checksum)
    return [f"{_listed(changed)} is not what it was when the version was recorded"] if changed else []


def _links(releases: Releases, target: Release, running: Release) -> list[str]:
    """What is shared by all releases has to be reached from this one too."""
    mine = releases.links(target)
    others = releases.links(running)
    broken = sorted(name for name, (_place, kind) in mine.items() if kind in "NL?")
    problems = [f"its link {name} leads to {mine[name][0]}, which is not there" for name in broken]
    shared = {name: place for name, (place, _kind) in others.items() if not place.startswith(f"{releases.folder}/")}
    for name, place in sorted(shared.items()):
        if name not in mine and (
            name == _SETTINGS or name not in releases.files(target)
        ):  # a file may have been its own before it was shared
            problems.append(f"{name} is no link to {place} as in the release that runs")
        elif name in mine and name not in broken and mine[name][0] != place:
            problems.append(f"its link {name} leads to {mine[name][0]}, that of the release that runs to {place}")
    return problems


def _platform(runner: Runner, releases: Releases, target: Release, php: str) -> list[str]:
    """Composer writes what PHP the packages need into a program of its own."""
    script = f"{target.path}/{_PLATFORM}"
    if runner.run(["test", "-f", script], user=releases.user, check=False).rc:
        return []
    done = runner.run([php, "-d", "display_errors=stderr", "-d", "log_errors=0", script], user=releases.user, check=False, timeout=20)
    if done.rc == 0:
        return []
    said = re.findall(r"(?:require[sd]?|missing)[^\n]*", f"{done.stderr}\n{done.stdout}")
    return [f"its packages cannot run on this PHP: {_listed(said) or done.output}"]


def _owner(runner: Runner, releases: Releases, target: Release, running: Release) -> list[str]:
    """Files of another owner than the release that runs has, and caches that cannot be written."""
    problems = []
    owners = releases.ask("stat", "--dereference", "--format=%U", "--", target.path, *([] if running.missing else [running.path])).split()
    if len(set(owners)) > 1:
        problems.append(f"it belongs to {owners[0]}, the release that runs to {owners[1]}")
    cache = f"{target.path}/bootstrap/cache"
    if runner.run(["test", "!", "-e", cache, "-o", "-w", cache], user=releases.user, check=False).rc:
        problems.append(f"{releases.user} cannot write {cache}")
    if runner.run(["test", "-w", releases.deploy_path], user=releases.user, check=False).rc:
        problems.append(f"{releases.user} cannot write {releases.deploy_path}, where the link is")
    return problems


def _listed(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
