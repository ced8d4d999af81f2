#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: db_restore
short_description: Restore a database beside the live one, prove it, swap it in, and give the replaced one back
version_added: 0.1.0
description:
  - Loads a backup that M(lastgood.rollback.db_backup) made into a side database on the same server and proves it there. Only a proven
    database is swapped in, and the one that it replaces is kept under a dated name until it is released.
  - Proven means that the checksum of the file and its end are right, that the side database holds the tables, rows, views, triggers and
    programs that the manifest names, that its foreign keys hold, and that each of O(assertions) is true.
  - What is done is recorded in a file before it is done. After an interruption the same call goes on, or begins again where that is safe.
  - MariaDB and MySQL change all tables in one atomic C(RENAME TABLE). Triggers stand in its way, so they are dropped for the moment of
    the swap; views, routines and events that are the same in both databases are left alone, others are replaced one by one right after it. Their
    definitions, with their SQL mode, character set and definer, are in the record before anything is touched. When the call is
    interrupted within these milliseconds, the tables are those of one database, whole, while triggers, or views and programs that differ, may be missing
    or still those of the other one, until the call is repeated. Writers should be stopped during a swap.
  - PostgreSQL renames both databases in one transaction. For that moment, sessions with them are ended and new ones are refused; what lets
    them in again is part of the transaction. When the call is interrupted before it, the live database refuses logins until the call
    is repeated. The side database has the owner, encoding, locale, tablespace, comment, privileges and settings (C(ALTER DATABASE SET))
    that the database had when it was backed up. A backup that needs a role or an extension that the server lacks is refused.
  - Of single O(tables), PostgreSQL exchanges the rows, in one transaction of the live database. Users stay logged in and wait for locks;
    when a lock cannot be had within 10 seconds, nothing is done. Triggers are disabled for the moment, and foreign keys are made anew,
    which proves them; those that do not hold and were accepted are C(NOT VALID) from then on. Definitions stay those of the live
    database, so the columns must be the same in both. Tables with partitions, parents or rules, and with columns of type C(oid), are
    refused. For the time of the exchange both databases have a schema C(lastgood_exchange) with a copy of the rows. Materialized views
    are not refreshed.
  - Before a swap, counters that number new rows are moved on to where those of the live database are, so that no number is given to a
    second row and saved rows can be put back (C(AUTO_INCREMENT) of InnoDB, sequences of PostgreSQL and MariaDB that go up,
    C(AUTOINCREMENT) of SQLite).
  - Of a physical backup, the files are made ready beside the others in the server's folder and taken over by empty tables of the side database
    (C(IMPORT TABLESPACE)). It is refused, before anything is made, by a server of another series, on another host, and where the user of the
    connection may not run programs as the system's user whose the server's files are.
  - In MariaDB and MySQL, in the side database and in the kept one, events are disabled; in the live one they are as they were.
  - The login needs the privileges for all this on the three databases, and SET USER (or SUPER) when views, triggers or programs
    belong to other users.
  - A backup is decompressed, and decrypted, in a stream and never laid on the disk. Of PostgreSQL, O(jobs) programs read the same backup, each for other
    tables; then as many make indexes and constraints. A kill in between may leave a list of the tables' names in C(/var/tmp).
  - The checksum is compared before anything is made; whether the backup is whole and holds what its manifest says, is seen while and after it is
    loaded. In check mode, where nothing is loaded, the backup is read for that.
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
    support: full
requirements:
  - zstd
  - age or gpg (for an encrypted backup)
  - mariadb, or mysql (for O(engine=mysql))
  - mariadb-backup of the server's series (for physical backups)
  - psql and pg_restore of PostgreSQL 13 or later (for O(engine=postgresql))
  - python3 with its module sqlite3 (for O(engine=sqlite))
