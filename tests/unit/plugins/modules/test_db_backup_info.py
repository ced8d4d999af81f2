# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import time
import typing as t

import pytest
from databases import DUMP, Streaming, mysql_host

from ansible_collections.lastgood.rollback.plugins.module_utils import _ledger, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from conftest import RunModule


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Streaming:
    scripted = mysql_host()
    monkeypatch.setattr(_wiring, "Runner", lambda module: scripted)
    return scripted


@pytest.fixture
def directory(tmp_path: pathlib.Path, host: Streaming, run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Three backups: v1 of 10 o'clock, v2 of 11 o'clock, v2 of 12 o'clock before a rollback."""
    made = tmp_path / "backups"
    made.mkdir()
    for hour, version, label in ((10, "v1", None), (11, "v2", None), (12, "v2", "pre-rollback")):
        moment = f"2026-11-22T{hour}:00:00.000Z"
        with monkeypatch.context() as patched:
            patched.setattr("ansible_collections.lastgood.rollback.plugins.modules.db_backup.utc", lambda now, at=moment: at)
            patched.setattr("ansible_collections.lastgood.rollback.plugins.module_utils._backup.utc", lambda at=moment: at)
            options = {"environment_file": "/srv/.env", "application_version": version, "application": "chom", "label": label}
            run_module("db_backup", {"directory": str(made), **options})
    host.pipelines.clear()
    return made


def listed(run_module: RunModule, directory: pathlib.Path, **more: t.Any) -> list[str]:
    result = run_module("db_backup_info", {"directory": str(directory), **more}, check=True)
    assert not result["changed"]
    return [backup["id"].partition("T")[2][:2] for backup in result["backups"]]


def ignored(run_module: RunModule, directory: pathlib.Path, **more: t.Any) -> dict[str, str]:
    result = run_module("db_backup_info", {"directory": str(directory), **more})
    return {os.path.basename(found["path"]): found["reason"] for found in result["ignored"]}


def manifest_of(directory: pathlib.Path, hour: int) -> pathlib.Path:
    (found,) = directory.glob(f"*T{hour}*.manifest.json")
    return found


def rewrite(path: pathlib.Path, **changes: t.Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.requirement("D-030")
def test_backups_are_listed_newest_first_with_their_age(run_module: RunModule, directory: pathlib.Path) -> None:
    result = run_module("db_backup_info", {"directory": str(directory)})
    assert [backup["started"][11:13] for backup in result["backups"]] == ["12", "11", "10"]
    newest = result["backups"][0]
    assert newest["verified"] is None
    assert pathlib.Path(newest["path"]).read_bytes() == DUMP
    assert newest["age_seconds"] == pytest.approx(time.time() - 1795348800, abs=5)
    assert result["ignored"] == []


@pytest.mark.requirement("D-015")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"label": "pre-rollback"}, ["12"]),
        ({"application_version": "v2"}, ["12", "11"]),
        ({"before": "2026-11-22T12:00:00+00:00"}, ["11", "10"]),
        ({"before": "2026-11-22T12:00:00+01:00"}, ["10"]),
        ({"application_version": "v2", "before": "2026-11-22T11:30:00Z"}, ["11"]),
        ({"database": "other"}, []),
        ({"application": "chom"}, ["12", "11", "10"]),
    ],
    ids=str,
)
def test_lists_are_narrowed_down(run_module: RunModule, directory: pathlib.Path, options: dict[str, str], expected: list[str]) -> None:
    assert listed(run_module, directory, **options) == expected


@pytest.mark.parametrize("before", ["yesterday", "2026-11-22T12:00:00", "2026-11-22"])
def test_a_time_without_its_zone_is_refused(run_module: RunModule, directory: pathlib.Path, before: str) -> None:
    result = run_module("db_backup_info", {"directory": str(directory), "before": before})
    assert result["failed"]
    assert before in result["msg"]


