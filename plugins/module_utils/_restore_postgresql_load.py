# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# An archive goes into an empty database as it is read, without being laid on the disk. Several programs read it at the same time and take
# different tables from it. Indexes and constraints come after the rows; what says how they are made stands at the archive's beginning.

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import _database_postgresql
from ._command import NOTHING, limited
from ._errors import CommandError, RollbackError
from ._packing import of_packing, unpacking
from ._postgresql_survey import table_name

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Keys
    from ._restore import Backup

_ASIDE = "/var/tmp"
_MEMORY = 128 << 10  # in kB, for each index that is made; a server that gives more keeps to that
_ENTRY = re.compile(r"(\d+); \d+ \d+ (TABLE DATA )?(.*)")
_HEADING = ";"
_NOT_READABLE = re.compile(
    r"pg_restore: error: (?:could not (?:read from input|find block)|unexpected|corrupt|did not find|input file)[^\n]*"
)


@dataclass
class Loader:
    """Loads one backup into the database that the credentials name."""

    runner: Runner
    credentials: Credentials
    backup: Backup
    keys: Keys
    timeout: float
    memory: int = 0  # what the server gives for making an index, in kB

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout
        self._head = os.memfd_create("lastgood-archive")
        os.fchmod(self._head, 0o644)  # the system user of the login opens it again by its descriptor

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._head)

    def contents(self) -> list[str]:
        """What the archive lists as its contents; keeps the archive's beginning, up to the end of that list at least."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as said:
            command = [self.runner.path("pg_restore"), "--format=custom", "--list"]
            unpack = self._unpack
            self._pipeline([*unpack, command], said.fileno(), NOTHING, len(unpack) - 1, self._keep)
            said.seek(0)
            return [line.rstrip("\n") for line in said if not line.startswith(_HEADING)]

    def run(self, contents: t.Sequence[str], jobs: int) -> None:
        """Definitions, then rows, then what is faster and safer to make once the rows are there."""
        self._fill(["--section=pre-data", "/dev/stdin"], source=self._head)
        lists = shares(contents, self.backup.get("tables") or {}, jobs)
        with ThreadPoolExecutor(len(lists)) as pool:
            for _done in pool.map(self._rows, lists):
                pass
        self._fill(["--section=post-data", f"--jobs={jobs}", "/dev/stdin"], source=self._head)

    @property
    def _unpack(self) -> list[list[str]]:
        return unpacking(self.backup, self.keys)

    def _keep(self, chunk: bytes) -> None:
        os.write(self._head, chunk)

    def _rows(self, entries: t.Sequence[str]) -> None:
        """Load the rows of some tables; what is unpacked goes straight to the program that loads, so no bytes are counted."""
        with tempfile.NamedTemporaryFile("w", dir=_ASIDE, encoding="utf-8", errors="surrogateescape") as chosen:  # names, no rows
            os.fchmod(chosen.fileno(), 0o644)
            chosen.write("".join(f"{entry}\n" for entry in entries))
            chosen.flush()
            self._fill(["--section=data", f"--use-list={chosen.name}"], before=self._unpack)

    def _fill(self, more: t.Sequence[str], *, before: t.Sequence[list[str]] = (), source: int = NOTHING) -> None:
        with _database_postgresql.connection(self.credentials, options=self._settings) as words, _nowhere() as nowhere:
            command = [self.runner.path("pg_restore"), "--format=custom", "--exit-on-error", "--no-password", f"--dbname={words}", *more]
            argv = limited(command, self.credentials.system_user, self._left, me=self.runner.me)
            self._pipeline([*before, argv], nowhere, source, None)

    def _pipeline(
        self,
        stages: t.Sequence[t.Sequence[str]],
        output: int,
        source: int,
        watched: int | None,
        watch: t.Callable[[bytes], None] | None = None,
    ) -> None:
        try:
            self.runner.pipeline(stages, output=output, source=source, watch=watch, watched=watched, timeout=self._left, satisfied=True)
        except CommandError as error:
            raise self._explained(error) from None

    @property
    def _settings(self) -> str:
        """Losing what was loaded is no loss: the swap's commit, which waits for the disk, brings all that came before it there, too."""
        return f"-c synchronous_commit=off -c maintenance_work_mem={max(self.memory, _MEMORY)}kB"

    @property
    def _left(self) -> float:
        return max(1.0, self._deadline - time.monotonic())

    def _explained(self, error: CommandError) -> RollbackError:
        found = _NOT_READABLE.search(error.stderr)
        if found or of_packing(error):
            why = found.group(0) if found else error.message.rstrip(".")
            return RollbackError(f"The backup {self.backup['id']} cannot be used: its archive cannot be read: {why}.")
        return _database_postgresql.explained(error, self.credentials)


def shares(contents: t.Sequence[str], rows: t.Mapping[str, int], jobs: int) -> list[list[str]]:
    """The entries of an archive, in their order, for each of the programs that load it: about as many rows for each of them."""
    found = [entry for entry in (_ENTRY.fullmatch(line) for line in contents) if entry]
    weights = {entry[1]: _rows_of(entry[3], rows) for entry in found if entry[2]}
    loads = [0] * max(1, min(jobs, sum(1 for weight in weights.values() if weight)))
    places = {}
    for number in sorted(weights, key=lambda number: -weights[number]):
        places[number] = loads.index(min(loads))
        loads[places[number]] += weights[number]
    return [[entry[0] for entry in found if places.get(entry[1], 0) == place] for place in range(len(loads))]


def _rows_of(described: str, rows: t.Mapping[str, int]) -> int:
    """How many rows the manifest gives a table, which the list of contents describes as "SCHEMA NAME OWNER"."""
    schema, _space, rest = described.partition(" ")
    name = rest.rpartition(" ")[0]
    return rows.get(table_name(schema, name)) or 0


@contextlib.contextmanager
def _nowhere() -> t.Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
