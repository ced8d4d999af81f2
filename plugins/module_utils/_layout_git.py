# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A plan for an application that lies in a git checkout.

from __future__ import annotations

import typing as t

from . import _checkout
from ._git import Repository
from ._versions import Choice, choose_previous

if t.TYPE_CHECKING:
    from ._checkout import Switch
    from ._command import Runner
    from ._git import WorkTree
    from ._ledger import Ledger


class Checkout:
    """A git checkout."""

    programs: tuple[str, ...] = ("git",)

    def __init__(self, runner: Runner, application: t.Mapping[str, t.Any]) -> None:
        self._runner = runner
        self._application = application
        self.code = Repository(runner, application["path"], application["user"])

    @property
    def list_command(self) -> str:
        return f"sudo -u {self.code.user} git -C {self.code.path} tag --list --sort=-version:refname"

    def resolve(self, target: str) -> str:
        return _checkout.resolve(self.code, target, remote=self._application["releases"]["remote"] or None)

    def survey(self, target: str, commit: str, running: WorkTree) -> Switch:
        return _checkout.survey(self._runner, self.code, target, commit, running)

    def refuse_obstacles(self, switch: Switch, local_changes: str, recorded: t.Mapping[str, str], *, closes: bool) -> None:
        _checkout.refuse_obstacles(self.code, switch, local_changes=local_changes)

    def environment_file(self, _commit: str) -> str:
        return str(self._application["environment_file"])

    def describe(self, switch: Switch) -> dict[str, t.Any]:
        return _checkout.describe(self.code, switch)

    def previous(self, ledger: Ledger, running: WorkTree) -> Choice:
        """Where nobody ever said which version was good: the release before, unless it is known to be bad."""
        tags = self.code.tags(merged_into=running.commit)
        bad = sorted(tag for tag, commit in tags.items() if commit != running.commit and ledger.known_bad(commit))
        pattern = self._application["releases"]["pattern"]
        choice = choose_previous({tag: commit for tag, commit in tags.items() if tag not in bad}, running.commit, pattern)
        return Choice(choice.target, f"{choice.reason}; the ledger calls {', '.join(bad)} bad") if bad else choice
