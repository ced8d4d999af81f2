# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The files of a database, copied by mariadb-backup while the server works, between the statements that make its tables and its programs.

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass

from . import _database_mysql, _mariadb_files
from . import _restore_mysql_objects as objects
from ._database_dump import MysqlSource, count
from ._database_dump_parallel import SCHEMA, Parts, programs
from ._database_mysql import quoted_name
from ._database_survey import global_privileges
from ._dump_census import Census
from ._errors import CommandError, RollbackError
from ._packing import failed

if t.TYPE_CHECKING:
    from ._command import Conversation, Runner
    from ._database_credentials import Credentials
    from ._packing import Packing

_PLAIN = re.compile(r"[0-9A-Za-z_]+")  # mariadb-backup takes other characters in a database's name for separators, or finds no files
_NEEDED = {"RELOAD", "PROCESS"}
_COPYING_INTERVAL = 100  # milliseconds; the default keeps everybody from committing for up to a second
_EXPECTED_SHRINKING = 3
_GLANCE = 0.001
_CHUNK = 1 << 20
_HELD = b"Acquired locks for BACKUP STAGE BLOCK_COMMIT"
_FREE = b"Executing BACKUP STAGE END"
_SNAPSHOT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY; SELECT 'taken';"
)
_KINDS = """
SELECT table_name, IFNULL(engine, ''), IFNULL(create_options, '') FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE');
SELECT '', 'encrypted', variable_name FROM information_schema.global_variables
  WHERE variable_name IN ('INNODB_ENCRYPT_LOG', 'INNODB_ENCRYPT_TABLES') AND variable_value <> 'OFF';
"""
_WORDS = (
    "SELECT t.name FROM information_schema.innodb_sys_tables t JOIN information_schema.innodb_sys_columns c ON c.table_id = t.table_id"
    " WHERE t.name LIKE '{}/%' AND c.name = 'FTS_DOC_ID'"
)
_ELSEWHERE = re.compile(r"\b(encrypted=yes|data directory)\b", re.IGNORECASE)


