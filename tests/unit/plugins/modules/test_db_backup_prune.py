# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files and a real state folder; backups are as many days old as their number says."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal, _ledger, _run
from conftest import RunModule

NOTHING = "No backup was removed."


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Store:
    folder: pathlib.Path
    run_module: RunModule

    @property
    def backups(self) -> pathlib.Path:
        return self.folder / "backups"

    @property
    def state(self) -> _run.Folder:
        return _run.Folder(str(self.folder / "state/chom"))

    def add(self, days: float, label: str | None = None, **more: t.Any) -> str:
        """A backup as db_backup leaves it; returns its identifier."""
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
        moment = then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        name = "-".join(["chom", f"{days:g}", *([label] if label else [])])
        content = name.encode()
        facts = {
            "format_version": 1,
            "id": name,
            "file": f"{name}.sql.zst",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "engine": "mysql",
            "database": "chom",
            "application": "chom",
            "label": label,
            "started": moment,
            "finished": moment,
            **more,
        }
        (self.backups / f"{name}.sql.zst").write_bytes(content)
        (self.backups / f"{name}.manifest.json").write_text(json.dumps(facts))
        return name

    def point(self, name: str, backup: str | None) -> pathlib.Path:
        """A restore point that was recorded when a backup was the newest; returns its manifest."""
        place = self.folder / f"state/chom/restore_points/{name}/manifest.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps({"backup": backup and {"id": backup}, "files": {}}))
        seal = hashlib.sha256(place.read_bytes()).hexdigest()
        facts = {"id": name, "commit": name * 4, "version": name, "since": "2026-11-01T00:00:00Z", "source": "recorded", "at": "now"}
        _ledger.record(self.state.root, {**facts, "manifest": seal, "content": name}, "live", {})
        return place

    def prune(self, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        wanted = {"directory": str(self.backups), "application": "chom", "state_directory": str(self.folder / "state")}
        return self.run_module("db_backup_prune", {**wanted, "keep_newest": 1, "keep_days": 1, **options}, check=check, diff=True)

    def removed(self, **options: t.Any) -> list[str]:
        result = self.prune(**options)
        assert "removed" in result, result.get("msg")
        assert result["changed"] == bool(result["removed"])
        return [backup["id"] for backup in result["removed"]]

    def reasons(self, name: str, **options: t.Any) -> list[str]:
        found = {backup["id"]: backup["reasons"] for backup in self.prune(**options)["kept"]}
        return t.cast("list[str]", found[name])

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.backups.iterdir()}


@pytest.fixture
def store(tmp_path: pathlib.Path, run_module: RunModule) -> Store:
    made = Store(tmp_path, run_module)
    made.backups.mkdir()
    (tmp_path / "state/chom").mkdir(parents=True)
    return made


def test_only_what_both_numbers_give_up_is_removed_and_the_rest_says_why(store: Store) -> None:
    for days in (0.5, 2, 3, 4, 5):
        store.add(days)
    result = store.prune(keep_newest=2, keep_days=3.5)
    assert [backup["id"] for backup in result["removed"]] == ["chom-4", "chom-5"]
    assert {backup["id"]: backup["reasons"] for backup in result["kept"]} == {
        "chom-0.5": [
            "it is one of the newest 2 of its database and label",
            "it is not older than 3.5 days",
            "it is the newest of its database whose checksum is right",
        ],
        "chom-2": ["it is one of the newest 2 of its database and label", "it is not older than 3.5 days"],
        "chom-3": ["it is not older than 3.5 days"],
    }
    assert store.files == {f"chom-{days}{suffix}" for days in (0.5, 2, 3) for suffix in (".sql.zst", ".manifest.json")}
    assert "removed: chom-4\n" in result["lastgood_text"]
    assert "stays: chom-3, since it is not older than 3.5 days\n" in result["lastgood_text"]
    assert result["freed_bytes"] == sum(backup["bytes"] for backup in result["removed"]) == 12
    assert result["diff"]["before"].splitlines() == [backup["path"] for backup in result["removed"]]


def test_check_mode_says_the_same_and_a_second_call_finds_nothing(store: Store) -> None:
    for days in (1, 2, 3):
        store.add(days)
    before = store.files
    forecast = store.prune(check=True)
    assert store.files == before
    assert os.listdir(store.state.root) == []
    done = store.prune()
    assert {name: forecast[name] for name in ("removed", "kept", "changed")} == {
        name: done[name] for name in ("removed", "kept", "changed")
    }
    assert store.removed() == []


