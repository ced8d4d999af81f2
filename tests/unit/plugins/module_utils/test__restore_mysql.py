# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken apart and put together again around a swap of tables: texts, not servers."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

import pytest
from databases import Streaming
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.lastgood.rollback.plugins.module_utils import _database_dump_parallel as parallel
from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_mysql as engine
from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_mysql_load as load
from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_mysql_objects as objects
from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_mysql_swap as swap
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._database_mysql import quoted_text
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._packing import Keys

EVENT = (
    "CREATE DEFINER=`a``b`@`%` EVENT `x ON SCHEDULE ENABLE` ON SCHEDULE EVERY '1:30' DAY_HOUR"
    " ON COMPLETION PRESERVE ENABLE DO SELECT ' ON COMPLETION PRESERVE ENABLE'"
)
DUMPED = (
    b"-- head\n-- Dumping events for database 'x'\n--\n/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`l`*/ /*!50106 EVENT `tidy ``up` ON SCHEDULE EVERY 1 DAY"
    b" ON COMPLETION NOT PRESERVE ENABLE DO BEGIN SELECT 'ENABLE'; END */ ;;\n"
    b"/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`l`*/ /*!50106 EVENT `off` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1 */ ;;\n"
    b"-- Dump completed on 2026-11-22\n"
)
TABLE = """CREATE TABLE `notes` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `code` binary(16) NOT NULL DEFAULT 'KEY `x` (',
  PRIMARY KEY (`id`),
  UNIQUE KEY `by``code` (`code`),
  KEY `by_author` (`author`,`note`(10)) COMMENT 'it''s, an index',
  FULLTEXT KEY `words` (`note`),
  CONSTRAINT `written` FOREIGN KEY (`author`) REFERENCES `customers` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4"""


def event(sql: str = EVENT) -> objects.Definition:
    return {
        "kind": "EVENT",
        "name": "x",
        "table": "",
        "sql": sql,
        "sql_mode": "",
        "time_zone": "SYSTEM",
        "client": "utf8mb4",
        "connection": "c",
    }


