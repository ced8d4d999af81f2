# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record which requirements each test shows.

A test says so itself, whatever kind of test it is: ``@pytest.mark.requirement("CHOM-4.1-07", "D-048")``. Every pytest
session writes what its marked tests ended with to build/requirements/<session>.jsonl; ``make coverage`` reads them.
It stands in the root because unit, integration and molecule tests are separate sessions and must all load it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t
import zlib

import pytest

ROOT = pathlib.Path(__file__).parent
RECORDS = ROOT / "build/requirements"
_PROPERTY = "requirement"
_outcomes: dict[str, dict[str, list[str]]] = {}  # by test


def known() -> set[str]:
    lines = (ROOT / "docs/requirements.tsv").read_text().splitlines()[1:]
    return {line.split("\t")[0] for line in lines}


def test_name(item: pytest.Item) -> str:
    """Where a test is, without its parameters: the name under which docs/coverage.md lists it."""
    parts = item.nodeid.split("::")[1:-1]
    return "::".join([str(item.path.relative_to(ROOT)), *parts, getattr(item, "originalname", None) or item.name])


def requirements(item: pytest.Item) -> list[str]:
    return [identifier for mark in item.iter_markers("requirement") for identifier in mark.args]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    everything = known()
    for item in items:
        identifiers = requirements(item)
        if unknown := [identifier for identifier in identifiers if identifier not in everything]:
            raise pytest.UsageError(f"{test_name(item)}: not in docs/requirements.tsv: {', '.join(unknown)}")
        if identifiers:
            item.user_properties.append((_PROPERTY, (test_name(item), identifiers)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for key, value in report.user_properties:
        if key == _PROPERTY:
            name, identifiers = t.cast("tuple[str, list[str]]", value)
            record = _outcomes.setdefault(name, {"requirements": identifiers, "outcomes": []})
            if report.when == "call" or report.outcome != "passed":
                record["outcomes"].append(report.outcome)


def _session_name(session: pytest.Session) -> str:
    """The same for the same tests on the same core, so that a session replaces what its like had recorded."""
    where = [os.path.relpath(argument, ROOT) for argument in session.config.args]
    words = "-".join([os.environ.get("MOLECULE_SCENARIO_NAME", ""), os.environ.get("CORE", ""), session.config.option.keyword, *where])
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', words).strip('-')[:80]}-{zlib.crc32(words.encode()):08x}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.option.collectonly or not session.items:
        return
    RECORDS.mkdir(parents=True, exist_ok=True)
    with (RECORDS / f"{_session_name(session)}.jsonl").open("w") as file:
        for name, record in _outcomes.items():
            outcome = "passed" if set(record["outcomes"]) == {"passed"} else "failed"
            file.write(json.dumps({"test": name, "outcome": outcome, **record}) + "\n")
