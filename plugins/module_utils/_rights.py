# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Whether sudo lets the user of the connection do what a run will need, found out before anything is touched.

from __future__ import annotations

import re
import typing as t

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner

_EVERYTHING = re.compile(r"^\s*\((?:ALL|root)\b[^)]*\)\s+(?:[A-Z_]+:\s*)*NOPASSWD:\s*(?:[A-Z_]+:\s*)*ALL\s*$", re.MULTILINE)


def require(runner: Runner, commands: t.Sequence[str]) -> None:
    """Refuse when one of these commands, written as sudoers does, may not be run as root."""
    if runner.me == "root" or not commands:
        return
    listed = runner.run(["sudo", "-n", "-l"], check=False, timeout=15)
    if listed.rc != 0:
        raise RollbackError(f"{runner.me} may not use sudo without a password: {listed.output}.")
    if _EVERYTHING.search(listed.stdout):
        return
    allowed = " ".join(listed.stdout.split())
    missing = [command for command in commands if not re.search(rf"{re.escape(command)}(,|$| \()", allowed)]
    if missing:
        raise RollbackError(
            f"sudoers does not let {runner.me} run: {'; '.join(missing)}.",
            next_command="compare /etc/sudoers.d with docs/sudoers.md",
        )
