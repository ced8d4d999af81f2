# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._git import Difference

LOCK_FILE = "composer.lock"
MANIFEST = "composer.json"
AUTOLOAD = ("autoload_classmap.php", "autoload_files.php", "autoload_real.php")
_INSTALL = ["install", "--no-dev", "--prefer-dist", "--no-scripts", "--no-interaction", "--no-progress", "--no-ansi"]
_SEALED = "setClassMapAuthoritative(true)"  # classes that the map lacks are not looked for
_NOT_CLASSES = ("bootstrap/", "config/", "lang/", "public/", "resources/", "routes/", "storage/", "tests/")
_DUMP = ["dump-autoload", "--no-dev", "--no-scripts", "--no-interaction", "--no-ansi"]


@dataclass(frozen=True)
class Composer:
    """How Composer is run: as the owner of the checkout, without the application's scripts."""

    runner: Runner
    user: str
    program: str = "composer"
    cache_directory: str | None = None
    network: bool = True
    timeout: float = 600

    def install(self, tree: str) -> str:
        """Install the locked packages of a tree; say whether the network was needed."""
        try:
            self._run(tree, _INSTALL, offline=True)
            return "installed offline"
        except CommandError as error:
            if not self.network:
                raise _unsatisfied(error) from error
        try:
            self._run(tree, _INSTALL, offline=False)
        except CommandError as error:
            raise _unsatisfied(error) from error
        return "installed"

    def dump_autoload(self, tree: str) -> None:
        try:
            self._run(tree, _DUMP, offline=True)
        except CommandError as error:
            raise _unsatisfied(error) from error

    def _run(self, tree: str, arguments: t.Sequence[str], *, offline: bool) -> None:
        environment = {"COMPOSER_NO_AUDIT": "1", "COMPOSER_HOME": f"{tree}/.composer", "COLUMNS": "240"}  # else it breaks words in errors
        if self.cache_directory:
            environment["COMPOSER_CACHE_DIR"] = self.cache_directory
        if offline:
            environment["COMPOSER_DISABLE_NETWORK"] = "1"
        self.runner.run(
            [self.program, *arguments, "--optimize-autoloader" if arguments is _INSTALL else "--optimize", f"--working-dir={tree}"],
            user=self.user,
            environment=environment,
            timeout=self.timeout,
        )


def _unsatisfied(error: CommandError) -> RollbackError:
    return RollbackError(f"The dependencies of the target could not be installed beside the live ones: {error.message}")


def unmet(lock_text: str | None, installed_text: str | None) -> list[str]:
    """What of a composer.lock the installed packages do not satisfy; empty when nothing has to be installed."""
    if lock_text is None:
        return []
    try:
        lock = json.loads(lock_text)
        wanted, for_development = _packages(lock["packages"]), _packages(lock.get("packages-dev"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RollbackError(f"The {LOCK_FILE} of the target cannot be read: {type(error).__name__}: {error}.") from error
    known = {*wanted, *for_development}
    try:
        installed = json.loads(installed_text or "{}")
        held = _packages(installed if isinstance(installed, list) else installed.get("packages"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ["vendor/composer/installed.json cannot be read"]
    missing = [f"{name} {version[0]}" for name, version in sorted(wanted.items()) if held.get(name) != version]
    surplus = [f"{name} (not in the target)" for name in sorted(held) if name not in known]
    return missing + surplus


def versions(text: str | None) -> dict[str, tuple[str, str]]:
    """Version and reference of each package of a composer.lock, or of an installed.json, without those for development only."""
    try:
        found = json.loads(text or "{}")
        if isinstance(found, list):
            return _packages(found)
        spared = set(found.get("dev-package-names") or ())
        return {name: version for name, version in _packages(found.get("packages")).items() if name not in spared}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RollbackError(f"The packages cannot be read: {type(error).__name__}: {error}.") from error


def _packages(entries: t.Iterable[t.Mapping[str, t.Any]] | None) -> dict[str, tuple[str, str]]:
    found = {}
    for entry in entries or ():
        reference = (entry.get("dist") or entry.get("source") or {}).get("reference")
        found[entry["name"]] = (entry["version"], str(reference))
    return found


def stale_autoload(autoload: str, difference: Difference, manifests: tuple[str | None, str | None]) -> list[str]:
    """Why the autoloader of the live packages would not fit the target's own classes; empty when it does.

    autoload is the text of the files AUTOLOAD; manifests are composer.json as it is and as the target has it.
    """
    if not autoload:
        return []
    stale = [name for name in difference.deleted if name.endswith(".php") and f"'/{name}'" in autoload]
    if _SEALED in autoload:
        stale += [name for name in difference.added if name.endswith(".php") and not name.startswith(_NOT_CLASSES)]
    if _rules(manifests[0]) != _rules(manifests[1]):
        stale.append(f"{MANIFEST} loads other files")
    return stale


def _rules(manifest: str | None) -> t.Any:
    """What of a composer.json the autoloader is made from."""
    try:
        found = json.loads(manifest or "{}")
        return found.get("autoload"), (found.get("config") or {}).get("classmap-authoritative")
    except (ValueError, AttributeError):
        return manifest