@dataclass
class PhysicalSource:
    """A database of a MariaDB server on this host, to back up by its files."""

    runner: Runner
    credentials: Credentials
    migrations_table: str
    engine: t.ClassVar[str] = "mysql"
    suffix: t.ClassVar[str] = ".mariadb.zst"

    @property
    def database(self) -> str:
        return self.credentials.database

    def prepare(self) -> int:
        """Find out what is there and whether it can be copied; returns about how large the backup will be."""
        self._logical = MysqlSource(self.runner, self.credentials, self.migrations_table)
        self._logical.prepare()
        if not _PLAIN.fullmatch(self.database):
            raise _refused(f"The name of the database {self.database!r} has other characters than letters, digits and underscores")
        self._require_tables()
        self._folder = _mariadb_files.folder(self.runner, self.credentials)
        self._login = self._log_in()
        self._names = _mariadb_files.file_names(self.runner, self.credentials)
        paths = [os.path.join(self._folder.path, name) for name in (self.database, "ibdata1")]
        sizes = self._folder.run(["du", "--bytes", "--summarize", "--", *paths]).stdout
        self._size = sum(int(line.split("\t")[0]) for line in sizes.splitlines())
        return self._size // _EXPECTED_SHRINKING

    def write(self, output: int, packing: Packing, timeout: float) -> dict[str, t.Any]:
        """Write the definitions and the files to output; returns what they hold."""
        self._deadline = time.monotonic() + timeout
        parts = Parts(output)
        tables = [*self._logical.found.sequences, *sorted(self._logical.found.sizes)]
        before = self._definitions(tables)
        parts.add("schema", self._logical.stream(SCHEMA, output, packing, self._left, tables=tables))
        with self._session() as session:
            moment = self._files(parts, packing, session)
            if self._definitions(tables) != before:
                raise RollbackError("The definition of a table was changed while the files were copied.", next_command="run again")
            for what, wanted in programs(self._logical):
                parts.add("programs", self._logical.stream(what, output, packing, self._left, tables=wanted))
            rows = self._counted(session) if moment.taken else None
        why = {} if rows is not None else {"why": "the rows could not be counted at the moment of the backup"}
        streams = {"number": 1, "seconds_held": round(moment.held, 3), **why}
        basis = "dump" if rows is not None else "server"
        described = self._logical.described(rows or count(self.runner, self.credentials, self._logical.found.sizes), basis)
        return {**described, "uncompressed_bytes": parts.census.size, "streams": streams, "parts": parts.found}

    @property
    def _left(self) -> float:
        return max(1.0, self._deadline - time.monotonic())

    def _require_tables(self) -> None:
        for table, engine, options in self._ask(_KINDS):
            if engine == "encrypted":
                raise _refused(f"The server encrypts its files ({options.lower()})")
            if engine != "InnoDB":
                raise _refused(f"The table {table} is not of InnoDB but of {engine or 'an unknown engine'}")
            if _ELSEWHERE.search(options):
                raise _refused(f"The files of the table {table} are encrypted or lie elsewhere ({options})")

    def _log_in(self) -> str:
        """Who logs in for mariadb-backup: the server's own user by the socket where that is allowed, else the given user."""
        owner, user = self._folder.owner, self.credentials.user
        for ask, login in ((self._ask_as_owner, (owner, "")), (self._ask, (user, self.credentials.password))):
            grants = ask("SHOW GRANTS") if all(login) or login[0] == owner else []
            if _may(row[0] for row in grants):
                self._require_no_words(ask)
                return _database_mysql.options(self.credentials.at_socket(self._folder.socket, *login))
        raise RollbackError(
            f"Neither {owner!r} by the server's socket nor {user!r} with a password has the privileges {' and '.join(sorted(_NEEDED))},"
            " without which mariadb-backup cannot work.",
            next_command=f"GRANT ALL ON *.* TO {owner}@localhost IDENTIFIED VIA unix_socket, or use login_user",
        )

    def _ask(self, sql: str) -> list[list[str]]:
        return _database_mysql.query(self.runner, self.credentials, sql)

    def _ask_as_owner(self, sql: str) -> list[list[str]]:
        """The rows that a query gives the server's own user; none when he has no account."""
        client = _database_mysql.client(self.runner)
        place = [f"--socket={self._folder.socket}", "--protocol=socket", f"--user={self._folder.owner}"]
        done = self._folder.run([client, "--no-defaults", *place, "--batch", "--skip-column-names", f"--execute={sql}"], check=False)
        return [line.split("\t") for line in done.stdout.splitlines()] if done.rc == 0 else []

    def _require_no_words(self, ask: t.Callable[[str], list[list[str]]]) -> None:
        """Servers were seen to break off (an assertion fails) when they make a full-text index of a table whose files they took over."""
        found = sorted({row[0].partition("/")[2] for row in ask(_WORDS.format(self.database.replace("_", "\\_")))})
        if found:
            raise _refused(f"These tables have, or had, full-text indexes: {', '.join(found)}")

    def _definitions(self, tables: t.Sequence[str]) -> dict[str, str]:
        found = objects.created(self.runner, self.credentials, self.database, tables)
        return {table: objects.without_counter(text) for table, text in found.items()}

    def _files(self, parts: Parts, packing: Packing, session: Conversation) -> _Moment:
        """Copy the files; returns the moment of which they are.

        Only what is compressed passes by here, since the compressor needs the processor; the size before that is what it was on disk.
        """
        command = [_mariadb_files.PROGRAM, "--defaults-file=/dev/stdin", "--backup", "--stream=mbstream", f"--databases={self.database}"]
        command += [f"--datadir={self._folder.path}", f"--log-copy-interval={_COPYING_INTERVAL}"]
        with tempfile.TemporaryFile() as errors, _readable(self._login) as login:
            moment = _Moment(session, os.dup(errors.fileno()), self._counting())
            with moment.watching():
                try:
                    argv = self._folder.stage(command, self._left)
                    stages = [argv, *packing.stages]
                    self.runner.pipeline(
                        stages, output=parts.output, source=login, watched=len(stages) - 1, errors=errors, timeout=self._left
                    )
                except CommandError as error:
                    raise _explained(error) from None
                said = moment.said()
        census = Census()
        census.size = self._size
        parts.add("files", census)
        self._require_files(said)
        return moment

    def _require_files(self, said: bytes) -> None:
        prefix = re.escape(self.database.encode())
        copied = {name.decode() for name in re.findall(rb" \./" + prefix + rb"/([^\s/]+)\.ibd\b", said)}
        lacking = sorted(table for (table, _part), name in self._names.items() if name not in copied)
        if lacking:
            raise _refused(f"These tables have no files of their own (innodb_file_per_table): {', '.join(lacking)}")

    @contextlib.contextmanager
    def _session(self) -> t.Iterator[Conversation]:
        with _database_mysql.option_file(self.credentials) as options:
            command = [_database_mysql.client(self.runner), f"--defaults-file={options}", "--batch", "--skip-column-names", "--unbuffered"]
            command += ["--default-character-set=utf8mb4", f"--database={self.database}"]
            with self.runner.converse(command) as session:
                yield session

    def _counting(self) -> str:
        tables = sorted(self._logical.found.sizes)
        return "".join(f"SELECT COUNT(*) FROM {quoted_name(table)};\n" for table in tables) + "SELECT 'counted';\n"

    def _counted(self, session: Conversation) -> dict[str, int] | None:
        tables = sorted(self._logical.found.sizes)
        numbers = (session.hear("counted", self._left) or "").split()
        return {table: int(number) for table, number in zip(tables, numbers)} if len(numbers) == len(tables) else None


