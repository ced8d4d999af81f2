# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The only file that starts programs.

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass

from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_TIMED_OUT = 124
_TAIL = 800


@dataclass(frozen=True)
class Completed:
    """How a program ended."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """The end of what the program said, for messages."""
        text = "\n".join(part for part in (self.stderr.strip(), self.stdout.strip()) if part)
        return text[-_TAIL:]


def current_user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def elevated(argv: t.Sequence[str], user: str | None, *, me: str, environment: t.Mapping[str, str]) -> list[str]:
    """The argument list that runs argv as user, started by me.

    To root only the bare command is passed, so that sudoers can list exact commands.
    """
    if user is None or user == me:
        return list(argv)
    if user == "root":
        return ["sudo", "-n", "--", *argv]
    with_environment = ["env", *(f"{name}={value}" for name, value in sorted(environment.items())), *argv]
    if me == "root":
        return ["runuser", "-u", user, "--", *with_environment]
    return ["sudo", "-n", "-u", user, "--", *with_environment]


class Runner:
    """Runs programs from argument lists; never through a shell, never with a secret among the arguments."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._paths: dict[str, str] = {}
        self.me = current_user()

    def find(self, program: str) -> str | None:
        """The full path of a program, or None."""
        if program not in self._paths:
            found = program if os.path.isabs(program) else self._module.get_bin_path(program)
            if not found:
                return None
            self._paths[program] = found
        return self._paths[program]

    def path(self, program: str) -> str:
        found = self.find(program)
        if not found:
            raise RollbackError(f"The program {program} is not installed on this host.")
        return found

    def run(
        self,
        argv: t.Sequence[str],
        *,
        user: str | None = None,
        stdin: str | None = None,
        environment: t.Mapping[str, str] | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Completed:
        """Run argv to its end; raise CommandError on a status other than 0 unless check is off.

        environment travels on the command line when the user changes: it is for settings, not for secrets.
        """
        settings = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", **(environment or {})}
        command = elevated([self.path(argv[0]), *argv[1:]], user, me=self.me, environment=settings)
        if timeout is not None:
            command = ["timeout", "--kill-after=5", f"{timeout:g}", *command]
        command[0] = self.path(command[0])
        rc, stdout, stderr = self._module.run_command(
            command,
            data=stdin,
            binary_data=True,
            cwd="/",
            environ_update=settings,
            expand_user_and_vars=False,
            ignore_invalid_cwd=False,
            use_unsafe_shell=False,
        )
        done = Completed(tuple(argv), rc, stdout, stderr)
        if check and rc != 0:
            raise _failure(done, timeout if rc == _TIMED_OUT else None)
        return done

    def pipeline(
        self,
        stages: t.Sequence[t.Sequence[str]],
        *,
        output: int,
        timeout: float | None = None,
    ) -> None:
        """Connect the stages' standard streams and write the last one's output to an open file descriptor.

        Every stage must end with status 0; when one fails or time runs out, all are stopped.
        """
        started: list[tuple[t.Sequence[str], subprocess.Popen[bytes], t.IO[bytes]]] = []
        source: t.Any = subprocess.DEVNULL
        try:
            for number, argv in enumerate(stages):
                errors = tempfile.TemporaryFile()
                last = number == len(stages) - 1
                process = subprocess.Popen(
                    [self.path(argv[0]), *argv[1:]],
                    stdin=source,
                    stdout=output if last else subprocess.PIPE,
                    stderr=errors,
                    cwd="/",
                    env={**os.environ, "LC_ALL": "C.UTF-8"},
                    start_new_session=True,
                )
                if source is not subprocess.DEVNULL:
                    source.close()
                source = process.stdout
                started.append((argv, process, errors))
            _wait_for_all(started, None if timeout is None else time.monotonic() + timeout)
        finally:
            for _argv, process, errors in started:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                errors.close()


def _wait_for_all(
    started: t.Sequence[tuple[t.Sequence[str], subprocess.Popen[bytes], t.IO[bytes]]], deadline: float | None
) -> None:
    """Wait for each stage, from the last to the first; report the failure nearest to the source."""
    failed: Completed | None = None
    for argv, process, errors in reversed(started):
        try:
            rc = process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _failure(Completed(tuple(argv), _TIMED_OUT, "", ""), -1) from None
        if rc != 0:
            errors.seek(0)
            failed = Completed(tuple(argv), rc, "", errors.read().decode("utf-8", "replace"))
    if failed is not None:
        raise _failure(failed, None)


def _failure(done: Completed, timeout: float | None) -> CommandError:
    name = " ".join(done.argv[:3])
    if timeout is not None:
        message = f"{name} did not end in time."
    else:
        message = f"{name} ended with status {done.rc}: {done.output or 'no output'}."
    return CommandError(message, rc=done.rc, stdout=done.stdout, stderr=done.stderr)