def test_each_label_and_each_database_is_counted_by_itself(store: Store) -> None:
    for days, label, database in itertools.product((2, 3), ("nightly", None, "pre-rollback"), ("chom",)):
        store.add(days, label, database=database)
    store.add(4, "other", database="other")
    assert store.removed(label="nightly") == ["chom-3-nightly"]
    assert store.removed() == ["chom-3-pre-rollback", "chom-3"]
    assert "its label is not nightly" in store.reasons("chom-2", label="nightly")


def test_what_anything_names_is_never_removed(store: Store) -> None:
    for days in range(1, 9):
        store.add(days)
    store.point("v1.2.3", "chom-3")
    store.point("v1.2.4", None)
    (store.folder / "state/chom/db_restore.json").write_text(json.dumps({"stage": "proven", "backup": {"id": "chom-4"}}))
    os.makedirs(store.state.plans)
    pathlib.Path(store.state.plans, "3f2a9c0d41be00.json").write_text(json.dumps({"covers": {"database": {"backup": "chom-5"}}}))
    last = {"run": "r2", "outcome": "rolled_back", "origin": {"run": "r1"}, "database": {"backup": "chom-8"}}
    for run, backup in (("r1", "chom-6"), ("r2", "chom-7")):
        os.makedirs(store.state.run(run))
        _journal.append(store.state.run(run), {"event": "result", "facts": {"path": f"/b/{backup}.sql.zst"}})
    _run.write_json(store.state.last_run, last)
    result = store.prune()
    assert [backup["id"] for backup in result["removed"]] == ["chom-2"]
    assert {backup["id"]: backup["reasons"] for backup in result["kept"][1:]} == {
        "chom-3": ["the restore point v1.2.3 (v1.2.3) names it"],
        "chom-4": ["the restore of the database names it"],
        "chom-5": ["the plan 3f2a9c0d41be names it"],
        "chom-6": ["the journal of run r1 names it"],
        "chom-7": ["the journal of run r2 names it"],
        "chom-8": ["the record of the last run names it"],
    }


@pytest.mark.parametrize("outcome", ["open", "interrupted", "abandoned", "held"])
def test_nothing_goes_while_a_run_is_open_or_was_interrupted(store: Store, outcome: str) -> None:
    store.add(1)
    store.add(2)
    if outcome == "open":
        pathlib.Path(store.state.lock).write_text(json.dumps({"run": "r1"}))
    else:
        _run.write_json(store.state.last_run, {"run": "r1", "outcome": outcome})
    assert store.removed() == []
    assert store.reasons("chom-2") == ["run r1 is open" if outcome == "open" else "run r1 never came to its end"]


def test_the_newest_that_is_whole_stays_however_many_damaged_ones_are_newer(store: Store) -> None:
    for days in (1, 2, 3, 4):
        store.add(days)
    for name in ("chom-1", "chom-2"):
        (store.backups / f"{name}.sql.zst").write_bytes(b"!" * len(name))
    assert store.removed() == ["chom-4"]
    store.add(5)
    assert "look at it" in store.reasons("chom-2", check=True)[-1]
    (store.backups / "chom-3.sql.zst").write_bytes(b"!" * 6)
    assert store.removed() == []  # chom-5 is the only one left that is whole


def test_what_is_not_known_to_be_a_backup_of_this_application_stays(store: Store) -> None:
    for days in (1, 2):
        store.add(days)
    store.add(3, "other", application="another")
    store.add(4, "none", application=None)
    store.add(5, "odd", file="chom-1.sql.zst", bytes=6)
    store.add(6, "link")
    link = store.backups / "chom-6-link.sql.zst"
    link.unlink()
    link.symlink_to("x" * len("chom-6-link"))
    for name in ("old.sql.gz", "chom-9.sql.zst.partial", "notes.txt", "broken.manifest.json", "broken.sql.zst"):
        (store.backups / name).write_text("x")
    (store.backups / "chom-8.manifest.json").write_text(json.dumps({"format_version": 2}))
    before = store.files
    result = store.prune(keep_days=0)
    assert [backup["id"] for backup in result["removed"]] == ["chom-2"]
    assert before - store.files == {"chom-2.sql.zst", "chom-2.manifest.json"}
    assert {os.path.basename(found["path"]) for found in result["ignored"]} >= {
        "old.sql.gz",
        "broken.manifest.json",
        "chom-8.manifest.json",
    }
    kept = {backup["id"]: backup["reasons"] for backup in result["kept"]}
    assert kept["chom-3-other"] == kept["chom-4-none"] == ["it is not known to be of chom"]
    assert "chom-1.sql.zst is not a file that db_backup makes" in kept["chom-5-odd"]
    assert "chom-6-link.sql.zst is not a file that db_backup makes" in kept["chom-6-link"]


