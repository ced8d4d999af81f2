#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: data_loss
short_description: Count and save what a database would lose by being replaced
version_added: 0.1.0
description:
  - Compares the live database with another one on the same server that holds the older state (O(side)), or with a point in time
    (O(since)), before anything is replaced. Nothing of the two databases is changed.
  - "By a key of the table: new rows (only in the live database), changed rows (same key, other content) and deleted rows (only in
    the other one, so they would come back). Without O(side), by a column with the time of each row: new rows."
  - All numbers and all saved rows are of one moment, by one read-only transaction. The server does the comparing; saved rows are
    streamed. While a SQLite database that is not in WAL mode is being read, others cannot write to it.
  - PostgreSQL sees one database at a time. There keys, numbers and a digest of each row of the other database are copied into temporary
    tables of the session, which needs the privilege C(TEMPORARY) and some space. A table outside the schema C(public) has its schema in
    front of its name.
  - Nothing is guessed. What cannot be determined is null, with the reason. A table without a key is only counted.
  - With O(directory), new and changed rows are saved there before they are lost, see RV(salvage). P(lastgood.rollback.data_salvage#module)
    puts them back.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._database
  - lastgood.rollback._journal
attributes:
  check_mode:
    support: full
    details: Counts, and saves nothing.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: With O(directory), each run saves the rows again.
requirements:
  - mariadb or mysql (for O(engine=mysql))
  - psql 11 or newer (for O(engine=postgresql))
  - python3 with its module sqlite3 (for O(engine=sqlite))
options:
  side:
    description:
      - The database with the older state, on the same server. For SQLite the path of a file.
      - Whoever logs in must be allowed to read both.
    type: str
  since:
    description:
      - The restore point as a point in time with its offset from UTC, such as V(2026-11-22T09:30:00Z).
      - Whole seconds count, so that a row of the very second of the restore point counts as new.
    type: str
  tables:
    description: The tables to compare. Default is all that one of the two databases has.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The table's name.
        type: str
        required: true
      key:
        description:
          - Columns that tell the rows apart. Default is the primary key, or else a unique one without columns that may be NULL.
          - When the database does not guarantee that, it is proven first. NULL is taken for a value like others.
        type: list
        elements: str
        default: []
      timestamp:
        description:
          - A column with the time at which a row was made, for O(since). It is used where rows cannot be told by their key.
          - A time without an offset is read as UTC, a number as seconds since 1970.
        type: str
      sums:
        description: Columns to add up, of new, changed and deleted rows each.
        type: list
        elements: str
        default: []
  transient:
    description: Tables whose rows are no loss, such as V(sessions), V(cache) or V(jobs). They are compared but not in RV(totals).
    type: list
    elements: str
    default: []
  directory:
    description: Where the rows that would be lost are saved. It must exist and belong to the user of the connection.
    type: path
  csv:
    description: Whether to save each table as CSV too, for reading in other programs.
    type: bool
    default: false
  timeout:
    description: Seconds after which it is given up.
    type: int
    default: 600
seealso:
  - module: lastgood.rollback.data_salvage
  - module: lastgood.rollback.db_backup
"""

EXAMPLES = r"""
- name: Say what going back to the backup of this morning would lose, and save it
  lastgood.rollback.data_loss:
    environment_file: /var/www/chom/.env
    login_user: root
    login_unix_socket: /run/mysqld/mysqld.sock
    side: chom__side
    tables:
      - name: orders
        sums: [amount]
      - name: users
    directory: /var/backups/chom
  become: true

- name: Count the rows of the last release, with no other database to compare with
  lastgood.rollback.data_loss:
    environment_file: /var/www/chom/.env
    since: "2026-11-22T09:30:00+01:00"
    tables:
      - name: orders
        timestamp: created_at
"""

RETURN = r"""
tables:
  description:
    - Each table that was compared. What could not be determined is null, and C(reason) says why.
    - C(basis) is V(key), V(timestamp), V(count) when rows were only counted, or V(view).
    - C(sums) has for each column what the new, changed and deleted rows come to, exactly and as text; for changed rows it is the
      difference between the live and the other database.
    - C(only_live) names columns that the other database lacks. A row with something in them counts as changed.
  returned: success
  type: list
  elements: dict
  sample:
    - name: orders
      basis: key
      key: [id]
      rows: 20012
      rows_side: 20001
      new: 12
      changed: 3
      deleted: 1
      sums: {amount: {new: "1234.50", changed: "-5.00", deleted: "10.00"}}
      only_live: []
      transient: false
      reason: null
      salvage: /var/backups/chom/chom-20261122T101500.000Z-salvage/0001-orders.jsonl
totals:
  description: All tables together, without transient ones. C(tables) differ, C(undetermined) are not known in full.
  returned: success
  type: dict
  sample: {new: 12, changed: 3, deleted: 1, tables: [orders], undetermined: []}
text:
  description: A line for each table with losses, then what is not known.
  returned: success
  type: str
  sample: "orders: 12 new (amount 1234.50), 3 changed (amount -5.00), 1 deleted (amount 10.00)."
salvage:
  description:
    - The folder with the rows that were saved, null when there are none, or none were to be saved.
    - For each table there is a file of JSON lines, first the table with its columns, then C({"kind":"new","row":{…}}) for each row.
      Values are exact, as text; bytes are C({"base64":"…"}), NULL is null, times of the type TIMESTAMP are UTC. SQLite's numbers are
      numbers.
    - In CSV only NULL has no quotes.
    - C(manifest.json) has the counts, checksums, columns and types. Files have mode 0600.
  returned: success
  type: str
  sample: /var/backups/chom/chom-20261122T101500.000Z-salvage
"""

import socket
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command import Runner
from ..module_utils._data_loss import Loss, Wish, compare, moment, text, totals
from ..module_utils._database_credentials import LOGIN, from_options
from ..module_utils._errors import RollbackError
from ..module_utils._salvage import Salvage
from ..module_utils._tables_engines import tables_of
from ..module_utils._wiring import JOURNAL, conclude


def _wishes(options: dict[str, t.Any]) -> list[Wish]:
    return [Wish(table["name"], tuple(table["key"]), table["timestamp"] or "", tuple(table["sums"])) for table in options["tables"]]


def _work(module: AnsibleModule, runner: Runner) -> dict[str, t.Any]:
    options = module.params
    engine = tables_of(from_options(options, runner), runner, options["environment_user"])
    if options["side"] == engine.database:
        raise RollbackError("The side database is the live one: there would be nothing to compare.")
    how: dict[str, t.Any] = {
        "side": options["side"],
        "since": moment(options["since"]) if options["since"] else None,
        "wishes": _wishes(options),
        "transient": options["transient"],
        "timeout": options["timeout"],
    }
    saved = None
    if options["directory"] and not module.check_mode:
        about = {name: options[name] for name in ("side", "since")}
        about.update(engine=engine.engine, database=engine.database, host=socket.gethostname())
        with Salvage(options["directory"], engine.database, options["csv"]).draft() as salvage:
            losses = compare(engine, keeper=salvage, **how)
            saved = salvage.path if salvage.publish(about) else None
    else:
        losses = compare(engine, keeper=None, **how)
    return _result(losses, saved, bool(options["directory"]))


def _result(losses: list[Loss], saved: str | None, wanted: bool) -> dict[str, t.Any]:
    found = text(losses)
    return {
        "changed": wanted and any(loss.new or loss.changed for loss in losses),
        "tables": [loss.as_dict() for loss in losses],
        "totals": totals(losses),
        "text": found,
        "salvage": saved,
        "diff": {"before": "", "after": f"{found}\n"},
    }


_TABLE: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "key": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "timestamp": {"type": "str"},
    "sums": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **JOURNAL,
            **LOGIN,
            "side": {"type": "str"},
            "since": {"type": "str"},
            "tables": {"type": "list", "elements": "dict", "default": [], "options": _TABLE},
            "transient": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path"},
            "csv": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
        },
        required_one_of=[("side", "since")],
        supports_check_mode=True,
    )
    conclude(module, _work)


if __name__ == "__main__":
    main()
