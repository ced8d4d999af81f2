# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a run a fault is injected: the phases, the lines that they leave in the journal, and the moments around them."""

from __future__ import annotations

import dataclasses
import typing as t

# What a phase's module writes as "step"; docs/architecture.md describes the lines. Those without a step write one line only.
STEPS = {
    "lock": "",
    "prepare": "git_version_switch prepared",
    "protect": "db_backup",
    "restore beside": "db_restore beside",
    "count loss": "data_loss",
    "quiesce writers": "service_group stopped",
    "close traffic": "laravel_maintenance down",
    "swap database": "db_restore swapped",
    "migrate down": "db_migration",
    "switch code": "git_version_switch switched",
    "rebuild caches": "laravel_cache rebuilt",
    "start services": "service_group reloaded",
    "gate": "health_gate",
    "reopen": "laravel_maintenance up",
    "start workers": "service_group started",
    "close run": "",
}
PHASES = tuple(STEPS)
# Where the application lies in releases, the same phases are the work of other modules; caches are built before the target is asked.
STEPS_OF_RELEASES = {
    **STEPS, "prepare": "release_trial", "switch code": "release_switch switched", "start services": "service_group renewed",
}  # fmt: skip
NOT_RELEASES = ("protect", "restore beside", "count loss", "quiesce writers", "close traffic", "swap database", "migrate down", "reopen")
ONLY_STANDARD = ("protect",)
ONLY_DATABASE = ("restore beside", "count loss", "swap database")
NOT_DATABASE = ("prepare", "protect", "migrate down")
ONLY_MIGRATION = ("migrate down",)

# Seconds after its first line at which a long step is in the middle of its work, on a machine with little else to do.
MIDDLE = {
    "prepare": 0.15,
    "protect": 0.25,
    "restore beside": 0.2,
    "swap database": 0.05,
    "migrate down": 0.2,
    "switch code": 0.0,
    "rebuild caches": 0.08,
    "start services": 0.1,
    "gate": 0.15,
    "start workers": 0.3,
}

MIDDLE_OF_RELEASES = {  # a few questions to PHP-FPM; workers that were stopped and do not all run again; workers that run already
    **MIDDLE, "prepare": 0.04, "start services": 0.25, "start workers": 0.04,
}  # fmt: skip

# What git holds while it moves files: a run that is stopped then leaves a checkout that is neither the one nor the other.
APPEARS = {"switch code": "/var/www/chom/.git/index.lock"}
APPEARS_IN_RELEASES = {"switch code": "/var/www/chom/.current.lastgood"}  # the link that takes the other one's place

Moment = t.Literal["begun", "inside", "ended"]


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment of a run: a phase has been announced in the journal, is in the middle of its work, or has been recorded as done."""

    phase: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.phase}/{self.moment}"

    @classmethod
    def parse(cls, text: str) -> Point:
        phase, _slash, moment = text.partition("/")
        if phase not in PHASES or moment not in ("", "begun", "inside", "ended"):
            raise ValueError(f"{text!r} is not a phase, or a phase with /begun, /inside or /ended")
        return cls(phase, t.cast("Moment", moment or "begun"))

    def order(self, *, releases: bool = False) -> dict[str, t.Any]:
        """The same for the watcher on the host."""
        steps, appearing, middle = (STEPS_OF_RELEASES, APPEARS_IN_RELEASES, MIDDLE_OF_RELEASES) if releases else (STEPS, APPEARS, MIDDLE)
        if self.phase in ("lock", "close run"):
            event = "opened" if self.phase == "lock" else "closed"
            return {"event": event, "step": "", "delay": 0.0, "appears": "", "lock": self.moment == "begun" and self.phase == "lock"}
        event = "result" if self.moment == "ended" else "intent"
        inside = self.moment == "inside"
        delay, appears = (middle[self.phase], appearing.get(self.phase, "")) if inside else (0.0, "")
        return {"event": event, "step": steps[self.phase], "delay": delay, "appears": appears, "lock": False}


def points() -> list[Point]:
    """Every moment there is, in the order of a run."""
    found = []
    for phase in PHASES:
        if phase == "close run":  # its only line is written before the lock is given back
            moments: tuple[Moment, ...] = ("ended",)
        elif phase in MIDDLE:
            moments = ("begun", "inside", "ended")
        else:
            moments = ("begun", "ended")
        found += [Point(phase, moment) for moment in moments]
    return found


def reached(playbook: str, release: str, point: Point) -> bool:
    """Whether a run of this kind comes by this point at all."""
    if playbook != "releases" and (point.phase, point.moment) == ("start services", "inside"):  # it is over before one could be
        return False
    if playbook == "database":  # the code stays, so that git moves no files
        return point.phase not in NOT_DATABASE and (point.phase, point.moment) != ("switch code", "inside")
    if playbook == "releases":
        return point.phase not in NOT_RELEASES
    if point.phase in ONLY_DATABASE or (point.phase in ONLY_STANDARD and playbook != "standard"):
        return False
    return point.phase not in ONLY_MIGRATION or release == "migration"
