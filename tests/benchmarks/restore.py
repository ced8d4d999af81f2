# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of one gigabyte goes back to a backup: db_restore against dropping it and loading the operator's dump."""

from __future__ import annotations

import json
import time
import typing as t

from backup import DATABASE, DIRECTORY, DUMP, ENVIRONMENT, THEIRS, prepare
from host import Host, fresh_connections, run_silently
from results import Comparison

ADMINISTRATOR = {"login_user": "deploy", "login_unix_socket": "/run/mysqld/mysqld.sock", "environment_file": ENVIRONMENT}
OTHER = f"{DATABASE}_theirs"
LOAD = f"gunzip <{THEIRS} | sudo -n mariadb {OTHER}"


def restore(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Wall time from the controller: the backup, loading it beside the live database with all proof, the swap and the way back."""
    saved, beside = Comparison("database_backup", "s", 0.45), Comparison("database_restore", "s", 0.45)
    copied, taken = Comparison("database_backup_physical", "s", 0.2), Comparison("database_restore_physical", "s", 0.2)
    swap, back = Comparison("database_swap", "s", None), Comparison("database_return", "s", None)
    note("restore: a database of one gigabyte is being made")
    host.root(prepare())
    try:
        host.root(f"mariadb-dump --single-transaction {DATABASE} > /dev/null")  # both sides find the data in memory
        for number in range(runs):
            saved.theirs.append(host.ssh(DUMP))
            saved.ours.append(_ours(host, "db_backup", {"directory": DIRECTORY}))
            host.root(f"mariadb -e 'CREATE OR REPLACE DATABASE {OTHER}'")
            theirs = host.ssh(LOAD)
            host.root(f"mariadb -e 'DROP DATABASE {OTHER}'")
            manifest = {"backup": host.root(f"ls {DIRECTORY}/*.manifest.json").strip()}
            beside.theirs.append(theirs)
            beside.ours.append(_ours(host, "db_restore", {"state": "beside", **manifest}))
            for found, state in ((swap, "swapped"), (back, "returned")):
                found.theirs.append(theirs)  # with the runbook nobody has the database while it is loaded
                found.ours.append(_ours(host, "db_restore", {"state": state, **manifest}))
            seconds = json.loads(host.root("cat /var/lib/lastgood/bench/db_restore.json"))["proof"]["seconds"]
            _ours(host, "db_restore", {"state": "released"})
            host.root(f"rm {DIRECTORY}/*")
            copied.theirs.append(saved.theirs[-1])
            copied.ours.append(_ours(host, "db_backup", {"directory": DIRECTORY, "form": "physical"}))
            size = host.root(f"stat -c %s {DIRECTORY}/*.mariadb.zst").strip()
            taken.theirs.append(theirs)
            manifest = {"backup": host.root(f"ls {DIRECTORY}/*.manifest.json").strip()}
            taken.ours.append(_ours(host, "db_restore", {"state": "beside", **manifest}))
            spent = json.loads(host.root("cat /var/lib/lastgood/bench/db_restore.json"))["proof"]["seconds"]
            _ours(host, "db_restore", {"state": "released"})
            host.root(f"rm {DIRECTORY}/*")
            note(
                f"physical {number + 1}: backup {copied.ours[-1]:.1f} s ({int(size) / 1e6:.0f} MB), beside {taken.ours[-1]:.1f} s ({spent})"
            )
            note(
                f"restore {number + 1}: backup {saved.ours[-1]:.1f} and {saved.theirs[-1]:.1f} s; beside {beside.ours[-1]:.1f} s ({seconds}),"
                f" theirs {theirs:.1f} s; swap {swap.ours[-1]:.2f} s, way back {back.ours[-1]:.2f} s"
            )
    finally:
        names = host.root("mariadb -N -e 'SHOW DATABASES'").split()
        drop = "; ".join(f"DROP DATABASE {name}" for name in names if name.startswith(DATABASE))
        host.root(f"mariadb -e '{drop}; DROP USER {DATABASE}@localhost'; rm -rf {DIRECTORY} {ENVIRONMENT} /var/lib/lastgood/bench")
    return [saved, beside, copied, taken, swap, back]


def _ours(host: Host, module: str, options: t.Mapping[str, t.Any]) -> float:
    application = {"application": "bench"} if module == "db_restore" else {}
    command = host.module(module, {**ADMINISTRATOR, "environment_user": "www-data", **application, **options})
    with fresh_connections() as environment:
        began = time.monotonic()
        run_silently(command, module, environment)
        return time.monotonic() - began