options:
  state:
    description:
      - V(beside) makes a proven side database; the live one is not touched.
      - V(swapped) makes the side database the live one, after having made it where that is not done yet. The replaced database is kept.
      - V(returned) swaps back. The database that was live in between is kept as the side database.
      - V(released) B(removes) the kept database and the side database. Nothing else removes data.
    type: str
    choices: [beside, swapped, returned, released]
    default: beside
  backup:
    description: The manifest of the backup. Required for O(state=beside) and O(state=swapped).
    type: path
  record:
    description:
      - The file in which the restore is recorded, for the user of the connection only. One database has one record.
      - Default is C(db_restore.json) in the folder of O(application) in O(state_directory).
    type: path
  state_directory:
    description: The folder with the state of all applications.
    type: path
    default: /var/lib/lastgood
  application:
    description: The application's name. Required where there is no O(record).
    type: str
  tables:
    description:
      - Swap only these tables; the others stay as they are.
      - The whole backup is loaded and proven all the same.
      - Names are those of the manifest, of PostgreSQL with the schema unless that is V(public), as in V(audit.users).
    type: list
    elements: str
    default: []
  orphans:
    description: Whether rows may refer to rows that are not there, be it in the backup or after a swap of some O(tables).
    type: str
    choices: [refuse, accept]
    default: refuse
  assertions:
    description: SQL queries on the side database. Each must give one row, whose first value is true.
    type: list
    elements: str
    default: []
  jobs:
    description: How many parts of the backup are loaded at the same time; V(0) is one for each processor core.
    type: int
    default: 0
  identity_file:
    description:
      - The secret key of age for an encrypted backup, a file on the host that the user of the connection can read; without a passphrase, since nobody
        could be asked. Best on a file system in memory, and only while it is needed.
    type: path
  gpg_home:
    description:
      - GnuPG's folder with the secret key, for a backup that was encrypted with gpg; usually that of the user of the connection. Nobody is asked for a
        passphrase, but one that gpg-agent has is used.
    type: path
  minimum_free:
    description: Space that must stay free where the database server keeps its data, when that is on this host.
    type: bytes
    default: 64M
  timeout:
    description: Seconds after which loading is given up.
    type: int
    default: 3600
seealso:
  - module: lastgood.rollback.db_backup
  - module: lastgood.rollback.db_backup_info
"""

EXAMPLES = r"""
- name: Load the backup beside the live database and prove it, while the application runs
  lastgood.rollback.db_restore:
    environment_file: /var/www/chom/.env
    environment_user: www-data
    login_user: admin
    login_password: "{{ vault_admin_password }}"
    application: chom
    backup: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.manifest.json
    assertions:
      - SELECT COUNT(*) > 1000 FROM users

- name: Swap it in, once nobody writes any more
  lastgood.rollback.db_restore:
    state: swapped
    environment_file: /var/www/chom/.env
    environment_user: www-data
    login_user: admin
    login_password: "{{ vault_admin_password }}"
    application: chom
    backup: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.manifest.json

- name: Go back to the database that was replaced
  lastgood.rollback.db_restore:
    state: returned
    environment_file: /var/www/chom/.env
    environment_user: www-data
    login_user: admin
    login_password: "{{ vault_admin_password }}"
    application: chom
"""

RETURN = r"""
stage:
  description: How far the restore has come; V(loading), V(swapping) and V(returning) were interrupted. Null when there is none.
  returned: always
  type: str
  sample: swapped
side:
  description: The side database; null when there is none.
  returned: always
  type: str
  sample: chom__side
kept:
  description: The database that was replaced; null when there is none, also because there was no live database, or none with tables.
  returned: always
  type: str
  sample: chom__kept_20261122t101500z
counters_left:
  description: Counters that stay where the backup has them, since they cannot be moved on to where those of the live database were.
  returned: always
  type: list
  elements: str
proof:
  description:
    - What was compared before the side database counted as proven, and how many seconds it took. Null when there is none.
    - C(rows_compared) is false when the manifest's rows were not counted in the backup itself; then tables were compared by name only.
  returned: always
  type: dict
  sample:
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    complete: true
    census: {tables: {users: 5000, migrations: 4}, views: 1, triggers: 0, routines: 0, events: 0}
    rows_compared: true
    violations: []
    orphans: []
    assertions: 1
    seconds: {checking: 0.4, loading: 8.1, proving: 0.3}
