# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cases there are: the whole matrix, and the few that are tried each time."""

from __future__ import annotations

import typing as t

from ansible_collections.lastgood.rollback.tests.faults.faults import FAULTS
from ansible_collections.lastgood.rollback.tests.faults.phases import ONLY_DATABASE, PHASES, Point, points, reached
from ansible_collections.lastgood.rollback.tests.faults.trial import Case

PLAYBOOKS = ("emergency", "standard", "database", "releases")  # the last one is an emergency where releases lie beside each other
WORKER_OFF = ("chom-queue-reports.service",)

# Faults that do harm only up to a phase, and only where a phase is about to begin its work.
UNTIL = {
    "composer_broken": "prepare",
    "packages_gone": "prepare",
    "object_missing": "switch code",
    "target_unhealthy": "rebuild caches",
    "fpm_broken": "start services",
    "mariadb_stopped": "start workers",
    "redis_stopped": "start workers",
    "state_disk_full": "start workers",
    "application_disk_full": "start workers",
}
EVERYWHERE = ("sigkill", "power_lost")
ALSO_INSIDE = ("mariadb_stopped", "connection_cut")  # of a database phase
OF_RELEASES = ("prepare", "switch code", "start services", "gate")
WITH_RELEASES = (*EVERYWHERE, "module_killed", "connection_cut", "fpm_broken")
WITH_DATABASE = (
    *EVERYWHERE,
    "sigterm",
    "module_killed",
    "connection_cut",
    "network_lost",
    "state_disk_full",
    "mariadb_stopped",
    "target_unhealthy",
)


def _fits(fault: str, point: Point) -> bool:
    if fault in EVERYWHERE:
        return True
    if fault == "module_killed":
        return point.moment != "ended" and point.phase != "lock"
    if fault == "sigterm":
        return point.moment != "inside"
    last = UNTIL.get(fault)
    if fault in ALSO_INSIDE and point.phase in ONLY_DATABASE and point.moment == "inside":
        return True
    if point.phase == "lock":
        return point.moment == "ended"
    return point.moment == "begun" and (last is None or PHASES.index(point.phase) <= PHASES.index(last))


def whole() -> list[Case]:
    """Every fault at every point at which it can make a difference, in each kind of rollback."""
    found: list[Case] = []
    for playbook in PLAYBOOKS:
        for point in points():
            release = "migration" if playbook == "standard" or point.phase == "migrate down" else "none"
            if reached(playbook, release, point):
                found += [_case(fault, point, playbook, len(found)) for fault in _faults(playbook, point) if _fits(fault, point)]
    return found


def _faults(playbook: str, point: Point) -> t.Iterable[str]:
    """A rollback of the database, or of a link, does in most phases what the others do too: there it is only cut off."""
    if playbook == "releases":
        return WITH_RELEASES if point.phase in OF_RELEASES else EVERYWHERE
    if playbook != "database":
        return FAULTS
    return WITH_DATABASE if point.phase in (*ONLY_DATABASE, "gate") else EVERYWHERE


def _case(fault: str, point: Point, playbook: str, number: int) -> Case:
    """Both ways to recover and a worker that was off take turns, spread over faults and points."""
    recovery: t.Literal["resume", "undo"] = "resume" if number % 2 == 0 else "undo"
    return Case(fault, point, playbook, recovery, WORKER_OFF if number % 3 == 0 else ())


def core() -> list[Case]:
    """Each fault where it hurts most."""
    at = Point.parse
    return [
        Case("sigkill", at("switch code/begun")),
        Case("sigkill", at("reopen/ended"), recovery="undo", off=WORKER_OFF),
        Case("sigterm", at("rebuild caches/begun"), recovery="undo"),
        Case("module_killed", at("migrate down/inside"), "standard"),
        Case("connection_cut", at("gate/begun")),
        Case("network_lost", at("close traffic/begun"), off=WORKER_OFF),
        Case("power_lost", at("switch code/inside"), "standard", off=WORKER_OFF),
        Case("state_disk_full", at("quiesce writers/begun"), "standard"),
        Case("application_disk_full", at("switch code/begun")),
        Case("mariadb_stopped", at("migrate down/begun"), "standard", "undo"),
        Case("redis_stopped", at("gate/begun")),
        Case("fpm_broken", at("start services/begun"), "standard", "undo"),
        Case("composer_broken", at("prepare/begun")),
        Case("object_missing", at("switch code/begun"), "standard"),
        Case("target_unhealthy", at("rebuild caches/begun"), recovery="undo"),
        Case("mariadb_stopped", at("restore beside/inside"), "database"),
        Case("sigkill", at("swap database/inside"), "database"),
        Case("power_lost", at("swap database/ended"), "database", "undo"),
        Case("module_killed", at("switch code/inside"), "releases"),
        Case("fpm_broken", at("prepare/begun"), "releases", "undo"),
    ]


def chosen(cases: t.Iterable[Case], only: t.Sequence[str], playbook: str | None) -> list[Case]:
    """Those that somebody asked for: a fault, fault:phase, or fault:phase/moment; each part may be left empty."""
    return [case for case in cases if playbook in (None, case.playbook) and (not only or any(_named(case, text) for text in only))]


def _named(case: Case, text: str) -> bool:
    fault, _colon, where = text.partition(":")
    phase, _slash, moment = where.partition("/")
    return fault in ("", case.fault) and phase in ("", case.point.phase) and moment in ("", case.point.moment)
