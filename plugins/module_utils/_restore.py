# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# A backup becomes the live database by way of a side database: loaded, proven, swapped in. What is replaced is kept until it is released.

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import time
import typing as t
from dataclasses import dataclass, field

from . import _backup_catalogue
from ._clock import utc
from ._errors import RollbackError
from ._packing import Keys
from ._progress import Progress
from ._restore_record import UNTOUCHED, Record

if t.TYPE_CHECKING:
    from ._command import Runner

Backup = _backup_catalogue.Entry

# The stages of a restore, as its record names them.
LOADING = "loading"
PROVEN = "proven"
SWAPPING = "swapping"
SWAPPED = "swapped"
RETURNING = "returning"
RETURNED = "returned"
RELEASED = "released"

_A_TABLE = {
    "mysql": "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() LIMIT 1",
    "postgresql": "SELECT 1 FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') LIMIT 1",
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' LIMIT 1",
}
_MOST_LEFT = 6  # side databases that a server could not remove
_FALSE = {"", "0", "f", "false", "null", "none"}


class Counter(t.NamedTuple):
    """How far it is, and the greatest number that it can give."""

    number: int
    limit: int


class Engine(t.Protocol):
    """A database server, or a library, into which backups can be restored. Names of databases are those of the engine; SQLite's are paths."""

    engine: t.ClassVar[str]
    proves_by_loading: t.ClassVar[bool]  # a backup that is not whole does not load, or what it lacks is seen by the census
    longest_name: t.ClassVar[int]  # in bytes of UTF-8

    def check(self, backup: Backup, side: str) -> None:
        """Refuse what cannot work: a backup from a newer server, missing privileges, impossible names, too little space. Changes nothing."""

    def exists(self, database: str) -> bool: ...

    def load(self, backup: Backup, side: str, *, keys: Keys, jobs: int, timeout: float) -> None:
        """Create the side database and fill it."""

    def census(self, database: str) -> dict[str, t.Any]:
        """What a database holds, with keys of the manifest: tables with their rows, numbers of views, triggers and so on."""

    def violations(self, database: str) -> list[str]:
        """Foreign keys and other constraints that do not hold, in words."""

    def ask(self, database: str, sql: str) -> list[list[str]]:
        """The rows of one query that can change nothing, as text; NULL is the text NULL."""

    def orphans(self, live: str, incoming: str, tables: t.Sequence[str]) -> list[str]:
        """Foreign keys that would not hold when only these tables came from incoming, in words; refuse tables that cannot be swapped alone."""

    def counters(self, database: str) -> dict[str, Counter]:
        """The counters that number new rows, by the name of the table or sequence."""

    def count_on(self, database: str, counters: t.Mapping[str, int]) -> None:
        """Move these counters on, so that the next row gets a number that is as high as in counters."""

    def swap(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str] = ()) -> None:
        """Let incoming become live and live become outgoing, or only these tables; called again after an interruption, it goes on.

        At any moment, live is the old or the new database, complete, once the call is repeated.
        """

    def drop(self, database: str) -> None:
        """Remove a database that exists."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    live: str
    backup: str | None
    tables: t.Sequence[str] = ()
    assertions: t.Sequence[str] = ()
    accept_orphans: bool = False
    jobs: int = 0
    timeout: float = 3600
    keys: Keys = field(default_factory=Keys)


@dataclass
class Restore:
    """One restore, from the backup to the release of what it replaced."""

    runner: Runner
    engine: Engine
    record: Record
    wanted: Wanted
    check_mode: bool = False
    progress: Progress = field(default_factory=Progress)
    backup: Backup = field(default_factory=dict)

    def reach(self, state: str) -> bool:
        """Bring a state about; returns whether something changed, or in check mode would."""
        self._require_own_record()
        return {"beside": self._beside, "swapped": self._swapped, "returned": self._returned, "released": self._released}[state]()

    @property
    def stage(self) -> str | None:
        return self.record.facts.get("stage")

    @property
    def side(self) -> str:
        """The side database's name: the one in use, else the one that it will have."""
        known = self.record.facts.get("side") if self.stage not in (None, RELEASED) else None
        return known or next(self._names(self.record.facts.get("left", []), []))

    def _names(self, left: t.Sequence[str], interrupted: t.Sequence[str]) -> t.Iterator[str]:
        """The names that a new side database may have.

        What an interrupted attempt started may live on for a moment; it logs in to the database of its own attempt, or to none.
        """
        for number in range(1, _MOST_LEFT + len(interrupted) + 1):
            name = beside(self.wanted.live, f"__side_{number}" if number > 1 else "__side", self.engine.longest_name)
            if name not in left and name not in interrupted:
                yield name
        self._refuse_more(left)

    def _next_side(self, left: t.Sequence[str]) -> str:
        """The name that the next attempt has: one that is free, or this restore's own. Another one may be somebody else's."""
        own = self.record.facts.get("side")
        return next(name for name in self._names(left, self._interrupted()) if name == own or not self.engine.exists(name))

    def _refuse_more(self, left: t.Sequence[str]) -> t.NoReturn:
        raise RollbackError(
            f"The server could not remove {', '.join(left)}, which interrupted attempts left.",
            state=UNTOUCHED,
            next_command="remove them by hand, and the record",
        )

    def facts(self) -> dict[str, t.Any]:
        known = self.record.facts
        return {
            "stage": self.stage,
            "side": self._side_that_is(),
            "kept": known.get("kept") if self.stage in (SWAPPING, SWAPPED, RETURNING) and not known.get("gone") else None,
            "proof": known.get("proof"),
            "backup": known.get("backup"),
            "record": self.record.path,
            "counters_left": known.get("counters_left") or [],
        }

    def _side_that_is(self) -> str | None:
        """The side database's name while there is one; with single tables, some engines leave it beside what was swapped."""
        known = self.record.facts
        if self.stage in (None, RELEASED) or (self.stage == SWAPPED and not (known.get("tables") and self.engine.exists(known["side"]))):
            return None
        return t.cast("str", known.get("side"))

    def _require_own_record(self) -> None:
        known = self.record.facts
        mine = {"engine": self.engine.engine, "database": self.wanted.live}
        if known and self.stage != RELEASED and any(known.get(name) != value for name, value in mine.items()):
            raise RollbackError(
                f"The record {self.record.path} belongs to a restore of {known.get('database')!r}.",
                state=UNTOUCHED,
                next_command="give each database a record of its own",
            )

    def _beside(self) -> bool:
        self._open_backup()
        same = self._is_of_this_backup()
        if self.stage in (SWAPPING, SWAPPED) and same:  # it was proven before; asking for the swap again completes it
            return False
        self._refuse_unless_free(same)
        if self.stage == PROVEN and same and self.engine.exists(self.side):
            return False
        if self.stage == RETURNED:
            raise self._in_the_way("still keeps what was live for a while")
        if self.stage not in (LOADING, PROVEN) and self.engine.exists(self.side):
            raise RollbackError(
                f"The database {self.side} exists and is not known to {self.record.path}: it is not this restore's to replace.",
                state=UNTOUCHED,
                next_command=f"look at {self.side}; rename or drop it, then run again",
            )
        began = time.monotonic()
        self._verify()
        self.engine.check(self.backup, self._next_side(self.record.facts.get("left", [])))
        if not self.check_mode:
            self._load(time.monotonic() - began)
        return True

    def _refuse_unless_free(self, same: bool) -> None:
        if self.stage in (SWAPPING, RETURNING):
            word = "swapped" if self.stage == SWAPPING else "returned"
            raise RollbackError(
                f"A swap of {self.wanted.live} was interrupted.",
                state="Some of its triggers, views or programs may be missing until it is completed.",
                next_command=f"ansible-playbook playbooks/resume.yml, or db_restore with state: {word}",
            )
        if self.stage == SWAPPED and not same:
            raise self._in_the_way("is live")

    def _in_the_way(self, what: str) -> RollbackError:
        name = (self.record.facts.get("backup") or {}).get("id")
        return RollbackError(
            f"An earlier restore of {self.wanted.live}, from {name}, {what}.",
            state=UNTOUCHED,
            next_command="ansible-playbook playbooks/database_release.yml, or db_restore with state: released, when what it keeps is not needed",
        )

    def _open_backup(self) -> None:
        if not self.wanted.backup:
            raise RollbackError("There is no backup to restore: the option backup is the path of its manifest.", state=UNTOUCHED)
        self.backup = _backup_catalogue.one(self.wanted.backup, time.time())
        if self.backup["engine"] != self.engine.engine:
            raise RollbackError(
                f"The backup {self.backup['id']} is of {self.backup['engine']}, not of {self.engine.engine}.", state=UNTOUCHED
            )
        if self.backup["database"] != self.wanted.live:
            raise RollbackError(
                f"The backup {self.backup['id']} is of the database {self.backup['database']!r}, not of {self.wanted.live!r}.",
                state=UNTOUCHED,
            )
        known = self.backup.get("tables") or {}
        for name in self.wanted.tables:
            if name not in known:
                like = [other for other in known if other.replace('"', "") == name.replace('"', "")]
                raise RollbackError(
                    f"The backup {self.backup['id']} has no table {name}{f'; it has {like[0]}' if like else ''}.", state=UNTOUCHED
                )

    def _is_of_this_backup(self) -> bool:
        known = self.record.facts
        same = (known.get("backup") or {}).get("sha256") == self.backup["sha256"] and known.get("tables", []) == list(self.wanted.tables)
        return bool(same)

    def _verify(self) -> None:
        try:
            self.wanted.keys.check(self.runner, self.backup)
            with self.progress.of("checking", self.backup.get("uncompressed_bytes")):
                if self.engine.proves_by_loading and self.backup["form"] == "logical" and not self.check_mode:
                    _backup_catalogue.verify_file(self.backup)
                else:
                    _backup_catalogue.verify(self.runner, self.backup, self.wanted.keys)
        except _backup_catalogue.Unusable as reason:
            raise RollbackError(f"The backup {self.backup['id']} cannot be used: {reason}.", state=UNTOUCHED) from None
        except RollbackError as error:
            error.state = UNTOUCHED
            raise

    def _load(self, checking: float) -> None:
        """Fill the side database and prove it."""
        left, interrupted = self._left_behind(), self._interrupted()
        side = self._next_side(left)
        self.record.forget()
        self.record.facts.update(left=left, interrupted=interrupted)
        self.record.write(
            stage=LOADING,
            engine=self.engine.engine,
            database=self.wanted.live,
            side=side,
            tables=list(self.wanted.tables),
            backup={name: self.backup[name] for name in ("id", "sha256", "manifest", "started")},
        )
        began = time.monotonic()
        try:
            jobs = self.wanted.jobs or os.cpu_count() or 1
            with self.progress.of("loading", self.backup.get("uncompressed_bytes")):
                self.engine.load(self.backup, self.side, keys=self.wanted.keys, jobs=jobs, timeout=self.wanted.timeout)
        except RollbackError as error:
            self._clear_away()
            self._end()
            error.state = UNTOUCHED
            raise
        loaded = time.monotonic()
        try:
            proof = self._prove()
        except RollbackError as error:
            self._end()
            error.state = f"{UNTOUCHED} What was loaded is in {self.side}; the next attempt replaces it."
            raise
        seconds = {"checking": checking, "loading": loaded - began, "proving": time.monotonic() - loaded}
        proof["seconds"] = {name: round(value, 3) for name, value in seconds.items()}
        self.record.write(stage=PROVEN, proof=proof)

    def _end(self) -> None:
        """Note that nothing of this attempt is at work any more; without that note the next one only takes another name."""
        with contextlib.suppress(OSError, RollbackError):
            self.record.write(ended=True)

    def _interrupted(self) -> list[str]:
        """The side databases of attempts that did not live to see their end, since one was proven or released."""
        known = self.record.facts
        if self.stage != LOADING:
            return []
        return [*known.get("interrupted", []), *([] if known.get("ended") else [self.side])]

    def _left_behind(self) -> list[str]:
        """Remove the side databases of earlier attempts; a server that was killed meanwhile may be unable to, then they stay and are remembered."""
        left = list(self.record.facts.get("left", []))
        mine = [*self.record.facts.get("interrupted", []), self.side] if self.stage in (LOADING, PROVEN) else []
        for name in mine:
            if name not in left and self.engine.exists(name):
                try:
                    self.engine.drop(name)
                except RollbackError:
                    left.append(name)
        return left

    def _clear_away(self) -> None:
        """Give the space back that half a database takes; when that fails too, the next attempt does it."""
        with contextlib.suppress(RollbackError):
            if self.engine.exists(self.side):
                self.engine.drop(self.side)

    def _prove(self) -> dict[str, t.Any]:
        found = self.engine.census(self.side)
        differences = compared(found, self.backup)
        if differences:
            raise RollbackError(f"The side database differs from the manifest: {'; '.join(differences)}.")
        violations = self.engine.violations(self.side)
        if violations and not self.wanted.accept_orphans:
            raise RollbackError(
                f"Constraints do not hold in the backup: {'; '.join(violations)}.",
                next_command="to restore it all the same: orphans: accept",
            )
        for sql in self.wanted.assertions:
            rows = self.engine.ask(self.side, sql)
            if len(rows) != 1 or rows[0][0].strip().lower() in _FALSE:
                raise RollbackError(f"The assertion does not hold in the side database: {sql} gives {rows[:3]}.")
        orphans = self.engine.orphans(self.wanted.live, self.side, self.wanted.tables) if self.wanted.tables else []
        if orphans and not self.wanted.accept_orphans:
            raise RollbackError(f"Rows would be left without those they refer to: {'; '.join(orphans)}.", next_command="orphans: accept")
        return {
            "sha256": self.backup["sha256"],
            "complete": True,
            "census": found,
            "rows_compared": self.backup.get("rows_basis") == "dump",
            "violations": violations,
            "orphans": orphans,
            "assertions": len(self.wanted.assertions),
        }

    def _swapped(self) -> bool:
        if self.stage == SWAPPING:
            return self._swap()
        self._open_backup()
        again = self.stage == RETURNED and self._is_of_this_backup()
        changed = not again and self._beside()
        if self.stage == SWAPPED:
            return changed
        if self.check_mode:
            return True
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dt%H%M%Sz")
        kept = beside(self.wanted.live, f"__kept_{stamp}", self.engine.longest_name)
        if self.engine.exists(kept):
            raise RollbackError(f"The database {kept} exists already.", state=UNTOUCHED, next_command="run again")
        self.record.write(kept=kept)
        return self._swap()

    def _swap(self) -> bool:
        known = self.record.facts
        if not self.check_mode:
            if self.stage != SWAPPING:
                self.record.write(gone=self._nothing_there())
            self._exchange(SWAPPING, known["side"], known["kept"])
            self.record.write(stage=SWAPPED, swapped=utc())
        return True

    def _nothing_there(self) -> bool:
        """Whether there is no live database, or none with a table: then there is nothing to return to. A damaged one is something."""
        if not self.engine.exists(self.wanted.live):
            return True
        with contextlib.suppress(RollbackError):
            return not self.engine.ask(self.wanted.live, _A_TABLE[self.engine.engine])
        return False

    def _returned(self) -> bool:
        if self.stage in (LOADING, PROVEN, RETURNED):  # what is live was never replaced, or is back
            return False
        lost = self.stage == SWAPPED and not self.engine.exists(self.record.facts["kept"])
        if lost or self.stage not in (SWAPPED, SWAPPING, RETURNING):
            raise RollbackError(f"There is no replaced database of {self.wanted.live} to return to.", state=UNTOUCHED)
        if self.record.facts.get("gone") and self.stage != RETURNING:
            raise RollbackError(
                f"There was no database {self.wanted.live}, or none with tables, when it was restored: nothing is left to return to.",
                state=UNTOUCHED,
                next_command="ansible-playbook playbooks/status.yml   # see how it is now",
            )
        if not self.check_mode:
            if self.stage == SWAPPING:
                self._swap()
            known = self.record.facts
            self._exchange(RETURNING, known["kept"], known["side"])
            self.record.write(stage=RETURNED, returned=utc())
        return True

    def _exchange(self, stage: str, incoming: str, outgoing: str) -> None:
        """Swap with the record saying so before and after; a failure that touched nothing is no interruption."""
        before = self.stage
        if before != stage:
            left = self._count_on(incoming)
            self.record.write(stage=stage, counters_left=left)
        try:
            self.engine.swap(self.wanted.live, incoming, outgoing, self.record.facts.get("tables") or ())
        except RollbackError as error:
            if error.facts.pop("untouched", False) and before != stage:
                self.record.write(stage=before)
                error.state = UNTOUCHED
            else:
                word = "swapped" if stage == SWAPPING else "returned"
                error.state = f"The swap of {self.wanted.live} is not complete: run db_restore with state {word} again to complete it."
            raise

    def _count_on(self, incoming: str) -> list[str]:
        """No number is given to a second row: customers and other systems know the first one by it, and it is put back by it.

        Returns the counters that stay: moved to its end one would give no number at all.
        """
        try:
            given = self.engine.counters(self.wanted.live)
        except RollbackError:  # a live database that is gone or damaged is a reason to go back, not one to stay
            return []
        chosen = self.record.facts.get("tables") or given
        now = self.engine.counters(incoming)
        behind = {name: one.number for name, one in given.items() if name in chosen and name in now and now[name].number < one.number}
        fitting = {name: number for name, number in behind.items() if number < now[name].limit}
        if fitting:
            self.engine.count_on(incoming, fitting)
        return sorted(behind.keys() - fitting.keys())

    def _released(self) -> bool:
        if self.stage in (None, RELEASED):
            return False
        if self.stage in (SWAPPING, RETURNING):
            self._refuse_unless_free(same=True)
        known = self.record.facts
        mine = [known.get("kept"), known.get("side"), *(name for name in known.get("interrupted", []) if name not in known.get("left", []))]
        leftovers = [name for name in mine if name and self.engine.exists(name)]
        if not self.check_mode:
            for name in leftovers:
                self.engine.drop(name)
            left = self.record.facts.get("left", [])
            self.record.forget()
            self.record.write(stage=RELEASED, left=left, engine=self.engine.engine, database=self.wanted.live, dropped=leftovers)
        return True


