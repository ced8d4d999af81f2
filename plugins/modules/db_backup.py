#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: db_backup
short_description: Back up a database into one compressed file with a manifest
version_added: 0.1.0
description:
  - Makes a consistent backup of a MariaDB, MySQL, PostgreSQL or SQLite database while it is in use, in one compressed file.
  - A MariaDB or MySQL database is dumped in a single transaction with its views, triggers, routines and events, and compressed
    on the way. A PostgreSQL database is dumped in the snapshot of a session that counts its rows meanwhile, in C(pg_dump)'s own format, which
    C(pg_restore) reads; its owner, encoding, locale, settings and privileges, which such a dump lacks, are in the manifest.
    A SQLite database is copied by SQLite's own online backup and checked for damage.
  - With O(form=physical), the file holds the definitions as statements, and the files of the tables as C(mariadb-backup) copies them; each is
    compressed by itself, and C(parts) says where it lies.
  - The file is written aside, proven to be complete, flushed to disk and named. Its manifest, written last, says what the backup
    holds and has its checksum. A backup exists only once its manifest does; of a backup that fails, nothing stays.
  - The database is only read. Old backups are never removed; M(lastgood.rollback.db_backup_prune) does that.
  - The password reaches the database programs in a file that exists in memory only. It is never among their arguments, in the
    environment, on disk, in a log or in the result.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._database
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run makes another backup.
requirements:
  - zstd
  - age or gpg (for O(encryption))
  - mariadb-dump and mariadb, or mysqldump and mysql (for O(engine=mysql))
  - mariadb-backup (for O(form=physical))
  - pg_dump and psql of PostgreSQL 13 or later (for O(engine=postgresql))
  - python3 with its module sqlite3 (for O(engine=sqlite))
options:
  directory:
    description: Where the backup goes. It must exist and belong to the user of the connection.
    type: path
    required: true
  application:
    description: The application's name, for the manifest.
    type: str
  application_version:
    description: The version that the application runs, for the manifest.
    type: str
  label:
    description: What the backup is for, such as V(pre-rollback). It becomes a part of the file name.
    type: str
  form:
    description:
      - V(logical) dumps a database as statements, which later servers understand too.
      - V(physical) copies the files of a MariaDB database while the server works, in a fraction of the time, and so is its restore. It needs
        C(mariadb-backup) of the server's series on the server's host, the right to run programs as the system's user whose the server's
        files are (C(docs/sudoers.md)), and for the login of C(mariadb-backup) that user by the server's socket, as MariaDB sets it up itself, or
        a database user with a password who has RELOAD and PROCESS.
      - A physical backup can be restored by a server of the same series only. A database is refused when it has tables of other engines than
        InnoDB, encrypted tables, tables whose files lie elsewhere, or a name with other characters than letters, digits and underscores.
    type: str
    choices: [logical, physical]
    default: logical
  migrations_table:
    description: The table that lists the applied migrations. They are written into the manifest when it exists.
    type: str
    default: migrations
  minimum_free:
    description: Space that must stay free in O(directory). Nothing is started when the expected size does not fit.
    type: bytes
    default: 64M
  compression_level:
    description: The level for zstd, from 1 to 19. V(1) is already about as small as gzip's usual level, at an eighth of its time.
    type: int
    default: 1
  compression_threads:
    description: Threads for zstd; V(0) is one for each processor core.
    type: int
    default: 0
  jobs:
    description:
      - How many programs dump a MariaDB or MySQL database at the same time, all in one snapshot. Large tables are divided by their primary keys.
      - V(0) is one for each processor core, or a single one when the database has less than 32 MB.
      - To begin in one snapshot, commits are held back for some milliseconds. That takes the privilege RELOAD; without it there is one program,
        and C(streams) in the manifest says why. While several programs write, up to twice the space of the backup is needed.
    type: int
    default: 0
  encryption:
    description:
      - Encrypt the backup with this program, on its way from the compressor to the file. Only who has the secret key of one of O(recipients) can read it.
      - It is tried before anything is dumped. The checksum in the manifest is that of the encrypted file.
    type: str
    choices: [age, gpg]
  recipients:
    description:
      - Who can read the backup. No secret is needed to make one, and none belongs here.
      - For O(encryption=age), public keys - C(age1...), C(ssh-ed25519 ...) or C(ssh-rsa ...).
      - For O(encryption=gpg), full fingerprints of public keys in O(gpg_home). They need not be signed; the fingerprint is what is trusted.
    type: list
    elements: str
  gpg_home:
    description: GnuPG's folder with the public keys; usually that of the user of the connection.
    type: path
  timeout:
    description: Seconds after which the backup is given up.
    type: int
    default: 3600
