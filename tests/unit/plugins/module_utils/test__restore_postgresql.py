# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

import pytest
from postgresql_server import Server

from ansible_collections.lastgood.rollback.plugins.module_utils import _database_postgresql, _postgresql_survey
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._packing import Keys
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql import PostgresqlEngine
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql_tables import Exchange
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_record import Record

PEER = Credentials(engine="postgresql", database="shop", socket="/run/postgresql", port=5432, user="postgres")
PASSWORD = Credentials(engine="postgresql", database="shop", host="db", port=5432, user="admin", password="secret")


def backup(**more: t.Any) -> dict[str, t.Any]:
    found = _postgresql_survey.survey(lambda sql: _database_postgresql._rows(Server().answer(sql)))
    return {
        "id": "shop-1",
        "path": "/backups/shop-1.pgdump.zst",
        "database": "shop",
        "server_number": 170002,
        "server_version": "17.2",
        "client_version": "pg_dump (PostgreSQL) 17.2",
        "properties": found.database,
        "roles": found.roles,
        "extensions": found.extensions,
        "not_valid": found.not_valid,
        "database_bytes": 1,
        "uncompressed_bytes": 1,
        **more,
    }


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def engine(server: Server) -> PostgresqlEngine:
    return PostgresqlEngine(t.cast("t.Any", server), PEER, Record("/nowhere"))


def test_a_backup_that_fits_passes(engine: PostgresqlEngine, server: Server) -> None:
    engine.check(backup(), "shop__side")
    assert all(sql.lstrip().startswith("SELECT") for sql in server.said)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"server_number": 180000, "server_version": "18.0"}, "from PostgreSQL 18.0; this server is older"),
        ({"client_version": "pg_dump (PostgreSQL) 18.1"}, "pg_restore on this host is older"),
        ({"client_version": "who knows"}, "does not say a version"),
        ({"roles": ["shop", "gone"]}, "role gone"),
        ({"extensions": {"postgis": "3"}}, "extension postgis"),
    ],
)
def test_what_cannot_work_is_refused(engine: PostgresqlEngine, more: dict[str, t.Any], says: str) -> None:
    with pytest.raises(RollbackError, match=says):
        engine.check(backup(**more), "shop__side")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("server,170002,t,t", "server,170002,f,f", "may not create databases"),
        ("role,shop,t", "role,shop,f", "may not create a database for 'shop'"),
        ("database,shop,t", "database,shop,f", "may not rename the database 'shop'"),
    ],
)
def test_missing_privileges_are_named(engine: PostgresqlEngine, server: Server, before: str, after: str, says: str) -> None:
    server.server = server.server.replace(before, after)
    with pytest.raises(RollbackError, match=says):
        engine.check(backup(), "shop__side")


def test_loading_creates_fills_and_only_then_configures(engine: PostgresqlEngine, server: Server) -> None:
    engine.load(backup(tables={"users": 5, "migrations": 2}), "shop__side", keys=Keys(), jobs=3, timeout=60)
    lists, before, *rows, after = server.pipelines
    unpack = ["zstd", "--decompress", "--stdout", "--quiet", "--", "/backups/shop-1.pgdump.zst"]
    assert (lists[0], lists[1][1:]) == (unpack, ["--format=custom", "--list"])
    assert all(stages[0] == unpack and "--section=data" in stages[1] for stages in rows)
    for section, stages in (("pre-data", before), ("post-data", after)):
        ((*command, archive),) = stages
        assert command[:4] == ["sudo", "-n", "-u", "postgres"]
        assert {"timeout", "--exit-on-error", f"--section={section}"} <= set(command)
        assert archive == "/dev/stdin"
        assert any("dbname='shop__side'" in word and "synchronous_commit=off" in word for word in command)
    assert "--jobs=3" in after[0]
    assert server.said[1].startswith('CREATE DATABASE "shop__side" ')
    assert server.said[2].startswith("ANALYZE;\nREVOKE ALL")


def test_several_programs_take_different_tables_from_the_archive(engine: PostgresqlEngine, server: Server) -> None:
    engine.load(backup(tables={"users": 5, "migrations": 2, 'audit."a.b"': 2}), "shop__side", keys=Keys(), jobs=2, timeout=60)
    first, second = sorted(server.lists, key=len, reverse=True)
    assert "TABLE DATA public users shop" in first
    assert "SEQUENCE SET" in first
    assert second.splitlines() == ["3341; 0 16391 TABLE DATA public migrations shop", "3342; 0 16392 TABLE DATA audit a.b shop"]


