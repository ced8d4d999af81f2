# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Which versions ran on a host before it had a ledger, as far as its files tell. How sure that is depends on who wrote them, and when.

from __future__ import annotations

import datetime
import json
import os
import re
import typing as t
from dataclasses import asdict, dataclass, replace

from ._git import Repository
from ._versions import release_key

if t.TYPE_CHECKING:
    from ._code import Code

CERTAIN, LIKELY, GUESS = "certain", "likely", "a guess"

CAPISTRANO = re.compile(r"Branch (?P<branch>\S+) \(at (?P<commit>[0-9a-f]{7,64})\) deployed as release (?P<release>\d+) by (?P<who>.+)")
_TIMESTAMP = re.compile(r"\d{14}Z?")
_SETTLED = 600.0  # seconds; who goes on sooner was only passing through


@dataclass(frozen=True)
class Found:
    """A version that seems to have run."""

    version: str
    commit: str | None
    since: str
    source: str
    sure: str
    why: str
    place: str | None = None
    current: bool = False


def discover(repository: Code, deploy_path: str | None, pattern: str) -> list[dict[str, t.Any]]:
    """What can be found out, the newest first."""
    place = deploy_path or _deploy_path(repository.path)
    found = _of_releases(place) if place else _of_git(repository, pattern) if isinstance(repository, Repository) else []
    return [asdict(each) for each in sorted(found, key=lambda each: each.since, reverse=True)]


def _deploy_path(path: str) -> str | None:
    """The folder that holds releases/ and current, when the application's path is one of the two."""
    for folder in (os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
        if os.path.isdir(os.path.join(folder, "releases")):
            return folder
    return None


# A plain checkout


def _of_git(repository: Repository, pattern: str) -> list[Found]:
    """HEAD's own log says what was checked out, when and for how long; not whether it was any good."""
    names: dict[str, list[str]] = {}
    for tag, commit in repository.tags().items():
        names.setdefault(commit, []).append(tag)
    done = repository.git("log", "--walk-reflogs", "--date=iso-strict", "--format=%H%x09%gd", "HEAD", "--", check=False)
    moves = [_move(line) for line in done.stdout.splitlines()] if done.rc == 0 else []
    running = repository.work_tree().commit
    found: dict[str, Found] = {}
    until = None
    for commit, since in moves:
        release = next((tag for tag in sorted(names.get(commit, [])) if release_key(tag, pattern)), None)
        seconds = (until - since).total_seconds() if until else None
        until = since
        if commit not in found:
            found[commit] = _judged(
                Found(release or commit[:12], commit, _text(since), "git", GUESS, "", current=commit == running), release, seconds
            )
    return list(found.values())


def _move(line: str) -> tuple[str, datetime.datetime]:
    commit, selector = line.split("\t", 1)
    return commit, datetime.datetime.fromisoformat(selector.partition("{")[2].rstrip("}").replace("Z", "+00:00"))


def _judged(found: Found, release: str | None, seconds: float | None) -> Found:
    stayed = "it is checked out now" if seconds is None else f"it was checked out for {_span(seconds)}"
    settled = seconds is None or seconds >= _SETTLED
    why = f"{stayed}; {'a release tag points at it' if release else 'no release tag points at it'}"
    return replace(found, sure=LIKELY if release and settled else GUESS, why=why)


def _span(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _text(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


# Trees with releases/ and current


def _of_releases(place: str) -> list[Found]:
    releases = os.path.join(place, "releases")
    current = os.path.realpath(os.path.join(place, "current"))
    logs = {**_deployer(place), **_capistrano(place)}
    found = []
    for name in sorted(os.listdir(releases)):
        folder = os.path.join(releases, name)
        if os.path.isdir(folder) and not os.path.islink(folder):
            found.append(replace(_release(place, name, logs.get(name)), place=folder, current=os.path.realpath(folder) == current))
    return found


def _release(place: str, name: str, logged: Found | None) -> Found:
    folder = os.path.join(place, "releases", name)
    commit = (_read(os.path.join(folder, "REVISION")) or _read(os.path.join(folder, ".revision")) or "").strip() or None
    found = logged or _unlogged(folder, name)
    found = replace(found, commit=commit or found.commit)
    spoiled = _spoiled(place, folder)
    if spoiled:
        return replace(found, sure=GUESS, why=spoiled)
    return found if found.commit else replace(found, sure=GUESS, why=f"{found.why}; no file says which commit it is")


def _unlogged(folder: str, name: str) -> Found:
    """Nothing but a folder: that it is there does not say that it ever ran."""
    if _TIMESTAMP.fullmatch(name):
        moment = datetime.datetime.strptime(name.rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
        return Found(
            name, None, _text(moment), "ansistrano" if name.endswith("Z") else "capistrano", LIKELY, "a release folder that no log mentions"
        )
    changed = datetime.datetime.fromtimestamp(os.stat(folder).st_mtime, datetime.timezone.utc)
    return Found(name, None, _text(changed), "releases", GUESS, "a release folder that no log mentions, dated by its last change")


def _spoiled(place: str, folder: str) -> str | None:
    """Why a release is not one to go back to, as the tools themselves say it."""
    if os.path.exists(os.path.join(folder, "BAD_RELEASE")):
        return "Deployer marked it as bad"
    if os.path.exists(os.path.join(folder, "DEPLOY_UNFINISHED")):
        return "Ansistrano did not finish it"
    unfinished = os.path.join(place, "release")
    if os.path.islink(unfinished) and os.path.realpath(unfinished) == os.path.realpath(folder):
        return "Deployer did not finish it"
    return None


def _deployer(place: str) -> dict[str, Found]:
    """Written when a release is begun: it says when, not that it went well."""
    found = {}
    for line in (_read(os.path.join(place, ".dep/releases_log")) or "").splitlines():
        try:
            entry = json.loads(line)
            moment = datetime.datetime.strptime(entry["created_at"], "%Y-%m-%dT%H:%M:%S%z")
            name = str(entry["release_name"])
        except (ValueError, KeyError, TypeError):
            continue  # a line that was cut off says nothing about the others
        found[name] = Found(
            name, None, _text(moment), "deployer", LIKELY, f"Deployer began it for {entry.get('target', 'an unknown target')}"
        )
    return found


def _capistrano(place: str) -> dict[str, Found]:
    """Written when a release is live: the surest there is."""
    found = {}
    for line in (_read(os.path.join(place, "revisions.log")) or "").splitlines():
        entry = CAPISTRANO.match(line.strip())
        if entry and _TIMESTAMP.fullmatch(entry["release"]):
            moment = datetime.datetime.strptime(entry["release"], "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
            found[entry["release"]] = Found(
                entry["release"], entry["commit"], _text(moment), "capistrano", CERTAIN, f"Capistrano put it live from {entry['branch']}"
            )
    return found


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