def beside(live: str, suffix: str, longest: int) -> str:
    """A name beside the live database's; one that would be too long is cut and told apart by a hash of the whole."""
    if len((live + suffix).encode()) <= longest:
        return live + suffix
    digest = hashlib.sha256(live.encode()).hexdigest()[:8]
    room = longest - len(suffix) - len(digest) - 1
    return f"{live.encode()[:room].decode('utf-8', 'ignore')}_{digest}{suffix}"


def compared(found: t.Mapping[str, t.Any], manifest: t.Mapping[str, t.Any]) -> list[str]:
    """How what was found differs from the manifest, in words.

    Rows that were counted beside the dump, while others wrote, are no measure: then only the tables must be the same.
    """
    tables, expected = found["tables"], manifest.get("tables") or {}
    differences = [f"the table {name} is missing" for name in sorted(set(expected) - set(tables))]
    differences += [f"the table {name} is not in the manifest" for name in sorted(set(tables) - set(expected))]
    if manifest.get("rows_basis") == "dump":
        differences += [
            f"{name} has {tables[name]} rows instead of {expected[name]}"
            for name in sorted(set(expected) & set(tables))
            if tables[name] != expected[name]
        ]
    differences += [
        f"{number} {kind} instead of {manifest[kind]}"
        for kind, number in found.items()
        if kind != "tables" and kind in manifest and manifest[kind] != number
    ]
    return differences
