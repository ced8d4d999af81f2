# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command runner that plays back a transcript instead of starting programs."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass, field

from ansible_collections.lastgood.rollback.plugins.module_utils import _command
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed


@dataclass
class Call:
    argv: tuple[str, ...]
    user: str | None
    stdin: str | None
    environment: dict[str, str]

    @property
    def line(self) -> str:
        return " ".join(self.argv)


@dataclass
class Scripted:
    """Answers commands by the first rule whose pattern (fnmatch on the joined argv) fits; unknown commands fail the test."""

    rules: list[tuple[str, t.Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    me: str = "deploy"

    def on(self, pattern: str, stdout: str = "", *, rc: int = 0, stderr: str = "", then: t.Callable[[], None] | None = None) -> Scripted:
        self.rules.append((pattern, (rc, stdout, stderr, then)))
        return self

    def first(self, pattern: str, stdout: str = "", **more: t.Any) -> Scripted:
        """Like on(), but asked before the rules that stand already."""
        self.on(pattern, stdout, **more)
        self.rules.insert(0, self.rules.pop())
        return self

    def lines(self, pattern: str = "*") -> list[str]:
        return [call.line for call in self.calls if fnmatch.fnmatchcase(call.line, pattern)]

    def find(self, program: str) -> str | None:
        return None if program in self.missing else f"/usr/bin/{program}"

    def path(self, program: str) -> str:
        found = self.find(program)
        if found is None:
            raise _command.RollbackError(f"The program {program} is not installed on this host.")
        return found

    def run(self, argv: t.Sequence[str], *, user=None, stdin=None, environment=None, timeout=None, check=True) -> Completed:
        self.path(argv[0])
        call = Call(tuple(argv), user, stdin, dict(environment or {}))
        self.calls.append(call)
        for pattern, (rc, stdout, stderr, then) in self.rules:
            if fnmatch.fnmatchcase(call.line, pattern):
                if then is not None:
                    then()
                done = Completed(call.argv, rc, stdout() if callable(stdout) else stdout, stderr)
                if check and rc != 0:
                    raise _command._failure(done, None)
                return done
        raise AssertionError(f"unexpected command: {call.line}")
