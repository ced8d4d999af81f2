# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

import pytest
from postgresql_server import Server

from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql_tables import Exchange

PEER = Credentials(engine="postgresql", database="shop", socket="/run/postgresql", port=5432, user="postgres")
TABLES = """\
table,public,users,t,f,t
table,public,orders,t,f,t
table,audit,"a.b",t,f,t
table,public,parts,f,f,t
table,public,ruled,t,t,t
table,public,pictures,t,f,t
table,public,theirs,t,f,f
column,public,users,id,bigint,f
column,public,users,"o""dd",text,f
column,public,users,length,integer,t
table,public,alone,t,f,t
column,public,alone,id,bigint,f
column,public,orders,id,bigint,f
column,public,pictures,image,oid,f
trigger,public,users,always,A
key,public,orders,by,public,users,"FOREIGN KEY (user_id) REFERENCES public.users(id)",t,it's a key,"[[""user_id"", ""id""]]"
key,public,users,old,audit,"a.b","FOREIGN KEY (a) REFERENCES audit.""a.b""(id) NOT VALID",t,,"[[""a"", ""id""]]"
"""


@dataclass
class TwoDatabases(Server):
    """A server whose databases have tables, of which the side database's differ."""

    changes: dict[str, str] = field(default_factory=dict)
    given_over: bool = False
    copies: set[str] = field(default_factory=set)
    streams: list[str] = field(default_factory=list)
    counts: str = ""
    breaks_after: int = 99

    def answer(self, sql: str) -> str:
        where = next(
            (name for name in ("shop__side", "shop__kept", "postgres") if f"dbname='{name}'" in " ".join(self.calls[-1].argv)), "shop"
        )
        self.said.append(f"{where}: {sql}")
        if "conparentid" in sql:
            there = TABLES
            for old, new in self.changes.items() if where == "shop__side" else ():
                there = there.replace(old, new)
            return there
        if "to_regclass" in sql:
            return "lastgood_exchange.given_over\n" if self.given_over else "NULL\n"
        if "SELECT outgoing" in sql:
            return "shop__kept\n"
        if "to_regnamespace" in sql:
            return "lastgood_exchange\n" if where in self.copies else "NULL\n"
        if "given_over AS" in sql:
            self.given_over = True
            self.copies.add("shop__kept")
        return "".join(f"{name}\n" for name in self.databases) if sql.endswith("SELECT datname FROM pg_database") else ""

    def pipeline(self, stages: t.Sequence[t.Sequence[str]], *, output: int, source: int, **_more: t.Any) -> None:  # type: ignore[override]
        self.pipelines.append([list(stage) for stage in stages])
        with os.fdopen(os.dup(source)) as script:
            self.streams.append(script.read())
        if len(self.streams) >= self.breaks_after:
            self.complaint = "ERROR:  no"
        os.write(output, self.counts.encode())


@pytest.fixture
def server() -> TwoDatabases:
    return TwoDatabases(databases=["postgres", "shop", "shop__side"])


def exchange(server: TwoDatabases, *tables: str) -> Exchange:
    return Exchange(t.cast("t.Any", server), PEER, "shop", "shop__side", tables)


@pytest.mark.parametrize(
    ("table", "changes", "says"),
    [
        ("nothing", {}, "Not in both databases, so they cannot be swapped alone: nothing"),
        ("orders", {",orders": ",gone"}, "Not in both databases"),
        ("parts", {}, "parts has partitions, or inherits"),
        ("ruled", {}, "ruled has rules"),
        ("pictures", {}, "may refer to large objects by image"),
        ("theirs", {}, "belongs to a role of which the database user is no member"),
        ("users", {'"o""dd",text': '"o""dd",integer'}, r'has other columns in the backup \(o"dd\)'),
        ("users", {"length,integer,t": "length,integer,f"}, r"has other columns in the backup \(generated ones\)"),
        ("users", {"column,public,users,length,integer,t\n": ""}, r"has other columns in the backup \(length\)"),
    ],
)
def test_what_cannot_be_exchanged_alone_is_refused(server: TwoDatabases, table: str, changes: dict[str, str], says: str) -> None:
    server.changes = changes
    with pytest.raises(RollbackError, match=says):
        exchange(server, table).orphans()
    with pytest.raises(RollbackError, match=says) as caught:
        exchange(server, table).run("shop__kept", tolerant=False)
    assert caught.value.facts["untouched"]
    assert not server.streams


def test_a_foreign_key_of_somebody_elses_table_is_named(server: TwoDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "TABLES", TABLES.replace("(id)\",t,it's", "(id)\",f,it's"))
    with pytest.raises(RollbackError, match="may not change the foreign keys of orders"):
        exchange(server, "users").orphans()


