#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check, side by side where that does no harm, and sum up: each part's whole output appears when it ends.

A part that ends with status 77 was skipped, and its last line says why.
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

ROOT = pathlib.Path(__file__).parents[2]
LOGS = ROOT / "build/logs"
SKIPPED = 77
STAGES = (  # of lanes that run side by side; molecule and faults measure time, so that nothing else runs with them
    (
        ("lint", "types", "units", "compatibility oldest", "compatibility newest", "docs", "sanity", "sanity newest"),
        ("integration application",),
        ("integration databases",),
    ),
    (("molecule", "faults --core"),),
)


_TELLING = re.compile(r"fatal: |^FAILED|ERROR|CRITICAL|^E  |Error: |error: ")
_SHOWN = 30
_WIDTH = 240


class Part(t.NamedTuple):
    name: str
    result: str
    seconds: float
    remark: str
    log: pathlib.Path


def remark(lines: list[str]) -> str:
    """What pytest counted, and everything that was left out."""
    counted = [found.group() for line in lines if (found := re.search(r"\d+ (passed|failed)\b[^=]*", line))][-1:]
    left_out = [line for line in lines if line.startswith("skipped:")]
    return "; ".join(text.strip() for text in counted + left_out)


def excerpt(lines: list[str]) -> list[str]:
    """The lines of a failed part that tell why; the end of its output when none does."""
    telling = [line for line in lines if _TELLING.search(line)]
    return [line[:_WIDTH] for line in (telling or lines)[-_SHOWN:]]


class Suite:
    def __init__(self) -> None:
        self.started = time.monotonic()
        self.printing = threading.Lock()
        self.stopped = False
        self.running: set[int] = set()

    def stop(self) -> None:
        """Have all parts end as with Ctrl-C, which lets them remove their hosts, and begin no other."""
        self.stopped = True
        for process in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGINT)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)

    def run(self, name: str) -> Part:
        with self.printing:
            self.say(f"{name} starts")
        script, *arguments = name.split()
        log = LOGS / f"{name.replace(' ', '-')}.log"
        started = time.monotonic()
        with log.open("w") as file:
            argv = [f"tests/tools/{script}.sh", *arguments]
            part = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
            self.running.add(part.pid)
            status = part.wait()
            self.running.discard(part.pid)
        seconds = time.monotonic() - started
        result = {0: "passed", SKIPPED: "skipped"}.get(status, "failed")
        text = log.read_text(errors="replace")
        with self.printing:
            print(f"\n===== {name}: output =====\n{text}", end="" if text.endswith("\n") else "\n")
            self.say(f"===== {name}: {result} after {seconds:.0f} s =====\n")
        return Part(name, result, seconds, remark(text.splitlines()), log)

    def lane(self, names: tuple[str, ...]) -> list[Part]:
        return [self.run(name) for name in names if not self.stopped]


def main() -> int:
    shutil.rmtree(LOGS, ignore_errors=True)
    shutil.rmtree(ROOT / "build/requirements", ignore_errors=True)
    LOGS.mkdir(parents=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background, and by all that is started from there
    suite = Suite()
    parts: list[Part] = []
    for lanes in STAGES:
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            try:
                parts += [part for lane in pool.map(suite.lane, lanes) for part in lane]
            except KeyboardInterrupt:
                suite.say("interrupted: what runs ends and removes its hosts")
                suite.stop()
                raise
    requirements = subprocess.run([sys.executable, "tests/tools/coverage.py"], cwd=ROOT, check=False)
    print()
    for part in parts:
        if part.result == "failed":
            print(f"why {part.name} failed, all of it in {part.log.relative_to(ROOT)}:")
            print(*(f"    {line}" for line in excerpt(part.log.read_text(errors="replace").splitlines())), sep="\n", end="\n\n")
    for part in parts:
        print(f"{part.name:22} {part.result:8} {part.seconds:5.0f} s  {part.remark}")
    count = {result: sum(part.result == result for part in parts) for result in ("passed", "failed", "skipped")}
    print(", ".join(f"{number} {result}" for result, number in count.items()))
    return 1 if count["failed"] or requirements.returncode else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(f"interrupted; what the parts said is in {LOGS.relative_to(ROOT)}")