class Answers:
    """A server that is asked by the engine: the first answer whose words stand in the question; statements are remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[list[str]]]) -> None:
        self.rows = rows
        self.said: list[str] = []
        for module in (engine, swap, objects):
            monkeypatch.setattr(module, "query", self.query)

    def query(self, _runner: t.Any, credentials: Credentials, sql: str, **_how: t.Any) -> list[list[str]]:
        self.said.append(f"{credentials.database}: {sql}")
        return next((rows for words, rows in self.rows.items() if words in self.said[-1]), [])


SHOP = Credentials(engine="mysql", database="shop", user="root")


def mysql(monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[list[str]]]) -> tuple[engine.MysqlEngine, Answers]:
    answers = Answers(monkeypatch, rows)
    return engine.MysqlEngine(t.cast("t.Any", None), SHOP, t.cast("t.Any", None), 0), answers


def test_sequences_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "IF(table_type = 'SEQUENCE'": [["users", "7", "int(10) unsigned"], ["bills", "sequence", ""]],
        "next_not_cached_value": [["bills", "2001", "9000"]],
    }
    server, answers = mysql(monkeypatch, asked)
    assert server.counters("shop") == {"users": (7, 4294967295), "bills": (2001, 9000)}
    server.count_on("shop", {"users": 9, "bills": 3001})
    assert answers.said[-1] == "shop: ALTER TABLE `users` AUTO_INCREMENT = 9;\nDO SETVAL(`bills`, 3001, 0);\n"


@pytest.mark.parametrize(
    ("column", "limit"),
    [
        ("tinyint(4)", 127),
        ("tinyint unsigned", 255),
        ("mediumint", 8388607),
        ("int(11)", 2147483647),
        ("bigint(20) unsigned", 18446744073709551615),
    ],
)
def test_a_column_has_a_greatest_number(column: str, limit: int) -> None:
    assert engine._limit(column) == limit


def test_a_foreign_key_to_a_table_that_is_missing_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [["here", "notes", "author", "customers", "id"], ["gone", "notes", "topic", "topics", "id"]]
    server, answers = mysql(
        monkeypatch, {"key_column_usage": keys, "table_type <> 'VIEW'": [["notes"], ["customers"]], "COUNT(*)": [["0"]]}
    )
    assert server.violations("shop__side") == ["notes.gone: the table topics, to which rows refer, is missing"]
    assert "topics" not in answers.said[-1]


def test_a_table_whose_parent_only_the_backup_has_would_come_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [["written", "notes", "author", "customers", "id"], ["gone", "notes", "topic", "topics", "id"]]
    tables = {
        f"table_schema = {quoted_text('shop')} AND table_type <>": [["notes"], ["customers"]],
        f"table_schema = {quoted_text('shop__side')}": [["notes"], ["topics"]],
    }
    server, answers = mysql(monkeypatch, {"shop__side: \nSELECT constraint_name": keys, **tables, "COUNT(*)": [["2"]]})
    assert server.orphans("shop", "shop__side", ["notes"]) == [
        "notes.written: 2 rows refer to rows that customers lacks",
        "notes.gone: the table topics, to which rows refer, is missing",
    ]
    assert "FROM `shop__side`.`notes` c LEFT JOIN `shop`.`customers` p" in answers.said[-1]
    assert "topics" not in answers.said[-1]


def test_a_foreign_key_to_a_table_that_is_missing_stays_with_its_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    server, _answers = mysql(
        monkeypatch,
        {
            "'parent'": [["table", "shop", "notes"], ["parent", "shop", "customers"], ["table", "shop__side", "notes"]],
            "shop: SELECT DISTINCT": [["notes", "written", "customers"]],
            "SHOW CREATE TABLE": [["notes", TABLE]],
            "table_type <> 'VIEW'": [["notes"]],
        },
    )
    plan = swap.Swap(server.runner, SHOP, server.record)._without_parents("shop", "shop__side")
    assert [key.name for key in plan["live_drops"]] == ["written"]
    assert plan["outgoing_adds"] == plan["live_drops"]
    assert plan["incoming_drops"] == plan["live_adds"] == []


@pytest.mark.parametrize(
    ("dump", "error", "says"),
    [
        (DUMPED[:-40], "ERROR 1064 (42000) at line 41: You have an error in your SQL syntax", "its dump is not complete"),
        (DUMPED[:-40], "", "its dump is not complete"),
        (DUMPED[:-40], "ERROR 1114 (HY000) at line 4: The table 'a' is full", "is full"),
        (DUMPED, "ERROR 1064 (42000) at line 4: You have an error in your SQL syntax", "SQL syntax"),
    ],
)
def test_a_dump_that_was_cut_is_told_from_one_that_does_not_fit(dump: bytes, error: str, says: str) -> None:
    host = Streaming(stream=dump, failure=Completed(("mariadb",), 1, "", error) if error else None)
    backup = {"id": "shop-1", "path": "/backups/shop-1.sql.zst", "form": "logical"}
    with pytest.raises(RollbackError, match=says):
        load.Loader(t.cast("t.Any", host), SHOP, backup, Keys(), 60).run(1)


@pytest.mark.parametrize(("rc", "blamed"), [(1, True), (124, False), (-9, False)])
def test_a_backup_is_not_blamed_for_a_program_that_was_stopped(rc: int, *, blamed: bool) -> None:
    host = Streaming(stream=DUMPED, failure=Completed(("zstd", "--decompress"), rc, "", "/*stdin*\\ : Read error (39) : premature end"))
    backup = {"id": "shop-1", "path": "/backups/shop-1.sql.zst", "form": "logical"}
    with pytest.raises(RollbackError) as caught:
        load.Loader(t.cast("t.Any", host), SHOP, backup, Keys(), 60).run(1)
    assert ("cannot be used" in caught.value.message) == blamed


def test_an_event_is_disabled_and_enabled_where_it_says_so_and_nowhere_else() -> None:
    off = objects.with_status(event(), b"DISABLE")
    assert objects.enabled(event())
    assert not objects.enabled(off)
    assert off["sql"] == EVENT.replace("PRESERVE ENABLE DO", "PRESERVE DISABLE DO")
    assert objects.with_status(off, b"ENABLE") == event()
    view = {**event(), "kind": "VIEW"}
    assert objects.with_status(view, b"DISABLE") == view


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_events_of_a_dump_are_disabled_on_the_way(size: int) -> None:
    enabled: list[str] = []
    quiet = load._Quiet(enabled)
    out = b"".join(quiet.feed(DUMPED[start : start + size]) for start in range(0, len(DUMPED), size))
    out += quiet._held
    assert out == DUMPED.replace(b"PRESERVE ENABLE DO", b"PRESERVE DISABLE DO")
    assert enabled == ["tidy `up"]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_parts_of_one_table_do_not_lock_each_other_out(size: int) -> None:
    head = b"/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n"
    rows = b"\nINSERT INTO `x` VALUES\n(' UNIQUE_CHECKS=0 ');\n"
    alone, *shared = load._watches([{"tables": {"a": 1, "b": 2}}, {"tables": {"c": 1}}, {"tables": {"c": 2}}])
    assert alone is None
    for watch, dump in zip(shared, (head + rows, rows), strict=True):
        assert watch is not None
        out = b"".join(watch(dump[start : start + size]) for start in range(0, len(dump), size))
        assert out == dump.replace(b", UNIQUE_CHECKS=0", b", UNIQUE_CHECKS=1")


QUALIFIED = b"""
INSERT INTO `notes` VALUES ('/*!50003 CREATE*/ TRIGGER shop.x BEFORE INSERT ON shop.t');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER `shop` . `x``y`
  before  INSERT ON shop.`t` FOR EACH ROW INSERT INTO shop.log VALUES (NEW.a) */;;
