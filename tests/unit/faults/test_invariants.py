# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What judges the collection must see each lie, and must not import what it judges."""

from __future__ import annotations

import ast
import hashlib
import json
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.tests.faults import invariants
from ansible_collections.lastgood.rollback.tests.faults.invariants import Site

FAULTS = pathlib.Path(__file__).parents[2] / "faults"
HEAD, OTHER = "a" * 40, "b" * 40
STATUS = f"runs v1.2.3 ({HEAD[:12]}), open to users\nlock: free\n"
HELD = json.dumps({"run": "r1", "actor": "root"})


def journal(*entries: dict[str, t.Any]) -> str:
    lines, previous = [], "0" * 64
    for number, entry in enumerate(entries, 1):
        bound = {**entry, "number": number, "previous": previous}
        previous = hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        lines.append(json.dumps({**bound, "hash": previous}))
    return "".join(f"{line}\n" for line in lines)


WHOLE = journal({"event": "opened"}, {"event": "intent", "step": "x"}, {"event": "closed", "outcome": "rolled_back"})


def seen(**changes: t.Any) -> dict[str, t.Any]:
    last = json.dumps({"outcome": "rolled_back", "to_commit": HEAD, "from_commit": OTHER, "state": ""})
    usual = {"head": HEAD, "tags": ["v1.2.3"], "down": False, "lock": None, "last_run": last, "journals": {"r1": WHOLE}}
    return {**usual, "waiting": None, "changed": [], "units": {"w.service": "active"}, **changes}


def last_run(**facts: t.Any) -> str:
    return json.dumps({"to_commit": HEAD, "from_commit": OTHER, **facts})


def test_imports_nothing_of_what_it_judges() -> None:
    for path in FAULTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            assert not [name for name in names if ".plugins" in name or ".molecule" in name], path.name


# The chain


def test_a_whole_chain_is_whole() -> None:
    assert invariants.chain_problem(WHOLE) is None


def test_a_torn_last_line_is_told_apart() -> None:
    assert invariants.chain_problem(WHOLE + '{"event"') is None
    assert invariants.chain_problem(WHOLE + '{"event"', torn_allowed=False) == "its last line is torn"


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda lines: [lines[0], lines[1].replace('"x"', '"y"'), lines[2]], "line 2 does not match its hash"),
        (lambda lines: [lines[0], lines[2]], "line 2 does not follow line 1"),
        (lambda lines: lines[1:], "line 1 does not follow line 0"),
        (lambda lines: [lines[0], "{}", lines[2]], "line 2 is no entry"),
        (lambda lines: [lines[0], "[1]", lines[2]], "line 2 is no entry"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 2 does not follow line 1"),
    ],
)
def test_each_harm_to_the_chain_is_seen(harm: t.Callable[[list[str]], list[str]], problem: str) -> None:
    assert invariants.chain_problem("".join(f"{line}\n" for line in harm(WHOLE.splitlines()))) == problem


# Whether it came to an end


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"lock": HELD}, True),
        ({"journals": {}}, False),
        ({"journals": {"r1": journal({"event": "opened"})}}, True),
        ({"journals": {"r1": journal({"event": "opened"}, {"event": "closed", "outcome": "held"})}}, True),
        ({"journals": {"r0": journal({"event": "opened"}), "r1": WHOLE}}, False),
    ],
)
def test_unfinished(changes: dict[str, t.Any], expected: bool) -> None:
    assert invariants.unfinished(seen(**changes)) is expected


def step(name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"event": "result", "step": f"laravel_maintenance {name}", "changed": True, "failed": False, **more}


@pytest.mark.parametrize(
    ("steps", "closed_seconds", "told"),
    [
        ((step("down"), step("up")), 2.5, True),
        ((step("down"), step("up")), None, False),
        ((step("down"), step("up", failed=True)), None, True),
        ((step("down", changed=False), step("up")), None, True),
        ((), None, True),
    ],
)
def test_a_report_says_how_long_its_run_closed_the_site(
    steps: tuple[dict[str, t.Any], ...], closed_seconds: float | None, told: bool
) -> None:
    found = seen(journals={"r1": journal({"event": "opened"}, *steps)})
    assert invariants.closing_told(found, {"r1": {"closed_seconds": closed_seconds}}) is told
    assert invariants.closing_told(found, {"r0": {"closed_seconds": None}})


@pytest.mark.parametrize(
    ("rc", "changes", "outcome", "true"),
    [
        (0, {}, "rolled_back", True),
        (None, {}, "hung", False),
        (0, {"lock": HELD}, "interrupted", False),
        (4, {"lock": HELD}, "interrupted", True),
        (2, {"last_run": last_run(outcome="held")}, "held", True),
        (0, {"last_run": last_run(outcome="held")}, "held", False),
        (1, {"last_run": None}, "left no trace", True),
    ],
)
def test_how_the_disturbed_run_ended(rc: int | None, changes: dict[str, t.Any], outcome: str, true: bool) -> None:
    assert invariants.outcome_of(rc, seen(**changes)) == outcome
    assert invariants.exit_status_true(rc, seen(**changes)) is true