class _Moment:
    """Opens a snapshot while mariadb-backup keeps everybody from committing, and asks in it: what is seen there is what the backup holds."""

    def __init__(self, session: Conversation, errors: int, questions: str) -> None:
        self._session = session
        self._questions = questions
        self._errors = errors
        self._heard = b""
        self._ended = threading.Event()
        self.taken = False
        self.held = 0.0

    @contextlib.contextmanager
    def watching(self) -> t.Iterator[None]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            os.close(self._errors)

    def said(self) -> bytes:
        """What mariadb-backup has said so far."""
        while chunk := os.pread(self._errors, _CHUNK, len(self._heard)):
            self._heard += chunk
        return self._heard

    def _watch(self) -> None:
        if not self._waited_for(_HELD):
            return
        began = time.monotonic()
        answer = self._session.say(_SNAPSHOT, 5)
        self.taken = answer == "taken" and _FREE not in self.said()
        if self.taken:
            self._session.tell(self._questions)
        self._waited_for(_FREE)
        self.held = time.monotonic() - began

    def _waited_for(self, words: bytes) -> bool:
        while words not in self.said():
            if self._ended.wait(_GLANCE):
                return False
        return True


@contextlib.contextmanager
def _readable(text: str) -> t.Iterator[int]:
    """The text as a file in memory that a program of another user can read where it inherits it, and nobody else can reach."""
    descriptor = os.memfd_create("lastgood-login")
    try:
        os.fchmod(descriptor, 0o604)
        os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _may(grants: t.Iterable[str]) -> bool:
    held = global_privileges(grants)
    return "ALL PRIVILEGES" in held or held >= _NEEDED


def _refused(why: str) -> RollbackError:
    return RollbackError(f"{why}: a physical backup could not be restored beside the live database.", next_command="use form: logical")


def _explained(error: CommandError) -> RollbackError:
    return failed(error) or RollbackError(f"mariadb-backup did not complete: {_mariadb_files.complaint(error.stderr)}.")
