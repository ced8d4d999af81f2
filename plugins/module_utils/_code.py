# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Where the versions of an application are, whatever its layout: what the rest of the collection asks about them.

from __future__ import annotations

import typing as t

from ._git import Repository

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._git import Difference, WorkTree


class Code(t.Protocol):
    """Versions that can run on this host, each named by its commit; a release folder that does not say its commit by its own name."""

    path: str
    home: str  # where the versions lie
    user: str

    def work_tree(self) -> WorkTree: ...

    def tags(self) -> dict[str, str]: ...

    def resolve(self, name: str) -> str | None: ...

    def contents(self, expressions: t.Sequence[str]) -> dict[str, str]: ...

    def difference(self, running: str, target: str) -> Difference: ...


def code_of(runner: Runner, application: t.Mapping[str, t.Any]) -> Code:
    if application["layout"] == "releases":
        from ._releases import Releases  # only where it is used: an emergency does not wait for it

        return Releases(runner, application["path"], application["user"])
    return Repository(runner, application["path"], application["user"])
