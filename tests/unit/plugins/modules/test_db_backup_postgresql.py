# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from postgresql_server import Server

from ansible_collections.lastgood.rollback.plugins.module_utils import _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from conftest import RunModule


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(_wiring, "Runner", lambda module: made)
    return made


def test_one_snapshot_is_dumped_and_counted(run_module: RunModule, server: Server, tmp_path: pathlib.Path) -> None:
    made = run_module("db_backup", {"directory": str(tmp_path), "environment_file": "/app/.env", "label": "x"})
    ((dump, zstd),) = server.pipelines
    assert "--snapshot=00000003-1" in dump
    assert "--compress=0" in dump
    assert zstd[0] == "zstd"
    assert server.logins == ["*:*:*:*:pa\\:ss\n"]
    manifest = json.loads(pathlib.Path(made["manifest"]).read_text())
    assert manifest == made["backup"]
    assert manifest["tables"] == {"users": 2, "migrations": 1, 'audit."a.b"': 0}
    assert (manifest["rows_basis"], manifest["uncompressed_bytes"], manifest["engine"]) == ("dump", 7, "postgresql")
    assert manifest["migrations"] == ["2026_01_01_create_users"]
    assert "pa:ss" not in json.dumps(made)


def test_a_login_by_the_system_s_user_dumps_as_that_user(run_module: RunModule, server: Server, tmp_path: pathlib.Path) -> None:
    login = {"engine": "postgresql", "database": "shop", "login_user": "postgres", "login_unix_socket": "/run/postgresql"}
    server.survey = "".join(line for line in server.survey.splitlines(True) if not line.startswith("table,"))
    made = run_module("db_backup", {"directory": str(tmp_path), **login})
    assert server.pipelines[0][0][:4] == ["sudo", "-n", "-u", "postgres"]
    assert (made["backup"]["tables"], made["backup"]["migrations"]) == ({}, None)


@pytest.mark.parametrize(
    ("program", "said", "expected"),
    [
        ("pg_dump", "pg_dump: error: connection to server was lost", "cannot be reached, or no longer"),
        ("pg_dump", "pg_dump: error: server version: 18; pg_dump version: 17", "could not be asked"),
        ("zstd", "zstd: error 70 : No space left on device", "The disk of the backup directory became full."),
        ("zstd", "zstd: error 1 : odd", "ended with status 1"),
    ],
)
def test_a_dump_that_fails_leaves_nothing(
    run_module: RunModule, server: Server, tmp_path: pathlib.Path, program: str, said: str, expected: str
) -> None:
    server.failures[program] = Completed((program,), 1, "", said)
    made = run_module("db_backup", {"directory": str(tmp_path), "environment_file": "/app/.env"})
    assert made["failed"]
    assert expected in made["msg"]
    assert list(tmp_path.glob("shop*")) == []


def test_a_session_that_ends_says_why(run_module: RunModule, server: Server, tmp_path: pathlib.Path) -> None:
    server.complaint = "FATAL:  terminating connection due to administrator command"
    made = run_module("db_backup", {"directory": str(tmp_path), "environment_file": "/app/.env"})
    assert "no longer" in made["msg"]


def test_a_session_that_ends_while_the_dump_begins_is_the_reason(
    run_module: RunModule, server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.failures["pg_dump"] = Completed(("pg_dump",), 1, "", 'pg_dump: error: query failed: ERROR:  invalid snapshot identifier: "1"')
    pipeline = server.pipeline

    def end(*stages: t.Any, **more: t.Any) -> None:
        server.complaint = "ERROR:  permission denied for table orders"
        pipeline(*stages, **more)

    monkeypatch.setattr(server, "pipeline", end)
    made = run_module("db_backup", {"directory": str(tmp_path), "environment_file": "/app/.env"})
    assert "permission denied for table orders" in made["msg"]


def test_verifying_reads_the_whole_archive(run_module: RunModule, server: Server, tmp_path: pathlib.Path) -> None:
    run_module("db_backup", {"directory": str(tmp_path), "environment_file": "/app/.env"})
    server.pipelines.clear()
    listed = run_module("db_backup_info", {"directory": str(tmp_path), "verify": True})
    assert [backup["verified"] for backup in listed["backups"]] == [True]
    assert [stage[0] for stage in server.pipelines[0]] == ["zstd", "pg_restore"]
    server.failures["pg_restore"] = Completed(("pg_restore",), 1, "", "pg_restore: error: could not read from input file: end of file")
    listed = run_module("db_backup_info", {"directory": str(tmp_path), "verify": True})
    assert listed["backups"] == []
    assert "end of file" in listed["ignored"][0]["reason"]
