# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users go through during a rollback, asked from outside 20 times a second."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from host import VERSION, BenchmarkError, Host, fresh_connections, run_silently
from prober import Prober, Site, summarise
from results import Comparison

RATE = 20


@dataclasses.dataclass(frozen=True)
class Seen:
    """One rollback, from outside."""

    without_answer: float
    until_recovered: float
    in_all: float


def observe(host: Host, argv: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Seen:
    """Run a rollback and look at the home page all the while."""
    with Prober(Site(f"http://{host.address}", "chom.test"), pages=RATE, ready=0) as prober:
        time.sleep(1)
        began = time.time()
        run_silently(argv, argv[0], environment or os.environ)
        in_all = time.time() - began
        time.sleep(1.5)
    answers = prober.answers
    recovered = summarise(answers, version=VERSION, since=began).first_lasting_good
    if recovered is None:
        raise BenchmarkError(f"{argv[0]} ended well, but the site does not answer")
    host.expect_good()
    return Seen(summarise(answers).seconds_without_good_answer, recovered - began, in_all)


def ours(host: Host, playbook: str, *options: str, **more: str) -> Seen:
    with fresh_connections() as environment:
        return observe(host, host.playbook(playbook, *options), {**environment, **more})


def standard_window(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Seconds without a 200 during a controlled rollback of a site that works."""
    found = Comparison("standard_window", "s", 0.35)
    for number in range(runs):
        host.prepare("none")
        found.theirs.append(observe(host, host.script("standard.sh", "v1.2.3")).without_answer)
        host.prepare("none")
        found.ours.append(ours(host, "standard_rollback", "-e", "target=v1.2.3", "-e", "watch_seconds=0").without_answer)
        note(f"standard_window {number + 1}: ours {found.ours[-1]:.2f} s, theirs {found.theirs[-1]:.2f} s")
    return [found]


def emergency_recovery(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Seconds from the command's start to the first lasting 200 of the last good version, when every page is a 500.

    Once with nothing kept from an earlier rollback, once with the dependency tree of the target still there.
    """
    found, kept = Comparison("emergency_recovery", "s", 1.0), Comparison("emergency_recovery (tree kept)", "s", None)
    for number in range(runs):
        host.prepare("crash")
        theirs = observe(host, host.script("emergency.sh")).until_recovered
        host.prepare("crash")
        found.ours.append(ours(host, "emergency_rollback").until_recovered)
        host.prepare("crash")
        keep_tree(host)
        kept.ours.append(ours(host, "emergency_rollback").until_recovered)
        found.theirs.append(theirs)
        kept.theirs.append(theirs)
        note(
            f"emergency_recovery {number + 1}: ours {found.ours[-1]:.2f} s, with the tree kept {kept.ours[-1]:.2f} s, theirs {theirs:.2f} s"
        )
    return [found, kept]


def keep_tree(host: Host) -> None:
    """Have the target's dependencies prepared before anything is wrong, as a deployment can do it."""
    with fresh_connections() as environment:
        options = {"path": "/var/www/chom", "user": "www-data", "target": "v1.2.3", "state": "prepared"}
        run_silently(host.module("git_version_switch", options), "preparing", environment)