@pytest.mark.parametrize(("own", "used"), [("65536", "131072kB"), ("1048576", "1048576kB")])
def test_a_server_that_gives_indexes_more_memory_keeps_to_that(engine: PostgresqlEngine, server: Server, own: str, used: str) -> None:
    server.server += f"memory,{own}\n"
    engine.load(backup(), "shop__side", keys=Keys(), jobs=1, timeout=60)
    assert any(f"maintenance_work_mem={used}" in word for word in server.pipelines[-1][0])


def test_what_was_encrypted_is_decrypted_in_each_stream(engine: PostgresqlEngine, server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").touch()
    secret = backup(bytes=9, encryption={"tool": "age", "recipients": ["age1x"]}, tables={"users": 1, "migrations": 1})
    engine.check(secret, "shop__side")
    engine.load(secret, "shop__side", keys=Keys(identity_file=str(tmp_path / "key")), jobs=3, timeout=60)
    _lists, _before, *rows, _after = server.pipelines
    assert len(rows) == 2
    for read, decrypt, unpack, fill in rows:
        assert (read[0], unpack[0]) == ("dd", "zstd")
        assert decrypt == ["age", "--decrypt", "--identity", str(tmp_path / "key")]
        assert "pg_restore" in " ".join(fill)


@pytest.mark.requirement("D-010")
def test_what_is_no_archive_is_refused_before_anything_is_made(engine: PostgresqlEngine, server: Server) -> None:
    said = "pg_restore: error: did not find magic string in file header"
    server.failures["pg_restore --format=custom --list"] = Completed(("pg_restore",), 1, "", said)
    with pytest.raises(RollbackError, match=r"shop-1 cannot be used: its archive cannot be read: .*magic"):
        engine.load(backup(), "shop__side", keys=Keys(), jobs=1, timeout=60)
    assert not [sql for sql in server.said if "CREATE DATABASE" in sql]


def test_what_cannot_be_unpacked_is_no_fault_of_the_server(engine: PostgresqlEngine, server: Server) -> None:
    server.failures["zstd"] = Completed(("zstd", "--decompress"), 1, "", "/backups/shop-1.pgdump.zst : Read error (39) : premature end")
    with pytest.raises(RollbackError, match=r"shop-1 cannot be used: its archive cannot be read: zstd .*premature end"):
        engine.load(backup(), "shop__side", keys=Keys(), jobs=1, timeout=60)


def test_a_load_that_fails_says_why_without_the_password(server: Server) -> None:
    server.failures["pg_restore"] = Completed(("pg_restore",), 1, "", "pg_restore: error: could not execute query: ERROR:  boom")
    with pytest.raises(RollbackError, match="boom") as caught:
        PostgresqlEngine(t.cast("t.Any", server), PASSWORD, Record("/nowhere")).load(
            backup(), "shop__side", keys=Keys(), jobs=1, timeout=60
        )
    assert server.logins == ["*:*:*:*:secret\n"]
    assert "secret" not in caught.value.message


def test_the_census_has_the_keys_of_the_manifest(engine: PostgresqlEngine) -> None:
    found = engine.census("shop__side")
    assert found["tables"] == {"users": 2, "migrations": 1, 'audit."a.b"': 0}
    assert found["views"] == 2
    assert found["properties"]["owner"] == "shop"


def test_only_what_was_valid_before_must_be_valid(engine: PostgresqlEngine) -> None:
    assert engine.violations("shop__side") == ["old on users does not hold"]
    engine.load(backup(), "shop__side", keys=Keys(), jobs=1, timeout=60)
    assert engine.violations("shop__side") == []


def test_questions_cannot_write(engine: PostgresqlEngine, server: Server) -> None:
    engine.ask("shop__side", "SELECT 1")
    assert server.said == ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\nSELECT 1"]


def test_both_databases_change_their_names_in_one_transaction(engine: PostgresqlEngine, server: Server) -> None:
    server.databases.append("shop__side")
    engine.swap("shop", "shop__side", "shop__kept")
    begin, *inside, commit = server.said[2].partition("BEGIN;")[2].splitlines()
    assert (begin, commit) == ("", "COMMIT;")
    assert inside[:2] == ['ALTER DATABASE "shop" RENAME TO "shop__kept";', 'ALTER DATABASE "shop__side" RENAME TO "shop";']


def test_a_swap_that_happened_is_not_repeated(engine: PostgresqlEngine, server: Server) -> None:
    server.databases.append("shop__kept")
    engine.swap("shop", "shop__side", "shop__kept")
    assert server.said == ["SELECT datname FROM pg_database"]


def test_a_swap_that_fails_opens_the_live_database_again(engine: PostgresqlEngine, server: Server) -> None:
    server.databases.append("shop__side")
    answer = server.answer

    def refuse(sql: str) -> str:
        if "RENAME" in sql:
            raise RollbackError("being accessed by other users")
        return answer(sql)

    server.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(RollbackError, match="being accessed") as caught:
        engine.swap("shop", "shop__side", "shop__kept")
    assert caught.value.facts == {"untouched": True}
    assert server.said[-1].startswith('ALTER DATABASE "shop" ALLOW_CONNECTIONS true;')


def test_a_swap_whose_answer_was_lost_counts_when_it_happened(engine: PostgresqlEngine, server: Server) -> None:
    server.databases.append("shop__side")
    answer = server.answer

    def lose(sql: str) -> str:
        if "RENAME" in sql:
            server.databases = ["shop", "shop__kept"]
            raise RollbackError("connection to server was lost")
        return answer(sql)

    server.answer = lose  # type: ignore[method-assign]
    engine.swap("shop", "shop__side", "shop__kept")


def test_what_is_gone_is_replaced_by_way_of_an_empty_database(engine: PostgresqlEngine, server: Server) -> None:
    server.databases = ["postgres", "shop__side"]
    engine.swap("shop", "shop__side", "shop__kept")
    assert server.said[1] == 'CREATE DATABASE "shop" TEMPLATE template0'
    assert 'ALTER DATABASE "shop__side" RENAME TO "shop";' in server.said[3]


def test_databases_that_are_not_there_cannot_change_places(engine: PostgresqlEngine) -> None:
    with pytest.raises(RollbackError, match="cannot take the place of shop"):
        engine.swap("shop", "shop__side", "shop__kept")


@pytest.mark.parametrize(
    ("known", "tolerant"),
    [
        ({"stage": "swapping", "proof": {"orphans": []}}, False),
        ({"stage": "swapping", "proof": {"orphans": ["orders.by: 1 rows"]}}, True),
        ({"stage": "returning"}, True),
    ],
)
def test_single_tables_are_exchanged_and_only_what_was_accepted_is_tolerated(
    engine: PostgresqlEngine, monkeypatch: pytest.MonkeyPatch, known: dict[str, t.Any], tolerant: bool
) -> None:
    done: list[t.Any] = []
    monkeypatch.setattr(Exchange, "run", lambda self, *wanted: done.append((self.live, self.incoming, self.tables, *wanted)))
    engine.record.facts = known
    engine.swap("shop", "shop__side", "shop__kept", ["users"])
    assert done == [("shop", "shop__side", ["users"], "shop__kept", tolerant)]


def test_a_database_is_dropped_with_its_sessions(engine: PostgresqlEngine, server: Server) -> None:
    engine.drop("shop__side")
    assert server.said[1:] == ['DROP DATABASE "shop__side" WITH (FORCE)']


def test_a_database_from_which_somebody_replicates_is_not_dropped(engine: PostgresqlEngine, server: Server) -> None:
    server.rows["pg_replication_slots"] = "analytics\n"
    with pytest.raises(RollbackError, match="The replication slot analytics reads from shop__kept") as caught:
        engine.drop("shop__kept")
    assert "psql --dbname shop__kept --command" in str(caught.value.next_command)
    assert len(server.said) == 1


def test_a_prepared_transaction_is_named_before_anybody_is_logged_out(engine: PostgresqlEngine, server: Server) -> None:
    server.databases.append("shop__side")
    server.rows["pg_prepared_xacts"] = "it's one\n"
    with pytest.raises(RollbackError, match="1 prepared transactions") as caught:
        engine.swap("shop", "shop__side", "shop__kept")
    assert "ROLLBACK PREPARED" in str(caught.value.next_command)
    assert caught.value.facts == {"untouched": True}
    assert not any("pg_terminate_backend" in sql for sql in server.said)
