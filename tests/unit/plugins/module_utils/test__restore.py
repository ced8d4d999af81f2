# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a backup into the live database, with an engine whose databases are names and numbers."""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _backup_catalogue, _restore
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_record import Record

requirement = pytest.mark.requirement
CENSUS = {"tables": {"users": 2, "orders": 3}, "views": 1, "triggers": 0}


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Fake:
    """Databases are entries of a dictionary; each does what it is told, or fails where the test says so."""

    databases: dict[str, str] = field(default_factory=lambda: {"shop": "old"})
    found: dict[str, t.Any] = field(default_factory=lambda: dict(CENSUS))
    fails: dict[str, BaseException] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    answer: list[list[str]] = field(default_factory=lambda: [["1"]])
    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    engine: t.ClassVar[str] = "mysql"
    longest_name: t.ClassVar[int] = 64
    proves_by_loading: bool = False

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.fails:
            raise self.fails[what]

    def check(self, backup: _restore.Backup, side: str) -> None:
        self._do("check")
        self.checked.append(side)

    def exists(self, database: str) -> bool:
        return database in self.databases

    def load(self, backup: _restore.Backup, side: str, *, keys: t.Any, jobs: int, timeout: float) -> None:
        assert side not in self.databases
        self.databases[side] = "half"
        self._do("load")
        self.databases[side] = f"new from {backup['id']}"

    def census(self, database: str) -> dict[str, t.Any]:
        return self.found

    def violations(self, database: str) -> list[str]:
        return self.broken

    def ask(self, database: str, sql: str) -> list[list[str]]:
        return self.answer

    def orphans(self, live: str, incoming: str, tables: t.Sequence[str]) -> list[str]:
        return [f"orders without {name}" for name in tables]

    def counters(self, database: str) -> dict[str, _restore.Counter]:
        self._do(f"counters of {database}")
        return {name: _restore.Counter(number, 99) for name, number in self.counted.get(database, {}).items()}

    def count_on(self, database: str, counters: t.Mapping[str, int]) -> None:
        self._do("count on")
        self.counted[database].update(counters)

    def swap(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str] = ()) -> None:
        self._do("swap")
        if incoming in self.databases:
            self.databases[outgoing] = self.databases.get(live, "nothing")
            self.databases[live] = self.databases.pop(incoming)
        self._do("swapped")

    def drop(self, database: str) -> None:
        self._do("drop")
        del self.databases[database]


