# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong: each fault with what it needs before the run, what happens at its moment, and how it is repaired."""

from __future__ import annotations

import dataclasses
import typing as t

Target = t.Literal["host", "controller", "machine"]

FILL = "fallocate -l $(df --output=avail -B1 {0} | tail -1) {0}/ballast; cat /dev/zero >> {0}/ballast 2>/dev/null || test $? = 1"
BLOB = "$(runuser -u www-data -- git -C /var/www/chom rev-parse v1.2.3:app/Http/Controllers/HomeController.php)"
LOOSE = "/var/www/chom/.git/objects/${blob:0:2}/${blob:2}"
POOL = "/etc/php/8.4/fpm/pool.d/zz-broken.conf"


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that goes wrong while a run is at a moment."""

    name: str
    text: str
    strikes: Target = "host"
    script: str = ""  # typed on the host as root, at the moment
    repair: str = ""  # typed on the host as root, before somebody recovers
    signal: t.Literal["", "SIGKILL", "SIGTERM"] = ""  # to the controller
    kill_module: bool = False  # the process on the host that works for the run
    full: t.Literal["", "/var/lib/lastgood", "/var/www"] = ""  # a folder that gets a small file system of its own first
    lasts: bool = False  # until it is repaired: the site itself may suffer from it, whatever the rollback does
    forgets: bool = False  # Redis loses what it had not saved, whatever the rollback does


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("sigkill", "the controller's processes are killed", "controller", signal="SIGKILL"),
        Fault("sigterm", "the controller is asked to end (AWX: cancel)", "controller", signal="SIGTERM"),
        Fault("module_killed", "the process on the host is killed (out of memory)", kill_module=True),
        Fault("connection_cut", "sshd's processes of the connection are killed", script="pkill -KILL -u deploy sshd"),
        Fault(
            "network_lost",
            "packets to the controller vanish, nobody is told",
            script="ip route add blackhole $(ip route show default | cut -d' ' -f3)/32",
            repair="ip route del blackhole $(ip route show default | cut -d' ' -f3)/32",
            lasts=True,
        ),
        Fault("power_lost", "the host stops at once and starts again", "machine", lasts=True, forgets=True),
        Fault(
            "state_disk_full",
            "nothing more fits where the state lies",
            script=FILL.format("/var/lib/lastgood"),
            repair="rm /var/lib/lastgood/ballast",
            full="/var/lib/lastgood",
        ),
        Fault(
            "application_disk_full",
            "nothing more fits where the application lies",
            script=FILL.format("/var/www"),
            repair="rm /var/www/ballast",
            full="/var/www",
            lasts=True,
        ),
        Fault("mariadb_stopped", "MariaDB is stopped", script="systemctl stop mariadb", repair="systemctl start mariadb", lasts=True),
        Fault("redis_stopped", "Redis is stopped", script="systemctl stop redis-server", repair="systemctl start redis-server", lasts=True),
        Fault(
            "fpm_broken",
            "PHP-FPM refuses to start: a pool with a mistake",
            script=f"printf '[broken]\\nnonsense = 1\\n' > {POOL}",
            repair=f"rm {POOL}; systemctl reset-failed php8.4-fpm; systemctl start php8.4-fpm",
            lasts=True,
        ),
        Fault(
            "composer_broken",
            "Composer ends with an error",
            script="mv /usr/bin/composer /root/composer; printf '#!/bin/sh\\necho broken >&2\\nexit 1\\n' > /usr/bin/composer; "
            "chmod 755 /usr/bin/composer",
            repair="mv /root/composer /usr/bin/composer",
        ),
        Fault(
            "packages_gone",
            "Composer cannot read the packages",
            script="chmod 0 /opt/chom-packages",
            repair="chmod 755 /opt/chom-packages",
        ),
        Fault(
            "object_missing",
            "git lacks a file of the target",
            script=f"blob={BLOB}; mv {LOOSE} /root/object",
            repair=f"blob={BLOB}; test -e {LOOSE} || install -D -o www-data -g www-data -m 444 /root/object {LOOSE}; rm /root/object",
        ),
        Fault(
            "target_unhealthy",
            "every version answers 500 once its caches are built",
            script="cp -p /var/www/chom/.env /root/env; sed -i s/^CHOM_THEME=.*/CHOM_THEME=missing/ /var/www/chom/.env",
            repair="cat /root/env > /var/www/chom/.env",
        ),
    )
}
