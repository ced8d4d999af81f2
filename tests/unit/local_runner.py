# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command runner that really starts programs, all as whoever runs the tests; chosen commands can be answered or disturbed."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _command, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed


class Killed(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


@dataclass
class Local:
    """What a test says about the commands of the module that it calls; rules are asked from the newest to the oldest."""

    rules: list[tuple[str, t.Callable[[tuple[str, ...], str | None], tuple[int, str, str] | None]]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=set)
    me: str = _command.current_user()

    def on(self, pattern: str, stdout: str = "", *, rc: int = 0, stderr: str = "") -> Local:
        """Answer commands (fnmatch on the joined arguments) instead of starting them."""
        return self.when(pattern, lambda _argv, _stdin: (rc, stdout, stderr))

    def when(self, pattern: str, answer: t.Callable[[tuple[str, ...], str | None], tuple[int, str, str] | None]) -> Local:
        """Ask a function for the answer; when that is None the command is started after all."""
        self.rules.insert(0, (pattern, answer))
        return self

    def kill_at(self, pattern: str) -> Local:
        """End the module in front of the first command that fits."""

        def killed(argv: tuple[str, ...], _stdin: str | None) -> None:
            raise Killed(" ".join(argv))

        return self.when(pattern, killed)

    def lines(self, pattern: str = "*") -> list[str]:
        return [line for line in self.calls if fnmatch.fnmatchcase(line, pattern)]

    def runner(self, module: t.Any) -> _command.Runner:
        return _LocalRunner(module, self)


class _LocalRunner(_command.Runner):
    def __init__(self, module: t.Any, local: Local) -> None:
        super().__init__(module)
        self._local = local
        self.me = local.me

    def find(self, program: str) -> str | None:
        if program in self._local.missing:
            return None
        return f"/usr/bin/{program}" if program in self._local.present else super().find(program)

    def _attendant(self, user: str | None) -> _command._Attendant | None:
        """A real one, as whoever runs the tests."""
        self._local.calls.append(f"attendant {user}")
        if user not in self._attendants:
            self._attendants[str(user)] = _command._Attendant(self.me, self.me)
        return self._attendants[str(user)]

    def run(self, argv: t.Sequence[str], *, user: str | None = None, check: bool = True, **more: t.Any) -> Completed:
        line = " ".join(argv)
        self._local.calls.append(line)
        for pattern, answer in self._local.rules:
            if fnmatch.fnmatchcase(line, pattern):
                answered = answer(tuple(argv), more.get("stdin"))
                if answered is None:
                    break
                done = Completed(tuple(argv), *answered)
                if check and done.rc != 0:
                    raise _command._failure(done, None)
                return done
        done = _start([self.path(argv[0]), *argv[1:]], **more)
        if check and done.rc != 0:
            raise _command._failure(Completed(tuple(argv), done.rc, done.stdout, done.stderr), None)
        return done


def _start(
    argv: list[str], *, stdin: str | None = None, environment: t.Mapping[str, str] | None = None, timeout: float | None = None
) -> Completed:
    """As the real runner does it, but without its detours: there are thousands of commands in these tests."""
    done = subprocess.run(
        argv,
        input=(stdin or "").encode("utf-8", "surrogateescape"),
        capture_output=True,
        cwd="/",
        env={**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C", **(environment or {})},
        timeout=timeout,
        check=False,
    )
    stdout, stderr = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return Completed(tuple(argv), done.returncode, stdout, stderr)


def install(monkeypatch: pytest.MonkeyPatch) -> Local:
    """Put it in place of the runner that modules get."""
    local = Local()
    monkeypatch.setattr(_wiring, "Runner", local.runner)
    return local
