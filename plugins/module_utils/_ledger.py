# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The ledger of an application: versions that really ran on this host, and what was found out about each. Lines are only ever added.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import _journal
from ._errors import RollbackError
from ._versions import commit_of

NAME = "ledger.jsonl"

# What may follow what. Only a person makes a bad version good again, by saying why.
STATES: dict[str, tuple[str, ...]] = {
    "started": ("live", "bad", "superseded"),
    "live": ("verified", "bad", "superseded"),
    "verified": ("verified", "bad", "superseded"),
    "bad": ("verified",),
    "superseded": ("bad",),
}

_WHO = ("actor", "controller", "reason", "incident", "run")


@dataclass(frozen=True)
class Point:
    """An entry of the ledger: a version that ran, or was about to, with all that was said about it."""

    id: str
    commit: str
    version: str
    since: str  # when it went live
    source: str  # who knows that it ran
    manifest: str | None  # checksum of its snapshot; None when only the version is known
    content: str | None  # of all that makes two restore points the same
    sure: str | None
    history: tuple[dict[str, t.Any], ...]

    @property
    def state(self) -> str:
        return str(self.history[-1]["state"])

    def as_result(self) -> dict[str, t.Any]:
        return {
            "id": self.id,
            "commit": self.commit,
            "version": self.version,
            "since": self.since,
            "source": self.source,
            "sure": self.sure,
            "snapshot": self.manifest is not None,
            "state": self.state,
            "history": [{name: value for name, value in entry.items() if name != "number"} for entry in self.history],
        }


@dataclass(frozen=True)
class Ledger:
    """What a host knows about the versions of its application, the oldest first."""

    points: tuple[Point, ...] = ()
    broken: str | None = None

    def of(self, commit: str) -> list[Point]:
        return [point for point in self.points if point.commit == commit_of(commit)]

    def known_bad(self, commit: str) -> bool:
        """Whether the last that was said about a commit, in whichever entry, is that it is bad."""
        said = [entry for point in self.of(commit) for entry in point.history if entry["state"] in ("bad", "verified")]
        return bool(said) and max(said, key=lambda entry: entry["number"])["state"] == "bad"

    def find(self, name: str) -> Point:
        """The entry with an id; or the newest one of a version or commit."""
        fitting = [point for point in self.points if name in (point.id, point.version, point.commit)]
        exact = [point for point in fitting if point.id == name]
        if not fitting:
            raise RollbackError(
                f"The ledger has no entry {name!r}.", next_command="ansible-playbook playbooks/status.yml, which lists the ledger"
            )
        return (exact or fitting)[-1]

    def candidates(self, running: str) -> list[Point]:
        """Verified entries of other commits that are not bad, the one that ran last first."""
        good = [point for point in self.points if point.state == "verified" and point.commit != commit_of(running)]
        return sorted((point for point in good if not self.known_bad(point.commit)), key=lambda point: point.since, reverse=True)

    def trusted(self) -> Ledger:
        """Itself, or a refusal to decide anything by a ledger that was changed by hand."""
        if self.broken:
            raise RollbackError(
                f"The ledger is damaged: {self.broken}. It cannot say which version was last good.",
                state="Nothing was changed.",
                next_command="run again with an explicit target: -e target=<tag or commit>",
            )
        return self


def read(root: str) -> Ledger:
    """The ledger in an application's state folder; an empty one where there is none."""
    found = _journal.read(root, NAME)
    if found is None:
        return Ledger()
    points: dict[str, Point] = {}
    for entry in found.entries:
        said = {name: entry[name] for name in ("number", "state", "at", *_WHO) if entry.get(name)}
        if entry["event"] == "recorded":
            points[entry["id"]] = _point(entry, said)
        elif entry["id"] in points:
            points[entry["id"]] = _said_of(points[entry["id"]], entry, said)
    return Ledger(tuple(points.values()), found.broken)


def _point(entry: t.Mapping[str, t.Any], said: dict[str, t.Any]) -> Point:
    return Point(
        id=entry["id"],
        commit=entry["commit"],
        version=entry["version"],
        since=entry["since"],
        source=entry["source"],
        manifest=entry.get("manifest"),
        content=entry.get("content"),
        sure=entry.get("sure"),
        history=(said,),
    )


