# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody on call types on one application on several hosts, scenario by scenario, in this order."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Act:
    """One call of a playbook, and what is done to the hosts before it."""

    name: str
    playbook: str
    extra: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    before: t.Mapping[str, str] = dataclasses.field(default_factory=dict)  # by the end of a host's name: typed there as root
    profile: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)  # laid over the profile of the inventory
    fails_on: str = ""  # the end of the name of the host whose gate is to fail, and need not be given long
    only: str = ""  # the end of the name of the one host that is meant
    approved_in: str = ""  # an earlier act, which printed how to agree to what this one does
    release: str | None = None  # deployed on both web servers before


LAYOUTS: dict[str, t.Literal["git", "releases"]] = {"three_hosts": "git", "releases_three_hosts": "releases"}

BREAK = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=broken/ /var/www/chom/.env"
REPAIR = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=classic/ /var/www/chom/.env"
BREAK_SHARED, REPAIR_SHARED = (line.replace("chom/.env", "chom/shared/.env") for line in (BREAK, REPAIR))
DOWN = {"target": "v1.2.3", "migrations": "down", "watch_seconds": 0}
STANDARD: dict[str, t.Any] = {"target": "v1.2.3", "watch_seconds": 0}
UNTRIED = {**STANDARD, "trial": False}
ALL: dict[str, t.Any] = {"target": "last_good", "watch_seconds": 0}
DAMAGE_DATA = "mariadb chom -e 'DELETE FROM sites WHERE id <= 100'"
LOSE_DATA = "mariadb -e 'DROP DATABASE chom'"
FORGET = "rm /var/lib/lastgood/chom/ledger.jsonl; runuser -u www-data -- git -C /var/www/chom tag --delete v1.2.3"
NO_COMMITS = "rm /var/www/chom/releases/*/REVISION"  # from now on a release is known by its version and its folder only
LOSE_IT = "mv $(ls -d /var/www/chom/releases/20* | head -n 1) /var/www/"  # where v1.2.3 is, named by its time
FIND_IT = "mv /var/www/20* /var/www/chom/releases/"
ASIDE = "/var/www/chom/.current.lastgood"  # what is in its place cannot be made the link

ACTS: dict[str, tuple[Act, ...]] = {
    "three_hosts": (
        Act("together", "standard_rollback", DOWN, release="migration"),
        Act("backed_up", "../tests/faults/backup", only="web1"),
        Act("good", "restore_point", {"state": "verified"}),
        Act("all_asked", "full_system_rollback", ALL, {"db1": DAMAGE_DATA, "web2": BREAK}, release="crash"),
        Act("all_restored", "full_system_rollback", ALL, approved_in="all_asked"),
        Act("all_undone", "undo"),
        Act("disagree", "emergency_rollback", {"migrations": "keep"}, {"web2": FORGET}),
        Act("unreachable", "emergency_rollback", {"target": "v1.2.3"}, {"web2": "systemctl stop ssh.socket ssh.service"}),
        Act(
            "one_fails",
            "emergency_rollback",
            {"target": "v1.2.3"},
            {"web2": "systemctl start ssh.service; runuser -u www-data -- git -C /var/www/chom fetch --quiet --tags"},
            fails_on="web2",
        ),
        Act("repaired", "resume", {"take_over": "rehearsed"}, {"web2": REPAIR}),
        Act("undone", "undo"),
        Act("alone_fails", "emergency_rollback", {"target": "v1.2.3"}, {"web2": BREAK}, fails_on="web2", only="web2"),
        Act("alone_repaired", "resume", {}, {"web2": REPAIR}),
    ),
    "releases_three_hosts": (
        Act("good", "restore_point", {"state": "verified"}),
        Act("together", "standard_rollback", ALL, release="none"),
        Act("undone", "undo"),
        Act("missing", "standard_rollback", STANDARD, {"web1": NO_COMMITS, "web2": f"{NO_COMMITS}; {LOSE_IT}"}),
        Act("unreachable", "standard_rollback", STANDARD, {"web2": f"{FIND_IT}; systemctl stop ssh.socket ssh.service"}),
        Act("half_switched", "standard_rollback", STANDARD, {"web2": f"systemctl start ssh.service; mkdir {ASIDE}"}),
        Act("half_undone", "undo", {"take_over": "rehearsed"}, {"web2": f"rm -r {ASIDE}"}),
        Act("not_good", "standard_rollback", STANDARD, {"web2": BREAK_SHARED}),
        Act("went_back", "standard_rollback", UNTRIED, profile={"on_failed_gate": "undo"}, fails_on="web2"),
        Act("held", "standard_rollback", UNTRIED, fails_on="web2"),
        Act("resumed", "resume", {"take_over": "rehearsed"}, {"web2": REPAIR_SHARED}),
        Act("verified", "restore_point", {"state": "verified"}),
        Act("gone_asked", "full_system_rollback", ALL, {"db1": LOSE_DATA, "web2": BREAK_SHARED}),
        Act("gone_restored", "full_system_rollback", ALL, approved_in="gone_asked"),
        Act("not_gone_again", "undo"),
    ),
}
