# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# The only file that starts programs.

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass

from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_TIMED_OUT = 124
_TAIL = 800
_CHUNK = 1 << 17
_GLANCE = 0.2
_PARTING = 5
_SET_PIPE_SIZE = 1031  # fcntl.F_SETPIPE_SZ, which Python knows from 3.10 on
_PIPE_SIZE = 1 << 20
NOTHING = subprocess.DEVNULL
_BROKEN_PIPE = re.compile(r"[Bb]roken pipe|errno 32\b")


@dataclass(frozen=True)
class Completed:
    """How a program ended."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    @property
    def timed_out(self) -> bool:
        return self.rc == _TIMED_OUT

    @property
    def output(self) -> str:
        """The end of what the program said, for messages."""
        text = "\n".join(part for part in (self.stderr.strip(), self.stdout.strip()) if part)
        return text[-_TAIL:]


def current_user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def limited(argv: t.Sequence[str], user: str | None, timeout: float, *, me: str) -> list[str]:
    """The argument list for a stage that runs as user and, where we could not stop it, ends by itself."""
    if user is None or user == me:
        return list(argv)
    return elevated(["timeout", "--kill-after=5", f"{timeout:g}", *argv], user, me=me, environment={"LC_ALL": "C.UTF-8"})


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
        self._attendants: dict[str, _Attendant | None] = {}
        self.meter: t.Callable[[int], None] | None = None  # hears how many bytes pass by in pipelines
        self.run_folder: str | None = None  # of the run that all this is a step of
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
        command = [self.path(argv[0]), *argv[1:]]
        if timeout is not None and user != "root":
            command = [self.path("timeout"), "--kill-after=5", f"{timeout:g}", *command]
        attendant = self._attendant(user)
        if attendant is not None:
            rc, stdout, stderr = attendant.run(command, stdin or "", settings)
        else:
            command = elevated(command, user, me=self.me, environment=settings)
            if timeout is not None and user == "root":
                command = [self.path("timeout"), "--kill-after=5", f"{timeout:g}", *command]
            command[0] = self.path(command[0])
            rc, stdout, stderr = _run(command, stdin, settings)
        done = Completed(tuple(argv), rc, stdout, stderr)
        if check and rc != 0:
            raise _failure(done, timeout if rc == _TIMED_OUT else None)
        return done

    def exchange(self, address: str, sent: bytes, *, user: str, seconds: float, most: int) -> bytes:
        """What comes back from a socket that only another user may open, up to most bytes; RollbackError says why nothing does."""
        attendant = self._attendant(user) or self._attendant(user)  # the first command of a user gets none
        if attendant is None:
            raise RollbackError(f"{user} has no helper process, since sudoers may list exact commands only")
        rc, came, why = attendant.exchange(address, sent.decode("utf-8", "surrogateescape"), seconds, most)
        if rc != 0:
            raise RollbackError(why)
        return came.encode("utf-8", "surrogateescape")

    def _attendant(self, user: str | None) -> _Attendant | None:
        """From the second command of another user on: somebody who is that user already.

        Becoming a user costs more than most commands. Root has none, since sudoers may list exact commands only.
        """
        if user is None or user in (self.me, "root"):
            return None
        if user not in self._attendants:
            spare = Spares.take(user)
            self._attendants[user] = spare
            return spare
        if self._attendants[user] is None:
            self._attendants[user] = _Attendant(user, self.me)
        return self._attendants[user]

    def converse(self, argv: t.Sequence[str]) -> Conversation:
        """Start a program to talk to."""
        return Conversation([self.path(argv[0]), *argv[1:]])

    def pipeline(
        self,
        stages: t.Sequence[t.Sequence[str]],
        *,
        output: int,
        watch: t.Callable[[bytes], bytes | None] | None = None,
        source: int = NOTHING,
        watched: int | None = 0,
        errors: t.IO[bytes] | None = None,
        stop: threading.Event | None = None,
        timeout: float | None = None,
        satisfied: bool = False,
    ) -> None:
        """Connect the stages' standard streams, read from and write to open file descriptors.

        watch sees everything that the first stage, or the one with the number watched, writes, on its way; bytes that it
        returns go on instead. Without a number nothing is seen, nor counted. What the first stage says on standard error can be
        read from errors meanwhile, by another descriptor.
        Every stage must end with status 0; when one fails, or time runs out, or stop is set while nothing comes to watch, all
        are stopped. A last stage that may be satisfied has success before it has read everything.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if watched is None:
            watch, watched = None, 0
        elif self.meter:
            watch = _metered(watch, self.meter)
        started: list[_Stage] = []
        before: t.Any = source
        try:
            for number, argv in enumerate(stages):
                seen = watch is not None and number == watched
                last = number == len(stages) - 1
                sink = output if last and not seen else subprocess.PIPE
                stage = _Stage(tuple(argv), self.path(argv[0]), before, sink, errors if number == 0 else None)
                started.append(stage)
                before = subprocess.PIPE if seen and not last else stage.process.stdout
            if watch is not None:
                _pass_on(started[watched:], output, watch, deadline, stop)
            _wait_for_all(started, deadline, satisfied)
        finally:
            for stage in started:
                stage.stop()


