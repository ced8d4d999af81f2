# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database server, a dump program and zstd that play back a transcript; the files are real."""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t
from dataclasses import dataclass, field

from ansible_collections.lastgood.rollback.plugins.module_utils import _command
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from scripted import Scripted

ENVIRONMENT = """
DB_CONNECTION=mysql
DB_DATABASE=chom
DB_USERNAME=chom
DB_PASSWORD='pa$$"word#'
"""
SURVEY = (
    "server\t11.8.6-MariaDB\ncharset\tutf8mb4\tutf8mb4_unicode_ci\n"
    "table\tusers\tBASE TABLE\tInnoDB\t3000\ntable\tmigrations\tBASE TABLE\tInnoDB\t300\ntable\tactive\tVIEW\t\t0\n"
    "encoding\tutf8mb4\nencoding\tascii\ntriggers\t1\nroutines\t0\nevents\t2\n"
    "GRANT USAGE ON *.* TO `chom`@`localhost` IDENTIFIED BY PASSWORD '*19A4'\nGRANT ALL PRIVILEGES ON `ch_m`.* TO `chom`@`localhost`\n"
)
DUMP = b"""-- MariaDB dump
/*!40101 SET NAMES utf8mb4 */;
--
-- Dumping data for table `users`
--
LOCK TABLES `users` WRITE;
INSERT INTO `users` VALUES
(1,'Anna (first)'),
(2,'Bert\\n(second)');
UNLOCK TABLES;
--
-- Dumping data for table `migrations`
--
INSERT INTO `migrations` VALUES
(1,'2026_01_01_000000_create_users_table',1);
UNLOCK TABLES;
-- Dump completed on 2026-11-22  2:19:56
"""


@dataclass
class Streaming(Scripted):
    """A scripted runner whose pipelines hand on a given stream, in small pieces, and leave it uncompressed."""

    stream: bytes = DUMP
    files: bytes = b"XBSTCK01 files of tables"
    complaints: bytes = b""
    survey: str = SURVEY
    failure: Completed | None = None
    pipelines: list[list[list[str]]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=lambda: {"SELECT 'set';": "set", "SELECT 'held';": "held", "SELECT 'free';": "free"})

    @contextlib.contextmanager
    def converse(self, argv: t.Sequence[str]) -> t.Iterator[Streaming]:
        self._look_at_login(argv)
        yield self

    def say(self, line: str, timeout: float) -> str | None:
        self.said.append(line)
        return next((answer for end, answer in self.answers.items() if line.endswith(end)), None)

    complaint: t.ClassVar[str] = "ERROR 1227 (42000): Access denied; you need the RELOAD privilege"

    def run(self, argv: t.Sequence[str], **more: t.Any) -> Completed:
        self._look_at_login(argv)
        return super().run(argv, **more)

    def pipeline(
        self,
        stages: t.Sequence[t.Sequence[str]],
        *,
        output: int,
        watch: t.Callable[[bytes], bytes | None] | None = None,
        watched: int = 0,
        source: int | None = None,
        errors: t.IO[bytes] | None = None,
        stop: threading.Event | None = None,
        timeout: float | None = None,
    ) -> None:
        self.pipelines.append([list(stage) for stage in stages])
        if source is not None:
            self.logins.append(os.read(source, 1 << 16).decode())
        if errors is not None:
            errors.write(self.complaints)
            errors.flush()
            self.stream, before = self.files, self.stream
        for stage in stages:
            self._look_at_login(stage)
        binary = "--default-character-set=binary" in stages[0]
        stream = self.stream.replace(b"NAMES utf8mb4", b"NAMES binary") if binary else self.stream
        for start in range(0, len(stream), 7):
            piece = stream[start : start + 7]
            changed = watch(piece) if watch is not None else None
            os.write(output, piece if changed is None else changed)
        if errors is not None:
            self.stream = before
        if self.failure is not None:
            raise _command._failure(self.failure, None)

    def _look_at_login(self, argv: t.Sequence[str]) -> None:
        """Read the login as the program would, while it is there."""
        for argument in argv:
            if argument.startswith("--defaults-file=/proc/"):
                with open(argument.partition("=")[2]) as file:
                    assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
                    self.logins.append(file.read())


def mysql_host() -> Streaming:
    host = Streaming()
    host.on("cat -- *.env", ENVIRONMENT)
    host.on("mariadb-dump --version", "mariadb-dump from 11.8.6-MariaDB\n")
    host.on("mariadb *", lambda: _answer(host))  # type: ignore[arg-type] # on() takes callables too
    return host


def _answer(host: Streaming) -> str:
    sql = host.calls[-1].stdin or ""
    if "information_schema.statistics" in sql:
        return "users\tid\n"
    if "information_schema" in sql:
        return host.survey
    if "MIN(" in sql:
        return "1\t100\n"
    if "FROM `migrations`" in sql and "migration " in sql:
        return "2026_01_01_000000_create_users_table\n"
    return "7\n" * sql.count("COUNT(*)")
