# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is chosen because somebody named or described it, never because it is there."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _plan_database
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError

requirement = pytest.mark.requirement
HOURS = ("01", "02", "03")


@pytest.fixture
def application(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """Three backups of an application, made while three versions ran, and one of another."""
    for number, hour in enumerate(HOURS, 1):
        make(tmp_path, f"b{number}", hour, application_version=f"v1.{number}.0", label="nightly" if number < 3 else "pre-rollback")
    make(tmp_path, "other", "04", application="shop")
    return {"name": "chom", "backup": {"directory": str(tmp_path)}}


def make(directory: pathlib.Path, name: str, hour: str, **more: t.Any) -> None:
    (directory / f"{name}.sql.zst").write_bytes(b"12345")
    manifest = {
        "format_version": 1,
        "id": name,
        "file": f"{name}.sql.zst",
        "bytes": 5,
        "sha256": "0" * 64,
        "engine": "mysql",
        "database": "chom",
        "application": "chom",
        "started": f"2026-11-22T{hour}:00:00Z",
        "finished": f"2026-11-22T{hour}:10:00Z",
        "migrations": ["m1", "m2"],
        "tables": {"users": 3, "sites": 9},
        **more,
    }
    (directory / f"{name}.manifest.json").write_text(json.dumps(manifest))


@requirement("CHOM-6.2-07", "D-015")
def test_without_a_word_about_it_none_is_taken_and_the_newest_are_shown(application: dict[str, t.Any]) -> None:
    with pytest.raises(RollbackError, match="No backup was named") as refusal:
        _plan_database.choose(application, {"tables": []}, None)
    assert "b3 (v1.3.0, pre-rollback); b2 (v1.2.0, nightly); b1 (v1.1.0, nightly)" in refusal.value.message
    assert "other" not in refusal.value.message
    assert "-e backup=b3" in str(refusal.value.next_command)


def test_a_table_that_the_backup_lacks_is_refused_before_anything_is_loaded(application: dict[str, t.Any]) -> None:
    assert _plan_database.choose(application, {"backup": "b1", "tables": ["users", "sites"]}, None)["id"] == "b1"
    with pytest.raises(RollbackError, match="b1 has no table --x, user"):
        _plan_database.choose(application, {"backup": "b1", "tables": ["user", "sites", "--x"]}, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"backup": "b1"}, "b1"),
        ({"version": "v1.2.0"}, "b2"),
        ({"label": "nightly"}, "b2"),
        ({"label": "nightly", "before": "2026-11-22T02:00:00Z"}, "b1"),
        ({"before": "2026-11-22T02:10:01Z"}, "b2"),
        ({"before": "2026-11-22T02:10:00Z"}, "b1"),
        ({"before": "2026-11-22T03:05:00+01:00"}, "b1"),
        ({"backup": "", "before": "", "version": "", "label": "pre-rollback"}, "b3"),
    ],
)
def test_it_is_found_by_what_is_said_about_it(application: dict[str, t.Any], wanted: dict[str, str], found: str) -> None:
    assert _plan_database.choose(application, wanted, None)["id"] == found


@pytest.mark.parametrize(
    "wanted",
    [
        {"backup": "other"},
        {"backup": "../b1"},
        {"version": "v9"},
        {"before": "2026-11-22T01:00:00Z"},
        {"backup": "b1", "version": "v1.2.0"},
    ],
)
def test_what_fits_nothing_takes_nothing(application: dict[str, t.Any], wanted: dict[str, str]) -> None:
    with pytest.raises(RollbackError, match="No backup fits"):
        _plan_database.choose(application, wanted, "b1")


