#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check, side by side where that does no harm, show what has ended, and sum up: of a part that failed, why.

All that a part says is in build/logs. A part that ends with status 77 was skipped, and its last line says why.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ansible/collections"))

from ansible_collections.lastgood.rollback.tests.tools.excerpt import excerpt  # noqa: E402 - found by the line above

LOGS = ROOT / "build/logs"
SKIPPED = 77
STAGES = (  # how many at a time, and what, the longest first; molecule and faults measure time, so that nothing else runs with them
    (
        (os.cpu_count() or 1) + 1,
        (
            "integration application",
            "integration mariadb",
            "integration postgresql",
            "units",
            "sanity",
            "compatibility oldest",
            "compatibility newest",
            "sanity newest",  # not beside the other sanity, which has the same copy
            "lint",
            "docs",
            "types",
        ),
    ),
    (1, ("molecule", "faults --core")),
)
LOOK_SECONDS = 0.5
_ENDED = re.compile(
    r"===== (?P<scenario>.+ (?:passed|failed) after .+) ====="  # molecule.sh
    r"|\S+::(?P<test>\S+ (?:PASSED|FAILED|ERROR|SKIPPED).*)"  # pytest -v
    r"|\[ *\d+ s\] +(?P<fault>\d+/\d+ .+)"  # tests/faults/run.py
)


class Part(t.NamedTuple):
    name: str
    result: str
    seconds: float
    remark: str
    log: pathlib.Path


def progress(line: str) -> str | None:
    """What a line of a part's output says about one of its cases that ended, if it does."""
    found = _ENDED.fullmatch(line)
    return " ".join(str(found[found.lastgroup or 0]).split()) if found else None


def remark(lines: list[str]) -> str:
    """What pytest counted and covered, and everything that was left out."""
    counted = [found.group() for line in lines if (found := re.search(r"\d+ (passed|failed)\b[^=]*", line))][-1:]
    covered = [f"coverage {line.split()[-1]}" for line in lines if re.match(r"TOTAL .*%$", line)]
    left_out = [line for line in lines if line.startswith("skipped:")]
    return "; ".join(text.strip() for text in counted + covered + left_out)


class Suite:
    def __init__(self) -> None:
        self.started = time.monotonic()
        self.printing = threading.Lock()
        self.running: set[int] = set()

    def stop(self) -> None:
        """Have all parts end as with Ctrl-C, which lets them remove their hosts."""
        for process in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGINT)

    def say(self, text: str) -> None:
        with self.printing:
            print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)

    def run(self, name: str) -> Part:
        script, *arguments = name.split()
        log = LOGS / f"{name.replace(' ', '-')}.log"
        self.say(f"{name} starts; all it says is in {log.relative_to(ROOT)}")
        started = time.monotonic()
        with log.open("w") as file:
            argv = [f"tests/tools/{script}.sh", *arguments]
            part = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
            self.running.add(part.pid)
            self.follow(name, part, log)
            self.running.discard(part.pid)
        seconds = time.monotonic() - started
        result = {0: "passed", SKIPPED: "skipped"}.get(part.wait(), "failed")
        self.say(f"{name} {result.upper() if result == 'failed' else result} after {seconds:.0f} s")
        return Part(name, result, seconds, remark(log.read_text(errors="replace").splitlines()), log)

    def follow(self, name: str, part: subprocess.Popen[bytes], log: pathlib.Path) -> None:
        """Show which of its cases have ended, until it has ended itself."""
        rest, ended = "", False
        with log.open(errors="replace") as said:
            while not ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    part.wait(LOOK_SECONDS)
                    ended = True
                *lines, rest = (rest + said.read()).split("\n")
                for what in filter(None, map(progress, lines)):
                    self.say(f"{name}: {what}")


def main() -> int:
    shutil.rmtree(LOGS, ignore_errors=True)
    shutil.rmtree(ROOT / "build/requirements", ignore_errors=True)
    LOGS.mkdir(parents=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background, and by all that is started from there
    suite = Suite()
    parts: list[Part] = []
    for at_a_time, names in STAGES:
        with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
            try:
                parts += pool.map(suite.run, names)
            except KeyboardInterrupt:
                suite.say("interrupted: what runs ends and removes its hosts")
                pool.shutdown(wait=False, cancel_futures=True)
                suite.stop()
                raise
    requirements = subprocess.run([sys.executable, "tests/tools/coverage.py"], cwd=ROOT, check=False)
    print()
    for part in parts:
        if part.result == "failed":
            print(f"why {part.name} failed, all of it in {part.log.relative_to(ROOT)}:")
            print(*(f"    {line}" for line in excerpt(part.log.read_text(errors="replace").splitlines())), sep="\n", end="\n\n")
    for part in parts:
        print(f"{part.name:24} {part.result:8} {part.seconds:5.0f} s  {part.remark}")
    count = {result: sum(part.result == result for part in parts) for result in ("passed", "failed", "skipped")}
    print(", ".join(f"{number} {result}" for result, number in count.items()))
    return 1 if count["failed"] or requirements.returncode else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(f"interrupted; what the parts said is in {LOGS.relative_to(ROOT)}")