@dataclass
class Bench:
    """A backup, a record and the fake server."""

    folder: pathlib.Path
    engine: Fake = field(default_factory=Fake)

    def backup(self, name: str = "one", **more: t.Any) -> str:
        file = self.folder / f"{name}.sql.zst"
        file.write_text(name)
        facts = {
            "format_version": 1,
            "id": name,
            "file": file.name,
            "bytes": len(name),
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "engine": "mysql",
            "database": "shop",
            "started": "2026-11-22T10:00:00Z",
            "finished": "2026-11-22T10:00:01Z",
            "rows_basis": "dump",
            **CENSUS,
            **more,
        }
        manifest = self.folder / f"{name}.manifest.json"
        manifest.write_text(json.dumps(facts))
        return str(manifest)

    def reach(self, state: str, backup: str | None = None, *, check: bool = False, live: str = "shop", **more: t.Any) -> bool:
        """What a call of the module does, with nothing remembered but the record."""
        self.record = Record(str(self.folder / "state/db_restore.json"))
        wanted = _restore.Wanted(live=live, backup=backup or str(self.folder / "one.manifest.json"), **more)
        restore = _restore.Restore(t.cast("t.Any", None), self.engine, self.record, wanted, check)
        with self.record.alone(create=not check):
            changed = restore.reach(state)
            self.told = restore.facts()
            return changed

    def facts(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads((self.folder / "state/db_restore.json").read_text())
        return found

    @property
    def kept(self) -> list[str]:
        return [name for name in self.engine.databases if "__kept_" in name]


@pytest.fixture
def bench(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(_backup_catalogue, "verify", lambda runner, backup, keys: None)
    made = Bench(tmp_path)
    made.backup()
    return made


def refused(bench: Bench, *args: t.Any, **more: t.Any) -> RollbackError:
    with pytest.raises(RollbackError) as caught:
        bench.reach(*args, **more)
    return caught.value


@requirement("CHOM-6.2-10", "D-005", "D-026")
def test_a_backup_is_proven_beside_the_live_database(bench: Bench) -> None:
    assert bench.reach("beside", assertions=["SELECT 1"])
    assert bench.engine.databases == {"shop": "old", "shop__side": "new from one"}
    facts = bench.facts()
    assert facts["stage"] == "proven"
    assert facts["proof"]["census"] == CENSUS
    assert facts["proof"]["rows_compared"] is True
    assert set(facts["proof"]["seconds"]) == {"checking", "loading", "proving"}
    assert (bench.folder / "state/db_restore.json").stat().st_mode & 0o777 == 0o600
    assert not bench.reach("beside")
    assert bench.engine.done == ["check", "load"]


def test_there_and_back_and_released(bench: Bench) -> None:
    assert bench.reach("swapped")
    (kept,) = bench.kept
    assert bench.engine.databases == {"shop": "new from one", kept: "old"}
    assert not bench.reach("swapped")
    assert not bench.reach("beside")
    assert bench.reach("returned")
    assert bench.engine.databases == {"shop": "old", "shop__side": "new from one"}
    assert not bench.reach("returned")
    assert bench.reach("swapped")
    assert bench.reach("returned")
    assert bench.engine.done.count("load") == 1
    assert bench.reach("released")
    assert bench.engine.databases == {"shop": "old"}
    assert not bench.reach("released")
    assert bench.reach("beside")


@pytest.mark.parametrize("state", ["beside", "swapped"])
def test_check_mode_foresees_and_changes_nothing(bench: Bench, state: str) -> None:
    assert bench.reach(state, check=True)
    assert bench.engine.databases == {"shop": "old"}
    assert not (bench.folder / "state").exists()
    bench.reach("swapped")
    before = dict(bench.engine.databases), bench.facts()
    assert bench.reach("returned", check=True)
    assert bench.reach("released", check=True)
    assert (bench.engine.databases, bench.facts()) == before


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"tables": {"users": 2}}, "the table orders is missing"),
        ({"tables": {**CENSUS["tables"], "extra": 1}}, "the table extra is not in the manifest"),  # type: ignore[dict-item]
        ({"tables": {"users": 2, "orders": 2}}, "orders has 2 rows instead of 3"),
        ({"views": 0}, "0 views instead of 1"),
    ],
)
def test_a_side_database_that_differs_from_the_manifest_is_not_proven(bench: Bench, found: dict[str, t.Any], says: str) -> None:
    bench.engine.found = {**CENSUS, **found}
    error = refused(bench, "swapped")
    assert says in error.message
    assert "The live database was not touched" in error.state
    assert bench.engine.databases["shop"] == "old"
    bench.engine.found = CENSUS
    assert bench.reach("swapped")
    assert bench.engine.databases["shop"] == "new from one"


def test_rows_that_were_counted_beside_the_dump_are_no_measure(bench: Bench) -> None:
    bench.backup(rows_basis="server", tables={"users": 77, "orders": 3})
    assert bench.reach("beside")
    assert bench.facts()["proof"]["rows_compared"] is False


@pytest.mark.parametrize("answer", [[["0"]], [["NULL"]], [["f"]], [], [["1"], ["1"]]])
def test_an_assertion_must_give_one_true_row(bench: Bench, answer: list[list[str]]) -> None:
    bench.engine.answer = answer
    assert "does not hold" in refused(bench, "swapped", assertions=["SELECT something"]).message
    assert bench.engine.databases["shop"] == "old"


def test_constraints_that_do_not_hold_are_refused_or_accepted(bench: Bench) -> None:
    bench.engine.broken = ["orders.user_id refers to 3 rows that users lacks"]
    assert "3 rows" in refused(bench, "beside").message
    assert bench.reach("beside", accept_orphans=True)


def test_tables_that_the_backup_lacks_are_refused_before_anything_is_loaded(bench: Bench) -> None:
    assert "has no table user" in refused(bench, "beside", tables=["user"]).message
    assert 'has no table "users"; it has users' in refused(bench, "beside", tables=['"users"']).message
    assert not bench.engine.done


