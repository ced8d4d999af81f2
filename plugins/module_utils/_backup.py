# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Files of a backup: written aside, then renamed; the manifest comes last, and without it there is no backup.

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ._clock import utc
from ._command import current_user
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._packing import Packing

FORMAT_VERSION = 1
MANIFEST_SUFFIX = ".manifest.json"
PARTIAL_SUFFIX = ".partial"
NOT_MADE = "The database was only read. No backup was made."
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK = 1 << 20


class Source(t.Protocol):
    """A database that can be backed up."""

    engine: t.ClassVar[str]
    suffix: t.ClassVar[str]

    @property
    def database(self) -> str: ...

    def prepare(self) -> int: ...

    def write(self, output: int, packing: Packing, timeout: float) -> dict[str, t.Any]: ...


@dataclass(frozen=True)
class Names:
    """What the files of one backup are called."""

    directory: str
    identifier: str
    suffix: str

    @property
    def file(self) -> str:
        return self.identifier + self.suffix

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.file)

    @property
    def manifest(self) -> str:
        return os.path.join(self.directory, self.identifier + MANIFEST_SUFFIX)

    @property
    def partial(self) -> str:
        return self.path + PARTIAL_SUFFIX


def names(directory: str, database: str, label: str | None, moment: str, suffix: str) -> Names:
    """Names for a backup of a database at a moment (ISO 8601); they sort by time and never start with a dash or a dot."""
    if label is not None and not _LABEL.fullmatch(label):
        raise RollbackError(f"The label {label!r} must be letters, digits, dots, dashes and underscores, at most 64.")
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", os.path.splitext(os.path.basename(database))[0]).lstrip("-_") or "database"
    stamp = re.sub(r"[-:]", "", moment)
    return Names(directory, "-".join([readable[:64], stamp, *([label] if label else [])]), suffix)


def free_bytes(directory: str) -> int:
    """Free space for the backup directory's owner; raise unless the directory can be written to."""
    if not os.path.isdir(directory):
        raise RollbackError(
            f"The backup directory {directory} does not exist.",
            next_command=f"sudo install -d -o {current_user()} -m 0700 {shlex.quote(directory)}",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise RollbackError(f"The backup directory {directory} cannot be written to by this user.")
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def require_space(directory: str, expected: int, minimum_free: int) -> int:
    """The free bytes of a directory; raise when a backup of the expected size would leave too little."""
    free = free_bytes(directory)
    if free < expected + minimum_free:
        raise RollbackError(
            f"The backup directory {directory} has {free} bytes free; about {expected} are expected for the backup"
            f" and {minimum_free} must stay free."
        )
    return free


def make(source: Source, wanted: Names, about: t.Mapping[str, t.Any], *, packing: Packing, timeout: float) -> dict[str, t.Any]:
    """Back the source up and return its manifest; when that fails, nothing of it stays."""
    with draft(wanted) as descriptor:
        holds = source.write(descriptor, packing, timeout)
        return publish(wanted, descriptor, {**about, **holds, **packing.facts, "engine": source.engine, "database": source.database})


@contextlib.contextmanager
def draft(wanted: Names) -> t.Iterator[int]:
    """A file, for its owner only, to write the backup to; unless the block publishes it, nothing of it stays."""
    try:
        descriptor = os.open(wanted.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RollbackError(f"{wanted.partial} cannot be created: {error.strerror}.") from error
    try:
        yield descriptor
    except BaseException as error:
        for leftover in (wanted.manifest, wanted.manifest + PARTIAL_SUFFIX, wanted.path, wanted.partial):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover)
        if isinstance(error, OSError):
            raise RollbackError(f"The backup could not be written to {wanted.directory}: {error.strerror}.") from error
        raise
    finally:
        os.close(descriptor)


def publish(wanted: Names, descriptor: int, manifest: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Make the draft a backup: flush, name and checksum it, and write its manifest as the very last act."""
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(sha256, wanted.partial)
        os.fsync(descriptor)
    complete = {
        "format_version": FORMAT_VERSION,
        "id": wanted.identifier,
        "file": wanted.file,
        "bytes": os.fstat(descriptor).st_size,
        "sha256": digest.result(),
        "compression": "zstd",
        **manifest,
        "finished": utc(),
    }
    os.rename(wanted.partial, wanted.path)
    aside = wanted.manifest + PARTIAL_SUFFIX
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        json.dump(complete, file, indent=2, sort_keys=True, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    flush_directory(wanted.directory)
    os.rename(aside, wanted.manifest)
    flush_directory(wanted.directory)
    return complete


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def flush_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
