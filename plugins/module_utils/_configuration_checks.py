# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Whether the programs that read a configuration accept it: nginx, PHP-FPM, systemd.

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError
from ._probes_units import full_name

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

NGINX = "nginx.service"
_UNIT_FOLDER = "/etc/systemd/system/"
_NGINX_FOLDER = "/etc/nginx/"
_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ")


@dataclass(frozen=True)
class Check:
    """A program that is asked about the files that it reads."""

    name: str
    argv: tuple[str, ...]
    user: str | None
    files: tuple[str, ...]  # the real paths that it is asked about
    unit: str = ""

    def refuses(self, done: Completed) -> bool:
        """Of units systemd-analyze says what is wrong with those that they need, too."""
        return done.rc != 0 and (not self.unit or self.unit in done.output or done.rc != 1)


def checks_for(runner: Runner, reload: t.Sequence[str], files: t.Sequence[str]) -> list[Check]:
    """Who has to accept these files; of those that nobody named here reads it is not known."""
    found = _nginx(runner, [path for path in files if path.startswith(_NGINX_FOLDER)])
    units = [path for path in files if path.startswith(_UNIT_FOLDER)]
    found += [_unit(name, [path for path in units if _unit_of(path) == name]) for name in dict.fromkeys(map(_unit_of, units))]
    others = [path for path in files if not path.startswith((_NGINX_FOLDER, _UNIT_FOLDER))]
    return found + (_php(runner, reload, others) if others else [])


def _nginx(runner: Runner, files: t.Sequence[str]) -> list[Check]:
    return [Check("nginx", (_program(runner, "nginx"), "-t", "-q"), "root", tuple(files))] if files else []


def _program(runner: Runner, name: str) -> str:
    """Where a program really lies, since that is what sudoers lists."""
    folder, base = os.path.split(runner.path(name))
    return os.path.join(os.path.realpath(folder), base)


def _unit_of(path: str) -> str:
    folder = os.path.basename(os.path.dirname(path))
    return folder[:-2] if folder.endswith(".d") else os.path.basename(path)


def _unit(name: str, files: t.Sequence[str]) -> Check:
    return Check(f"systemd ({name})", ("systemd-analyze", "verify", "--man=no", name), None, tuple(files), name)


def _php(runner: Runner, reload: t.Sequence[str], files: t.Sequence[str]) -> list[Check]:
    """The PHP-FPM of the profile whose folder the files are in, asked with the configuration that its unit gives it."""
    found = []
    for unit in reload:
        shown = runner.run(["systemctl", "show", "--property=ExecStart", "--", full_name(unit)], timeout=20).stdout
        words = (_ARGUMENTS.findall(shown) or [""])[-1].split()
        if not words or "fpm" not in os.path.basename(words[0]) or "--fpm-config" not in words[:-1]:
            continue
        main = words[words.index("--fpm-config") + 1]
        mine = [path for path in files if path.startswith(f"{os.path.dirname(main)}/")]
        if mine:
            found.append(Check("PHP-FPM", (words[0], "--test", "--fpm-config", main), "root", tuple(mine)))
    return found


def ask(runner: Runner, check: Check, hide: t.Callable[[str], str]) -> dict[str, t.Any]:
    """Have a program look at its configuration; hide takes secrets out of what it says."""
    done = runner.run(check.argv, user=check.user, check=False, timeout=60)
    said = hide(done.output)
    if check.refuses(done):
        raise RollbackError(f"{check.name} refuses the configuration: {said or f'status {done.rc}'}.")
    return {"by": check.name, "files": list(check.files), "said": said}