seealso:
  - module: lastgood.rollback.db_backup_info
"""

EXAMPLES = r"""
- name: Back up the application's database before a rollback
  lastgood.rollback.db_backup:
    environment_file: /var/www/chom/.env
    environment_user: www-data
    directory: /var/backups/chom
    application: chom
    application_version: v1.2.4
    label: pre-rollback

- name: Back up a database with a login from the vault
  lastgood.rollback.db_backup:
    database: chom
    login_user: backup
    login_password: "{{ vault_backup_password }}"
    directory: /var/backups/chom

- name: Back up so that only the holder of a key that is not on this host can read it
  lastgood.rollback.db_backup:
    environment_file: /var/www/chom/.env
    environment_user: www-data
    directory: /var/backups/chom
    encryption: age
    recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
"""

RETURN = r"""
path:
  description: The backup's file, in check mode what it would be called now.
  returned: always
  type: str
  sample: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.sql.zst
manifest:
  description: The manifest's file, in check mode what it would be called now.
  returned: always
  type: str
  sample: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.manifest.json
expected_bytes:
  description: The size that was expected from what the server says about the database.
  returned: always
  type: int
  sample: 41943040
free_bytes:
  description: Free space in the backup directory before the backup.
  returned: always
  type: int
  sample: 84934656000
backup:
  description:
    - What the manifest says.
    - C(rows_basis) is V(dump) when the rows in C(tables) were counted in the backup itself or in its snapshot, and V(server) when the
      server was asked right after it.
    - C(form) is what O(form) was. Of a physical backup, C(uncompressed_bytes) counts what the files took on disk right before they were copied.
    - C(streams) says how many programs dumped it and why not more, or for how many seconds commits were held back. C(parts) says where in the
      file each part lies that can be loaded by itself; the file as a whole is a dump like any other, unless it is encrypted. Then each part is
      encrypted by itself.
    - C(encryption) says with which program the backup is encrypted and to which public keys; those of ssh are named by their fingerprints. It is missing
      when the backup is not encrypted.
    - C(not_transactional) names tables that are not part of the one snapshot; C(warnings) says in words what may be missing.
    - Of PostgreSQL, C(properties) are the database's own, which a restore gives to the new one, C(roles) and C(extensions) are those that
      it needs, and C(not_valid) names constraints and indexes that were not valid. Tables outside the schema C(public) are named with theirs.
    - C(migrations) is null when there is no such table. Times are UTC; the data are those of C(started), or a moment later.
  returned: success, not in check mode
  type: dict
  sample:
    format_version: 1
    form: logical
    id: chom-20261122T021956.123Z-pre-rollback
    file: chom-20261122T021956.123Z-pre-rollback.sql.zst
    bytes: 41691936
    uncompressed_bytes: 125506767
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    engine: mysql
    database: chom
    charset: utf8mb4
    collation: utf8mb4_unicode_ci
    server_version: 11.8.6-MariaDB-0+deb13u1
    client_version: mariadb-dump from 11.8.6-MariaDB, client 10.19 for debian-linux-gnu (x86_64)
    tables: {users: 5000, organizations: 120, sites: 900, migrations: 4}
    rows_basis: dump
    not_transactional: []
    views: 1
    triggers: 0
    routines: 0
    events: 0
    migrations: [2026_01_01_000000_create_users_table]
    application: chom
    application_version: v1.2.4
    label: pre-rollback
    host: chom-1
    started: "2026-11-22T02:19:56.123Z"
    finished: "2026-11-22T02:20:03.701Z"
    compression: zstd
    definers: [chom@localhost]
    streams: {number: 2, seconds_held: 0.031}
    parts:
      - {kind: schema, offset: 0, bytes: 1432, uncompressed_bytes: 7121, tables: {}}
      - {kind: data, offset: 1432, bytes: 41689000, uncompressed_bytes: 125499000, tables: {users: 5000, organizations: 120, sites: 900, migrations: 4}}
      - {kind: programs, offset: 41690432, bytes: 1504, uncompressed_bytes: 647, tables: {}}
    warnings: []