backup:
  description: Which backup it is.
  returned: always
  type: dict
  sample:
    id: chom-20261122T021956.123Z-pre-rollback
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    manifest: /var/backups/chom/chom-20261122T021956.123Z-pre-rollback.manifest.json
    started: "2026-11-22T02:19:56.123Z"
record:
  description: The file in which the restore is recorded.
  returned: always
  type: str
  sample: /var/lib/lastgood/chom/db_restore.json
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _restore
from ..module_utils._command import Runner
from ..module_utils._database_credentials import LOGIN, Credentials, from_options
from ..module_utils._errors import RollbackError
from ..module_utils._packing import Keys
from ..module_utils._progress import Progress
from ..module_utils._restore_mysql import MysqlEngine
from ..module_utils._restore_postgresql import PostgresqlEngine
from ..module_utils._restore_record import RECORD, UNTOUCHED, Record
from ..module_utils._restore_sqlite import SqliteEngine
from ..module_utils._wiring import JOURNAL, conclude


def _engine(options: dict[str, t.Any], runner: Runner, credentials: Credentials, record: Record) -> _restore.Engine:
    if credentials.engine == "sqlite":
        return SqliteEngine(runner, options["environment_user"], credentials.database, options["minimum_free"])
    if credentials.engine == "postgresql":
        return PostgresqlEngine(runner, credentials, record, options["minimum_free"])
    return MysqlEngine(runner, credentials, record, options["minimum_free"])


def _record(options: dict[str, t.Any]) -> Record:
    return Record(options["record"] or os.path.join(options["state_directory"], options["application"], RECORD))


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    try:
        return _restored(module, runner)
    except RollbackError as error:
        error.state = error.state or UNTOUCHED
        error.facts["database_unchanged"] = error.state.startswith(UNTOUCHED)
        raise


def _restored(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    credentials = from_options(options, runner)
    record = _record(options)
    wanted = _restore.Wanted(
        live=credentials.database,
        backup=options["backup"],
        tables=sorted(set(options["tables"])),
        assertions=options["assertions"],
        accept_orphans=options["orphans"] == "accept",
        jobs=options["jobs"],
        timeout=options["timeout"],
        keys=Keys(options["identity_file"], options["gpg_home"]),
    )
    progress = Progress(None if module.check_mode else os.path.dirname(record.path), f"db_restore of {credentials.database}")
    runner.meter = progress.add
    restore = _restore.Restore(runner, _engine(options, runner, credentials, record), record, wanted, module.check_mode, progress)
    with record.alone(create=not module.check_mode):
        before = restore.stage
        changed = restore.reach(options["state"])
        after = options["state"] if module.check_mode and changed else restore.stage
        facts = restore.facts()
        if changed and facts["counters_left"]:
            module.warn(
                "Numbers may be given a second time, since these counters could not be moved on to where those of the live database were:"
                f" {', '.join(facts['counters_left'])}."
            )
        return {"changed": changed, **facts, "diff": {"before": f"{before}\n", "after": f"{after}\n"}}


_OPTIONS: dict[str, t.Any] = {
    **JOURNAL,
    **LOGIN,
    "state": {"type": "str", "choices": ["beside", "swapped", "returned", "released"], "default": "beside"},
    "backup": {"type": "path"},
    "record": {"type": "path"},
    "state_directory": {"type": "path", "default": "/var/lib/lastgood"},
    "application": {"type": "str"},
    "tables": {"type": "list", "elements": "str", "default": []},
    "orphans": {"type": "str", "choices": ["refuse", "accept"], "default": "refuse"},
    "assertions": {"type": "list", "elements": "str", "default": []},
    "jobs": {"type": "int", "default": 0},
    "identity_file": {"type": "path"},
    "gpg_home": {"type": "path"},
    "minimum_free": {"type": "bytes", "default": "64M"},
    "timeout": {"type": "int", "default": 3600},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=_OPTIONS,
        required_one_of=[("record", "application")],
        required_if=[("state", "beside", ["backup"]), ("state", "swapped", ["backup"])],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