# The status


def lies(said: str, **changes: t.Any) -> list[str]:
    now = seen(**changes)
    return invariants.status_lies(said, now, now)


def test_a_true_status_is_true() -> None:
    assert lies(STATUS) == []
    held = f"runs v1.2.3 ({HEAD[:12]}), CLOSED to users\nunits: w.service inactive (dead)\nlock: held by root (run r1)\nNEXT: playbooks/abort.yml"
    assert lies(held, down=True, lock=HELD, units={"w.service": "inactive"}) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": OTHER}, "the version"),
        ({"tags": ["v1.2.4"]}, "the version"),
        ({"down": True}, "open or closed"),
        ({"lock": HELD}, "the lock"),
        ({"journals": {"r1": journal({"event": "opened"})}}, "unfinished"),
        ({"units": {"w.service": "failed"}}, "w.service is failed"),
    ],
)
def test_each_lie_of_the_status_is_seen(changes: dict[str, t.Any], words: str) -> None:
    assert any(words in lie for lie in lies(STATUS, **changes))


def test_a_unit_that_comes_or_goes_meanwhile_is_no_lie() -> None:
    assert invariants.status_lies(STATUS, seen(units={"w.service": "inactive"}), seen()) == []
    assert lies(STATUS, units={"w.service": "activating"}) == []


# The site


def site(*pages: tuple[int, str | None]) -> Site:
    return Site(tuple(("/", status, version) for status, version in pages))


@pytest.mark.parametrize(
    ("pages", "changes", "fine"),
    [
        ([(200, "1.2.3"), (200, "1.2.3")], {}, True),
        ([(200, "1.2.3"), (200, "1.2.4")], {}, False),
        ([(200, "1.2.4")], {}, False),
        ([(200, "1.2.3"), (500, "1.2.3")], {}, False),
        ([(503, None)], {}, False),
        ([(503, None), (503, "1.2.4")], {"down": True}, True),
        ([(503, None), (200, "1.2.3")], {"down": True}, False),
        ([], {}, False),
    ],
)
def test_half_is_neither_healthy_nor_closed(pages: list[tuple[int, str | None]], changes: dict[str, t.Any], fine: bool) -> None:
    assert invariants.never_half(site(*pages), seen(**changes)) is fine


@pytest.mark.parametrize(
    ("statuses", "fine"),
    [
        ([200, 500, 503, 200], True),
        ([200, 503, 500, 503], False),
        ([200, 503, 0, 503], False),
        ([500, 500], True),
        ([503, 200, 502], False),
    ],
)
def test_visitors_are_spared_from_the_first_maintenance_page_on(statuses: list[int], fine: bool) -> None:
    assert invariants.visitors_spared([(status, None) for status in statuses]) is fine


# What is there afterwards


@pytest.mark.parametrize(
    ("last", "fine"),
    [
        (last_run(outcome="rolled_back"), True),
        (last_run(outcome="undone", to_commit=OTHER), False),
        (last_run(outcome="aborted"), False),
        (last_run(outcome="failed", state="The application still runs v1.2.4."), False),
        (last_run(outcome="failed", state="The application runs v1.2.3 and is open"), True),
        (last_run(outcome="held", to_commit="c" * 40), False),
    ],
)
def test_the_version_is_compared_with_the_claim(last: str, fine: bool) -> None:
    assert invariants.as_claimed(seen(last_run=last)) is fine


def test_workers_that_were_off_stay_off() -> None:
    now = seen(units={"a": "active", "b": "inactive"})
    assert invariants.workers_exact(now, ["b"])
    assert not invariants.workers_exact(now)
    assert not invariants.workers_exact(seen(), ["w.service"])


def test_each_lost_row_is_seen() -> None:
    before = {"tables": {"users": {"rows": 2, "checksum": 7}, "migrations": {"rows": 3, "checksum": 1}}}
    after = {"tables": {"users": {"rows": 2, "checksum": 7}, "migrations": {"rows": 2, "checksum": 0}}}
    assert invariants.rows_kept(before, after, [5], [5, 6])
    assert not invariants.rows_kept(before, after, [5, 7], [5, 6])
    assert not invariants.rows_kept(before, {"tables": {"users": {"rows": 2, "checksum": 8}, "migrations": {}}}, [], [])
    assert not invariants.rows_kept(before, {"tables": {"migrations": {}}}, [], [])


def test_each_lost_job_or_session_is_seen() -> None:
    before = {"queues": {"parked": ["x"], "default:delayed": ["y"], "default": ["z"]}, "sessions": {"s": "1"}}
    assert invariants.jobs_kept(before, {"queues": {"parked": ["x"], "default:delayed": ["y"]}, "sessions": {"s": "1", "t": "2"}})
    assert not invariants.jobs_kept(before, {**before, "queues": {"parked": ["x"], "default:delayed": []}})
    assert not invariants.jobs_kept(before, {**before, "sessions": {}})
