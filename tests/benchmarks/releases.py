# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that fail while an application in releases/, shared/ and current is rolled back."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import time
import typing as t

import yaml
from host import ROOT, VERSION, BenchmarkError, Host, fresh_connections, run_silently
from prober import Prober, Site, summarise
from results import Comparison

PAGES, ASSETS = 20, 180  # a second; a page boots the application, which two cores do for about thirty
ASSET = "/css/app.css"
PLACE = "/var/www/chom"


def release_failed_requests(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Of 200 questions in a second those without a good answer, during a standard rollback and during what a deployment script does."""
    found = Comparison("release_failed_requests", "requests", 1.0)
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as folder:
        mine = Host(f"{host.name}-releases", pathlib.Path(folder), layout="releases")
        try:
            extra = pathlib.Path(folder, "profile.json")
            extra.write_text(json.dumps({"rollback_application": _profile()}))
            for number in range(runs):
                theirs = _failed(mine, mine.script("releases.sh"))
                with fresh_connections() as environment:
                    wanted = ["-e", "target=v1.2.3", "-e", "watch_seconds=0", "-e", f"@{extra}"]
                    ours = _failed(mine, mine.playbook("standard_rollback", *wanted), environment)
                found.theirs.append(theirs[0])
                found.ours.append(ours[0])
                note(f"release_failed_requests {number + 1}: ours {ours[0]} of {ours[1]}, theirs {theirs[0]} of {theirs[1]}")
        finally:
            mine.destroy()
    return [found]


def _profile() -> dict[str, t.Any]:
    """The profile of the inventory, for an application that lies in releases."""
    text = (ROOT / "inventories/chom/group_vars/chom.yml").read_text().replace(PLACE, f"{PLACE}/current")
    return {**yaml.safe_load(text)["rollback_application"], "layout": "releases"}


def _failed(host: Host, argv: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> tuple[int, int]:
    """How many questions got no good answer, and how many were asked."""
    host.prepare("none")
    site = Site(f"http://{host.address}", "chom.test")
    with Prober(site, pages=PAGES, ready=0) as pages, _Assets(site, pages=ASSETS, ready=0) as assets:
        time.sleep(1)
        run_silently(argv, argv[0], environment or os.environ)
        time.sleep(1)
    seen = (summarise(pages.answers), summarise(assets.answers, path=ASSET))
    last = max(pages.answers, key=lambda answer: answer.t)
    log = host.root(f"grep '\"'$(basename $(readlink {PLACE}/current))'\"' {PLACE}/.dep/releases_log")
    if last.version != VERSION or "v1.2.3" not in log:
        raise BenchmarkError("the rollback did not end at v1.2.3")
    return sum(users.failed for users in seen), sum(users.asked for users in seen)


class _Assets(Prober):
    """Asks for a file that nginx serves from the release."""

    def _page(self) -> None:
        self._record(self._site.ask(ASSET)[0])
