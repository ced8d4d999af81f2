# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Contents of files as text: whatever bytes they hold come back as they were.

from __future__ import annotations

import hashlib
import hmac
import os


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def as_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def digest(text: str) -> str:
    return hashlib.sha256(as_bytes(text)).hexdigest()


def hashed(value: str | None, salt: bytes) -> str | None:
    """Tells whether two values are the same and nothing else, as long as the salt is thrown away."""
    return None if value is None else hmac.new(salt, as_bytes(value), hashlib.sha256).hexdigest()[:12]


def write_new(path: str, text: str) -> None:
    """Write a file that must not exist yet, for its owner only, and flush it to disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(as_bytes(text))
        file.flush()
        os.fsync(file.fileno())


def read(path: str) -> str:
    with open(path, "rb") as file:
        return as_text(file.read())
