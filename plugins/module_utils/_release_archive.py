# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Makes a release of an archive or of a folder, beside those that are there; it gets its name when it is whole.

from __future__ import annotations

import os
import re
import typing as t

from ._errors import RollbackError
from ._release_checks import refuse_broken
from ._releases import Release

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._releases import Releases

SOURCE = ".lastgood-source"  # what a release was made of
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CACHED = [f"bootstrap/cache/{name}.php" for name in ("config", "routes-v7", "events")]  # they name the folder that they were made in
_TIMEOUT = 600


def make(
    runner: Runner, releases: Releases, running: Release, options: t.Mapping[str, t.Any], *, check_mode: bool
) -> tuple[Release, list[str], bool]:
    """The release made of options.archive under the name options.target, what was checked, and whether it was not there before."""
    name, archive = options["target"], options["archive"]
    if not _NAME.fullmatch(name):
        raise RollbackError(f"{name!r} cannot be the name of a release: only letters, digits and . _ - are allowed.")
    source = _source(releases, archive, options["checksum"])
    known = releases.all().get(name)
    if known is not None:
        if releases.ask("cat", "--", f"{known.path}/{SOURCE}").strip() != source:
            raise RollbackError(
                f"There is a release {name} already, and it was not made of {archive} as it is now.",
                next_command="run again with another name: the option target",
            )
        return known, refuse_broken(runner, releases, known, running, options["php"], options["lock_files"]), False
    if check_mode:
        return Release(name, f"{releases.folder}/{name}"), [], True
    partial = f"{releases.folder}/.{name}.partial"
    try:
        _unpack(runner, releases, archive, partial)
        _share(runner, releases, running, partial)
        _lead_inside(runner, releases, running, partial)
        runner.run(["rm", "--force", "--", *(f"{partial}/{name}" for name in _CACHED)], user=releases.user)
        runner.run(["tee", "--", f"{partial}/{SOURCE}"], user=releases.user, stdin=f"{source}\n")
        checks = refuse_broken(runner, releases, Release(name, partial), running, options["php"], options["lock_files"])
        runner.run(["mv", "--no-clobber", "--no-target-directory", "--", partial, f"{releases.folder}/{name}"], user=releases.user)
    except RollbackError as error:
        runner.run(["rm", "--recursive", "--force", "--", partial], user=releases.user, check=False, timeout=_TIMEOUT)
        error.state = "Nothing was changed."
        error.next_command = f"see what is in {archive}"
        raise
    releases.forget()
    made = releases.all().get(name)
    if made is None:
        raise RollbackError(f"{releases.folder}/{name} was made and is not there.")
    return made, checks, True


def _source(releases: Releases, archive: str, wanted: str | None) -> str:
    """What tells this archive from every other one; its checksum has to be the wanted one."""
    kind = releases.ask("stat", "--dereference", "--format=%F", "--", archive).strip()
    if kind == "directory":
        if wanted:
            raise RollbackError(f"{archive} is a folder: a checksum can only be given for an archive.")
        return f"folder {archive}"
    if kind not in ("regular file", "regular empty file"):
        raise RollbackError(f"The archive {archive} is not there, or {releases.user} cannot read it.")
    found = releases.ask("sha256sum", "--", archive).split(" ")[0].lstrip("\\")
    if not found:
        raise RollbackError(f"The archive {archive} cannot be read by {releases.user}.")
    if wanted and found != wanted.lower():
        raise RollbackError(f"{archive} is not what it should be: its SHA-256 is {found}, not {wanted}.", next_command="fetch it again")
    return f"sha256 {found}"


def _unpack(runner: Runner, releases: Releases, archive: str, partial: str) -> None:
    """The files, without the one folder that many archives put around them."""

    def run(*argv: str) -> None:
        runner.run(argv, user=releases.user, timeout=_TIMEOUT)

    run("rm", "--recursive", "--force", "--", partial)
    if releases.ask("stat", "--dereference", "--format=%F", "--", archive).strip() == "directory":
        run("cp", "--recursive", "--no-dereference", "--preserve=mode,timestamps,links", "--", f"{archive.rstrip('/')}/.", partial)
        return
    run("mkdir", "--", partial)
    run("tar", "--extract", "--no-same-owner", "--force-local", f"--directory={partial}", f"--file={archive}")
    inside = releases.ask("find", partial, "-mindepth", "1", "-maxdepth", "1", "-printf", "%y %f\\n").splitlines()
    if len(inside) == 1 and inside[0].startswith("d "):
        around = f"{partial}/{inside[0][2:]}"
        run("mv", "--no-target-directory", "--", around, f"{partial}.inner")
        run("rmdir", "--", partial)
        run("mv", "--no-target-directory", "--", f"{partial}.inner", partial)


def _share(runner: Runner, releases: Releases, running: Release, partial: str) -> None:
    """What the running release shares with others is shared by this one too, whatever the archive holds in its place."""
    shared = {name: place for name, (place, _kind) in releases.links(running).items() if not place.startswith(f"{releases.folder}/")}
    for name, place in shared.items():
        if not _its_own(releases, partial, name):
            raise RollbackError(
                f"It has {os.path.dirname(name)} as a link, in which the release that runs shares {name} with others at {place}."
            )
    for name, place in shared.items():
        where = f"{partial}/{name}"
        folder = os.path.dirname(where)
        runner.run(["rm", "--recursive", "--force", "--", where], user=releases.user, timeout=_TIMEOUT)
        runner.run(["mkdir", "--parents", "--", folder], user=releases.user)
        runner.run(["ln", "--symbolic", "--", os.path.relpath(place, folder), where], user=releases.user)


def _lead_inside(runner: Runner, releases: Releases, running: Release, partial: str) -> None:
    """Links such as public/storage, which Laravel makes with the whole path, lead into this release and not into the one that they were made for."""
    for name, (place, _kind) in {**releases.links(running), **releases.links(Release("", partial))}.items():
        if not place.startswith(f"{releases.folder}/") or place.startswith(f"{partial}/"):
            continue
        _release, _slash, rest = place[len(releases.folder) + 1 :].partition("/")
        if rest and _its_own(releases, partial, name) and releases.ask("readlink", "--canonicalize-existing", "--", f"{partial}/{rest}"):
            goal = os.path.relpath(f"{partial}/{rest}", os.path.dirname(f"{partial}/{name}"))
            runner.run(["ln", "--symbolic", "--force", "--no-dereference", "--", goal, f"{partial}/{name}"], user=releases.user)


def _its_own(releases: Releases, partial: str, name: str) -> bool:
    """Whether what has this name lies in the release itself: by way of a link it would be something that is shared, and in use."""
    folder = os.path.dirname(f"{partial}/{name}")
    places = releases.ask("readlink", "--canonicalize-missing", "--", partial, folder).splitlines()
    return len(places) == 2 and places[1] == os.path.normpath(f"{places[0]}/{os.path.dirname(name)}")