/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER plain AFTER UPDATE ON t FOR EACH ROW SET @a = 'TRIGGER a.b BEFORE INSERT ON c.d' */;;
DELIMITER ;

-- Dump completed on 2026-11-22
"""


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_a_trigger_that_names_its_database_is_made_where_the_dump_is_loaded(size: int) -> None:
    unbound = load._Unbound()
    passed = b"".join(unbound.feed(QUALIFIED[at : at + size]) for at in range(0, len(QUALIFIED), size))
    wanted = QUALIFIED.replace(b"TRIGGER `shop` . `x``y`", b"TRIGGER `x``y`").replace(b"INSERT ON shop.`t` FOR", b"INSERT ON `t` FOR")
    assert passed.rstrip(b"\n") == wanted.rstrip(b"\n")


def test_a_trigger_that_is_made_again_names_no_database() -> None:
    trigger = {"kind": "TRIGGER", "name": "x", "table": "t", "sql_mode": "", "client": "utf8mb4", "connection": "utf8mb4_general_ci"}
    sql = 'CREATE DEFINER=`a`@`b` TRIGGER "shop"."x" AFTER DELETE ON "shop".t FOR EACH ROW DELETE FROM shop.log'
    made = objects.script({**trigger, "sql": sql}, replaces=True)
    assert 'CREATE DEFINER=`a`@`b` TRIGGER "x" AFTER DELETE ON t FOR EACH ROW DELETE FROM shop.log' in made


@dataclass
class Tables:
    """Databases with names of tables only, in which renaming works."""

    there: dict[str, set[str]]
    fails: bool = False

    def tables(self, database: str) -> list[str]:
        return sorted(self.there.get(database, set()))

    def do(self, sql: str, _database: str = "") -> None:
        for source, table, target in re.findall(r"`(\w+)`\.`(\w+)` TO `(\w+)`\.", sql):
            self.there[source].remove(table)
            self.there.setdefault(target, set()).add(table)
        if "RENAME" in sql and self.fails:
            raise RollbackError("the connection was lost")


def swapping(monkeypatch: pytest.MonkeyPatch, server: Tables, plan: dict[str, t.Any]) -> tuple[swap.Swap, dict[str, t.Any]]:
    names = {"live": "shop", "incoming": "shop__side", "outgoing": "shop__kept"}
    made = swap.Swap(t.cast("t.Any", None), Credentials(), t.cast("t.Any", None))
    for name, instead in {
        "tables": server.tables,
        "_do": server.do,
        "_drop_empty": lambda _name: None,
        "_note": lambda **_facts: None,
    }.items():
        monkeypatch.setattr(made, name, instead)
    return made, {**names, "tables": [], "old": [], "new": [], "foreign_keys": {}, **plan}


@pytest.mark.parametrize("leaves", [[], ["users"]])
def test_a_swap_that_came_about_is_not_made_twice(monkeypatch: pytest.MonkeyPatch, leaves: list[str]) -> None:
    server = Tables({"shop": set(leaves), "shop__side": {"users", "orders"}})
    made, plan = swapping(monkeypatch, server, {"leaves": leaves, "comes": ["orders", "users"]})
    for _repeated in range(2):
        made._rename(plan)
        assert server.there == {"shop": {"users", "orders"}, "shop__side": set(), **({"shop__kept": {"users"}} if leaves else {})}


def test_an_empty_backup_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Tables({"shop": {"users"}, "shop__side": set()})
    made, plan = swapping(monkeypatch, server, {"leaves": ["users"], "comes": []})
    made._rename(plan)
    made._rename(plan)
    assert server.there == {"shop": set(), "shop__side": set(), "shop__kept": {"users"}}


@pytest.mark.parametrize("leaves", [[], ["users"]])
def test_a_client_that_dies_after_the_swap_did_not_leave_everything_untouched(monkeypatch: pytest.MonkeyPatch, leaves: list[str]) -> None:
    server = Tables({"shop": set(leaves), "shop__side": {"orders"}}, fails=True)
    made, plan = swapping(monkeypatch, server, {"leaves": leaves, "comes": ["orders"]})
    with pytest.raises(RollbackError) as caught:
        made._rename(plan)
    assert "untouched" not in caught.value.facts


def test_definers_are_those_of_the_declaration() -> None:
    view = {
        **event("CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v` AS select 'DEFINER=`x`@`y`'"),
        "kind": "VIEW",
    }
    role = {**event("CREATE DEFINER=`a role` PROCEDURE `p`() SELECT 1"), "kind": "PROCEDURE"}
    assert objects.definers([event(), view, role]) == {"a`b@%", "root@localhost", "a role"}


def test_a_script_has_a_delimiter_that_its_statement_lacks() -> None:
    procedure = {**event("CREATE DEFINER=`r`@`l` PROCEDURE `p`() SELECT ';0lastgood;'"), "kind": "PROCEDURE", "name": "p`q"}
    made = objects.script(procedure, replaces=False)
    assert "DROP PROCEDURE IF EXISTS `p``q`;\n" in made
    assert "DELIMITER ;1lastgood;\nCREATE DEFINER" in made
    replacing = objects.script(procedure, replaces=True)  # on MariaDB, which keeps the privileges on a routine that is replaced
    assert "DROP" not in replacing
    assert "CREATE OR REPLACE DEFINER" in replacing


def test_indexes_that_can_wait_until_the_rows_are_there() -> None:
    assert load._secondary(TABLE) == [
        ("`by``code`", "UNIQUE KEY `by``code` (`code`)"),
        ("`by_author`", "KEY `by_author` (`author`,`note`(10)) COMMENT 'it''s, an index'"),
    ]
    assert load._secondary(TABLE.replace("  PRIMARY KEY (`id`),\n", "")) == []
    assert load._secondary(TABLE.replace("PRIMARY KEY (`id`)", "PRIMARY KEY (`code`)")) == []
    assert load._secondary(TABLE.replace("InnoDB", "Aria")) == []


def test_indexes_that_the_server_named_anew_get_their_names_back() -> None:
    before = "(\n  KEY `customer_id` (`customer_id`),\n  KEY `same` (`x`)\n)"
    assert objects.renamed_keys(before, before.replace("`customer_id` (", "`orders_ibfk_1` (")) == [("`orders_ibfk_1`", "`customer_id`")]
    assert objects.renamed_keys(before, before) == []


@given(low=some.integers(-100, 100), span=some.integers(0, 300), pieces=some.integers(2, 7), row=some.integers(-200, 500))
def test_each_row_belongs_to_exactly_one_piece(low: int, span: int, pieces: int, row: int) -> None:
    conditions = parallel._conditions("i`d", low, low + span, pieces)
    assert len(conditions) == pieces
    fits = [eval(condition.replace("`i``d`", str(row)).replace("AND", "and"), {}) for condition in conditions]
    assert fits.count(True) == 1


class _Source(t.NamedTuple):
    found: t.Any
    jobs: int


@pytest.mark.parametrize(
    ("sizes", "jobs", "pieces", "groups"),
    [
        ({"big": 90 << 20, "small": 1 << 20}, 2, 2, [["small"]]),
        ({"a": 10, "b": 9, "c": 2, "d": 1}, 2, 4, [["c"], ["d"]]),
        ({}, 2, 0, [[]]),
        ({"a": 1 << 30}, 1, 0, [["a"]]),
    ],
)
def test_large_tables_are_divided_and_small_ones_grouped(
    monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int], jobs: int, pieces: int, groups: list[list[str]]
) -> None:
    monkeypatch.setattr(parallel, "_keys", lambda source, tables: dict.fromkeys(tables, ("id", 1, 100)))
    found = t.cast("t.Any", type("Found", (), {"sizes": sizes}))
    portions = parallel.portions(t.cast("t.Any", _Source(found, jobs)))
    assert len([portion for portion in portions if portion.where]) == pieces
    assert [portion.tables for portion in portions if not portion.where] == groups
