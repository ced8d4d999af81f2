# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expected values are what phpdotenv 5.6.1 itself answered."""

from __future__ import annotations

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
