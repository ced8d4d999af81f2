# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A tree with releases/<id>/, shared/ and a link to the release that runs, as Deployer, Capistrano and Ansistrano make it.
# When a folder was changed says nothing about when it ran: that is never asked.

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass, replace

from ._discovery import CAPISTRANO
from ._errors import RollbackError
from ._git import Difference, WorkTree
from ._versions import check_target, looks_like_commit

if t.TYPE_CHECKING:
    from ._command import Runner

BAD = "BAD_RELEASE"  # Deployer's own word for a release that nobody should go back to
_UNFINISHED = "DEPLOY_UNFINISHED"
_REVISIONS = ("REVISION", ".revision")
_VERSION = "VERSION"
_NOT_CODE = ("vendor", "node_modules", "storage", ".git", "bootstrap/cache")
MARKS = (BAD, ".lastgood-source")  # which a release gets at any time; nothing in it reads them
Link = tuple[str, str]  # what it leads to, and the kind of that
OWN_FILES = (*_REVISIONS, _VERSION, _UNFINISHED, *MARKS)  # by which releases are known


@dataclass(frozen=True)
class Release:
    """A folder of releases/."""

    id: str
    path: str
    commit: str | None = None
    version: str | None = None
    place: int | None = None  # among the others, by when it was deployed; None where nothing tells
    unfinished: str | None = None
    bad: bool = False
    missing: bool = False
    again: bool = False  # whether its commit was deployed once more, later

    @property
    def identity(self) -> str:
        """What it is told apart by: its commit, as long as no other release has the same."""
        return f"{self.commit}+{self.id}" if self.commit and self.again else self.commit or self.id

    @property
    def called(self) -> str:
        more = self.version or (self.commit or "")[:12]
        return f"{self.id} ({more})" if more else self.id