def test_rows_without_those_they_refer_to_are_counted(server: TwoDatabases) -> None:
    server.counts = "3\n0\n"
    assert exchange(server, "users").orphans() == ["orders.by: 3 rows refer to rows that users lacks"]
    (stream,) = server.streams
    assert 'CREATE TEMPORARY TABLE "lastgood incoming 0" AS SELECT "id", "o""dd" FROM "public"."users" WITH NO DATA' in stream
    assert 'COPY (SELECT "id", "o""dd" FROM "public"."users") TO STDOUT;' in stream
    assert 'FROM "public"."orders" c WHERE c."user_id" IS NOT NULL' in stream
    assert stream.rstrip().endswith("COMMIT;';")
    ((source, target),) = server.pipelines
    assert "dbname='shop__side'" in source[-1]
    assert "dbname='shop'" in target[-1]


def test_tables_without_foreign_keys_have_no_orphans(server: TwoDatabases) -> None:
    assert exchange(server, "alone").orphans() == []
    assert not server.streams


def test_the_live_database_takes_rows_over_in_one_transaction_once_its_own_are_safe(server: TwoDatabases) -> None:
    exchange(server, "users", "orders").run("shop__kept", tolerant=False)
    take = next(sql for sql in server.said if "given_over AS" in sql)
    order = [
        'ALTER TABLE "public"."orders" DROP CONSTRAINT "by"',
        'ALTER TABLE "public"."users" DISABLE TRIGGER "always"',
        'TRUNCATE "public"."users", "public"."orders"',
        'INSERT INTO "public"."users" ("id", "o""dd") OVERRIDING SYSTEM VALUE SELECT "id", "o""dd" FROM lastgood_exchange.rows_0',
        'ALTER TABLE "public"."users" ENABLE ALWAYS TRIGGER "always"',
        'ALTER TABLE "public"."orders" ADD CONSTRAINT "by" FOREIGN KEY (user_id) REFERENCES public.users(id);',
        'COMMENT ON CONSTRAINT "by" ON "public"."orders" IS E\'it\'\'s a key\'',
        "CREATE TABLE lastgood_exchange.given_over",
        "COMMIT",
    ]
    places = [take.index(text) for text in order]
    assert places == sorted(places)
    assert len(server.streams) == 2
    rest = server.said[server.said.index(take) + 1 :]
    assert any('ALTER DATABASE "shop__side" RENAME TO "shop__kept"' in sql for sql in rest)
    assert any("NOT VALID; END" in sql and "DROP SCHEMA lastgood_exchange" in sql for sql in rest)
    assert 'ANALYZE "public"."users"' in rest[-1]


def test_a_foreign_key_that_is_tolerated_is_first_tried(server: TwoDatabases) -> None:
    exchange(server, "users").run("shop__kept", tolerant=True)
    take = next(sql for sql in server.said if "given_over AS" in sql)
    whole = 'ALTER TABLE "public"."users" ADD CONSTRAINT "old" FOREIGN KEY (a) REFERENCES audit."a.b"(id)'
    assert f"DO E'BEGIN {whole}; EXCEPTION WHEN foreign_key_violation THEN {whole} NOT VALID; END';" in take


def test_what_was_done_before_is_not_done_again(server: TwoDatabases) -> None:
    server.databases = ["postgres", "shop", "shop__kept"]
    exchange(server, "users").run("shop__kept", tolerant=False)
    assert not server.streams
    assert not any("DROP SCHEMA" in sql or "RENAME" in sql for sql in server.said)


def test_what_was_given_over_is_completed(server: TwoDatabases) -> None:
    server.given_over, server.copies = True, {"shop__kept"}
    exchange(server, "users").run("shop__kept", tolerant=False)
    assert not server.streams
    assert any("RENAME TO" in sql for sql in server.said)
    assert "DROP SCHEMA lastgood_exchange CASCADE" in server.said[-1]


def test_a_name_that_is_taken_is_not_taken_again(server: TwoDatabases) -> None:
    server.databases.append("shop__kept")
    with pytest.raises(RollbackError, match="cannot take the name shop__kept"):
        exchange(server, "users").run("shop__kept", tolerant=False)


def test_a_failure_before_the_commit_touched_nothing_and_leaves_nothing(server: TwoDatabases) -> None:
    server.breaks_after = 2
    with pytest.raises(RollbackError, match="no") as caught:
        exchange(server, "users").run("shop__kept", tolerant=False)
    assert caught.value.facts["untouched"]
    assert [sql.partition(":")[0] for sql in server.said[-2:]] == ["shop__side", "shop"]
    assert all("DROP SCHEMA IF EXISTS lastgood_exchange" in sql for sql in server.said[-2:])
