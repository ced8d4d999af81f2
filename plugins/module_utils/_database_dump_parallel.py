# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Several programs dump one snapshot: nobody can commit between the beginnings of their transactions.
# What they write is joined to one file, a dump like any other, in which each part can be found again.

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import _database_mysql
from ._database_mysql import quoted_name, quoted_text
from ._dump_census import Census
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._database_dump import MysqlSource
    from ._packing import Packing

_SMALL = 32 << 20
_DOMINANT = 0.5  # of what one program should dump
_CHUNK = 1 << 20
_HOLD_SECONDS = 5
_LOCK_SECONDS = 3
SCHEMA = ("--no-data", "--skip-triggers")
_PROGRAMS = ("--no-create-info", "--no-data", "--routines", "--events", "--triggers")
_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_HOLD = {
    True: "BACKUP STAGE START; BACKUP STAGE BLOCK_COMMIT; SELECT 'held';",
    False: "FLUSH TABLES WITH READ LOCK; SELECT 'held';",
}


@dataclass
class Portion:
    """What one program dumps: some tables, or the rows of one that a condition names."""

    tables: list[str]
    where: str = ""
    size: int = 0


@dataclass
class Parts:
    """The parts of the file so far."""

    output: int
    census: Census = field(default_factory=Census)
    found: list[dict[str, t.Any]] = field(default_factory=list)
    end: int = 0

    def add(self, kind: str, census: Census) -> None:
        """Note what has been written to output since the last part."""
        end = os.fstat(self.output).st_size
        about = {"kind": kind, "offset": self.end, "bytes": end - self.end, "uncompressed_bytes": census.size}
        self.found.append({**about, "tables": census.rows})
        self.end = end
        self.census.join(census)

    def append(self, aside: t.IO[bytes], census: Census) -> None:
        aside.seek(0)
        with open(os.dup(self.output), "wb") as file:
            shutil.copyfileobj(aside, file, _CHUNK)
        aside.close()
        self.add("data", census)


def portions(source: MysqlSource) -> list[Portion]:
    """How the tables are best divided; a single portion when it is not worth while."""
    sizes = source.found.sizes
    jobs = source.jobs or (os.cpu_count() or 1 if sum(sizes.values()) >= _SMALL else 1)
    whole = Portion(sorted(sizes), size=sum(sizes.values()))
    if jobs == 1 or not sizes:
        return [whole]
    share = whole.size / jobs
    keys = _keys(source, [table for table, size in sizes.items() if size >= share * _DOMINANT])
    pieces = [
        Portion([table], where, sizes[table] // jobs)
        for table, (column, low, high) in sorted(keys.items())
        for where in _conditions(column, low, high, jobs)
    ]
    groups = [Portion([]) for _number in range(jobs)]
    for table in sorted(set(sizes) - set(keys), key=lambda table: (-sizes[table], table)):
        least = min(groups, key=lambda group: group.size)
        least.tables.append(table)
        least.size += sizes[table]
    return pieces + [group for group in groups if group.tables]


def dump(
    source: MysqlSource, wanted: t.Sequence[Portion], output: int, packing: Packing, timeout: float
) -> tuple[Census, dict[str, t.Any]] | str:
    """Dump all portions at the same time; returns what they hold and where, or why that cannot be done."""
    with _held(source) as hold:
        return _Dump(source, wanted, output, packing.on_one_core(), time.monotonic() + timeout).run(hold)


@dataclass
class _Dump:
    source: MysqlSource
    wanted: t.Sequence[Portion]
    output: int
    packing: Packing
    deadline: float

    def run(self, hold: _Hold) -> tuple[Census, dict[str, t.Any]] | str:
        parts = Parts(self.output)
        tables = [*self.source.found.sequences, *sorted(self.source.found.sizes)]
        parts.add("schema", self._one(SCHEMA, self.output, tables))
        self._stop = threading.Event()
        self._begun = [threading.Event() for _portion in self.wanted]
        folder = os.path.dirname(os.readlink(f"/proc/self/fd/{self.output}"))
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(self.wanted)) as pool:
            asides = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _portion in self.wanted]
            if not hold.take():
                return hold.problem
            began = time.monotonic()
            running = [pool.submit(self._portion, number, asides[number].fileno()) for number in range(len(self.wanted))]
            together = all(event.wait(max(0.0, began + _HOLD_SECONDS - time.monotonic())) for event in self._begun)
            held = time.monotonic() - began
            if not (hold.release() and together):
                self._stop.set()
            done = [one.exception() or one.result() for one in running]
            if not together:
                return f"the dumps did not all begin within {_HOLD_SECONDS} seconds"
            failed = next((one for one in done if isinstance(one, BaseException)), None)
            if failed is not None or self._stop.is_set():
                raise failed or RollbackError("The database server let the commits go before all dumps had begun.")
            for aside, census in zip(asides, done):
                parts.append(aside, t.cast("Census", census))
        for what, wanted in programs(self.source):
            parts.add("programs", self._one(what, self.output, wanted))
        return parts.census, {"streams": {"number": len(self.wanted), "seconds_held": round(held, 3)}, "parts": parts.found}

    def _portion(self, number: int, aside: int) -> Census:
        portion = self.wanted[number]
        what = ["--no-create-info", "--skip-triggers", "--skip-add-locks"] + ([f"--where={portion.where}"] if portion.where else [])

        def look(census: Census) -> None:
            if census.begun:
                self._begun[number].set()

        try:
            return self._one(what, aside, portion.tables, look)
        except BaseException:
            self._stop.set()
            raise
        finally:
            self._begun[number].set()

    def _one(self, what: t.Sequence[str], output: int, tables: t.Sequence[str], look: t.Callable[[Census], None] | None = None) -> Census:
        stop = self._stop if look else None
        left = max(1.0, self.deadline - time.monotonic())
        return self.source.stream(what, output, self.packing, left, tables=tables, stop=stop, look=look)