def test_rows_that_a_swap_of_some_tables_would_orphan_are_refused_or_accepted(bench: Bench) -> None:
    error = refused(bench, "swapped", tables=["users"])
    assert "orders without users" in error.message
    assert error.next_command == "orphans: accept"
    assert bench.reach("swapped", tables=["users"], accept_orphans=True)
    assert bench.facts()["tables"] == ["users"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"engine": "sqlite"}, "is of sqlite, not of mysql"),
        ({"database": "other"}, "is of the database 'other', not of 'shop'"),
        ({"bytes": 1}, "instead of 1"),
    ],
)
def test_a_backup_that_is_not_this_database_s_is_refused(bench: Bench, more: dict[str, t.Any], says: str) -> None:
    bench.backup(**more)
    assert says in refused(bench, "swapped").message
    assert bench.engine.done == []


def test_a_damaged_backup_is_refused_before_anything_is_made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(runner: t.Any, backup: t.Any, keys: t.Any) -> None:
        raise _backup_catalogue.Unusable("its checksum differs from the manifest's")

    monkeypatch.setattr(_backup_catalogue, "verify", damaged)
    assert "checksum differs" in refused(bench, "swapped").message
    assert bench.engine.databases == {"shop": "old"}


@pytest.mark.parametrize(("loading", "check", "read"), [(True, False, "file"), (True, True, "all"), (False, False, "all")])
def test_a_backup_is_read_once_where_loading_proves_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, loading: bool, check: bool, read: str
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(_backup_catalogue, "verify", lambda *_what: seen.append("all"))
    monkeypatch.setattr(_backup_catalogue, "verify_file", lambda _backup: seen.append("file"))
    bench.engine.proves_by_loading = loading
    bench.reach("beside", check=check)
    assert seen == [read]


def test_a_load_that_fails_gives_its_space_back(bench: Bench) -> None:
    bench.engine.fails["load"] = RollbackError("full", state="unknown")
    assert refused(bench, "beside").state == "The live database was not touched."
    assert bench.engine.databases == {"shop": "old"}


def test_an_interrupted_load_is_begun_again(bench: Bench) -> None:
    bench.engine.fails["load"] = Killed()
    with pytest.raises(Killed):
        bench.reach("beside")
    assert bench.engine.databases["shop__side"] == "half"
    bench.engine.fails.clear()
    assert bench.reach("beside")
    assert bench.engine.databases == {"shop": "old", "shop__side_2": "new from one"}


def test_an_attempt_after_interrupted_ones_has_a_name_that_none_of_them_had(bench: Bench) -> None:
    bench.engine.fails = {"load": Killed()}
    for number in range(1, 10):
        with pytest.raises(Killed):
            bench.reach("beside")
        assert sorted(bench.engine.databases) == ["shop", f"shop__side_{number}" if number > 1 else "shop__side"]
    bench.engine.fails.clear()
    bench.engine.databases["shop__side_10"] = "somebody's"
    bench.engine.databases["shop__side_4"] = "made by what outlived the fourth attempt"
    assert bench.reach("beside")
    assert bench.engine.databases == {"shop": "old", "shop__side_10": "somebody's", "shop__side_11": "new from one"}
    assert bench.engine.checked[8:] == ["shop__side_9", "shop__side_11"], "privileges are those for the name that is then used"
    bench.engine.databases["shop__side_5"] = "made even later"
    assert bench.reach("released")
    assert bench.engine.databases == {"shop": "old", "shop__side_10": "somebody's"}


def test_an_attempt_that_came_to_its_end_does_not_free_the_name_of_one_that_was_killed(bench: Bench) -> None:
    bench.engine.fails = {"load": Killed()}
    with pytest.raises(Killed):
        bench.reach("beside")
    bench.engine.fails = {"load": RollbackError("boom")}
    with pytest.raises(RollbackError, match="boom"):
        bench.reach("beside")
    bench.engine.fails.clear()
    assert bench.reach("beside")
    assert bench.engine.databases == {"shop": "old", "shop__side_2": "new from one"}


