# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from ._composer import LOCK_FILE, unmet
from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._composer import Composer
    from ._git import Repository

_KEPT = 3

KEPT = "kept from before"


class Depot:
    """Dependency trees built beside the live one, inside the git directory: same disk, never served."""

    def __init__(self, runner: Runner, repository: Repository) -> None:
        self._runner = runner
        self._repository = repository
        self._root = f"{repository.git_directory()}/lastgood"
        self._live = f"{repository.path}/vendor"

    def prepared(self, commit: str) -> str:
        return f"{self._root}/{commit}/vendor"

    def holds(self, commit: str) -> bool:
        """Whether a tree that fits the target's lock file is there already."""
        lock = f"{commit}:{LOCK_FILE}"
        found = self._as_owner(["cat", f"{self.prepared(commit)}/composer/installed.json"], check=False)
        return found.rc == 0 and not unmet(self._repository.contents([lock]).get(lock), found.stdout)

    def require(self, commit: str) -> None:
        """Refuse to begin a swap whose new side is not there."""
        if not self._repository.exists(f"{self.prepared(commit)}/composer/installed.json"):
            raise RollbackError(
                f"The dependencies of {commit[:12]} are not prepared in {self._root}.", next_command="run the rollback again"
            )

    def prepare(self, switch: t.Mapping[str, t.Any], composer: Composer) -> str:
        """Build the target's dependencies beside the live ones; say how."""
        commit = switch["commit"]
        if self.holds(commit):
            return KEPT
        tree = f"{self._root}/{commit}.building"
        self._as_owner(["rm", "-rf", "--", tree, f"{self._root}/{commit}"])
        self._as_owner(["mkdir", "-p", "-m", "0750", "--", tree])
        try:
            self._repository.export(commit, tree, f"{tree}.index")
            how = self._fill(composer, tree, install=switch["install"])
            self._as_owner(["mv", "-T", "--", tree, f"{self._root}/{commit}"])
        finally:
            self._as_owner(["rm", "-rf", "--", tree, f"{tree}.index"])
        if not self.holds(commit):
            raise RollbackError(f"The dependencies built for {commit[:12]} do not match its {LOCK_FILE}.")
        self._forget_old({commit, switch["from_commit"]})
        return how

    def _fill(self, composer: Composer, tree: str, *, install: bool) -> str:
        if install:
            return composer.install(tree)
        self._as_owner(["cp", "-a", "--", self._live, f"{tree}/vendor"])
        composer.dump_autoload(tree)
        return "copied, class map rebuilt"

    def _forget_old(self, spared: t.Container[str]) -> None:
        listed = self._as_owner(["ls", "-1t", "--", self._root]).stdout.split()
        for name in [name for name in listed if name not in spared][_KEPT:]:
            self._as_owner(["rm", "-rf", "--", f"{self._root}/{name}"])

    def swap(self, running: str, target: str) -> None:
        """Put the prepared dependencies in place and keep the replaced ones for the way back."""
        kept = f"{self._root}/{running if running != target else 'replaced'}"
        replaces = self._repository.exists(self._live)
        if replaces:
            self._as_owner(["mkdir", "-p", "-m", "0750", "--", kept])
            self._as_owner(["rm", "-rf", "--", f"{kept}/vendor"])
            self._as_owner(["mv", "-T", "--", self._live, f"{kept}/vendor"])
        try:
            self._as_owner(["mv", "-T", "--", self.prepared(target), self._live])
        except CommandError:
            if replaces:
                self._as_owner(["mv", "-T", "--", f"{kept}/vendor", self._live], check=False)
            raise

    def _as_owner(self, argv: t.Sequence[str], *, check: bool = True) -> t.Any:
        return self._runner.run(argv, user=self._repository.user, check=check, timeout=300)
