# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of an application in releases/, shared/ and current go through when it is rolled back, and how long that takes."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
import time
import typing as t

import outages
import yaml
from host import ROOT, VERSION, BenchmarkError, Host, fresh_connections, run_silently
from prober import GOOD_SECONDS, SIGNUPS, Prober, Site, summarise
from results import Comparison

PAGES, WRITES, ASSETS = 15, 5, 180  # a second; a page boots the application, which two cores do for about thirty
ASSET = "/css/app.css"
PLACE = "/var/www/chom"


def release_failed_requests(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Of 200 questions in a second those without a good answer, during a standard rollback and during what a deployment script does."""
    found = Comparison("release_failed_requests", "requests", 1.0)
    with _releases(host) as (mine, options):
        for number in range(runs):
            theirs = _failed(mine, mine.script("releases.sh"))
            with fresh_connections() as environment:
                wanted = ["-e", "target=v1.2.3", "-e", "watch_seconds=0", *options]
                ours = _failed(mine, mine.playbook("standard_rollback", *wanted), environment)
            found.theirs.append(theirs[0])
            found.ours.append(ours[0])
            note(f"release_failed_requests {number + 1}: ours {ours[0]} of {ours[1]}, theirs {theirs[0]} of {theirs[1]}")
    return [found]


def release_recovery(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Seconds of an emergency rollback and of the smallest play: until every page is a 200 again and stays so, and in all."""
    recovery, total = Comparison("release_recovery", "s", 1.3), Comparison("release_total", "s", 2.5)
    with _releases(host) as (mine, options):
        for number in range(runs):
            mine.prepare("crash")
            with fresh_connections() as environment:
                theirs = outages.observe(mine, mine.play("release.yml", "-e", f"release={mine.release('v1.2.3')}"), environment)
            mine.prepare("crash")
            ours = outages.ours(mine, "emergency_rollback", *options)
            recovery.ours.append(ours.until_recovered)
            recovery.theirs.append(theirs.until_recovered)
            total.ours.append(ours.in_all)
            total.theirs.append(theirs.in_all)
            note(
                f"release_recovery {number + 1}: ours {ours.until_recovered:.2f} s of {ours.in_all:.2f} s, "
                f"theirs {theirs.until_recovered:.2f} s of {theirs.in_all:.2f} s"
            )
    return [recovery, total]


@contextlib.contextmanager
def _releases(host: Host) -> t.Iterator[tuple[Host, list[str]]]:
    """A host of this layout, and the options by which a playbook knows it."""
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as folder:
        mine = Host(f"{host.name}-releases", pathlib.Path(folder), layout="releases")
        extra = pathlib.Path(folder, "profile.json")
        extra.write_text(json.dumps({"rollback_application": _profile()}))
        try:
            yield mine, ["-e", f"@{extra}"]
        finally:
            mine.destroy()


def _profile() -> dict[str, t.Any]:
    """The profile of the inventory, for an application that lies in releases."""
    text = (ROOT / "inventories/chom/group_vars/chom.yml").read_text().replace(PLACE, f"{PLACE}/current")
    return {**yaml.safe_load(text)["rollback_application"], "layout": "releases"}


def _failed(host: Host, argv: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> tuple[int, int]:
    """How many questions got no good answer, and how many were asked. What was acknowledged and is not there counts, too."""
    host.prepare("none")
    site = Site(f"http://{host.address}", "chom.test")
    with Prober(site, pages=PAGES, ready=0, signups=WRITES) as pages, _Assets(site, pages=ASSETS, ready=0) as assets:
        time.sleep(1)
        run_silently(argv, argv[0], environment or os.environ)
        time.sleep(1)
    seen = [summarise(pages.answers), summarise(assets.answers, path=ASSET)]
    last = max(pages.answers, key=lambda answer: answer.t)
    if last.version != VERSION or host.running_release() != host.release("v1.2.3"):
        raise BenchmarkError("the rollback did not end at v1.2.3")
    writes = [answer for answer in pages.answers if answer.path == SIGNUPS]
    unwritten = sum(answer.status != 201 or answer.seconds > GOOD_SECONDS for answer in writes)
    lost = len(_missing(host, seen[0].acknowledged))
    return sum(users.failed for users in seen) + unwritten + lost, sum(users.asked for users in seen) + len(writes)


def _missing(host: Host, acknowledged: t.Sequence[int]) -> set[int]:
    """Rows that users were told were written, and that are not in the database."""
    if not acknowledged:
        raise BenchmarkError("no write was acknowledged: nothing was measured")
    there = host.root(f"mariadb --skip-column-names chom -e 'SELECT id FROM users WHERE id >= {min(acknowledged)}'")
    return set(acknowledged) - set(map(int, there.split()))


class _Assets(Prober):
    """Asks for a file that nginx serves from the release."""

    def _page(self) -> None:
        self._record(self._site.ask(ASSET)[0])