@pytest.mark.parametrize("where", ["renamed", "file removed"])
def test_a_removal_that_was_cut_off_is_no_backup_and_is_finished(store: Store, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (1, 2, 3):
        store.add(days)
    real, calls = os.unlink, itertools.count()

    def unlink(path: str, **more: t.Any) -> None:
        if str(path).startswith(str(store.backups)) and next(calls) == (where == "file removed"):
            raise Killed
        real(path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        with pytest.raises(Killed):
            store.prune()
    assert "chom-2.manifest.json" not in store.files
    assert "chom-2.manifest.json.removed" in store.files
    listed = store.run_module("db_backup_info", {"directory": str(store.backups)})
    assert [backup["id"] for backup in listed["backups"]] == ["chom-1", "chom-3"]
    assert [path["id"] for path in store.prune(check=True)["removed"]] == ["chom-2", "chom-3"]
    assert store.removed() == ["chom-2", "chom-3"]
    assert store.files == {"chom-1.sql.zst", "chom-1.manifest.json"}


def test_a_removal_that_fails_says_how_far_it_came(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (1, 2, 3):
        store.add(days)
    real = os.unlink

    def unlink(path: str, **more: t.Any) -> None:
        if str(path).endswith("chom-3.sql.zst"):
            raise PermissionError(1, "Operation not permitted", path)
        real(path, **more)

    monkeypatch.setattr(os, "unlink", unlink)
    result = store.prune()
    assert "chom-3.sql.zst could not be removed: Operation not permitted. Removed were: chom-2. Next: run again" in result["msg"]


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_nothing_goes_when_a_restore_point_cannot_say_what_it_needs(store: Store, damage: str) -> None:
    store.add(1)
    store.add(2)
    place = store.point("v1.2.3", "chom-1")
    place.write_text("{}") if damage == "changed" else place.unlink()
    before = store.files
    result = store.prune()
    assert result["failed"]
    assert f"{NOTHING} Next: rm -r {place.parent}" in result["msg"]
    assert store.files == before


def test_a_restore_point_that_was_forgotten_needs_nothing(store: Store) -> None:
    store.add(1)
    store.add(2)
    place = store.point("v1.2.3", "chom-2")
    assert store.removed() == []
    place.unlink()
    place.parent.rmdir()
    assert store.removed() == ["chom-2"]


@pytest.mark.parametrize("file", ["ledger.jsonl", "last_run.json", "db_restore.json"])
def test_nothing_goes_when_the_state_cannot_be_read(store: Store, file: str) -> None:
    store.add(1)
    store.add(2)
    pathlib.Path(store.state.root, file).write_text("not what it should be\n")
    result = store.prune()
    assert result["failed"]
    assert NOTHING in result["msg"]
    assert len(store.files) == 4


def test_nothing_goes_while_a_restore_is_at_work(store: Store) -> None:
    store.add(1)
    store.add(2)
    with open(f"{store.state.root}/db_restore.json.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = store.prune()
    assert "Another restore" in result["msg"]
    assert NOTHING in result["msg"]
    assert store.removed() == ["chom-2"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keep_newest": 0}, "keep_newest must be at least 1"),
        ({"keep_days": -1}, "keep_days at least 0"),
        ({"application": "typo"}, "what still needs a backup of typo cannot be known"),
        ({"directory": "/nowhere"}, "The backup directory /nowhere cannot be read"),
    ],
)
def test_refuses_what_makes_no_sense(store: Store, options: dict[str, t.Any], says: str) -> None:
    store.add(1)
    store.add(2)
    result = store.prune(**options)
    assert says in result["msg"]
    assert NOTHING in result["msg"]
    assert len(store.files) == 4


def test_an_interrupted_removal_reaches_nothing_outside_of_the_folder(store: Store) -> None:
    """Whatever a file claims to be the rest of."""
    precious = store.folder / "precious"
    precious.write_text("data")
    (store.backups / "chom-9.").mkdir()
    store.add(9, file="chom-9./../../precious")
    (store.backups / "chom-9.manifest.json").rename(store.backups / "chom-9.manifest.json.removed")
    assert store.removed() == []
    assert precious.exists()
