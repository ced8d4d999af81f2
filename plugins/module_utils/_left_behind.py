# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What the runs before this one left behind: where they began, what they did, and whether users are let in.

from __future__ import annotations

import os
import typing as t

from ._units import Systemd, elsewhere

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._git import WorkTree

Last = t.Mapping[str, t.Any]
Phases = t.Mapping[str, t.Mapping[str, t.Any]]


def in_maintenance(runner: Runner, application: t.Mapping[str, t.Any]) -> bool:
    marker = f"{application['path']}/storage/framework/down"
    return runner.run(["test", "-e", marker], user=application["user"], check=False).rc == 0


def astray(runner: Runner, application: t.Mapping[str, t.Any]) -> list[str]:
    """The workers that run another release than the one that the link leads to, as after a switch by hand."""
    if application["layout"] != "releases":
        return []
    systemd = Systemd(runner)
    units = systemd.show(systemd.expand(application["services"]["workers"]))
    found = elsewhere(systemd.directories(units), os.path.realpath(application["path"]))
    return [f"{name} works in {place}" for name, place in found.items()]


def carried(last: Last, own: Phases, *, layout: str, commit: str, closed: bool) -> dict[str, t.Any]:
    """Where the last run, or the first of those that it was to finish, began, and what they did: the journal of who goes on begins anew.

    own is what its own journal says; commit is what runs now, and closed whether users get the maintenance page.
    """
    earlier: Phases = (last.get("origin") or {}).get("phases", {})
    done = {**earlier, **own}
    if layout == "releases" and "switch code" not in {**earlier, **(last.get("undoes") or {}).get("phases", {})}:
        done.update(_link(last, own.get("switch code", {}), commit))
    if closed:  # what one run opened a later one may have closed again
        done.pop("reopen", None)
    began = last.get("origin") or _beginning(last, done, closed=closed)
    return {**began, "down": _down(began, last, done), "phases": done}


def runs(running: WorkTree, release: str | None, commit: str | None) -> bool:
    """Whether this release runs, or this commit where no release is on record: one commit can be in several."""
    return running.release == release if release else running.commit == commit


def deployed_since(last: Last, began: Last, running: WorkTree) -> bool:
    """Whether what runs is neither what the last run went to nor where it began: going back there would take somebody's deployment away."""
    known = [(last.get("to_release"), last.get("to_commit")), (began.get("from_release"), began.get("from_commit"))]
    return all(commit for _release, commit in known) and not any(runs(running, *each) for each in known)


def origin(last: Last, own: Phases, **now: t.Any) -> dict[str, t.Any]:
    """The same for a rollback that goes on from it; what goes on from an undo began where the run that was undone did."""
    found = carried(last, own, **now)
    undoes = last.get("undoes")
    if not undoes:
        return found
    done = {**undoes.get("phases", {}), **found["phases"]}
    return {**undoes, "down": _down(undoes, last, done), "phases": done}


def _beginning(last: Last, done: Phases, *, closed: bool) -> dict[str, t.Any]:
    was_down = done.get("close traffic", {}).get("was_down", last.get("was_down", closed))
    began = {name: last.get(name, "") for name in ("run", "from_version", "from_commit", "from_release")}
    return {**began, "was_down": was_down, "down": []}


def _down(began: Last, last: Last, done: Phases) -> list[str]:
    """All that were to go down, as soon as the first of them may have: going up again leaves alone those that are up."""
    return list(dict.fromkeys([*began["down"], *(last.get("down") or [] if "migrate down" in done else [])]))


def _link(last: Last, switch: t.Mapping[str, t.Any], commit: str) -> dict[str, t.Any]:
    """A run that was killed while it switched a link left it here or there, and it can be seen where."""
    if not switch.get("interrupted") or commit not in (last.get("to_commit"), last.get("from_commit")):
        return {}
    if commit == last.get("to_commit"):
        return {"switch code": {"failed": False, "changed": True}}
    return {"switch code": {"failed": True, "changed": False, "code_unchanged": True}}
