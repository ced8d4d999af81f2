# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody sees of a run of all checks: what has ended, and why something failed."""

from __future__ import annotations

import json

import pytest

from ansible_collections.lastgood.rollback.tests.tools.excerpt import SHOWN, SHOWN_OF_CASES, WIDTH, excerpt
from ansible_collections.lastgood.rollback.tests.tools.test_all import progress, remark


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("===== standard_crash passed after 31 s, 3 of 44 =====", "standard_crash passed after 31 s, 3 of 44"),
        ("tests/integration/test_targets.py::test_health_gate PASSED      [ 20%]", "test_health_gate PASSED [ 20%]"),
        ("tests/integration/test_targets.py::test_data_loss_postgresql[12] FAILED", "test_data_loss_postgresql[12] FAILED"),
        ("[   28 s]    1/20  sigkill:gate/begun standard     12.6 s  held  ok", "1/20 sigkill:gate/begun standard 12.6 s held ok"),
        ("===== 3 passed, 21 deselected in 316.58s (0:05:16) =====", None),
        ("============================= test session starts ==============================", None),
        ("FAILED tests/integration/test_targets.py::test_data_loss - Failed: WARNING", None),
        ("......................................... [ 12%]", None),
    ],
)
def test_each_case_that_ended_is_shown_and_nothing_else(line: str, said: str | None) -> None:
    assert progress(line) == said


def test_a_part_is_summed_up_in_what_was_counted_covered_and_left_out() -> None:
    lines = ["2 passed in 1.0s", "TOTAL      9136      0   2400      0   100%", "skipped: no Python 3.9 is here", "44 passed, 0 failed "]
    assert remark(lines) == "44 passed, 0 failed; coverage 100%; skipped: no Python 3.9 is here"


def test_only_what_tells_why_is_shown() -> None:
    lines = [
        "collected 3 items",
        "E   assert 1 == 2",
        "FAILED test_a.py::test_b - assert 1 == 2",
        "plugins/a.py:3:1: F401 unused",
        "Passed: 3",
    ]
    assert excerpt(lines) == ["FAILED test_a.py::test_b - assert 1 == 2", "plugins/a.py:3:1: F401 unused"]


def test_two_failures_that_look_the_same_are_said_once_and_different_ones_each() -> None:
    lines = ["E   assert left == right", "E   assert left == right", "E   assert left == 3"]
    assert excerpt(lines) == ["E   assert left == right", "E   assert left == 3"]


def test_output_without_a_telling_line_is_shown_from_its_end() -> None:
    assert excerpt([f"line {number}" for number in range(100)])[-1] == "line 99"


RESULT = {"cmd": ["x" * 500], "msg": "non-zero return code", "rc": 1, "stderr": "Traceback\nRuntimeError: no host\n", "stdout": ""}


@pytest.mark.parametrize("indent", [None, 4])
def test_of_a_result_of_a_task_the_reason_is_shown_wherever_it_stands(indent: int | None) -> None:
    lines = f"TASK [shop : Fill it] ****\nfatal: [web]: FAILED! => {json.dumps(RESULT, indent=indent)}\n\nPLAY RECAP ***".splitlines()
    assert excerpt(lines) == ["fatal: [web] shop : Fill it: non-zero return code; RuntimeError: no host"]


def test_an_item_of_a_loop_that_failed_is_shown_too() -> None:
    lines = ["[ERROR]: Task failed: Module failed.", "TASK [Open] ***", 'failed: [web] (item=up) => {"item": "up", "msg": "no answer"}']
    assert excerpt(lines) == ["fatal: [web] Open: no answer"]
    assert excerpt(["[ERROR]: Task failed: Module failed: no answer"]) == ["[ERROR]: Task failed: Module failed: no answer"]


def test_a_result_that_is_not_whole_is_shown_as_far_as_it_goes() -> None:
    assert excerpt(['fatal: [web]: FAILED! => {"msg": "cut off']) == ['fatal: [web] : {"msg": "cut off']


def test_that_something_failed_is_no_reason() -> None:
    lines = ["E   assert site == 200", "CRITICAL Ansible return code was 2, command was: x", "plugins/a.py:3: no-log: Password (warning)"]
    assert excerpt(lines) == ["E   assert site == 200"]


def test_of_many_lines_the_first_and_the_last_are_shown() -> None:
    lines = excerpt([f"FAILED test_{number}" for number in range(50)])
    assert (lines[0], lines[-1], len(lines)) == ("FAILED test_0", "FAILED test_49", SHOWN + 1)
    assert f"{50 - SHOWN} lines" in lines[SHOWN // 2]


def test_a_failed_comparison_does_not_hide_the_next() -> None:
    comparison = ["E   AssertionError: assert left == right", *(f"E     + {number}" for number in range(50))]
    assert excerpt([*comparison, "test.py:3: AssertionError", "E   KeyError: 'x'"]) == [*comparison[:3], "E   KeyError: 'x'"]


def test_no_line_is_longer_than_a_terminal_bears() -> None:
    assert [len(line) for line in excerpt(["E   " + "x" * 5000])] == [WIDTH]


def test_a_check_that_says_itself_which_cases_failed_is_taken_at_its_word() -> None:
    said = ["why standard_crash failed:", "anything", "3 passed, 1 failed standard_crash"]
    assert excerpt(["E   assert False", *said]) == said
    many = excerpt([line for number in range(100) for line in (f"why {number} failed:", "anything")])
    assert (many[0], len(many)) == ("why 0 failed:", SHOWN_OF_CASES + 1)
