# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# An archive goes into an empty database as it is read, without being laid on the disk. One program reads it, and its rows are dealt to several
# sessions. Indexes and constraints come after the rows; what says how they are made stands at the archive's beginning.

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
from ._restore_postgresql_deal import Dealer

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._packing import Keys
    from ._restore import Backup

_ASIDE = "/var/tmp"
_MEMORY = 128 << 10  # in kB, for each index that is made; a server that gives more keeps to that
_ENTRY = re.compile(r"\d+; \d+ \d+ (TABLE DATA )?.*")
_LARGE_OBJECTS = re.compile(r"\d+; \d+ \d+ BLOBS ")
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
        tables, others = _parted(contents)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self._tables, tables, jobs), pool.submit(self._others, others)]:
                done.result()
        self._fill(["--section=post-data", f"--jobs={jobs}", "/dev/stdin"], source=self._head)

    @property
    def _unpack(self) -> list[list[str]]:
        return unpacking(self.backup, self.keys)

    def _keep(self, chunk: bytes) -> None:
        os.write(self._head, chunk)

    def _tables(self, entries: t.Sequence[str], jobs: int) -> None:
        """Deal the rows of all tables to as many sessions."""
        if not entries:
            return
        with self._login() as words, _nowhere() as nowhere, _chosen(entries) as chosen:
            read = [self.runner.path("pg_restore"), "--format=custom", "--section=data", f"--use-list={chosen}", "--file=-"]
            command = [self.runner.path("psql"), "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={words}"]
            take = limited(command, self.credentials.system_user, self._left, me=self.runner.me)
            with self._explaining():
                self.runner.deal([*self._unpack, read], [take] * jobs, Dealer(), output=nowhere, timeout=self._left)

    def _others(self, entries: t.Sequence[str]) -> None:
        """Load what else comes with the rows; where large objects do, they follow the rows in the archive."""
        follow = any(map(_LARGE_OBJECTS.match, entries))
        with _chosen(entries) as chosen:
            if follow:
                self._fill(["--section=data", f"--use-list={chosen}"], before=self._unpack)
            else:
                self._fill(["--section=data", f"--use-list={chosen}", "/dev/stdin"], source=self._head)

    def _fill(self, more: t.Sequence[str], *, before: t.Sequence[list[str]] = (), source: int = NOTHING) -> None:
        with self._login() as words, _nowhere() as nowhere:
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
        with self._explaining():
            self.runner.pipeline(stages, output=output, source=source, watch=watch, watched=watched, timeout=self._left, satisfied=True)

    def _login(self) -> contextlib.AbstractContextManager[str]:
        """Losing what was loaded is no loss: the swap's commit, which waits for the disk, brings all that came before it there, too."""
        settings = f"-c synchronous_commit=off -c maintenance_work_mem={max(self.memory, _MEMORY)}kB"
        return _database_postgresql.connection(self.credentials, options=settings)

    @property
    def _left(self) -> float:
        return max(1.0, self._deadline - time.monotonic())

    @contextlib.contextmanager
    def _explaining(self) -> t.Iterator[None]:
        try:
            yield
        except CommandError as error:
            raise self._explained(error) from None

    def _explained(self, error: CommandError) -> RollbackError:
        found = _NOT_READABLE.search(error.stderr)
        if found or of_packing(error):
            why = found.group(0) if found else error.message.rstrip(".")
            return RollbackError(f"The backup {self.backup['id']} cannot be used: its archive cannot be read: {why}.")
        return _database_postgresql.explained(error, self.credentials)


def _parted(contents: t.Sequence[str]) -> tuple[list[str], list[str]]:
    """The entries of an archive, in their order: the rows of tables, and all others."""
    found = [entry for entry in map(_ENTRY.fullmatch, contents) if entry]
    return [entry[0] for entry in found if entry[1]], [entry[0] for entry in found if not entry[1]]


@contextlib.contextmanager
def _chosen(entries: t.Sequence[str]) -> t.Iterator[str]:
    """A file with entries of an archive, which are names, no rows."""
    with tempfile.NamedTemporaryFile("w", dir=_ASIDE, encoding="utf-8", errors="surrogateescape") as chosen:
        os.fchmod(chosen.fileno(), 0o644)  # for the system user of the login
        chosen.write("".join(f"{entry}\n" for entry in entries))
        chosen.flush()
        yield chosen.name


@contextlib.contextmanager
def _nowhere() -> t.Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