def _said_of(point: Point, entry: t.Mapping[str, t.Any], said: dict[str, t.Any]) -> Point:
    facts = {**point.__dict__, "history": (*point.history, said)}
    return Point(**{**facts, **{name: entry[name] for name in ("since", "manifest", "content") if entry.get(name)}})


def record(root: str, facts: t.Mapping[str, t.Any], state: str, who: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Add an entry; facts are id, commit, version, since, source and what is known of its snapshot."""
    if state not in STATES:
        raise RollbackError(f"{state!r} is not a state of a restore point.")
    return _journal.append(root, {"event": "recorded", "state": state, **facts, **_who(who)}, NAME)


def check(point: Point, state: str, who: t.Mapping[str, t.Any]) -> None:
    """Refuse what cannot be said about an entry."""
    if state not in STATES[point.state]:
        raise RollbackError(f"The restore point {point.id} is {point.state}; it cannot become {state}.")
    if point.state == "bad" and not who.get("reason"):
        raise RollbackError(
            f"The restore point {point.id} is bad: {point.history[-1].get('reason', 'no reason was given')}.",
            next_command='say why it is good after all: -e \'{"reason": "..."}\'',
        )


def mark(root: str, point: Point, state: str, at: str, who: t.Mapping[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    """Say something new about an entry."""
    check(point, state, who)
    return _journal.append(root, {"event": "state", "id": point.id, "state": state, "at": at, **more, **_who(who)}, NAME)


def _who(who: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: who[name] for name in _WHO if who.get(name)}


def left_a_version(record: t.Mapping[str, t.Any]) -> bool:
    """Whether a run that ended left one version for another that is proven; one may be aborted after that."""
    return record.get("outcome") == "rolled_back" or bool(record.get("outcome") == "aborted" and record.get("proven"))


def conclude_run(root: str, record: t.Mapping[str, t.Any]) -> None:
    """What a run that ended shows about the versions that it left and reached."""
    first = {**record, **(record.get("origin") or {})}  # of a run that was resumed: where the first of them began
    before, after, at = commit_of(first.get("from_commit") or ""), commit_of(record.get("to_commit") or ""), record.get("closed")
    if not (before and after and at) or before == after:
        return
    who = {name: record.get(name) for name in _WHO}
    if left_a_version(record):
        _left(root, before, str(first.get("from_version") or before[:12]), at, who)
        _reached(root, after, at, {**who, "reason": f"run {record.get('run')} came back to it, and the gate was good"})
    elif record.get("outcome") == "undone":
        _took_back(root, after, at, {**who, "reason": f"run {record.get('run')} undid the run that called it bad"})


def _left(root: str, commit: str, version: str, at: str, who: t.Mapping[str, t.Any]) -> None:
    """A rollback went away from a version: it is bad, and never chosen again by itself."""
    known = [point for point in read(root).of(commit) if point.state != "superseded"]
    for point in known:
        if point.state != "bad":
            mark(root, point, "bad", at, who)
    if not known:
        facts = {"id": f"{compact(at)}-{commit[:12]}", "commit": commit, "version": version, "since": at, "source": "rollback", "at": at}
        record(root, facts, "bad", who)


def _reached(root: str, commit: str, at: str, who: t.Mapping[str, t.Any]) -> None:
    """What the ledger has of a version that a rollback arrived at is verified again."""
    known = [point for point in read(root).of(commit) if point.state in ("live", "verified", "bad")]
    if known:
        mark(root, known[-1], "verified", at, who, since=at)


def _took_back(root: str, commit: str, at: str, who: t.Mapping[str, t.Any]) -> None:
    """The rollback that called a version bad was undone: it is again what it was before, if it was verified then."""
    for point in read(root).of(commit):
        said = point.history
        if point.state == "bad" and said[-1].get("run") and len(said) > 1 and said[-2]["state"] == "verified":
            mark(root, point, "verified", at, who, since=at)


def compact(at: str) -> str:
    """A moment as part of a name."""
    return "".join(letter for letter in at if letter.isalnum())
