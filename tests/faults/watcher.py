# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait on the host for a line of a run's journal, hold the run there, and let it go on when told to.

Fed to python3 as an argument, with an order on standard input as one line of JSON. Says, as lines of JSON: "ready"; "hit" when the
moment is there and the run is held; after the next line on standard input "released". All the while a process of its own looks at
the arguments of all processes for secrets and says "leak". Needs nothing but Python; knows of the journal what is documented.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import time
import typing as t

ROOT = "/var/lib/lastgood/chom"
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run/user", "/home/deploy", ROOT)
PACE = 0.001


def say(**what: t.Any) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def look_for_leaks(secrets: t.Mapping[str, str]) -> None:
    """In a process of its own, until the watcher is gone."""
    if os.fork():
        return
    parent, told = os.getppid(), set()
    while os.getppid() == parent:
        for name, where in [*processes_with(secrets), *files_with(secrets)]:
            if (name, where) not in told:
                told.add((name, where))
                say(leak=name, where=where)
        time.sleep(0.05)
    os._exit(0)


def processes_with(secrets: t.Mapping[str, str]) -> t.Iterator[tuple[str, str]]:
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            words = file.read()
            for name, secret in secrets.items():
                if secret.encode() in words:
                    yield name, f"the arguments of {words.split(bytes(1))[0].decode(errors='replace')}"


def files_with(secrets: t.Mapping[str, str]) -> t.Iterator[tuple[str, str]]:
    for place in PLACES:
        for folder, _folders, names in os.walk(place):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if os.path.isfile(path) and os.path.getsize(path) < 4_000_000:
                        with open(path, "rb") as file:
                            text = file.read()
                        yield from ((key, path) for key, secret in secrets.items() if secret.encode() in text)


class Journal:
    """The lines of the one run that began after the watcher."""

    def __init__(self) -> None:
        self._before = set(glob.glob(f"{ROOT}/runs/*"))
        self.path = ""
        self._size = -1
        self.lines: list[dict[str, t.Any]] = []

    def read(self) -> bool:
        """Whether there is more than before."""
        if not self.path:
            found = [path for path in glob.glob(f"{ROOT}/runs/*/journal.jsonl") if os.path.dirname(path) not in self._before]
            self.path = found[0] if found else ""
        try:
            size = os.stat(self.path).st_size
        except OSError:
            return False
        if size == self._size:
            return False
        self._size = size
        with open(self.path, encoding="utf-8", errors="replace") as file:
            whole = file.read().split("\n")[:-1]
        self.lines = [json.loads(line) for line in whole]
        return True

    def index(self, order: t.Mapping[str, t.Any]) -> int | None:
        for number, line in enumerate(self.lines):
            if line["event"] == order["event"] and str(line.get("step", "")).startswith(order["step"]):
                return number
        return None


def mine() -> t.Iterator[int]:
    """The processes that work for the run on this host, the newest first: those of the connection's user, without ssh's own, and git's."""
    user = pwd.getpwnam("deploy").pw_uid
    for entry in sorted(filter(str.isdigit, os.listdir("/proc")), key=int, reverse=True):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/comm", encoding="utf-8") as file:
            name = file.read().strip()
            if name == "git" or (os.stat(f"/proc/{entry}").st_uid == user and "ssh" not in name):
                yield int(entry)


def hold(signals: signal.Signals, processes: t.Iterable[int]) -> list[int]:
    """Each as soon as it is found, since some moments last a millisecond."""
    reached = []
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signals)
            reached.append(process)
    return reached


def arrived(order: t.Mapping[str, t.Any], journal: Journal) -> bool:
    if order["lock"]:
        if os.path.exists(f"{ROOT}/lock.guard"):  # made right before the lock, which is there for milliseconds before the journal is
            wait_for_file(f"{ROOT}/lock")
        return os.path.exists(f"{ROOT}/lock")
    return journal.read() and journal.index(order) is not None


def wait_for_file(path: str) -> None:
    """As fast as can be; a moment that was missed shows in the journal."""
    deadline = time.monotonic() + 1
    while path and not os.path.exists(path) and time.monotonic() < deadline:
        pass


def told() -> bool:
    """Whether somebody said something, or went away."""
    return bool(select.select([0], [], [], 0)[0])


def passed_by(order: t.Mapping[str, t.Any], journal: Journal) -> int:
    """How many lines the run is ahead of the moment."""
    journal.read()
    if order["lock"]:
        return len(journal.lines)
    return len(journal.lines) - 1 - t.cast("int", journal.index(order))


def main() -> None:
    order = json.loads(sys.stdin.readline())
    journal = Journal()
    look_for_leaks(order["secrets"])
    say(ready=True)
    while not arrived(order, journal):
        if told():
            return
        time.sleep(PACE)
    time.sleep(order["delay"])
    wait_for_file(order["appears"])
    held = hold(signal.SIGSTOP, mine())
    ahead = passed_by(order, journal)
    process = (journal.lines[-1].get("process") or {}).get("id") if journal.lines else None
    done = subprocess.run(["bash", "-euc", order["script"]], capture_output=True, text=True, check=False)
    if order["kill_module"] and process:
        os.kill(process, signal.SIGKILL)
    say(hit=True, ahead=ahead, script=done.returncode, said=(done.stdout + done.stderr)[-500:])
    sys.stdin.readline()
    say(released=True, ahead=passed_by(order, journal))
    hold(signal.SIGCONT, held)
    while not told():
        time.sleep(0.1)


if __name__ == "__main__":
    main()