class Releases:
    """The releases of an application, looked at as their owner; path is the link to the one that runs."""

    def __init__(self, runner: Runner, path: str, user: str) -> None:
        self._runner = runner
        self._found: dict[str, Release] | None = None
        self._link: str | None = None
        self.begun = ""  # what Deployer's link to a release that is being deployed leads to
        self._files: dict[str, dict[str, str]] = {}
        self._links: dict[str, dict[str, Link]] = {}
        self.path = os.path.normpath(path)
        self.user = user
        self.deploy_path = os.path.dirname(self.path)
        self.folder = self.home = f"{self.deploy_path}/releases"

    def ask(self, *argv: str) -> str:
        """What a program prints that only looks; nothing when it cannot."""
        return self._runner.run(argv, user=self.user, check=False, timeout=60).stdout

    # What runs

    def link(self) -> str:
        """What the link says; a folder in its place, or none, is refused."""
        if self._link is None:
            self._link = self.ask("find", self.path, "-maxdepth", "0", "-printf", "%y%l")
        kind, text = self._link[:1], self._link[1:]
        if kind == "l":
            return text
        if kind:
            raise RollbackError(
                f"{self.path} is a {'directory' if kind == 'd' else 'file'}, no link to a release: it cannot be switched in one moment.",
                next_command=f"move it below {self.folder}, then: sudo -u {self.user} ln -s releases/<name> {self.path}",
            )
        raise RollbackError(
            f"{self.path} does not exist, or {self.user} cannot see it.",
            next_command=f"sudo -u {self.user} ln -s releases/<name> {self.path}, with the release that ran",
        )

    def running(self) -> Release:
        """The release that the link leads to; one that is not there any more has nothing but its name."""
        text = self.link()
        place = os.path.normpath(os.path.join(self.deploy_path, text))
        known = self.all()
        name = os.path.basename(place)
        if os.path.dirname(place) != self.folder and not self._same(os.path.dirname(place), self.folder):
            raise RollbackError(
                f"{self.path} leads to {text}, which is no release below {self.folder}.",
                next_command=f"sudo -u {self.user} ls -l {self.path} {self.folder}",
            )
        if name in known:
            return known[name]
        gone = self._release(name, (), {}, self._log())
        return replace(gone, missing=True, again=any(gone.commit == each.commit for each in known.values()))

    def _same(self, one: str, other: str) -> bool:
        places = self.ask("readlink", "--canonicalize-existing", "--", one, other).split("\n")
        return len(places) > 1 and places[0] == places[1] != ""

    # Which releases there are

    def all(self) -> dict[str, Release]:
        if self._found is None:
            self._found = self._look()
        return self._found

    def forget(self) -> None:
        """Look again when asked the next time."""
        self._found = self._link = None
        self._files = {}
        self._links = {}

    def _look(self) -> dict[str, Release]:
        wanted = ["(", "-type", "d", "-o", "-name", BAD, "-o", "-name", _UNFINISHED, ")"]
        listed = self.ask("find", "-L", self.folder, "-mindepth", "1", "-maxdepth", "2", *wanted, "-printf", "%P\\n").splitlines()
        ids = [name for name in listed if "/" not in name and not name.startswith(".")]
        if not ids:
            raise RollbackError(f"There is no release below {self.folder} that {self.user} can see.")
        said = self._said([f"{self.folder}/{name}/{file}" for name in ids for file in (*_REVISIONS, _VERSION)])
        log = self._log()
        self.begun = self.ask("readlink", "--canonicalize-existing", "--no-newline", "--", f"{self.deploy_path}/release")
        return _told_apart([self._release(name, listed, said, log) for name in ids])

    def _said(self, files: t.Sequence[str]) -> dict[str, str]:
        """The first line of each of the files that are there."""
        lines = self.ask("grep", "--no-messages", "--null", "--max-count=1", "--with-filename", "", "--", *files).splitlines()
        return {name: text.strip() for name, _null, text in (line.partition("\0") for line in lines)}

    def _release(self, name: str, listed: t.Collection[str], said: t.Mapping[str, str], log: t.Sequence[_Line]) -> Release:
        path = f"{self.folder}/{name}"
        mine = [(place, line) for place, line in enumerate(log) if line.id == name]
        place, line = mine[-1] if mine else (None, _Line(name))
        commit = next((text for file in _REVISIONS for text in [said.get(f"{path}/{file}", "")] if looks_like_commit(text)), line.commit)
        unfinished = None
        if f"{name}/{_UNFINISHED}" in listed:
            unfinished = f"its deployment left {_UNFINISHED} there"
        elif self.begun.endswith(f"/releases/{name}"):
            unfinished = f"the link {self.deploy_path}/release says that its deployment did not finish"
        if place is None and not log:
            digits = name.rstrip("Z")
            place = int(digits) if digits.isdigit() else None
        version = _named(said.get(f"{path}/{_VERSION}")) or line.version
        return Release(name, path, commit, version, place, unfinished, f"{name}/{BAD}" in listed)

    def _log(self) -> list[_Line]:
        """What Deployer or Capistrano wrote about each release, in the order of deployment."""
        text = self.ask("cat", "--", f"{self.deploy_path}/.dep/releases_log", f"{self.deploy_path}/revisions.log")
        return [line for line in map(_line, text.splitlines()) if line]

    def find(self, name: str) -> Release | None:
        """The release with this id, identity, version or commit; of several the one that runs, or that was deployed last."""
        known = self.all()
        commit, _plus, own = name.partition("+")
        exact = [each for each in known.values() if name in (each.id, each.identity) or (own == each.id and commit == each.commit)]
        if exact:
            return exact[0]
        fitting = [each for each in known.values() if name == each.version or _is_commit(each, name)]
        running = os.path.basename(self.link()) if len(fitting) > 1 else ""
        whole = [each for each in fitting if not each.unfinished] or fitting
        return max(whole, key=lambda each: (each.id == running, each.place or -1, each.id), default=None)

    def before(self, running: Release) -> list[Release]:
        """The releases that were deployed before the running one, the last of them first; without those that nothing is known about."""
        here = running.place
        known = [each for each in self.all().values() if here is not None and each.place is not None and each.place < here]
        return sorted(known, key=lambda each: each.place or 0, reverse=True)

    # As every layout answers

    def work_tree(self) -> WorkTree:
        running = self.running()
        return WorkTree(running.identity, None, (), release=running.id, missing=running.missing)

    def tags(self) -> dict[str, str]:
        """The names by which releases can be asked for."""
        running = self.running()
        found = {running.version or running.id: running.identity} if running.missing else {}
        for release in self.all().values():
            name = release.version or release.id
            chosen = self.find(name)
            if chosen is not None:
                found[name] = chosen.identity
        return found

    def resolve(self, name: str) -> str | None:
        found = self.find(name)
        return found.identity if found else None

    def contents(self, expressions: t.Sequence[str]) -> dict[str, str]:
        found = {}
        for expression in expressions:
            commit, _colon, name = expression.partition(":")
            release = self.find(commit)
            done = self._runner.run(["cat", "--", f"{release.path}/{name}"], user=self.user, check=False) if release else None
            if done is not None and done.rc == 0:
                found[expression] = done.stdout
        return found

    def difference(self, running: str, target: str) -> Difference:
        before, after = (self.files(release) if (release := self.find(name)) else {} for name in (running, target))
        modified = [name for name in before if name in after and before[name] != after[name]]
        added, deleted = ([name for name in one if name not in other] for one, other in ((after, before), (before, after)))
        return Difference(tuple(sorted(added)), tuple(sorted(deleted)), tuple(sorted(modified)))

    def links(self, release: Release) -> dict[str, Link]:
        """The links of a release near its root, by their names."""
        if release.id not in self._links and not release.missing:
            found = {}
            form = "%P\\0%l\\0%Y\\0"
            words = self.ask("find", "-H", release.path, "-maxdepth", "3", "-type", "l", "-printf", form).split("\0")
            for name, text, kind in zip(words[::3], words[1::3], words[2::3]):
                if not name.startswith(("vendor/", "node_modules/")):
                    found[name] = (os.path.normpath(os.path.join(release.path, os.path.dirname(name), text)), kind)
            self._links[release.id] = found
        return self._links.get(release.id, {})

    def files(self, release: Release) -> dict[str, str]:
        """The release's own files by their checksums, without packages, caches and what it shares with others."""
        if release.id not in self._files and not release.missing:
            pruned = [word for name in _NOT_CODE for word in ("-o", "-path", f"{release.path}/{name}")][1:]
            select = ["(", *pruned, ")", "-prune", "-o", "-type", "f", "-exec", "sha256sum", "--zero", "--", "{}", "+"]
            found = {}
            for line in self.ask("find", "-H", release.path, *select).split("\0"):
                checksum, _spaces, path = line.partition("  ")
                if path and path[len(release.path) + 1 :] not in OWN_FILES:
                    found[path[len(release.path) + 1 :]] = checksum
            self._files[release.id] = found
        return self._files.get(release.id, {})


