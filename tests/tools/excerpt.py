#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""excerpt.py LOG: the few lines of a check's output that tell why it failed.

A check that consists of cases ends with what it has to say of those that failed, each after a line "why CASE failed:".
That is then the excerpt.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
import typing as t

SHOWN = 12
SHOWN_OF_CASES = 60
WIDTH = 200
_TELLING = re.compile(
    r"fatal: |^FAILED|ERROR|FATAL|CRITICAL|^E  |Error: |error: |: WARNING: "
    r"|^\S+:\d+(:\d+)?:? "  # linters: path:line:column: what is wrong
    r"|SC\d{4} \("
)
_FATAL = re.compile(r"fatal: \[(.+?)\].*? => (\{.*\})$")


def excerpt(lines: t.Sequence[str]) -> list[str]:
    """The lines that tell why, none that only says again what another says; the end of the output when none does."""
    whys = [number for number, line in enumerate(lines) if re.match("why .* failed:$", line)]
    if whys:
        return _ends([_cut(line) for line in lines[whys[0] :]], SHOWN_OF_CASES)
    telling = _each_once([_in_short(line.rstrip()) for line in lines if _TELLING.search(line)])
    return _ends([_cut(line) for line in telling or [line.rstrip() for line in lines if line.strip()][-SHOWN:]], SHOWN)


def _in_short(line: str) -> str:
    """Of a task's result what failed, which may stand anywhere in a line of many thousand characters."""
    if not (found := _FATAL.search(line)):
        return line
    try:
        result = json.loads(found.group(2))
    except ValueError:
        return line
    said = [str(result[key]) for key in ("assertion", "msg", "exception") if result.get(key)]
    said += [line for line in str(result.get("stderr") or result.get("stdout") or "").splitlines() if line.strip()][-1:]
    return f"fatal: [{found.group(1)}]: {'; '.join(' '.join(text.split()) for text in said)}" if said else line


def _each_once(lines: t.Sequence[str]) -> list[str]:
    """Without lines whose every word another line has; of two with the same words the first."""
    words = [frozenset(re.findall(r"[^\s\"',;:\\\[\]]+", re.sub(r"^(E|\[ERROR\]:|fatal:) ", "", line))) for line in lines]
    return [
        line
        for number, line in enumerate(lines)
        if not any(words[number] < other or (words[number] == other and place < number) for place, other in enumerate(words))
    ]


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 4]} ..."


def _ends(lines: list[str], shown: int) -> list[str]:
    """The first lines, which tell what went wrong first, and the last, where pytest names all that failed."""
    if len(lines) <= shown:
        return lines
    return [*lines[: shown // 2], f"... {len(lines) - shown} lines left out ...", *lines[-(shown // 2) :]]


if __name__ == "__main__":
    print(*excerpt(pathlib.Path(sys.argv[1]).read_text(errors="replace").splitlines()), sep="\n")
