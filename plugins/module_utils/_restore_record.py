# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What is known of a restore, for whoever goes on with it.

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import typing as t

from ._clock import utc
from ._command import current_user
from ._errors import RollbackError
from ._run import make_private, read_json, write_json

UNTOUCHED = "The live database was not touched."

# The record's file in an application's state folder.
RECORD = "db_restore.json"


class Record:
    """What is known of a restore, in a file that survives the process: flushed to disk before what it announces is done."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.facts: dict[str, t.Any] = {}

    def write(self, **facts: t.Any) -> None:
        """Add facts. Those named notes belong to the engine."""
        self.facts = {**self.facts, **facts, "at": utc()}
        write_json(self.path, self.facts)

    def forget(self) -> None:
        """Begin anew."""
        self.facts = {}

    @contextlib.contextmanager
    def alone(self, *, create: bool) -> t.Iterator[None]:
        """Keep others from working by the same record while the block runs, then read what the last of them left."""
        lock = self._lock(create)
        try:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.facts = read_json(self.path) or {}
            yield
        except BlockingIOError:
            raise RollbackError(f"Another restore with the record {self.path} is at work.", state=UNTOUCHED) from None
        finally:
            if lock is not None:
                os.close(lock)

    def _lock(self, create: bool) -> int | None:
        try:
            if create:
                make_private(os.path.dirname(self.path))
            elif not os.path.exists(self.path):
                return None
            return os.open(f"{self.path}.lock", os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
        except OSError as error:
            folder = os.path.dirname(self.path)
            raise RollbackError(
                f"The record of the restore cannot be kept in {folder}: {error.strerror}.",
                state=UNTOUCHED,
                next_command=f"sudo install -d -o {current_user()} -m 0700 {shlex.quote(folder)}",
            ) from error
