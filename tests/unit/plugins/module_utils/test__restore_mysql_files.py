# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How files of a backup become those of tables: in which order, by whom, and what is said when that fails."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from databases import Streaming

from ansible_collections.lastgood.rollback.plugins.module_utils import _mariadb_files, _restore_mysql
from ansible_collections.lastgood.rollback.plugins.module_utils._backup_catalogue import Unusable, verify
from ansible_collections.lastgood.rollback.plugins.module_utils._database_credentials import Credentials
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import CommandError, RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._packing import Keys
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_mysql_files import FilesLoader
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_record import Record

LOGIN = Credentials(database="chom__side", user="admin", password="secret")
FILES = {"kind": "files", "offset": 10, "bytes": 5, "uncompressed_bytes": 50, "tables": {}}
NAMES = "users\t\t\tusers\t\t\nodd name\t\t\todd@0020name\t\t\nsold\told\tlow\tsold\told\tlow\n"


class Server(Streaming):
    """Answers what a server of MariaDB is asked on the way, and remembers what it was told to do."""

    def __init__(self) -> None:
        super().__init__(stream=b"")
        self.told: list[str] = []
        self.texts = "".join(f"{name}\tCREATE TABLE `{name}` AUTO_INCREMENT=7\n" for name in ("odd name", "sold", "users"))
        self.later = self.texts.replace("=7", "=9")
        self.on("mariadb *", t.cast("str", self.answer))
        for program in ("install", "mariadb-backup --no-defaults", "mv", "rm", "find"):
            self.on(f"{program} *")

    def answer(self) -> str:
        sql = self.calls[-1].stdin or ""
        if "information_schema.views" in sql or "key_column_usage" in sql:
            return ""
        if "information_schema.partitions" in sql:
            return NAMES
        if "SHOW CREATE" in sql:
            self.texts, texts = self.later, self.texts
            return texts
        if "USING filename" in sql:
            return "chom__side\n"
        self.told += [line for line in sql.splitlines() if not line.startswith("SET SESSION foreign")]
        return ""


def loader(server: Server) -> FilesLoader:
    folder = _mariadb_files.Folder(t.cast("t.Any", server), "/data", "mysql", "/run/s.sock", "11.8.6-MariaDB")
    return FilesLoader(t.cast("t.Any", server), LOGIN, {"path": "/backups/x", "bytes": 9, "database": "chom"}, Keys(), 60, folder)


def test_empty_tables_take_over_the_files_as_the_user_whose_they_are() -> None:
    server = Server()
    loader(server).fill([FILES], 1)
    (read, _unpack, into) = server.pipelines[0]
    assert read[:2] == ["dd", "if=/backups/x"]
    assert into[:4] == ["sudo", "-n", "-u", "mysql"]
    assert into[-1] == "--directory=/data/chom__side/.lastgood"
    assert server.told == [
        "CREATE TABLE `lastgood_partition_1` LIKE `sold`;",
        "ALTER TABLE `lastgood_partition_1` REMOVE PARTITIONING;",
        "ALTER TABLE `odd name` DISCARD TABLESPACE;",
        "ALTER TABLE `lastgood_partition_1` DISCARD TABLESPACE;",
        "ALTER TABLE `users` DISCARD TABLESPACE;",
        "ALTER TABLE `odd name` IMPORT TABLESPACE;",
        "ALTER TABLE `lastgood_partition_1` IMPORT TABLESPACE;",
        "ALTER TABLE `users` IMPORT TABLESPACE;",
        "ALTER TABLE `sold` EXCHANGE PARTITION `low` WITH TABLE `lastgood_partition_1`;",
        "DROP TABLE `lastgood_partition_1`;",
    ]
    files = [call for call in server.calls if call.argv[0] in ("mv", "install", "rm", "find", "mariadb-backup")]
    assert {call.user for call in files} == {"mysql"}
    source, target = "/data/chom__side/.lastgood/chom", "/data/chom__side"
    assert f"mv -T -- {source}/sold#P#old#SP#low.ibd {target}/lastgood_partition_1.ibd" in server.lines()
    assert server.lines("mv --target*") == [
        f"mv --target-directory={target} -- {source}/odd@0020name.ibd {source}/odd@0020name.cfg {source}/users.ibd {source}/users.cfg"
    ]
    assert server.lines("rm *") == [f"rm -rf --one-file-system -- {target}/.lastgood"]
    assert "secret" not in "".join(server.lines()) + str(server.pipelines)


