# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expected values are what phpdotenv 5.6.1 itself answered."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies
import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _dotenv
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=plain", "plain"),
        ("A=", ""),
        ("A = spaced ", "spaced"),
        ("A=first # comment", "first"),
        ("A=first#comment", "first"),
        ("A=#comment", ""),
        ('A="two words" # comment', "two words"),
        ('A="with # inside"', "with # inside"),
        (r'A="quote \" backslash \\ dollar \$B tab \t"', 'quote " backslash \\ dollar $B tab \t'),
        (r"A='single $B \n \'", r"single $B \n " + "\\"),
        ("A='${B}'", "${B}"),
        ("B=b\nA=${B}c", "bc"),
        ('B=b\nA="${B} ${C}"', "b ${C}"),
        ("A=$B", "$B"),
        ('A="line one\nline two"', "line one\nline two"),
        ('A="one\n# two\nthree" # comment', "one\n# two\nthree"),
        ("A=1\nA=2", "2"),
        ("export LONG=x\n'A'=1", "1"),
        ("# A=2\n\n  A=1\r\n", "1"),
        ('A=un"quoted"', 'un"quoted"'),
        ("A=a\\nb", "a\\nb"),
        ("A==", "="),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert _dotenv.parse(text)["A"] == expected


def test_a_name_alone_unsets() -> None:
    assert _dotenv.parse("A=1\nB=2\nA") == {"B": "2"}


def test_a_quote_that_never_ends_takes_the_rest_of_the_file() -> None:
    assert _dotenv.parse('A=1\nB="open\nC=2') == {"A": "1"}


@pytest.mark.parametrize(
    "text",
    ["A=secret word", "A='secret", 'A="secret" word', r'A="secret \q"', "A B=secret", "=secret", r'A="secret\"' + '\n"x"'],
)
def test_what_laravel_cannot_read_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(RollbackError) as caught:
        _dotenv.parse(text)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(("value", "expected"), [("null", ""), ("(NULL)", ""), ("empty", ""), ("nullable", "nullable"), ("", "")])
def test_words_for_nothing(value: str, expected: str) -> None:
    assert _dotenv.plain(value) == expected


@pytest.mark.requirement("D-107", "D-108")
@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("A=1\nAB=2\n", {"A": "3"}, "A=3\nAB=2\n"),
        ("A=1", {"B": "2"}, "A=1\nB=2\n"),
        ("", {"B": "2"}, "B=2\n"),
        ("A=1\r\nB=2", {"A": "x", "C": "y"}, "A=x\r\nB=2\r\nC=y\r\n"),
        ("A=1\nA=2\n", {"A": "3"}, "A=1\nA=3\n"),
        ("A=1\nB=2\nA=3", {"A": None}, "B=2\n"),
        ('A="one\ntwo"\nB=2\n', {"A": "x"}, "A=x\nB=2\n"),
        ('# A=0\nexport LONG = "1" # why\n', {"LONG": "2"}, "# A=0\nexport LONG =2\n"),
        ("A\n", {"A": "2"}, "A=2\n"),
        ("A=1\n", {"A": ""}, "A=\n"),
        ("A=1\n", {"B": None}, "A=1\n"),
    ],
)
def test_editing_changes_exactly_the_settings_that_are_named(text: str, changes: dict[str, str | None], expected: str) -> None:
    assert _dotenv.edited(text, changes) == expected


@hypothesis.given(
    hypothesis.strategies.text(
        hypothesis.strategies.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | hypothesis.strategies.sampled_from(" \n\t")
    )
)
def test_whatever_is_written_is_what_is_read(value: str) -> None:
    text = _dotenv.edited('BEFORE="a b"\nA=old\nAFTER=1\n', {"A": value})
    assert _dotenv.parse(text) == {"BEFORE": "a b", "A": value, "AFTER": "1"}


def test_what_cannot_be_edited_is_refused() -> None:
    for text, changes in (('A="open\nB=1', {"C": "1"}), ("A=1", {"A B": "1"}), ("A=1", {"A": "\x00"})):
        with pytest.raises(RollbackError):
            _dotenv.edited(text, changes)
