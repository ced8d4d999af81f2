# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import collections
import datetime
import os
import typing as t
from dataclasses import dataclass

from . import _probes_log_entries as logs
from ._clock import Clock
from ._errors import RollbackError
from ._probes import ProbeError

if t.TYPE_CHECKING:
    from ._command import Runner

MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class LogFile:
    """One file that the log may be in."""

    inode: str
    size: int
    changed: float
    path: str


@dataclass(frozen=True)
class Log:
    """Where a log is, what counts in it and since when, and how much of it is too much."""

    pattern: str
    user: str | None
    layout: logs.Format
    since: datetime.datetime | None = None
    only_new: bool = False
    position: t.Mapping[str, int] | None = None
    maximum: int | None = 0
    maximum_per_minute: float | None = None
    missing_is_empty: bool = False


class LogReader:
    """Reads the complete lines that were added to the files of a log, whatever they were renamed to."""

    def __init__(self, runner: Runner, log: Log) -> None:
        self._runner = runner
        self._log = log
        self.position: dict[str, int] = dict(log.position or {})
        if log.since is None and log.position is None:
            self.position = {file.inode: file.size for file in self.files(timeout=20)}

    def files(self, timeout: float) -> list[LogFile]:
        folder, name = os.path.split(self._log.pattern)
        argv = ["find", "-L", folder, "-maxdepth", "1", "-type", "f", "-name", name, "-printf", "%i %s %T@ %p\\n"]
        done = self._runner.run(argv, user=self._log.user, timeout=timeout, check=False)
        if done.rc != 0 and "No such file or directory" not in done.stderr:
            raise RollbackError(f"{folder} cannot be read as {self._log.user or self._runner.me}: {done.output}.")
        found = [line.split(" ", 3) for line in done.stdout.splitlines()]
        return [LogFile(inode, int(size), float(changed), path) for inode, size, changed, path in found]

    def added(self, file: LogFile, timeout: float) -> str:
        """The complete lines of a file that were not read yet."""
        start = self.position.get(file.inode, 0)
        if file.size < start:
            start = 0  # emptied in place
        first_of_old = file.inode not in self.position and self._log.since is not None
        skipped = max(0, file.size - start - MOST_BYTES)
        if skipped and not first_of_old:
            raise ProbeError(f"{file.path} grew by {file.size - start} bytes, more than can be judged")
        if file.size == start:
            self.position[file.inode] = start
            return ""
        argv = ["tail", "-c", f"+{start + skipped + 1}", "--", file.path]
        text = self._runner.run(argv, user=self._log.user, timeout=timeout).stdout
        text = text[: text.rfind("\n") + 1]
        if skipped:
            self._must_reach_back(file, text)
        self.position[file.inode] = start + skipped + len(text.encode("utf-8", "surrogateescape"))
        return text

    def _must_reach_back(self, file: LogFile, text: str) -> None:
        oldest = logs.first_moment(text, self._log.layout)
        if self._log.since is None or oldest is None or oldest >= self._log.since:
            raise ProbeError(f"the last {MOST_BYTES} bytes of {file.path} do not reach back to the moment asked for")


class LogProbe:
    """Counts the entries of the log that should not be there."""

    def __init__(self, runner: Runner, log: Log, clock: Clock) -> None:
        self._log = log
        self._reader = LogReader(runner, log)
        self._clock = clock
        self._started = clock.wall() if log.since is None else log.since.timestamp()
        self._levels: collections.Counter[str] = collections.Counter()
        self._last = ""

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        files = self._reader.files(seconds)
        if not files and not self._log.missing_is_empty:
            raise ProbeError(f"{self._log.pattern} does not exist, so there is no data")
        if self._log.only_new:
            self._levels.clear()
        for file in sorted(files, key=lambda file: file.changed):
            if self._log.since is None or file.changed >= self._log.since.timestamp():
                self._count(self._reader.added(file, seconds))
        values = self._measured()
        problem = _fault(self._log, values, self._last)
        if problem:
            raise ProbeError(problem, values)
        return values

    def _count(self, text: str) -> None:
        for entry in logs.entries(text, self._log.layout):
            if self._log.since is None or entry.when is None or entry.when >= self._log.since.replace(microsecond=0):
                self._levels[entry.level or "matching"] += 1
                self._last = logs.masked(entry.line)

    def _measured(self) -> dict[str, t.Any]:
        count = sum(self._levels.values())
        minutes = max(1.0, (self._clock.wall() - self._started) / 60)
        return {
            "entries": count,
            "levels": dict(self._levels),
            "per_minute": round(count / minutes, 2),
            "position": dict(self._reader.position),
        }


def _fault(log: Log, values: t.Mapping[str, t.Any], last: str) -> str | None:
    count = values["entries"]
    kinds = ", ".join(f"{number} {level}" for level, number in sorted(values["levels"].items()))
    if log.maximum is not None and count > log.maximum:
        return f"{kinds} in {log.pattern}, expected at most {log.maximum}; the last: {last}"
    if log.maximum_per_minute is not None and values["per_minute"] > log.maximum_per_minute:
        return (
            f"{values['per_minute']:g} entries a minute ({kinds}) in {log.pattern}, "
            f"expected at most {log.maximum_per_minute:g}; the last: {last}"
        )
    return None


def log_from(options: t.Mapping[str, t.Any]) -> Log:
    """A log from the options of one probe; raises ValueError for what cannot be meant."""
    pattern = options["file"]
    folder = os.path.dirname(pattern)
    if not os.path.isabs(pattern) or any(letter in folder for letter in "*?["):
        raise ValueError(f"{pattern!r} is not the full path of a file; only its last part may be a pattern")
    layout = logs.format_of(options.get("pattern"), options.get("levels"), options.get("ignore"), options.get("timezone"))
    since = options.get("since") or "start"
    per_minute, maximum = options.get("maximum_per_minute"), options.get("maximum")
    return Log(
        pattern=pattern,
        user=options.get("user"),
        layout=layout,
        since=None if since in ("start", "attempt") else logs.moment(since, datetime.timezone.utc),
        only_new=since == "attempt",
        position=_position(options.get("position")),
        maximum=int(maximum) if maximum is not None else (None if per_minute is not None else 0),
        maximum_per_minute=per_minute,
        missing_is_empty=options.get("missing") == "empty",
    )


def _position(given: t.Mapping[str, t.Any] | None) -> dict[str, int] | None:
    return None if given is None else {str(inode): int(size) for inode, size in given.items()}
