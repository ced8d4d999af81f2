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
EXPLAINED = 3
_TELLING = re.compile(
    r"^fatal: |^failed: \[|^FAILED|ERROR|FATAL|CRITICAL|^E  |Error: |error: |: WARNING: "
    r"|^\S+:\d+(:\d+)?: "  # linters: path:line:column: what is wrong
    r"|SC\d{4} \("
)
_HOLLOW = re.compile(  # that something failed, and no more
    r"Ansible return code was|Executed: Failed|Molecule executed|Verifier tests failed|^FATAL: Command"
    r"|^\[ERROR\]: Task failed: (Action|Module) failed\.?$|\(warning\)$"
    r"|^\S+:\d+: \w+$"  # where pytest saw an exception
)
_RESULT = re.compile(r"(?:fatal|failed): \[(.+?)\].*? => (\{.*)")
_LINK = ".ansible/collections/ansible_collections/lastgood/rollback/"  # by which mypy finds files a second time


def excerpt(lines: t.Sequence[str]) -> list[str]:
    """The lines that tell why, none that only says again what another says; the end of the output when none does."""
    whys = [number for number, line in enumerate(lines) if re.match("why .* failed:$", line)]
    if whys:
        return _ends([_cut(line) for line in lines[whys[0] :]], SHOWN_OF_CASES)
    telling = [line for line in _heads(_with_results(lines)) if _TELLING.search(line) and not _HOLLOW.search(line)]
    shown = _each_once(telling) or [line.rstrip() for line in lines if line.strip()][-SHOWN:]
    return _ends([_cut(line) for line in shown], SHOWN)


def _with_results(lines: t.Iterable[str]) -> t.Iterator[str]:
    """Each line; the result of a task, which may be many lines or one of many thousand characters, as what failed in which task."""
    task, rest = "", iter(lines)
    for line in rest:
        if found := re.match(r"TASK \[(.+)\]", line):
            task = found.group(1)
        if found := _RESULT.match(line):
            text = found.group(2)
            while text.startswith("{") and not text.endswith("}") and (more := next(rest, None)):
                text += more
            yield f"fatal: [{found.group(1)}] {task}: {_reason(text)}"
        else:
            yield line.rstrip().replace(_LINK, "")


def _heads(lines: t.Iterable[str]) -> t.Iterator[str]:
    """Each line, but of pytest's explanations, which quote all that was compared, only the beginning."""
    explained = 0
    for line in lines:
        explained = explained + 1 if line.startswith("E  ") else 0
        if explained <= EXPLAINED:
            yield line


def _reason(result: str) -> str:
    try:
        read = json.loads(result)
    except ValueError:
        return result
    said = [str(read[key]) for key in ("assertion", "msg") if read.get(key)]
    said += [line for line in str(read.get("stderr") or read.get("stdout") or "").splitlines() if line.strip()][-1:]
    return "; ".join(" ".join(text.split()) for text in said) or result


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