@dataclass(frozen=True)
class _Line:
    """What a deployment tool's log says about a release."""

    id: str
    commit: str | None = None
    version: str | None = None


def _line(text: str) -> _Line | None:
    logged = CAPISTRANO.match(text.strip())
    if logged:
        return _Line(logged["release"], logged["commit"], _version(logged["branch"]))
    try:
        entry = json.loads(text)
        return _Line(str(entry["release_name"]), None, _version(str(entry.get("target") or "")))
    except (ValueError, KeyError, TypeError):
        return None  # a line that was cut off says nothing about the others


def _told_apart(releases: t.Iterable[Release]) -> dict[str, Release]:
    """By their ids; of several of one commit the one that was deployed last, and came to its end, is known by the commit alone."""
    found = {each.id: each for each in releases}
    last: dict[str | None, Release] = {}
    for each in sorted(found.values(), key=lambda each: (not each.unfinished, each.place or -1, each.id)):
        last[each.commit] = each
    return {name: replace(each, again=each.commit is not None and last[each.commit] is not each) for name, each in found.items()}


def _named(text: str | None) -> str | None:
    """The version that a file says, when it is one that can be asked for."""
    try:
        return check_target(text or "")
    except RollbackError:
        return None


def _version(name: str) -> str | None:
    """What was deployed, when its name says a version: a branch says none."""
    return name if re.search(r"\d+\.\d+", name) else None


def _is_commit(release: Release, name: str) -> bool:
    return bool(release.commit and looks_like_commit(name) and release.commit.startswith(name))