class Conversation:
    """A program that answers what it is told, with one line or with lines up to a known one; it ends with the block."""

    def __init__(self, argv: t.Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()
        self._process = _start(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_error: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(_PARTING)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(PermissionError):  # another user's program has a time limit of its own
                self._process.kill()
            self._process.wait()
        self._errors.close()

    def say(self, line: str, timeout: float) -> str | None:
        """What the program answers; None when it ended or did not answer in time."""
        sink, source = t.cast("t.IO[bytes]", self._process.stdin), t.cast("t.IO[bytes]", self._process.stdout)
        with contextlib.suppress(BrokenPipeError):
            sink.write(line.encode() + b"\n")
        if not select.select([source], [], [], timeout)[0]:
            return None
        return source.readline().decode().strip() or None

    def tell(self, text: str) -> None:
        """Hand lines over without waiting for what the program answers."""
        with contextlib.suppress(BrokenPipeError):
            t.cast("t.IO[bytes]", self._process.stdin).write(text.encode("utf-8", "surrogateescape"))

    def hear(self, last: str, timeout: float) -> str | None:
        """All that the program says before a known line; None when it ended or took too long."""
        source, heard, end = t.cast("t.IO[bytes]", self._process.stdout), b"", f"{last}\n".encode()
        deadline = time.monotonic() + timeout
        while not heard.endswith(end):
            if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            chunk = source.read(_CHUNK)
            if not chunk:
                return None
            heard += chunk
        return heard[: -len(end)].decode("utf-8", "surrogateescape")

    @property
    def complaint(self) -> str:
        """The last line that it wrote to its standard error."""
        said = os.pread(self._errors.fileno(), _CHUNK, 0)
        return (said.decode("utf-8", "replace").strip().splitlines() or ["no answer"])[-1]


def _start(argv: t.Sequence[str], **how: t.Any) -> subprocess.Popen[t.Any]:
    """Not AnsibleModule.run_command, which sleeps for a second when a program ends just after it closed its output, as sudo does."""
    # pylint: disable-next=ansible-bad-function # this is what runs commands here
    return subprocess.Popen(argv, cwd="/", **how)


def _run(argv: t.Sequence[str], stdin: str | None, environment: t.Mapping[str, str]) -> tuple[int, str, str]:
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    try:
        process = _start(argv, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})
    except OSError as error:
        return 127, "", str(error)
    stdout, stderr = process.communicate(None if stdin is None else stdin.encode("utf-8", "surrogateescape"))
    return process.returncode, stdout.decode("utf-8", "surrogateescape"), stderr.decode("utf-8", "surrogateescape")


_ATTENDANT = """
import json, os, subprocess, sys, time
def ran(order, sent):
    done = subprocess.run(order["argv"], input=sent, capture_output=True, cwd="/", env={**os.environ, **order["environment"]})
    return done.returncode, done.stdout, done.stderr
def exchanged(order, sent):
    import socket
    ends = time.monotonic() + order["seconds"]
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(order["seconds"])
        line.connect(order["socket"])
        line.sendall(sent)
        came = b""
        while len(came) < order["most"]:
            line.settimeout(max(0.001, ends - time.monotonic()))
            part = line.recv(1 << 16)
            if not part:
                break
            came += part
        return 0, came, b""
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    try:
        rc, *texts = (exchanged if "socket" in order else ran)(order, order["stdin"].encode("utf-8", "surrogateescape"))
        answer = [rc, *(text.decode("utf-8", "surrogateescape") for text in texts)]
    except OSError as error:
        answer = [127, "", str("socket" in order and error.strerror or error)]
    print(json.dumps(answer), flush=True)
"""


class _Attendant:
    """A process that runs one command after the other as another user, and ends with the module."""

    def __init__(self, user: str, me: str) -> None:
        self._process = _start(
            elevated([sys.executable, "-I", "-S", "-c", _ATTENDANT], user, me=me, environment={}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._turn = threading.Lock()
        self._greeting: str | None = None

    @property
    def ready(self) -> bool:
        """Whether it became that user; waits for it."""
        if self._greeting is None and self._process.stdout is not None:
            self._greeting = self._process.stdout.readline()
        return bool(self._greeting)

    @property
    def busy(self) -> bool:
        return self._turn.locked()

    def dismiss(self) -> None:
        """Let go of it: it ends when nobody else holds the other end of its pipe."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def run(self, argv: list[str], stdin: str, environment: t.Mapping[str, str]) -> tuple[int, str, str]:
        return self._done({"argv": argv, "stdin": stdin, "environment": dict(environment)})

    def exchange(self, address: str, sent: str, seconds: float, most: int) -> tuple[int, str, str]:
        """What a socket answers, with 127 and the reason where it does not."""
        return self._done({"socket": address, "stdin": sent, "seconds": seconds, "most": most})

    def _done(self, wanted: t.Mapping[str, t.Any]) -> tuple[int, str, str]:
        source, sink = self._process.stdout, self._process.stdin
        order = json.dumps(wanted)
        with self._turn, contextlib.suppress(BrokenPipeError):
            if self.ready and source is not None and sink is not None:
                sink.write(f"{order}\n")
                sink.flush()
                rc, stdout, stderr = json.loads(source.readline() or '[126, "", "the helper process of the user ended"]')
                return rc, stdout, stderr
        return 126, "", "the helper process of the user could not be started"


class Spares:
    """Attendants that a session keeps for the modules that it runs one after the other, each in a copy of its process."""

    _waiting: t.ClassVar[dict[str, _Attendant]] = {}
    _taken: t.ClassVar[list[_Attendant]] = []

    @classmethod
    def provide(cls, users: t.Iterable[str]) -> None:
        """Start those that are missing."""
        me = current_user()
        for user in users:
            if user not in (me, "root") and user not in cls._waiting:
                cls._waiting[user] = _Attendant(user, me)

    @classmethod
    def greet(cls) -> None:
        """Hear of each whether it could become its user: that is said once, so that it is not for the copies to hear."""
        for user, spare in list(cls._waiting.items()):
            if not spare.ready:
                del cls._waiting[user]

    @classmethod
    def take(cls, user: str) -> _Attendant | None:
        spare = cls._waiting.get(user)
        if spare is not None:
            cls._taken.append(spare)
        return spare

    @classmethod
    def busy(cls) -> bool:
        """Whether one of those that were taken owes an answer."""
        return any(spare.busy for spare in cls._taken)

    @classmethod
    def dismiss(cls) -> None:
        """Let go of them: what they still do is not to be taken for the answer to something else."""
        for spare in cls._waiting.values():
            spare.dismiss()
        cls._waiting.clear()


class _Stage:
    """One running program of a pipeline; what it says on standard error goes to a file, so that it never blocks."""

    def __init__(self, argv: tuple[str, ...], path: str, source: t.Any, sink: t.Any, errors: t.IO[bytes] | None) -> None:
        self.argv = argv
        self.errors = errors or tempfile.TemporaryFile()
        self.process = _start(
            [path, *argv[1:]],
            stdin=source,
            stdout=sink,
            stderr=self.errors,
            bufsize=0,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # faster with large pipes, right with small ones
                    fcntl.fcntl(stream, _SET_PIPE_SIZE, _PIPE_SIZE)
        if not isinstance(source, int) and source is not None:
            source.close()

    def ended(self, deadline: float | None) -> Completed:
        try:
            rc = self.process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _failure(Completed(self.argv, _TIMED_OUT, "", ""), -1) from None
        self.errors.seek(0)
        return Completed(self.argv, rc, "", self.errors.read().decode("utf-8", "replace"))

    def stop(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(PermissionError):  # another user's program has a time limit of its own
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for stream in (self.errors, self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def _metered(watch: t.Callable[[bytes], bytes | None] | None, meter: t.Callable[[int], None]) -> t.Callable[[bytes], bytes | None]:
    def look(chunk: bytes) -> bytes | None:
        meter(len(chunk))
        return watch(chunk) if watch else None

    return look


def _pass_on(
    started: t.Sequence[_Stage],
    output: int,
    watch: t.Callable[[bytes], bytes | None],
    deadline: float | None,
    stop: threading.Event | None,
) -> None:
    """Copy what the first stage writes to the next one, or to the output, while watch looks on."""
    source = t.cast("t.IO[bytes]", started[0].process.stdout)
    pipe = started[1].process.stdin if len(started) > 1 else None
    sink = output if pipe is None else pipe.fileno()
    with contextlib.suppress(BrokenPipeError):  # the program that stopped reading is asked for its reason afterwards
        while chunk := _next_chunk(started[0], source.fileno(), deadline, stop):
            changed = watch(chunk)
            rest = memoryview(chunk if changed is None else changed)
            while rest:
                rest = rest[os.write(sink, rest) :]
    source.close()
    if pipe is not None:
        pipe.close()


def _next_chunk(stage: _Stage, source: int, deadline: float | None, stop: threading.Event | None) -> bytes:
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if left is None and stop is None:
            break
        patience = left if stop is None else min(_GLANCE, _GLANCE if left is None else left)
        if select.select([source], [], [], patience)[0]:
            break
        if stop is not None and stop.is_set():
            raise _failure(Completed(stage.argv, _TIMED_OUT, "", "stopped"), None)
        if left == 0.0:
            raise _failure(Completed(stage.argv, _TIMED_OUT, "", ""), -1)
    return os.read(source, _CHUNK)


def _wait_for_all(started: t.Sequence[_Stage], deadline: float | None, satisfied: bool) -> None:
    """Wait for each stage; report the failure nearest to the source that is not just the echo of a later one."""
    failures = [done for done in [stage.ended(deadline) for stage in reversed(started)][::-1] if done.rc != 0]
    reasons = [done for done in failures if done.rc != -signal.SIGPIPE and not _BROKEN_PIPE.search(done.stderr)]
    if satisfied and not reasons and started[-1].process.returncode == 0:
        return
    for done in reasons or failures:
        raise _failure(done, None)


def _failure(done: Completed, timeout: float | None) -> CommandError:
    name = " ".join(done.argv[:3])
    if timeout is not None:
        message = f"{name} did not end in time."
    else:
        message = f"{name} ended with status {done.rc}: {done.output or 'no output'}."
    program = os.path.basename(done.argv[0])
    return CommandError(message, rc=done.rc, stdout=done.stdout, stderr=done.stderr, program=program, timed_out=done.timed_out)
