# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Files of a physical backup become the files of the side database's tables, which are made empty before.

from __future__ import annotations

import os
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import _mariadb_files
from . import _restore_mysql_load as load
from . import _restore_mysql_objects as objects
from ._database_mysql import quoted_name
from ._errors import CommandError, RollbackError
from ._mariadb_files import Folder
from ._packing import unpacking

_AT_ONCE = 200  # files in one command
_STAND_IN = "lastgood_partition_"
_MEMORY = "256M"


@dataclass
class FilesLoader(load.Loader):
    """Loads one physical backup into the database that the credentials name."""

    folder: Folder

    def fill(self, parts: t.Sequence[t.Mapping[str, t.Any]], jobs: int) -> None:
        names = _mariadb_files.file_names(self.runner, self.credentials)
        tables = sorted({table for table, _partition in names})
        wanted = objects.created(self.runner, self.credentials, self.credentials.database, tables)
        side = _mariadb_files.database_name(self.runner, self.credentials)
        scratch = self.folder.scratch(side)
        self.folder.run(["install", "-d", "-m", "0700", "--", scratch])
        for part in parts:
            if part["kind"] == "files":
                self._unpack(part, scratch)
        self._make_ready(scratch)
        pieces = self._pieces(names)
        keys = objects.foreign_keys(self.runner, self.credentials, self.credentials.database)
        self.alter(
            (key.table, f"DROP FOREIGN KEY {quoted_name(key.name)}") for key in keys
        )  # a server refuses to drop empty tables with them
        self.alter((piece.table, "DISCARD TABLESPACE") for piece in pieces)
        self._move(os.path.join(scratch, str(self.backup["database"])), os.path.join(self.folder.path, side), pieces)
        with ThreadPoolExecutor(jobs) as pool:
            for _done in pool.map(self._take_over, pieces):
                pass
        for piece in pieces:
            if piece.partition:
                self.alter([(piece.whole, f"EXCHANGE PARTITION {quoted_name(piece.partition)} WITH TABLE {quoted_name(piece.table)}")])
                self.drop(piece.table)
        self.alter((key.table, f"ADD {key.declared}") for key in keys)
        self.folder.clear(side)
        self._require(wanted)

    def _unpack(self, part: t.Mapping[str, t.Any], scratch: str) -> None:
        into = self.folder.stage(["mbstream", "--extract", f"--directory={scratch}"], self.left)
        with open(os.devnull, "wb") as nowhere:
            self.runner.pipeline([*unpacking(self.backup, self.keys, part), into], output=nowhere.fileno(), timeout=self.left)

    def _make_ready(self, scratch: str) -> None:
        """Let the files be those of one moment, and write beside each what it holds."""
        command = [_mariadb_files.PROGRAM, "--no-defaults", "--prepare", "--export", f"--use-memory={_MEMORY}", f"--target-dir={scratch}"]
        try:
            self.folder.run(command, timeout=self.left)
        except CommandError as error:
            raise RollbackError(f"mariadb-backup could not prepare the files: {_mariadb_files.complaint(error.stderr)}.") from None

    def _pieces(self, names: t.Mapping[tuple[str, str], str]) -> list[_Piece]:
        """What takes over a pair of files: a table, or a table that stands in for a partition, which cannot do that by itself."""
        pieces = []
        for number, ((table, partition), name) in enumerate(sorted(names.items())):
            stand_in = f"{_STAND_IN}{number}"
            if partition:
                self.execute(f"CREATE TABLE {quoted_name(stand_in)} LIKE {quoted_name(table)};\n")
                self.alter([(stand_in, "REMOVE PARTITIONING")])
            pieces.append(_Piece(stand_in if partition else table, name, stand_in if partition else name, table, partition))
        return pieces

    def _move(self, source: str, target: str, pieces: t.Sequence[_Piece]) -> None:
        plain = [piece.file for piece in pieces if piece.file == piece.becomes]
        paths = [os.path.join(source, f"{name}.{kind}") for name in plain for kind in ("ibd", "cfg")]
        for start in range(0, len(paths), _AT_ONCE):
            self.folder.run(["mv", f"--target-directory={target}", "--", *paths[start : start + _AT_ONCE]])
        for piece in pieces:
            for kind in ("ibd", "cfg") if piece.partition else ():
                self.folder.run(["mv", "-T", "--", f"{source}/{piece.file}.{kind}", f"{target}/{piece.becomes}.{kind}"])

    def _take_over(self, piece: _Piece) -> None:
        self.alter([(piece.table, "IMPORT TABLESPACE")])

    def _require(self, wanted: t.Mapping[str, str]) -> None:
        now = objects.created(self.runner, self.credentials, self.credentials.database, sorted(wanted))
        for table, text in wanted.items():
            if objects.without_counter(now[table]) != objects.without_counter(text):
                raise RollbackError(f"The table {table} is not what the backup says after its files were taken over.")

    def drop(self, table: str) -> None:
        self.execute(f"DROP TABLE {quoted_name(table)};\n")


class _Piece(t.NamedTuple):
    """A table that takes over files, what they are called in the backup and then, and the partition that it stands in for."""

    table: str
    file: str
    becomes: str
    whole: str
    partition: str
