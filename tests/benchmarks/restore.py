# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database goes back to a backup: db_restore against dropping it and loading the operator's dump."""

from __future__ import annotations

import json
import pathlib
import tempfile
import time
import typing as t

from backup import DATABASE, DIRECTORY, DUMP, ENVIRONMENT, THEIRS, data, prepare
from host import DatabaseHost, Host, fresh_connections, run_silently
from results import Comparison

OF_MARIADB = {
    "login_user": "deploy",
    "login_unix_socket": "/run/mysqld/mysqld.sock",
    "environment_file": ENVIRONMENT,
    "environment_user": "www-data",
}
ENVIRONMENT_OF_POSTGRESQL = "/home/deploy/lastgood-bench.env"
OF_POSTGRESQL = {"login_user": "postgres", "login_unix_socket": "/var/run/postgresql", "environment_file": ENVIRONMENT_OF_POSTGRESQL}
OTHER = f"{DATABASE}_theirs"
LOAD = f"gunzip <{THEIRS} | sudo -n mariadb {OTHER}"


def restore(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Wall time from the controller: the backup, loading it beside the live database with all proof, the swap and the way back."""
    of = "" if host.gigabytes == 1 else f"_of_{host.gigabytes}_gb"
    saved, beside = Comparison(f"database_backup{of}", "s", 0.45), Comparison(f"database_restore{of}", "s", 0.45)
    copied, taken = Comparison(f"database_backup_physical{of}", "s", 0.2), Comparison(f"database_restore_physical{of}", "s", 0.2)
    swap, back = Comparison(f"database_swap{of}", "s", None), Comparison(f"database_return{of}", "s", None)
    large, larger = Comparison(f"database_backup_size{of}", "bytes", 1.0), Comparison(f"database_backup_physical_size{of}", "bytes", 1.0)
    note(f"restore: a database of {host.gigabytes} GB is being made")
    host.root(prepare(host.gigabytes))
    try:
        host.root(f"mariadb-dump --single-transaction {DATABASE} > /dev/null")  # both sides find the data in memory
        for number in range(runs):
            saved.theirs.append(host.ssh(DUMP))
            saved.ours.append(_ours(host, "db_backup", {"directory": DIRECTORY}))
            large.theirs.append(_size(host, THEIRS))
            large.ours.append(_size(host, f"{DIRECTORY}/*.sql.zst"))
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
            larger.theirs.append(large.theirs[-1])
            larger.ours.append(_size(host, f"{DIRECTORY}/*.mariadb.zst"))
            taken.theirs.append(theirs)
            manifest = {"backup": host.root(f"ls {DIRECTORY}/*.manifest.json").strip()}
            taken.ours.append(_ours(host, "db_restore", {"state": "beside", **manifest}))
            spent = json.loads(host.root("cat /var/lib/lastgood/bench/db_restore.json"))["proof"]["seconds"]
            _ours(host, "db_restore", {"state": "released"})
            host.root(f"rm {DIRECTORY}/*")
            note(
                f"physical {number + 1}: backup {copied.ours[-1]:.1f} s ({larger.ours[-1] / 1e6:.0f} MB), beside {taken.ours[-1]:.1f} s ({spent})"
            )
            note(
                f"restore {number + 1}: backup {saved.ours[-1]:.1f} and {saved.theirs[-1]:.1f} s; beside {beside.ours[-1]:.1f} s ({seconds}),"
                f" theirs {theirs:.1f} s; swap {swap.ours[-1]:.2f} s, way back {back.ours[-1]:.2f} s"
            )
    finally:
        names = host.root("mariadb -N -e 'SHOW DATABASES'").split()
        drop = "; ".join(f"DROP DATABASE {name}" for name in names if name.startswith(DATABASE))
        host.root(f"mariadb -e '{drop}; DROP USER {DATABASE}@localhost'; rm -rf {DIRECTORY} {ENVIRONMENT} /var/lib/lastgood/bench")
    return [saved, beside, copied, taken, swap, back, large, larger]


def postgresql(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """The same of PostgreSQL, on a host of its own."""
    of = "" if host.gigabytes == 1 else f"_of_{host.gigabytes}_gb"
    saved, beside = Comparison(f"postgresql_backup{of}", "s", 0.35), Comparison(f"postgresql_restore{of}", "s", 0.75)
    swap, back = Comparison(f"postgresql_swap{of}", "s", None), Comparison(f"postgresql_return{of}", "s", None)
    large = Comparison(f"postgresql_backup_size{of}", "bytes", 1.0)
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as folder:
        mine = DatabaseHost(f"{host.name}-postgresql", pathlib.Path(folder))
        try:
            note(f"postgresql: a database of {host.gigabytes} GB is being made")
            mine.root(_prepare_postgresql(host.gigabytes))
            mine.root(f"runuser -u postgres -- pg_dump {DATABASE} > /dev/null")  # both sides find the data in memory
            for number in range(runs):
                saved.theirs.append(mine.ssh(f"sudo -n -u postgres pg_dump {DATABASE} | gzip > {THEIRS}"))
                saved.ours.append(_ours(mine, "db_backup", {"directory": DIRECTORY}, OF_POSTGRESQL))
                large.theirs.append(_size(mine, THEIRS))
                large.ours.append(_size(mine, f"{DIRECTORY}/*.zst"))
                mine.ssh(f"sudo -n -u postgres createdb --owner={DATABASE} {OTHER}")
                theirs = mine.ssh(f"gunzip <{THEIRS} | sudo -n -u postgres psql --quiet --set=ON_ERROR_STOP=1 {OTHER} > /dev/null")
                mine.ssh(f"sudo -n -u postgres dropdb {OTHER}")
                manifest = {"backup": mine.root(f"ls {DIRECTORY}/*.manifest.json").strip()}
                for found, state in ((beside, "beside"), (swap, "swapped"), (back, "returned")):
                    found.theirs.append(theirs)
                    found.ours.append(_ours(mine, "db_restore", {"state": state, **manifest}, OF_POSTGRESQL))
                seconds = json.loads(mine.root("cat /var/lib/lastgood/bench/db_restore.json"))["proof"]["seconds"]
                _ours(mine, "db_restore", {"state": "released"}, OF_POSTGRESQL)
                mine.root(f"rm {DIRECTORY}/*")
                note(
                    f"postgresql {number + 1}: backup {saved.ours[-1]:.1f} and {saved.theirs[-1]:.1f} s; beside {beside.ours[-1]:.1f} s"
                    f" ({seconds}), theirs {theirs:.1f} s; swap {swap.ours[-1]:.2f} s, way back {back.ours[-1]:.2f} s"
                )
        finally:
            mine.destroy()
    return [saved, beside, swap, back, large]


def _prepare_postgresql(gigabytes: int) -> str:
    return f"""
runuser -u postgres -- psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 >/dev/null <<'END'
{data("postgresql.sql", gigabytes)}
END
install -d -o deploy {DIRECTORY} /var/lib/lastgood
printf '%s\\n' DB_CONNECTION=pgsql DB_HOST=127.0.0.1 DB_DATABASE={DATABASE} DB_USERNAME={DATABASE} DB_PASSWORD=bench >{ENVIRONMENT_OF_POSTGRESQL}
chown deploy {ENVIRONMENT_OF_POSTGRESQL}
chmod 400 {ENVIRONMENT_OF_POSTGRESQL}
"""


def _size(host: Host, path: str) -> float:
    return float(host.root(f"stat -c %s {path}"))


def _ours(host: Host, module: str, options: t.Mapping[str, t.Any], login: t.Mapping[str, t.Any] = OF_MARIADB) -> float:
    application = {"application": "bench"} if module == "db_restore" else {}
    command = host.module(module, {**login, **application, **options})
    with fresh_connections() as environment:
        began = time.monotonic()
        run_silently(command, module, environment)
        return time.monotonic() - began
