#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure this collection against an operator's scripts on one host; docs/benchmarks.md says what and how."""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import sys
import tempfile
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import backup  # noqa: E402 - found by the line above
import outages  # noqa: E402
import overhead  # noqa: E402
import recording  # noqa: E402
import releases  # noqa: E402
import restore  # noqa: E402
import resuming  # noqa: E402
from host import ROOT, BenchmarkError, Host  # noqa: E402
from results import Comparison, table, write  # noqa: E402

HOST = "bench"
OUTPUT = ROOT / "build/benchmarks.json"

Benchmark = t.Callable[[Host, int, t.Callable[[str], None]], list[Comparison]]
BENCHMARKS: dict[str, Benchmark] = {
    "standard_window": outages.standard_window,
    "emergency_recovery": outages.emergency_recovery,
    "backup": backup.backup,
    "restore": restore.restore,
    "postgresql": restore.postgresql,
    "step_overhead": overhead.step_overhead,
    "recording_overhead": recording.recording_overhead,
    "resume_recovery": resuming.resume_recovery,
    "release_failed_requests": releases.release_failed_requests,
    "release_recovery": releases.release_recovery,
}


def note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  load {os.getloadavg()[0]:5.2f}  {text}", flush=True)


def measure(names: t.Sequence[str], runs: int, *, name: str, keep: bool, gigabytes: int) -> list[Comparison]:
    found: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="lastgood-bench-") as folder:
        note(f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; host {name} is being made")
        host = Host(name, pathlib.Path(folder), gigabytes=gigabytes)
        try:
            for benchmark in names:
                found += BENCHMARKS[benchmark](host, runs, note)
        finally:
            if not keep:
                host.destroy()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often each side is measured (default 5)")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; repeatable")
    parser.add_argument(
        "--host", default=HOST, metavar="NAME", help=f"how the host is called (default {HOST}), for a second one on the same machine"
    )
    parser.add_argument("--gigabytes", type=int, default=1, metavar="N", help="of data where databases are measured (default 1)")
    parser.add_argument("--keep", action="store_true", help="leave the host running")
    options = parser.parse_args()
    try:
        found = measure(options.only or list(BENCHMARKS), options.runs, name=options.host, keep=options.keep, gigabytes=options.gigabytes)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    write(OUTPUT, [comparison for comparison in found if comparison.limit is not None])
    print(f"\n{table(found)}\n\nmedians; the numbers are in {OUTPUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