def test_a_table_that_is_another_one_afterwards_is_named() -> None:
    server = Server()
    server.later = server.texts.replace("CREATE TABLE `users`", "CREATE TABLE `users` more")
    with pytest.raises(RollbackError, match="The table users is not what the backup says"):
        loader(server).fill([FILES], 1)


def test_files_that_cannot_be_made_ready_say_why_in_one_line() -> None:
    server = Server()
    said = "[00] Starting\n[00] FATAL ERROR: corrupt page\n[00] ended\n"
    server.first("mariadb-backup *", rc=1, stderr=said)
    with pytest.raises(RollbackError, match=r"could not prepare the files: .00. FATAL ERROR: corrupt page\.$"):
        loader(server).fill([FILES], 1)
    assert server.told == []


def engine(server: Streaming, tmp_path: pathlib.Path) -> _restore_mysql.MysqlEngine:
    return _restore_mysql.MysqlEngine(t.cast("t.Any", server), LOGIN.with_database("chom"), Record(str(tmp_path / "record.json")), 0)


@pytest.mark.requirement("G-36", "D-009")
@pytest.mark.parametrize(
    ("made_by", "rc", "says"),
    [("11.4.5-MariaDB", 0, "only one of the same series can take them over"), ("11.8.2-MariaDB", 1, "deploy may not run programs as")],
    ids=["other series", "no right"],
)
def test_what_cannot_take_over_files_refuses_before_anything_is_made(tmp_path: pathlib.Path, made_by: str, rc: int, says: str) -> None:
    server, host = Streaming(), _mariadb_files.socket.gethostname()

    def answer() -> str:
        place = "@@socket" in (server.calls[-1].stdin or "")
        grants = "admin@localhost\nGRANT ALL PRIVILEGES ON *.* TO `admin`@`localhost`\n"
        return f"11.8.6-MariaDB\t{tmp_path}\t/run/s.sock\t{host}\n" if place else f"11.8.6-MariaDB\t{tmp_path}\t{grants}"

    server.on("mariadb --d*", t.cast("str", answer))
    server.on("mariadb-backup --version", "mariadb-backup based on MariaDB server 11.8.6-MariaDB")
    server.on("test -w *", rc=rc)
    with pytest.raises(RollbackError, match=says) as raised:
        engine(server, tmp_path).check({"form": "physical", "server_version": made_by, "uncompressed_bytes": 1}, "chom__side")
    assert raised.value.state == "The live database was not touched."
    assert not [call for call in server.calls if "CREATE" in (call.stdin or "")]


def test_what_an_interrupted_attempt_left_among_the_files_is_removed(tmp_path: pathlib.Path) -> None:
    server, host = Streaming(), _mariadb_files.socket.gethostname()
    place = f"11.8.6-MariaDB\t{tmp_path}\t/run/s.sock\t{host}\n"
    server.on("mariadb --d*", t.cast("str", lambda: place if "@@socket" in (server.calls[-1].stdin or "") else "chom__side\n"))
    server.on("mariadb-backup --version", "mariadb-backup based on MariaDB server 11.8.6-MariaDB")
    for program in ("test", "rm", "find"):
        server.on(f"{program} *")
    attempts = []

    def drop(argv: t.Sequence[str], **more: t.Any) -> t.Any:
        if "DROP DATABASE" in (more.get("stdin") or ""):
            attempts.append(len(server.lines("rm *")))
            if len(attempts) == 1:
                raise CommandError("x", rc=1, stdout="", stderr="ERROR 1010 (HY000) at line 2: can't rmdir './chom__side'")
        return Streaming.run(server, argv, **more)

    server.run = drop  # type: ignore[method-assign] # a server that finds files it does not know
    engine(server, tmp_path).drop("chom__side")
    assert attempts == [0, 1]
    assert server.lines("rm *") == [f"rm -rf --one-file-system -- {tmp_path}/chom__side/.lastgood"]


def test_a_file_whose_parts_are_not_its_own_is_no_backup(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.mariadb.zst"
    path.write_bytes(b"0123456789")
    digest = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    backup = {"path": str(path), "sha256": digest, "bytes": 10, "form": "physical", "engine": "mysql"}
    parts = [{"offset": 0, "bytes": 4}, {"offset": 4, "bytes": 6}]
    verify(t.cast("t.Any", None), {**backup, "parts": parts}, Keys())
    for wrong in ([], parts[:1], [{"offset": 0, "bytes": 3}, {"offset": 4, "bytes": 6}]):
        with pytest.raises(Unusable, match="parts"):
            verify(t.cast("t.Any", None), {**backup, "parts": wrong}, Keys())