def test_what_only_looks_like_a_backup_is_ignored_with_a_reason(run_module: RunModule, directory: pathlib.Path) -> None:
    for name in ("old.sql.gz", "chom-x.sql.zst.partial", "chom-x.manifest.json.partial", "notes.txt"):
        (directory / name).touch()
    (directory / "link.sql").symlink_to(manifest_of(directory, 10))
    interrupted = "it is still being written, or was interrupted"
    assert ignored(run_module, directory) == {
        "old.sql.gz": "it has no manifest that fits",
        "chom-x.sql.zst.partial": interrupted,
        "chom-x.manifest.json.partial": interrupted,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format_version": 2}, "it is not a manifest of format version 1"),
        ({"bytes": "many"}, "its manifest does not say bytes"),
        ({"sha256": None}, "its manifest does not say sha256"),
        ({"id": "another"}, "it names another file than its own"),
        ({"file": "../../etc/passwd"}, "it names another file than its own"),
        ({"file": "gone.sql.zst"}, "its file gone.sql.zst is missing"),
        ({"started": "noon"}, "'noon' is not a time"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_manifest_that_does_not_fit_makes_no_backup(
    run_module: RunModule, directory: pathlib.Path, changes: dict[str, t.Any], reason: str
) -> None:
    rewrite(manifest_of(directory, 11), **changes)
    assert reason in ignored(run_module, directory)[manifest_of(directory, 11).name]
    assert listed(run_module, directory) == ["12", "10"]


def test_an_unreadable_manifest_makes_no_backup(run_module: RunModule, directory: pathlib.Path) -> None:
    manifest_of(directory, 11).write_text("{")
    manifest_of(directory, 10).write_text("[]")
    assert listed(run_module, directory) == ["12"]
    assert len(ignored(run_module, directory)) == 4  # both manifests, and the files that have none now


@pytest.mark.requirement("CHOM-6.2-08", "D-006")
def test_verifying_reads_each_backup(run_module: RunModule, directory: pathlib.Path, host: Streaming) -> None:
    assert listed(run_module, directory, verify=True, label="pre-rollback") == ["12"]
    assert host.pipelines[0][0][:2] == ["zstd", "--decompress"]
    assert run_module("db_backup_info", {"directory": str(directory), "verify": True})["backups"][0]["verified"] is True


def test_a_file_of_another_size_is_ignored_without_reading_it(run_module: RunModule, directory: pathlib.Path, host: Streaming) -> None:
    file = next(directory.glob("*T12*.zst"))
    file.write_bytes(DUMP[:-1])
    assert listed(run_module, directory) == ["11", "10"]
    assert f"has {len(DUMP) - 1} bytes instead of {len(DUMP)}" in ignored(run_module, directory)[manifest_of(directory, 12).name]
    assert host.pipelines == []


@pytest.mark.parametrize(
    ("stream", "failure", "reason"),
    [
        (DUMP, Completed(("zstd",), 1, "", "zstd: bad data"), "it cannot be decompressed"),
        (DUMP[:-30], None, "its dump is not complete"),
        (DUMP.replace(b"),\n(2,", b"),(2,"), None, "its tables or rows differ from the manifest's"),
    ],
    ids=["compression", "truncated before compression", "rows"],
)
def test_verifying_looks_inside(
    run_module: RunModule, directory: pathlib.Path, host: Streaming, stream: bytes, failure: Completed | None, reason: str
) -> None:
    host.stream, host.failure = stream, failure
    result = run_module("db_backup_info", {"directory": str(directory), "verify": True, "label": "pre-rollback"})
    assert result["backups"] == []
    assert [found["reason"] for found in result["ignored"]] == [reason]


def test_verifying_compares_the_checksum(run_module: RunModule, directory: pathlib.Path) -> None:
    file = next(directory.glob("*T12*.zst"))
    file.write_bytes(DUMP.replace(b"Anna", b"Olga"))
    assert ignored(run_module, directory, verify=True)[file.name] == "its checksum differs from the manifest's"


@pytest.mark.parametrize(("stream", "expected"), [(b"SQLite format 3\0rest", ["12"]), (b"SQLite format 3\0res", []), (b"x" * 20, [])])
def test_a_sqlite_backup_holds_a_whole_database(
    run_module: RunModule, directory: pathlib.Path, host: Streaming, stream: bytes, expected: list[str]
) -> None:
    rewrite(manifest_of(directory, 12), engine="sqlite", uncompressed_bytes=20)
    host.stream = stream
    assert listed(run_module, directory, verify=True, label="pre-rollback") == expected


def test_a_directory_that_cannot_be_read_is_named(run_module: RunModule, host: Streaming, tmp_path: pathlib.Path) -> None:
    result = run_module("db_backup_info", {"directory": str(tmp_path / "nowhere")})
    assert result["failed"]
    assert "cannot be read" in result["msg"]


def test_backups_of_a_bad_version_say_so(run_module: RunModule, directory: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """v1 is live from 9 o'clock on, v2 from half past ten; v3, of which no time is known, is bad too."""
    (tmp_path / "chom").mkdir()
    root = str(tmp_path / "chom")
    for number, (version, at) in enumerate((("v1", "09:00"), ("v2", "10:30"), ("v3", "13:00"))):
        facts = {
            "id": f"p{number}",
            "commit": str(number) * 40,
            "version": version,
            "since": f"2026-11-22T{at}:00.000Z",
            "source": "recorded",
        }
        _ledger.record(root, {**facts, "at": facts["since"]}, "live", {})
    for point in _ledger.read(root).points[1:]:
        _ledger.mark(root, point, "bad", "2026-11-22T13:30:00.000Z", {"reason": "loses orders"})
    rewrite(manifest_of(directory, 10), application_version="v3")
    options = {"directory": str(directory), "application": "chom", "state_directory": str(tmp_path)}
    found = [backup["taken_after_bad"] for backup in run_module("db_backup_info", options)["backups"]]
    assert [bad and bad["version"] for bad in found] == ["v2", "v2", "v3"]
    assert found[0]["reason"] == "loses orders"
    rewrite(manifest_of(directory, 10), application_version="v1")
    assert run_module("db_backup_info", options)["backups"][2]["taken_after_bad"] is None
    assert "application" in run_module("db_backup_info", {**options, "application": None})["msg"]


def test_a_ledger_that_was_changed_says_nothing_about_backups(
    run_module: RunModule, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "chom").mkdir()
    (tmp_path / "chom/ledger.jsonl").write_text("{}\n")
    options = {"directory": str(directory), "application": "chom", "state_directory": str(tmp_path)}
    assert "The ledger is damaged" in run_module("db_backup_info", options)["msg"]