"""

import socket
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _backup, _backup_catalogue
from ..module_utils._clock import utc
from ..module_utils._command import Runner
from ..module_utils._database_credentials import LOGIN, from_options
from ..module_utils._database_dump import MysqlSource
from ..module_utils._database_sqlite import SqliteSource
from ..module_utils._errors import RollbackError
from ..module_utils._mariadb_backup import PhysicalSource
from ..module_utils._packing import Packing, encryption
from ..module_utils._postgresql_dump import PostgresqlSource
from ..module_utils._progress import Progress
from ..module_utils._wiring import JOURNAL, conclude


def _source(options: dict[str, t.Any], runner: Runner) -> _backup.Source:
    credentials = from_options(options, runner)
    if options["form"] == "physical" and credentials.engine != "mysql":
        raise RollbackError(f"There is no physical form of a backup of {credentials.engine}.", next_command="use form: logical")
    if credentials.engine == "sqlite":
        return SqliteSource(runner, credentials.database, options["environment_user"], options["migrations_table"])
    if credentials.engine == "postgresql":
        return PostgresqlSource(runner, credentials, options["migrations_table"])
    if options["form"] == "physical":
        return PhysicalSource(runner, credentials, options["migrations_table"])
    return MysqlSource(runner, credentials, options["migrations_table"], options["jobs"])


def _packing(options: dict[str, t.Any], runner: Runner) -> Packing:
    runner.path("zstd")
    if not 1 <= options["compression_level"] <= 19:
        raise RollbackError("compression_level must be from 1 to 19.")
    zstd = ("zstd", "--quiet", f"-{options['compression_level']}", f"-T{options['compression_threads']}")
    return Packing(zstd, encryption(runner, options["encryption"], options["recipients"] or [], options["gpg_home"]))


def _earlier(directory: str, source: _backup.Source, form: str, now: float) -> int | None:
    """How many bytes of the newest backup like this one passed by: of files they are compressed by then."""
    same = {"engine": source.engine, "database": source.database, "form": form}
    known = _backup_catalogue.fitting(_backup_catalogue.read(directory, now)[0], None, **same)
    return known[0].get("bytes" if form == "physical" else "uncompressed_bytes") if known else None


def _back_up(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    now = time.time()
    packing = _packing(options, runner)
    _backup.free_bytes(options["directory"])
    source = _source(options, runner)
    names = _backup.names(options["directory"], source.database, options["label"], utc(now), source.suffix + packing.suffix)
    expected = source.prepare()
    free = _backup.require_space(options["directory"], expected, options["minimum_free"])
    result: dict[str, t.Any] = {
        "changed": True,
        "path": names.path,
        "manifest": names.manifest,
        "expected_bytes": expected,
        "free_bytes": free,
        "diff": {"before": "", "after": f"{names.path}\n{names.manifest}\n"},
    }
    if module.check_mode:
        return result
    about = {key: options[key] for key in ("application", "application_version", "label", "form")}
    about.update(host=socket.gethostname(), started=utc(now))
    progress = Progress(runner.run_folder, f"db_backup of {source.database}")
    runner.meter = progress.add
    with progress.of("dumping", _earlier(options["directory"], source, options["form"], now)):
        backup = _backup.make(source, names, about, packing=packing, timeout=options["timeout"])
    for warning in backup["warnings"]:
        module.warn(warning)
    return {**result, "backup": backup}


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    try:
        return _back_up(module, runner)
    except RollbackError as error:
        error.state = _backup.NOT_MADE
        raise


_OPTIONS: dict[str, t.Any] = {
    **JOURNAL,
    **LOGIN,
    "directory": {"type": "path", "required": True},
    "application": {"type": "str"},
    "application_version": {"type": "str"},
    "label": {"type": "str"},
    "form": {"type": "str", "choices": ["logical", "physical"], "default": "logical"},
    "migrations_table": {"type": "str", "default": "migrations"},
    "minimum_free": {"type": "bytes", "default": "64M"},
    "compression_level": {"type": "int", "default": 1},
    "compression_threads": {"type": "int", "default": 0},
    "jobs": {"type": "int", "default": 0},
    "encryption": {"type": "str", "choices": ["age", "gpg"]},
    "recipients": {"type": "list", "elements": "str"},
    "gpg_home": {"type": "path"},
    "timeout": {"type": "int", "default": 3600},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=_OPTIONS,
        required_together=[("encryption", "recipients")],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