def test_an_attempt_that_came_to_its_end_leaves_its_name_to_the_next(bench: Bench) -> None:
    bench.engine.fails = {"load": RollbackError("boom")}
    with pytest.raises(RollbackError, match="boom"):
        bench.reach("beside")
    bench.engine.fails.clear()
    bench.engine.found["views"] = 7
    with pytest.raises(RollbackError, match="7 views"):
        bench.reach("beside")
    bench.engine.found["views"] = 1
    assert bench.reach("beside")
    assert bench.engine.databases == {"shop": "old", "shop__side": "new from one"}


def test_what_was_gone_is_restored_and_not_returned_to(bench: Bench) -> None:
    bench.engine.databases.clear()
    bench.engine.fails = {"swapped": Killed()}
    assert bench.reach("beside")
    with pytest.raises(Killed):
        bench.reach("swapped")
    bench.engine.fails.clear()
    assert bench.reach("swapped")
    assert bench.told["kept"] is None
    with pytest.raises(RollbackError, match="no database shop, or none with tables, when it was restored: nothing is left to return to"):
        bench.reach("returned")
    assert bench.engine.databases["shop"] == "new from one"


def test_an_empty_database_is_nothing_to_return_to(bench: Bench) -> None:
    bench.engine.answer = []
    assert bench.reach("swapped")
    assert bench.told["kept"] is None
    with pytest.raises(RollbackError, match="or none with tables"):
        bench.reach("returned")


def test_a_damaged_database_is_something_to_return_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_database: str, _sql: str) -> list[list[str]]:
        raise RollbackError("damaged")

    monkeypatch.setattr(bench.engine, "ask", damaged)
    assert bench.reach("swapped")
    assert bench.reach("returned")


def test_what_a_killed_server_cannot_remove_is_passed_by(bench: Bench) -> None:
    bench.engine.fails = {"load": Killed(), "drop": RollbackError("Directory not empty")}
    with pytest.raises(Killed):
        bench.reach("beside")
    del bench.engine.fails["load"]
    assert bench.reach("beside")
    assert bench.engine.databases == {"shop": "old", "shop__side": "half", "shop__side_2": "new from one"}
    assert bench.facts()["left"] == ["shop__side"]
    assert not bench.reach("beside")
    bench.engine.fails.clear()
    assert bench.reach("released")
    assert bench.reach("beside")
    assert bench.facts()["side"] == "shop__side_2"
    bench.engine.fails["drop"] = RollbackError("Directory not empty")
    bench.reach("beside", bench.backup("other"))
    assert bench.facts()["left"] == ["shop__side", "shop__side_2"]


def test_a_side_database_of_somebody_else_is_left_alone(bench: Bench) -> None:
    bench.engine.databases["shop__side"] = "precious"
    assert "not this restore's to replace" in refused(bench, "swapped").message
    assert bench.engine.databases["shop__side"] == "precious"


@pytest.mark.parametrize("moment", ["swap", "swapped"])
@pytest.mark.parametrize("how", [Killed(), RollbackError("server gone")])
def test_an_interrupted_swap_is_completed_by_the_same_call_or_returned(bench: Bench, moment: str, how: BaseException) -> None:
    bench.engine.fails[moment] = how
    with pytest.raises(type(how)):
        bench.reach("swapped")
    bench.engine.fails.clear()
    assert not bench.reach("beside"), "whoever goes on asks for it first"
    assert "was interrupted" in refused(bench, "released").message
    assert bench.reach("swapped")
    assert bench.engine.databases["shop"] == "new from one"
    bench.engine.fails[moment] = how
    with pytest.raises(type(how)):
        bench.reach("returned")
    bench.engine.fails.clear()
    assert bench.reach("returned")
    assert bench.engine.databases == {"shop": "old", "shop__side": "new from one"}


def test_what_was_never_swapped_is_returned_already(bench: Bench) -> None:
    """Whoever takes a run back need not know how far it came."""
    assert bench.reach("beside")
    assert not bench.reach("returned")
    assert bench.reach("swapped")


def test_an_interrupted_swap_can_be_returned_at_once(bench: Bench) -> None:
    bench.engine.fails["swap"] = Killed()
    with pytest.raises(Killed):
        bench.reach("swapped")
    bench.engine.fails.clear()
    assert bench.reach("returned")
    assert bench.engine.databases == {"shop": "old", "shop__side": "new from one"}


