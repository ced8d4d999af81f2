# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A plan for an application whose releases lie beside each other.

from __future__ import annotations

import os
import typing as t

from ._checkout import Switch, config_keys
from ._errors import RollbackError
from ._git import Entry
from ._nginx_sites import Unclear, concerns, entry_of, sites_of
from ._plan_digest import digest_of
from ._release_checks import refuse_broken
from ._release_switch import named, switch_to
from ._releases import Releases
from ._versions import Choice

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._git import WorkTree
    from ._ledger import Ledger
    from ._releases import Release

_UPLOADS = "storage/app"


class Folders:
    """Folders of releases, and a link to the one that runs."""

    programs: tuple[str, ...] = ()

    def __init__(self, runner: Runner, application: t.Mapping[str, t.Any]) -> None:
        self._runner = runner
        self._application = application
        self.code = Releases(runner, application["path"], application["user"])

    @property
    def list_command(self) -> str:
        return f"sudo -u {self.code.user} ls {self.code.folder}"

    def resolve(self, target: str) -> str:
        return named(self.code, target).identity

    def survey(self, target: str, commit: str, running: WorkTree) -> Switch:
        files = self.code.files(named(self.code, commit))
        entries = {name: Entry("", checksum) for name, checksum in files.items()}
        return Switch(running, commit, target, self.code.difference(running.commit, commit), entries, (), ())

    def refuse_obstacles(self, switch: Switch, local_changes: str, recorded: t.Mapping[str, str], *, closes: bool) -> None:
        target = named(self.code, switch.commit)
        refuse_broken(self._runner, self.code, target, self.code.running(), self._application["php"], recorded)
        if closes and switch.needed:
            self._refuse_opening(switch)

    def _refuse_opening(self, switch: Switch) -> None:
        """Refuse a switch that would open the site by itself, since maintenance mode is written into the storage."""
        running, target = releases = (self.code.running(), named(self.code, switch.commit))
        if running.missing:
            goal = os.path.relpath(target.path, self.code.deploy_path)
            raise RollbackError(
                f"The site has to be closed for this, which it cannot be: the release that runs, {running.called}, was deleted.",
                next_command=f"sudo -u {self.code.user} ln -sfn {goal} {self.code.path}, then run this again",
            )
        here, there = (self.code.ask("readlink", "--canonicalize", "--", f"{release.path}/storage/framework") for release in releases)
        if here != there:
            raise RollbackError(
                f"The site has to be closed for this, and the releases do not share storage/framework ({here.strip()}, {there.strip()}): "
                "switching would open it.",
                next_command=f"share storage below {self.code.deploy_path}/shared, or run again with -e migrations=keep",
            )

    def environment_file(self, commit: str) -> str:
        """Where the settings can be read: by way of the target, when the link leads to a release that is gone."""
        usual = str(self._application["environment_file"])
        within = f"{self._application['path']}/"
        if not self.code.running().missing or not usual.startswith(within):
            return usual
        return f"{named(self.code, commit).path}/{usual[len(within) :]}"

    def describe(self, switch: Switch) -> dict[str, t.Any]:
        running, target = self.code.running(), named(self.code, switch.commit)
        before, after = running.version or running.id, target.version or target.id
        return {
            "switch": switch_to(running, target),
            "release_path": target.path,
            "identity": {"commit": target.commit, "version": target.version, "content": digest_of(self.code.files(target))},
            **self._way_in(target),
            "from_version": before,
            "commits": [],
            "files": len(switch.difference.files),
            "lock_files": list(switch.difference.lock_files),
            "packages": [],
            "migrations": switch.target_migrations,
            "config_keys": config_keys(self.code, switch),
            "diff": {"before": f"{before}\n", "after": f"{after if switch.needed else before}\n"},
        }

    def _concerns(self, target: Release) -> t.Iterator[str]:
        """What a person ought to know about going from the one release to the other."""
        running = self.code.running()
        if self.code.begun and not self.code.begun.endswith((f"/{running.id}", f"/{target.id}")):
            yield f"{self.code.deploy_path}/release leads to {self.code.begun}: a deployment is under way, or did not come to its end"
        if running.id == target.id:
            return
        if not target.version:
            yield (
                f"nothing says which version the release {target.called} is (no file VERSION in it), so that no answer can prove that it is "
                "the one that answers"
            )
        mine, theirs = self.code.links(running), self.code.links(target)
        place = f"{running.path}/{_UPLOADS}"
        if not {os.path.dirname(_UPLOADS), _UPLOADS} & mine.keys() and self.code.ask("ls", "-d", "--", place):
            yield (
                f"{_UPLOADS} is not shared: what users uploaded since {running.called} was deployed stays in {place}, where {target.called} does "
                "not look, and goes with that release when old ones are removed"
            )
        for name, (goal, _kind) in mine.items():
            if goal.startswith(f"{running.path}/") and name not in theirs and name not in self.code.files(target):
                yield f"{target.called} has no link {name} to {goal[len(running.path) + 1 :]}, which {running.called} has"

    def _way_in(self, target: Release) -> dict[str, t.Any]:
        """How the target can be asked before the switch, and what is not as it should be with the web server."""
        sites = sites_of(self._runner, self.code.path)
        found = [*concerns(sites), *self._concerns(target)]
        entry = None
        if self._application["releases"]["trial"]:
            try:
                entry = entry_of(self._runner, sites, self.code.path, self._application)
            except Unclear as unclear:
                found.append(f"The target is not asked before users get it, only right after: {unclear}")
        return {"entry": entry, "concerns": found}

    def previous(self, ledger: Ledger, running: WorkTree) -> Choice:
        """Where nobody ever said which version was good: the release that was deployed before, unless something speaks against it."""
        now = self.code.running()
        unknown = [each.id for each in self.code.all().values() if now.place is not None and each.place is None]
        passed_over = [f"{', '.join(sorted(unknown))}: no log of deployments says when"] if unknown else []
        for release in self.code.before(now):
            if release.identity == now.identity:
                continue
            if release.unfinished or release.bad or ledger.known_bad(release.identity):
                passed_over.append(f"{release.called}: {release.unfinished or 'it is marked as bad'}")
                continue
            why = f"the release that was deployed before the running one {now.called}"
            name = release.version if release.version and self.code.find(release.version) == release else release.id
            return Choice(name, f"{why}; PASSED OVER: {'; '.join(passed_over)}" if passed_over else why)
        raise RollbackError(
            f"No earlier release was found: nothing says which release in {self.code.folder} ran before {now.called}"
            + (f"; passed over: {'; '.join(passed_over)}." if passed_over else "."),
            next_command="run again with an explicit target: -e target=<release>",
        )
