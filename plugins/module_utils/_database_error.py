# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from ._errors import RollbackError

WRONG_LOGIN = "wrong_login"
UNREACHABLE = "unreachable"
UNKNOWN_DATABASE = "unknown_database"
OTHER = "other"
SUMMARIES = {
    WRONG_LOGIN: "refused the login",
    UNREACHABLE: "cannot be reached, or no longer",
    UNKNOWN_DATABASE: "does not exist, or this user may not use it",
    OTHER: "could not be asked",
}


class DatabaseError(RollbackError):
    """The database could not be asked; reason tells a wrong login from an absent server or database."""

    def __init__(self, message: str, *, reason: str, **more: t.Any) -> None:
        super().__init__(message, **more)
        self.reason = reason