def test_a_swap_that_was_refused_before_it_touched_anything_is_no_interruption(bench: Bench) -> None:
    bench.engine.fails["swap"] = RollbackError("definers", facts={"untouched": True})
    assert refused(bench, "swapped").state == "The live database was not touched."
    assert bench.facts()["stage"] == "proven"
    bench.engine.fails.clear()
    assert bench.reach("swapped")


def test_another_backup_has_to_wait_until_the_first_is_returned_or_released(bench: Bench) -> None:
    second = bench.backup("second")
    assert bench.reach("beside")
    assert bench.reach("beside", second)  # what was only proven is nobody's data yet
    assert bench.engine.databases["shop__side"] == "new from second"
    assert bench.reach("swapped", second)
    assert "is live" in refused(bench, "swapped").message
    assert bench.reach("returned")
    assert "still keeps what was live" in refused(bench, "beside").message
    assert bench.reach("released")
    assert bench.reach("beside")


def test_nothing_to_return_to(bench: Bench) -> None:
    assert "no replaced database" in refused(bench, "returned").message


def test_one_database_has_one_record(bench: Bench) -> None:
    bench.reach("beside")
    bench.engine.databases["other"] = "other"
    bench.backup("theirs", database="other")
    assert "belongs to a restore of 'shop'" in refused(bench, "beside", str(bench.folder / "theirs.manifest.json"), live="other").message


def test_two_at_once_are_refused(bench: Bench) -> None:
    other = Record(str(bench.folder / "state/db_restore.json"))
    with other.alone(create=True):
        assert "is at work" in refused(bench, "beside").message


def test_a_record_that_cannot_be_kept_is_refused(bench: Bench) -> None:
    (bench.folder / "state").write_text("a file")
    assert "cannot be kept" in refused(bench, "beside").message


@pytest.mark.parametrize("live", ["shop", "x" * 64, "é" * 40, "🦊" * 30])
def test_names_fit_and_stay_apart(live: str) -> None:
    made = _restore.beside(live, "__kept_20261122t101500z", 64)
    assert len(made.encode()) <= 64
    assert made.endswith("__kept_20261122t101500z")
    assert made != _restore.beside(live + "y", "__kept_20261122t101500z", 64)


def test_no_number_is_given_to_a_second_row(bench: Bench) -> None:
    bench.engine.counted = {"shop": {"users": 9, "orders": 5, "gone": 3}, "shop__side": {"users": 7, "orders": 6, "new": 1}}
    assert bench.reach("swapped")
    assert bench.engine.counted["shop__side"] == {"users": 9, "orders": 6, "new": 1}
    assert bench.engine.done.index("count on") < bench.engine.done.index("swap")
    bench.engine.counted = {"shop": {"users": 12}, "shop__side": {}, bench.facts()["kept"]: {"users": 9}}
    kept = bench.engine.counted[bench.facts()["kept"]]
    assert bench.reach("returned")
    assert kept == {"users": 12}, "the way back gives none a second time either"


def test_a_counter_that_would_be_at_its_end_stays_and_is_named(bench: Bench) -> None:
    bench.engine.counted = {"shop": {"users": 99, "orders": 5}, "shop__side": {"users": 7, "orders": 1}}
    assert bench.reach("swapped")
    assert bench.engine.counted["shop__side"] == {"users": 7, "orders": 5}
    assert bench.told["counters_left"] == ["users"]


def test_counters_of_tables_that_stay_are_left_alone(bench: Bench) -> None:
    bench.engine.counted = {"shop": {"users": 9, "orders": 5}, "shop__side": {"users": 7, "orders": 1}}
    assert bench.reach("swapped", tables=["users"], accept_orphans=True)
    assert bench.engine.counted["shop__side"] == {"users": 9, "orders": 1}


def test_a_live_database_that_cannot_be_read_does_not_keep_the_restored_one_out(bench: Bench) -> None:
    bench.engine.fails["counters of shop"] = RollbackError("crashed")
    assert bench.reach("swapped")
    assert "count on" not in bench.engine.done
