# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MariaDB and PostgreSQL are asked and how their answers are read; that the questions are right is shown on real servers."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _command
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from ansible_collections.lastgood.rollback.plugins.module_utils._data_loss import Loss, Wish, compare
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._salvage_replay import Saved, replay
from ansible_collections.lastgood.rollback.plugins.module_utils._tables import NUMBER, Column, Engine, Table, Value
from ansible_collections.lastgood.rollback.plugins.module_utils._tables_engines import tables_of
from scripted import Scripted

MYSQL = """table\tshop\torders\tBASE TABLE\tInnoDB
table\tshop\tnotes\tBASE TABLE\tMyISAM
table\tside\torders\tBASE TABLE\tInnoDB
table\tside\tnotes\tBASE TABLE\tMyISAM
column\tshop\torders\tid\tint\tint(11)\tNO\t\t0\t
column\tshop\torders\tparent\tint\tint(11)\tYES\t\t1\t
column\tshop\torders\tpicture\tblob\tblob\tYES\t\t1\t
column\tshop\torders\tdouble\tint\tint(11)\tYES\tid * 2\t1\t
column\tshop\torders\tflags\tbit\tbit(3)\tYES\t\t1\t
column\tshop\tnotes\tcode\tvarchar\tvarchar(9)\tYES\t\t1\tutf8mb4_bin
column\tside\torders\tid\tint\tint(11)\tNO\t\t0\t
column\tside\torders\tparent\tint\tint(11)\tYES\t\t1\t
column\tside\torders\tpicture\tblob\tblob\tYES\t\t1\t
column\tside\tnotes\tcode\tvarchar\tvarchar(9)\tYES\t\t1\tutf8mb4_bin
index\tshop\torders\tPRIMARY\tid\t
index\tside\torders\tPRIMARY\tid\t
index\tshop\tnotes\tby_code\tcode\tYES
reference\tshop\torders\tto_parent\tparent\tshop\torders\tid
trigger\tshop\torders\t1
"""
POSTGRESQL = """table,public,orders,f,1
table,public,totals,t,0
table,billing,bills,f,0
column,public,orders,id,bigint,N,t,f,t,
column,public,orders,parent,bigint,N,f,f,f,
column,public,orders,picture,bytea,X,f,f,f,
column,public,orders,double,bigint,N,f,t,f,
column,billing,bills,code,text,S,t,f,f,'x'::text
index,public,orders,77,t,id,t
reference,public,orders,88,public,orders,parent,id
"""


