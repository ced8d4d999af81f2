# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Whether the caches of an application are newer than all that they are made from. The time at which a file was changed (mtime) can be
# set, by an archive for example; the time at which the system noted a change (ctime) cannot, so sources are judged by that.

from __future__ import annotations

import typing as t

from ._releases import MARKS

if t.TYPE_CHECKING:
    from ._artisan import Application
    from ._command import Runner

_FILES = {
    "config": ("config.php",),
    "route": ("routes-v7.php",),
    "event": ("events.php",),
    "packages": ("packages.php", "services.php"),
}
_PLACES = r"^[[:space:]]*APP_(CONFIG|ROUTES|EVENTS|PACKAGES|SERVICES)_CACHE[[:space:]]*="
_NO_SOURCES = ("storage", "public", "node_modules", "bootstrap/cache", "vendor", ".git")


def current(runner: Runner, app: Application, caches: t.Collection[str]) -> bool:
    """False, too, where something cannot be seen, where caches lie elsewhere, or were made at another place than where they are."""

    def ask(*argv: str) -> tuple[int, str]:
        done = runner.run(argv, user=app.user, check=False, timeout=60)
        return done.rc, done.stdout

    files = [f"{app.path}/bootstrap/cache/{name}" for cache in caches for name in _FILES.get(cache, ())]
    if "config" not in caches or ask("grep", "-qsE", _PLACES, f"{app.path}/.env")[0] != 1:
        return False
    rc, listed = ask("find", *files, "-maxdepth", "0", "-type", "f", "-printf", "%T@ %p\\n")
    if rc != 0 or len(listed.splitlines()) != len(files):
        return False
    oldest = min(listed.splitlines(), key=lambda line: float(line.partition(" ")[0])).partition(" ")[2]
    return ask(*_newer(app.path, oldest)) == (0, "") and _made_here(ask, app.path)


def _newer(path: str, cache: str) -> list[str]:
    """What asks for one source that was changed after a cache was made. Links are followed, since releases share their settings."""
    pruned = [word for name in _NO_SOURCES for word in ("-o", "-path", f"{path}/{name}")][1:]
    marks = [word for name in MARKS for word in ("!", "-path", f"{path}/{name}")]
    places = [path, f"{path}/vendor/composer"]
    changed = [*marks, "(", "-type", "f", "-o", "-type", "d", ")", "-newercm", cache, "-print", "-quit"]
    return ["find", "-L", *places, "-mindepth", "1", "(", *pruned, ")", "-prune", "-o", *changed]


Ask = t.Callable[..., tuple[int, str]]


def _made_here(ask: Ask, path: str) -> bool:
    """A folder that was moved keeps the times of its files, and its cached configuration names the places from before.

    With relative_hash a template that another release compiled would be taken for this one's.
    """
    config = f"{path}/bootstrap/cache/config.php"
    return ask("grep", "-qF", f"'{path}/", config)[0] == 0 and ask("grep", "-qE", "'relative_hash' => true", config)[0] == 1
