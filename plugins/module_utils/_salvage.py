# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Rows saved before a restore: a folder with one file of JSON lines for each table and a manifest, written aside and renamed as the last act.

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import typing as t

from . import _backup
from ._clock import utc
from ._errors import RollbackError
from ._tables import Value

if t.TYPE_CHECKING:
    from ._data_loss import Loss
    from ._tables import Table

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_PARTIAL = ".partial"


class _File:
    """A file that knows what was written to it."""

    def __init__(self, path: str) -> None:
        self.name = os.path.basename(path)
        self.digest = hashlib.sha256()
        self.bytes = 0
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", 1 << 17)

    def write(self, line: bytes) -> None:
        self._file.write(line)
        self.digest.update(line)
        self.bytes += len(line)

    def close(self) -> None:
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def facts(self) -> dict[str, t.Any]:
        return {"file": self.name, "bytes": self.bytes, "sha256": self.digest.hexdigest()}


class _Rows:
    """What is saved of one table; the files begin with the first row."""

    def __init__(self, folder: str, number: int, loss: Loss, table: Table, csv: bool) -> None:
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", table.name)[:64]
        self._path = os.path.join(folder, f"{number:04d}-{readable}")
        self._csv = csv
        self._columns = table.stored
        self.files: list[_File] = []
        self.counts = {"new": 0, "changed": 0}
        self.loss = loss
        self.header = {
            "format_version": FORMAT_VERSION,
            "table": table.name,
            "key": list(loss.key),
            "columns": [{"name": column.name, "type": column.type} for column in self._columns],
        }

    def write(self, kind: str, row: list[Value]) -> None:
        if not self.files:
            self._begin()
        names = (column.name for column in self._columns)
        self.files[0].write(_json({"kind": kind, "row": {name: plain(value) for name, value in zip(names, row)}}))
        if self._csv:
            self.files[1].write(_csv([kind, *row]))
        self.counts[kind] += 1

    def close(self) -> None:
        for file in self.files:
            file.close()

    def facts(self) -> dict[str, t.Any]:
        about = {**self.header, **self.counts, **self.files[0].facts()}
        return {**about, "csv": self.files[1].facts()} if self._csv else about

    def _begin(self) -> None:
        self.files.append(_File(f"{self._path}.jsonl"))
        self.files[0].write(_json(self.header))
        if self._csv:
            self.files.append(_File(f"{self._path}.csv"))
            self.files[1].write(_csv(["kind", *(column.name for column in self._columns)]))


class Salvage:
    """A folder that comes to be as a whole or not at all."""

    def __init__(self, directory: str, database: str, csv: bool) -> None:
        _backup.free_bytes(directory)
        self.started = utc()
        self.path = _backup.names(directory, database, "salvage", self.started, "").path
        self._csv = csv
        self._tables: list[_Rows] = []
        self._open: _Rows | None = None

    @contextlib.contextmanager
    def draft(self) -> t.Iterator[Salvage]:
        try:
            os.mkdir(self.path + _PARTIAL, 0o700)
            yield self
        except OSError as error:
            raise RollbackError(f"The rows could not be saved in {self.path}: {error.strerror}.") from error
        finally:
            shutil.rmtree(self.path + _PARTIAL, ignore_errors=True)

    def begin(self, loss: Loss, table: Table) -> t.Callable[[str, list[Value]], None]:
        rows = _Rows(self.path + _PARTIAL, len(self._tables) + 1, loss, table, self._csv)
        self._tables.append(rows)

        def write(kind: str, row: list[Value]) -> None:
            if self._open is not rows:
                self._close()
                self._open = rows
            rows.write(kind, row)

        return write

    def publish(self, about: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        """Prove that each row that was counted was saved, and give the folder its name; without rows there is none."""
        self._close()
        for rows in self._tables:
            counted = {"new": rows.loss.new or 0, "changed": rows.loss.changed or 0}
            if rows.counts != counted:
                raise RollbackError(f"Of the table {rows.loss.name} {rows.counts} rows were saved, but {counted} were counted.")
        saved = [rows for rows in self._tables if rows.files]
        if not saved:
            return None
        manifest = {
            "format_version": FORMAT_VERSION,
            **about,
            "tables": [rows.facts() for rows in saved],
            "started": self.started,
            "finished": utc(),
        }
        file = _File(os.path.join(self.path + _PARTIAL, MANIFEST))
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        file.close()
        _backup.flush_directory(self.path + _PARTIAL)
        os.rename(self.path + _PARTIAL, self.path)
        _backup.flush_directory(os.path.dirname(self.path))
        for rows in saved:
            rows.loss.salvage = os.path.join(self.path, rows.files[0].name)
        return manifest

    def _close(self) -> None:
        if self._open:
            self._open.close()
        self._open = None


def plain(value: Value) -> t.Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _json(value: t.Any) -> bytes:
    """One line; a text that is no valid UTF-8, which SQLite allows, goes in escapes."""
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"


def _csv(row: t.Sequence[Value]) -> bytes:
    """One line, in which only NULL has no quotes; bytes go in base64."""
    plain = (base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in row)
    fields = ("" if value is None else '"' + str(value).replace('"', '""') + '"' for value in plain)
    return ",".join(fields).encode("utf-8", "surrogateescape") + b"\n"
