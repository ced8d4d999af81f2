#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say for each requirement which tests show it: docs/coverage.md for people, build/coverage.json for programs.

A requirement is shown when at least one test carries it and every test that carries it has run and passed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import pathlib
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TESTS = ["tests/unit", "tests/integration", "molecule"]


class Carriers:
    """Collects, without running anything, which tests carry which requirement."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for _key, value in item.user_properties:
                name, identifiers = t.cast("tuple[str, list[str]]", value)
                for identifier in identifiers:
                    self.tests.setdefault(identifier, set()).add(name)


def carriers() -> dict[str, set[str]]:
    collected, said = Carriers(), io.StringIO()
    folders = [folder for folder in TESTS if (ROOT / folder).is_dir()]
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-q", f"--rootdir={ROOT}", *folders], plugins=[collected])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(said.getvalue())
    return collected.tests


def passed() -> set[str]:
    """The tests that ran and passed in every session that ran them."""
    outcomes: dict[str, set[str]] = {}
    for path in (ROOT / "build/requirements").glob("*.jsonl"):
        for record in map(json.loads, path.read_text().splitlines()):
            outcomes.setdefault(record["test"], set()).add(record["outcome"])
    return {test for test, seen in outcomes.items() if seen == {"passed"}}


def markdown(rows: list[dict[str, str]], states: dict[str, dict[str, t.Any]]) -> t.Iterator[str]:
    shown = sum(state["state"] == "shown" for state in states.values())
    yield "# Which test shows which requirement"
    yield ""
    yield "Made by `make coverage` from the last test run; not edited by hand. A requirement is *shown* when at least"
    yield "one test carries its id and every test that carries it ran and passed."
    yield ""
    yield f"{shown} of {len(rows)} requirements are shown."
    yield ""
    yield "| id | requirement | state | tests |"
    yield "|---|---|---|---|"
    for row in rows:
        state = states[row["id"]]
        tests = "<br>".join(f"`{test}`" for test in state["tests"])
        text = row["requirement"].replace("|", "\\|").replace("<", "&lt;")
        yield f"| {row['id']} | {text} | {state['state']} | {tests} |"


def main() -> None:
    with (ROOT / "docs/requirements.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    carried, good = carriers(), passed()
    states = {}
    for row in rows:
        tests = sorted(carried.get(row["id"], ()))
        states[row["id"]] = {"state": "shown" if tests and good.issuperset(tests) else "open", "tests": tests}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/coverage.json").write_text(json.dumps(states, indent=1) + "\n")
    (ROOT / "docs/coverage.md").write_text("\n".join(markdown(rows, states)) + "\n")
    not_run = sorted({test for state in states.values() for test in state["tests"]} - good)
    for test in not_run:
        print(f"carries a requirement, but did not run and pass: {test}")
    print(f"{sum(state['state'] == 'shown' for state in states.values())} of {len(rows)} requirements are shown")


if __name__ == "__main__":
    main()