def test_a_file_goes_back_as_a_whole(application: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    make(tmp_path, "b4", "05", engine="sqlite")
    with pytest.raises(RollbackError, match="goes back as a whole"):
        _plan_database.choose(application, {"backup": "b4", "tables": ["users"]}, None)


def test_a_time_must_say_its_zone(application: dict[str, t.Any]) -> None:
    with pytest.raises(RollbackError, match="time zone"):
        _plan_database.choose(application, {"before": "2026-11-22T02:00:00"}, None)


def test_what_the_restore_point_has_on_record_is_taken_unless_another_is_described(application: dict[str, t.Any]) -> None:
    assert _plan_database.choose(application, {}, "b1")["id"] == "b1"
    assert _plan_database.choose(application, {"label": "pre-rollback"}, "b1")["id"] == "b3"


def test_without_a_folder_there_is_none(application: dict[str, t.Any]) -> None:
    with pytest.raises(RollbackError, match="no backup folder"):
        _plan_database.choose({**application, "backup": {"directory": None}}, {"backup": "b1"}, None)


# Whether its schema fits

BACKUP = {"id": "b1", "migrations": ["m1", "m2"]}


@pytest.mark.parametrize(
    ("target", "decision", "refusal"),
    [
        (["m1", "m2"], "stop", None),
        (["m1"], "stop", "does not know: m2"),
        (["m1"], "up", "does not know: m2"),
        (["m1"], "keep", None),
        (["m1", "m2", "m3"], "stop", "it lacks m3"),
        (["m1", "m2", "m3"], "up", None),
        (["m1", "m2", "m3"], "keep", None),
    ],
)
@requirement("CHOM-6.2-13", "CHOM-6.2-14")
def test_a_schema_that_does_not_fit_is_refused_unless_decided(
    application: dict[str, t.Any], target: list[str], decision: str, refusal: str | None
) -> None:
    facts = _plan_database.schema_after(BACKUP, target, decision)
    assert facts["up"] == (["m3"] if decision == "up" and "m3" in target else [])
    assert facts["down"] == []
    if refusal is None:
        _plan_database.refuse_schema(application, BACKUP, "v1", target, facts)
        return
    with pytest.raises(RollbackError, match=refusal):
        _plan_database.refuse_schema(application, BACKUP, "v1", target, facts)


def test_the_newest_backup_that_fits_is_named_where_the_chosen_one_does_not(application: dict[str, t.Any]) -> None:
    directory = pathlib.Path(application["backup"]["directory"])
    make(directory, "older", "05", migrations=["m1"])
    make(directory, "elsewhere", "06", migrations=["m1"], application="shop")
    make(directory, "silent", "07", migrations=None)
    facts = _plan_database.schema_after(BACKUP, ["m1"], "stop")
    with pytest.raises(RollbackError, match="that has none of that kind is older") as refusal:
        _plan_database.refuse_schema(application, BACKUP, "v1", ["m1"], facts)
    assert refusal.value.next_command == "run again with -e backup=older"
    with pytest.raises(RollbackError, match="There is no backup without"):
        _plan_database.refuse_schema(application, BACKUP, "v1", [], facts)


def test_a_backup_that_does_not_name_its_migrations_is_refused() -> None:
    with pytest.raises(RollbackError, match="does not say which migrations"):
        _plan_database.schema_after({"id": "b1", "migrations": None}, ["m1"], "keep")


def test_what_is_compared_is_what_goes_back_else_what_is_configured() -> None:
    configured = [{"name": "users", "key": ["id"]}, {"name": "sites"}]
    assert _plan_database.compare([], configured) == configured
    assert _plan_database.compare(["orders", "users"], configured) == [{"name": "orders"}, {"name": "users", "key": ["id"]}]


def test_the_plan_says_which_data_come_back() -> None:
    plan = {
        "from_version": "v1.2.4",
        "severity": "full_system",
        "restore_point": "p1",
        "migrations": {"up": ["m3"]},
        "database": {
            "backup": {"id": "b1", "started": "2026-11-22T02:00:00Z", "bytes": 5, "application_version": "v1.2.4", "label": None},
            "tables": ["users"],
            "of_running_version": True,
            "taken_after_bad": {"version": "v1.2.4", "reason": "loses orders"},
        },
    }
    text = "\n".join(_plan_database.in_words(plan))
    for word in (
        "the tables users from the backup b1",
        "WARNING: the backup was made while v1.2.4",
        "applied after the restore: m3",
        "which is marked as bad (reason: loses orders)",
        "in the restore point p1",
        "is kept",
    ):
        assert word in text