@dataclass
class Server(Scripted):
    """A runner whose pipelines answer with what a test prepared."""

    answers: list[bytes] = field(default_factory=list)
    failure: str = ""
    scripts: list[str] = field(default_factory=list)
    stages: list[list[str]] = field(default_factory=list)

    def pipeline(
        self,
        stages: t.Sequence[t.Sequence[str]],
        *,
        output: int,
        watch: t.Callable[[bytes], bytes | None] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.stages += [list(stage) for stage in stages]
        if self.failure:
            raise _command._failure(Completed(tuple(stages[-1]), 1, "", self.failure), None)
        files = [word.partition("source ")[2] or word for word in stages[0] if "/proc/" in word or word.endswith(".jsonl")]
        read = b"".join(pathlib.Path(file).read_bytes() for file in files if "defaults-file" not in file)
        answer = self.answers.pop(0)
        if watch is None:
            self.scripts.append(read.decode())
            os.write(output, answer)
        else:
            self.scripts.append(b"".join(watch(read[start : start + 7]) or b"" for start in range(0, len(read), 7)).decode())
            os.write(output, answer)


class Kept:
    def __init__(self) -> None:
        self.rows: list[tuple[str, list[Value]]] = []

    def begin(self, _loss: Loss, _table: Table) -> t.Callable[[str, list[Value]], None]:
        return lambda kind, row: self.rows.append((kind, row))


def server(engine: str) -> tuple[Server, Engine]:
    runner = Server()

    def described() -> str:
        both = b"side".hex() in (runner.calls[-1].stdin or "")
        return "".join(line for line in MYSQL.splitlines(keepends=True) if both or "\tside\t" not in line)

    runner.on("mariadb *", t.cast("str", described)).on("psql *", POSTGRESQL)
    return runner, tables_of(Credentials(engine=engine, database="shop", user="u", password="s3cret"), t.cast("t.Any", runner), None)


def test_mariadb_answers_everything_in_one_session() -> None:
    runner, engine = server("mysql")
    kept = Kept()
    counts = b"0\t0\t5\n1\t0\t4\n2\t00\t2\t7\n3\t00\t1\t-1\n4\t00\t0\t0\n"
    runner.answers = [counts + b"5\t0010\t4\tNULL\tNULL\tx\n5\t0000\t5\t6\t\\0\\n\\t\\\\\xff\t1\n6\t0110\t1\tNULL\tNULL\t2\n"]
    (loss,) = compare(
        engine, side="side", since=None, wishes=[Wish("orders", sums=("id",))], transient=[], keeper=t.cast("t.Any", kept), timeout=9
    )
    assert (loss.rows, loss.rows_side, loss.new, loss.changed, loss.deleted) == (5, 4, 2, 1, 0)
    assert loss.sums == {"id": {"new": "7", "changed": "-1", "deleted": "0"}}
    assert kept.rows[:2] == [("new", ["4", "NULL", None, "x"]), ("new", ["5", "6", b"\0\n\t\\\xff", "1"])]
    assert runner.scripts[0].count("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY") == 1
    assert "`flags` + 0" in runner.scripts[0]
    assert "`double`" not in runner.scripts[0]
    assert "s3cret" not in json.dumps(runner.stages)


def test_what_mariadb_cannot_guarantee_is_not_taken_for_a_key() -> None:
    runner, engine = server("mysql")
    runner.answers = [b"0\t0\t1\n1\t0\t1\n"]
    (loss,) = compare(engine, side="side", since=None, wishes=[Wish("notes")], transient=[], keeper=None, timeout=9)
    assert (loss.basis, loss.new) == ("count", None)
    assert any("knows no transactions" in reason for reason in loss.reasons)


def test_an_answer_that_ends_in_the_middle_is_refused() -> None:
    for kind in ("mysql", "postgresql"):
        runner, engine = server(kind)
        runner.answers = [b"0\t0\t5\n1"]
        with pytest.raises(RollbackError, match="ended in the middle"):
            compare(engine, side="side", since=None, wishes=[Wish("orders")], transient=[], keeper=None, timeout=9)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("datetime", "l.`at` >= '2026-11-22 10:00:00'"),
        ("date", "l.`at` >= '2026-11-22'"),
        ("bigint(20)", "l.`at` >= 1795341600"),
        ("varchar(20)", None),
    ],
)
def test_moments_are_compared_as_the_column_holds_them(type_: str, expected: str | None) -> None:
    _runner, engine = server("mysql")
    assert engine.since(Column("at", type_, NUMBER, nullable=True), 1795341600.9) == expected


def saved(tmp_path: pathlib.Path, *rows: dict[str, t.Any]) -> Saved:
    path = tmp_path / "0001-orders.jsonl"
    header = {"format_version": 1, "table": "orders", "key": ["id"], "columns": []}
    path.write_text("".join(json.dumps(line) + "\n" for line in [header, *({"kind": "new", "row": row} for row in rows)]))
    return Saved("orders", str(path), ("id",), ("id", "parent", "picture"), 2, "")


ROWS = ({"id": "4", "parent": None, "picture": {"base64": "AP8="}}, {"id": "5", "parent": "4", "picture": {"base64": ""}})


def test_saved_rows_reach_mariadb_as_text_that_nothing_can_end(tmp_path: pathlib.Path) -> None:
    runner, engine = server("mysql")
    runner.answers = [b"0\t0\t0\n1\t0\t0\n3\t0\t2\n4\t0\t2\n"]
    (found,), triggers = replay(engine, [saved(tmp_path, *ROWS)], overwrite=False, apply=True, timeout=9)
    script = runner.scripts[0]
    assert "VALUES (_utf8mb4 x'34', NULL, x'00ff'), (_utf8mb4 x'35', _utf8mb4 x'34', x'');" in script
    assert script.index("START TRANSACTION") < script.index("INSERT INTO `shop`.`orders`") < script.index("COMMIT")
    assert "foreign_key_checks = 0" in script  # they refer to each other, so what refers to nothing is looked for at the end
    assert "INSERT INTO lastgood_guard SELECT" in script
    assert (found.inserted, triggers) == (2, ["orders"])


def test_check_mode_leaves_mariadb_as_it_is(tmp_path: pathlib.Path) -> None:
    runner, engine = server("mysql")
    runner.answers = [b"0\t0\t1\n1\t0\t1\n2\t0\t5\n3\t0\t1\n"]
    ((found,), _triggers) = replay(engine, [saved(tmp_path, *ROWS)], overwrite=True, apply=False, timeout=9)
    assert "INSERT INTO `shop`" not in runner.scripts[0]
    assert "COMMIT" not in runner.scripts[0]
    assert (found.inserted, found.overwritten, found.present, found.conflict_keys) == (1, 1, 0, [["5"]])


