# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t


class RollbackError(Exception):
    """What failed, what state the system is in, and what to type next."""

    def __init__(
        self,
        message: str,
        *,
        state: str = "Nothing was changed.",
        next_command: str | None = None,
        facts: dict[str, t.Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.next_command = next_command
        self.facts = facts or {}

    def as_result(self) -> dict[str, t.Any]:
        text = f"{self.message} {self.state}".strip()
        if self.next_command:
            text = f"{text} Next: {self.next_command}"
        return {**self.facts, "msg": text, "reason": self.message, "system_state": self.state, "next_command": self.next_command}


class CommandError(RollbackError):
    """A program ended with a status other than 0, or did not end in time."""

    def __init__(
        self, message: str, *, rc: int, stdout: str, stderr: str, program: str = "", timed_out: bool = False, **more: t.Any
    ) -> None:
        super().__init__(message, **more)
        self.program = program
        self.timed_out = timed_out
        self.rc = rc
        self.stdout = stdout
        self.stderr = stderr
