# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The sequence behind the module release_switch: look, check, point the link at another release.

from __future__ import annotations

import os
import typing as t

from ._clock import utc
from ._errors import CommandError, RollbackError
from ._release_archive import make
from ._release_checks import refuse_broken
from ._releases import BAD, Releases
from ._versions import check_target

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._releases import Release

_MARK = "left by lastgood.rollback"


def run(runner: Runner, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """As far as the state says."""
    from ._checkout import owner  # not for those who only look at releases

    path = os.path.normpath(options["path"])
    releases = Releases(runner, path, options["user"] or owner(os.path.dirname(path)))
    running = releases.running()
    prepared = options["prepared"]
    made = False
    if options["archive"]:
        target, checks, made = make(runner, releases, running, options, check_mode=check_mode or options["state"] == "resolved")
    else:
        target = planned(releases, prepared, running) if prepared else named(releases, options["target"])
        # what was looked at a moment ago is not looked at again while users wait
        checks = [] if prepared else refuse_broken(runner, releases, target, running, options["php"], options["lock_files"])
    moves = running.id != target.id
    before, after = running.called, target.called
    result = {
        "switch": switch_to(running, target),
        "from_version": running.version or running.id,
        "release_path": target.path,
        "checks": checks,
        "diff": {"before": f"{before}\n", "after": f"{after if moves else before}\n"},
        "changed": (made and options["state"] != "resolved") or (moves and options["state"] == "switched"),
    }
    if moves and options["state"] == "switched" and not check_mode:
        change(runner, releases, running, target)
        _mark(runner, releases, running, target, bad=options["mark_bad"])
    return result


def switch_to(running: Release, target: Release) -> dict[str, t.Any]:
    return {"from_release": running.id, "release": target.id, "from_commit": running.identity, "commit": target.identity}


def named(releases: Releases, name: str) -> Release:
    """The release with this id, version or commit."""
    check_target(name)
    found = releases.find(name)
    if found is None:
        raise RollbackError(
            f"{name} is not the id, version or commit of a release in {releases.folder}. "
            f"Releases there: {', '.join(sorted((each.called for each in releases.all().values()), reverse=True)[:10])}.",
            next_command="run again with one of them: -e target=<release>",
        )
    return found


def planned(releases: Releases, prepared: t.Mapping[str, t.Any], running: Release) -> Release:
    """What was planned, as long as it is still what the plan was about."""
    if running.id not in (prepared["from_release"], prepared["release"]):
        raise RollbackError(
            f"{releases.path} leads to {running.called} now; the switch was planned from {prepared['from_release']}.",
            next_command="run the rollback again",
            facts={"code_unchanged": True, "runs": f"{running.called}, which somebody else made live meanwhile,"},
        )
    target = releases.all().get(prepared["release"])
    if target is None or target.identity != prepared["commit"]:
        raise RollbackError(
            f"The release {prepared['release']} is not there any more, or another one now.",
            next_command="run the rollback again",
            facts={"code_unchanged": True},
        )
    return target


def change(runner: Runner, releases: Releases, running: Release, target: Release) -> None:
    """Point the link at the target in one moment, flush that to disk and see that it is so."""
    text = releases.link()
    goal = target.path if os.path.isabs(text) else os.path.relpath(target.path, releases.deploy_path)
    aside = f"{releases.deploy_path}/.{os.path.basename(releases.path)}.lastgood"
    try:
        runner.run(["ln", "--symbolic", "--force", "--no-dereference", "--", goal, aside], user=releases.user)
        runner.run(["mv", "--force", "--no-target-directory", "--", aside, releases.path], user=releases.user)
    except CommandError as error:
        releases.forget()
        error.facts["code_unchanged"] = releases.running().id == running.id
        error.state = f"{releases.path} still leads to {running.called}." if error.facts["code_unchanged"] else ""
        raise
    releases.forget()
    runner.run(["sync", "--", releases.deploy_path], user=releases.user, check=False, timeout=30)
    now = releases.running()
    if now.id != target.id:
        raise RollbackError(
            f"{releases.path} was pointed at {target.called} and leads to {now.called}: something else is switching it, too.",
            state=f"The release {now.called} is live.",
            next_command=f"sudo -u {releases.user} ls -l {releases.path}",
        )


def _mark(runner: Runner, releases: Releases, left: Release, reached: Release, *, bad: bool) -> None:
    """Deployer's mark, so that its own rollback does not go there either; one of ours is taken off again. The switch is done, mark or not."""
    if bad and not left.missing and not left.bad:
        runner.run(["tee", "--", f"{left.path}/{BAD}"], user=releases.user, stdin=f"{utc()} {_MARK}\n", check=False)
    if reached.bad and _MARK in releases.ask("cat", "--", f"{reached.path}/{BAD}"):
        runner.run(["rm", "--force", "--", f"{reached.path}/{BAD}"], user=releases.user, check=False)