def test_rows_that_are_missing_in_the_file_stop_it_before_anything_is_done(tmp_path: pathlib.Path) -> None:
    for kind in ("mysql", "postgresql"):
        runner, engine = server(kind)
        runner.answers = [b""]
        with pytest.raises(RollbackError, match="has 1 rows, but 2 were saved"):
            replay(engine, [saved(tmp_path, ROWS[0])], overwrite=False, apply=True, timeout=9)
        assert runner.scripts == []


def test_rows_that_refer_to_nothing_are_named(tmp_path: pathlib.Path) -> None:
    runner, engine = server("mysql")
    runner.failure = "ERROR 1062 (23000) at line 9: Duplicate entry 'orders (parent)' for key 'lastgood_guard'"
    with pytest.raises(RollbackError, match=r"Rows of orders \(parent\) refer to rows that are neither"):
        replay(engine, [saved(tmp_path, *ROWS)], overwrite=False, apply=True, timeout=9)
    runner.failure = "ERROR 1062 (23000) at line 9: Duplicate entry '5' for key 'PRIMARY'"
    with pytest.raises(RollbackError, match="Duplicate entry '5'"):
        replay(engine, [saved(tmp_path, *ROWS)], overwrite=False, apply=True, timeout=9)


def test_postgresql_is_given_digests_of_the_other_database() -> None:
    runner, engine = server("postgresql")
    kept = Kept()
    runner.answers = [b"0\t5\n1\t4\n2\t1\n3\t1\n4\t0\n5\t4\t\\N\t\\\\x00ff\n6\t1\t\\\\N\t\\N\n"]
    (loss,) = compare(engine, side="side", since=None, wishes=[Wish("orders")], transient=[], keeper=t.cast("t.Any", kept), timeout=9)
    assert (loss.new, loss.changed, loss.deleted) == (1, 1, 0)
    assert kept.rows == [("new", ["4", None, b"\0\xff"]), ("changed", ["1", "\\N", None])]
    feed, other, live = runner.stages
    assert feed[0] == "cat"
    assert "dbname='side'" in other[-1]
    assert "dbname='shop'" in live[-1]
    assert 'COPY (SELECT o."id", md5(ROW(o."id"::text, o."parent"::text, o."picture"::text)::text)' in runner.scripts[0]
    assert "s3cret" not in json.dumps(runner.stages) + "".join(runner.scripts)


def test_without_another_database_postgresql_is_asked_alone() -> None:
    runner, engine = server("postgresql")
    runner.answers = [b"0\t5\n"]
    losses = compare(engine, side=None, since=0, wishes=[Wish("orders"), Wish("totals")], transient=[], keeper=None, timeout=9)
    assert [(loss.basis, loss.rows) for loss in losses] == [("count", 5), ("view", None)]
    assert [stage[0] for stage in runner.stages] == ["cat", "psql"]


def test_saved_rows_reach_postgresql_and_its_counters_follow(tmp_path: pathlib.Path) -> None:
    runner, engine = server("postgresql")
    runner.answers = [b"0\t0\n1\t0\n3\t2\n4\t0\n5\t2\n"]
    ((found,), _triggers) = replay(engine, [saved(tmp_path, *ROWS)], overwrite=True, apply=True, timeout=9)
    script = runner.scripts[0]
    assert "VALUES (E'4', NULL, '\\x00ff'), (E'5', E'4', '\\x');" in script
    assert 'INSERT INTO public."orders" ("id", "parent", "picture") OVERRIDING SYSTEM VALUE SELECT' in script
    assert 'SET "parent" = s."parent", "picture" = s."picture"' in script
    assert "setval" in script
    assert found.inserted == 2


def test_a_server_that_fails_is_named_without_the_password() -> None:
    for kind, told in (
        ("mysql", "ERROR 1045 (28000): Access denied"),
        ("postgresql", "psql: error: FATAL:  password authentication failed"),
    ):
        runner, engine = server(kind)
        runner.failure = told
        with pytest.raises(RollbackError, match="refused the login") as failure:
            compare(engine, side="side", since=None, wishes=[Wish("orders")], transient=[], keeper=None, timeout=9)
        assert "s3cret" not in failure.value.message
