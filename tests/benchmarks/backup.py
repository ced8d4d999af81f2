# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a database of one gigabyte: db_backup against the dump that an operator types."""

from __future__ import annotations

import datetime
import json
import time
import typing as t

from host import HERE, Host, fresh_connections, run_silently
from results import Comparison

DATABASE = "lastgood_bench"
ENVIRONMENT = "/var/www/lastgood-bench.env"
DIRECTORY = "/home/deploy/lastgood-bench"
THEIRS = f"{DIRECTORY}/theirs.sql.gz"
DUMP = f"sudo -n mariadb-dump --single-transaction {DATABASE} | gzip > {THEIRS}"


def backup(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Wall time from the controller, and the size of the file."""
    seconds, size = Comparison("backup", "s", 0.6), Comparison("backup_size", "bytes", 1.0)
    note("backup: a database of one gigabyte is being made")
    host.root(prepare(host.gigabytes))
    try:
        host.root(f"mariadb-dump --single-transaction {DATABASE} > /dev/null")  # both sides find the data in memory
        for number in range(runs):
            seconds.theirs.append(host.ssh(DUMP))
            size.theirs.append(float(host.root(f"stat -c %s {THEIRS}")))
            seconds.ours.append(ours(host))
            manifest = json.loads(host.root(f"cat {DIRECTORY}/*.manifest.json"))
            size.ours.append(manifest["bytes"])
            host.root(f"rm {DIRECTORY}/*")
            note(
                f"backup {number + 1}: ours {seconds.ours[-1]:.2f} s, {spent(manifest):.2f} s of it in the module, "
                f"theirs {seconds.theirs[-1]:.2f} s; {size.ours[-1] / 1e6:.1f} and {size.theirs[-1] / 1e6:.1f} MB"
                f" for {manifest['uncompressed_bytes'] / 1e6:.0f} MB"
            )
    finally:
        host.root(f"mariadb -e 'DROP DATABASE {DATABASE}; DROP USER {DATABASE}@localhost'; rm -rf {DIRECTORY} {ENVIRONMENT}")
    return [seconds, size]


def data(file: str, gigabytes: int) -> str:
    """The statements that make the database."""
    text = (HERE / file).read_text(encoding="utf-8")
    return text.replace(":users", str(350_000 * gigabytes)).replace(":activities", str(2_900_000 * gigabytes))


def prepare(gigabytes: int) -> str:
    """The shell script that makes the database, the login of its application and a backup directory."""
    return f"""
mariadb <<'END'
{data("backup.sql", gigabytes)}
END
printf '%s\\n' DB_DATABASE={DATABASE} DB_USERNAME={DATABASE} DB_PASSWORD=bench >{ENVIRONMENT}
chown www-data {ENVIRONMENT}
chmod 400 {ENVIRONMENT}
install -d -o deploy {DIRECTORY}
"""


def ours(host: Host) -> float:
    command = host.module("db_backup", {"environment_file": ENVIRONMENT, "environment_user": "www-data", "directory": DIRECTORY})
    with fresh_connections() as environment:
        began = time.monotonic()
        run_silently(command, "db_backup", environment)
        return time.monotonic() - began


def spent(manifest: t.Mapping[str, t.Any]) -> float:
    moments = [datetime.datetime.fromisoformat(manifest[name].replace("Z", "+00:00")) for name in ("started", "finished")]
    return (moments[1] - moments[0]).total_seconds()