def programs(source: MysqlSource) -> list[tuple[t.Sequence[str], list[str]]]:
    """How to dump what may need all tables to be there: triggers, events and routines, then views."""
    return [(_PROGRAMS, []), *([(SCHEMA, source.found.views)] if source.found.views else [])]


class _Hold:
    """A session that can keep everybody from committing, without keeping anybody from reading."""

    def __init__(self, say: t.Callable[[str, float], str | None], complaint: t.Callable[[], str], mariadb: bool) -> None:
        self._say = say
        self._complaint = complaint
        self._mariadb = mariadb
        self.problem = ""

    def take(self) -> bool:
        self._say(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}; SELECT 'set';", _HOLD_SECONDS)
        if self._say(_HOLD[self._mariadb], _HOLD_SECONDS) == "held":
            return True
        self.problem = f"commits could not be held back: {self._complaint()}"
        return False

    def release(self) -> bool:
        """Let them commit again; false when this session, and with it the lock, was gone before."""
        return self._say("BACKUP STAGE END; SELECT 'free';" if self._mariadb else "UNLOCK TABLES; SELECT 'free';", _HOLD_SECONDS) == "free"


@contextlib.contextmanager
def _held(source: MysqlSource) -> t.Iterator[_Hold]:
    runner, credentials = source.runner, source.credentials
    with _database_mysql.option_file(credentials) as options:
        command = [_database_mysql.client(runner), f"--defaults-file={options}", "--batch", "--skip-column-names", "--unbuffered"]
        with runner.converse(command) as session:
            yield _Hold(session.say, lambda: session.complaint, "MariaDB" in source.found.server_version)


def _keys(source: MysqlSource, tables: t.Sequence[str]) -> dict[str, tuple[str, int, int]]:
    """The whole numbers by which tables can be divided: the first column of the primary key, its least and its greatest value."""
    if not tables:
        return {}
    names = ", ".join(quoted_text(table) for table in tables)
    kinds = ", ".join(f"'{kind}'" for kind in _NUMBERS)
    sql = (
        "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.statistics s"
        " ON s.table_schema = c.table_schema AND s.table_name = c.table_name AND s.column_name = c.column_name"
        " WHERE c.table_schema = DATABASE() AND s.index_name = 'PRIMARY' AND s.seq_in_index = 1"
        f" AND c.data_type IN ({kinds}) AND c.table_name IN ({names})"
    )
    found = _database_mysql.query(source.runner, source.credentials, sql)
    sql = "".join(f"SELECT MIN({quoted_name(column)}), MAX({quoted_name(column)}) FROM {quoted_name(table)};\n" for table, column in found)
    ends = _database_mysql.query(source.runner, source.credentials, sql) if found else []
    return {table: (column, int(low), int(high)) for (table, column), (low, high) in zip(found, ends) if low != "NULL"}


def _conditions(column: str, low: int, high: int, pieces: int) -> list[str]:
    """Conditions that together fit every row, and of which each row fits exactly one."""
    name = quoted_name(column)
    borders = [low + (high - low + 1) * number // pieces for number in range(1, pieces)]
    above = [""] + [f"{name} >= {border}" for border in borders]
    below = [f"{name} < {border}" for border in borders] + [""]
    return [" AND ".join(part for part in pair if part) for pair in zip(above, below)]
