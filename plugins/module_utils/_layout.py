# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What a plan has to know about the way an application lies on a host; everything else is the same for all of them.

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ._checkout import Switch
    from ._code import Code
    from ._command import Runner
    from ._git import WorkTree
    from ._ledger import Ledger
    from ._versions import Choice


class Layout(t.Protocol):
    """How a target is found, compared and checked."""

    programs: tuple[str, ...]

    @property
    def code(self) -> Code: ...

    @property
    def list_command(self) -> str: ...

    def resolve(self, target: str) -> str: ...

    def survey(self, target: str, commit: str, running: WorkTree) -> Switch: ...

    def refuse_obstacles(self, switch: Switch, local_changes: str, recorded: t.Mapping[str, str], *, closes: bool) -> None: ...

    def environment_file(self, commit: str) -> str: ...

    def describe(self, switch: Switch) -> dict[str, t.Any]: ...

    def previous(self, ledger: Ledger, running: WorkTree) -> Choice: ...


def layout_of(runner: Runner, application: t.Mapping[str, t.Any]) -> Layout:
    """Only what is needed is loaded: an emergency does not wait for the other."""
    if application["layout"] == "releases":
        from ._layout_releases import Folders

        return Folders(runner, application)
    from ._layout_git import Checkout

    return Checkout(runner, application)
