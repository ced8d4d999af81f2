# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one table are divided among several sessions, and none of them is lost or loaded twice."""

from __future__ import annotations

import contextlib
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql_load import shares
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql_rows import Rows

SETTINGS = b"\\restrict token\nSET client_encoding = 'UTF8';\n-- Data for Name: COPY x FROM stdin; Type: TABLE DATA\n\n"
HOSTILE = b'COPY public."a FROM stdin;\n""b" ("\\.\n", c) FROM stdin;\n'
LATER = b"\\.\n\n\n-- PostgreSQL database dump complete\n\\unrestrict token\n"


def divided(chunks: t.Iterable[bytes], sessions: int = 2) -> list[bytes]:
    """What each of the sessions was given."""
    pipes = [os.pipe() for _session in range(sessions)]
    with ThreadPoolExecutor(sessions) as pool:
        read = [pool.submit(_all, reader) for reader, _writer in pipes]
        with contextlib.ExitStack() as stack:
            for _reader, writer in pipes:
                stack.callback(os.close, writer)
            rows = Rows([writer for _reader, writer in pipes], lambda: False)
            for chunk in chunks:
                assert rows.feed(chunk) == b"", "nothing of it goes anywhere else"
            rows.end()
        return [one.result() for one in read]


def _all(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as file:
        return file.read()


def pieces(text: bytes, size: int) -> t.Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


@given(some.lists(some.sampled_from([b"1\ta\n", b"2\t\\\\.\n", b"\\N\t\n", b"3\t" + b"x" * 90 + b"\n"])), some.integers(1, 200))
def test_each_row_goes_to_one_session_and_everything_else_to_all(rows: list[bytes], size: int) -> None:
    given_to = divided(pieces(SETTINGS + HOSTILE + b"".join(rows) + LATER, size))
    loaded: list[bytes] = []
    for text in given_to:
        assert text.startswith(SETTINGS + HOSTILE)
        assert text.endswith(LATER)
        loaded += text[len(SETTINGS + HOSTILE) : len(text) - len(LATER)].splitlines(keepends=True)
    assert sorted(loaded) == sorted(rows)


def test_all_sessions_get_work() -> None:
    """A session that is busy does not keep the others waiting."""
    rows = b"".join(b"%d\t%s\n" % (number, b"x" * 100) for number in range(20000))
    assert all(len(text) > 200_000 for text in divided(pieces(SETTINGS + HOSTILE + rows + LATER, 131072)))


@pytest.mark.parametrize("text", [b"", SETTINGS, SETTINGS + HOSTILE + b"1\ta\n2"], ids=["nothing", "no rows", "half a row"])
def test_rows_that_break_off_are_not_all_rows(text: bytes) -> None:
    with pytest.raises(RollbackError, match="broke off"):
        divided([text])


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(RollbackError, match="something else"):
        divided([b"x" * (2 << 20)])


def test_a_session_that_ended_is_not_waited_for() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(BrokenPipeError):
            Rows([writer], lambda: True).feed(HOSTILE + b"1\n" * (1 << 20))
    finally:
        os.close(writer)
        os.close(reader)


CONTENTS = [
    "5; 0 1 TABLE DATA public small owner",
    "6; 0 2 TABLE DATA public large owner",
    "7; 0 3 SEQUENCE SET public s owner",
    "no entry",
]


@pytest.mark.parametrize(
    ("rows", "jobs", "expected"),
    [
        ({"small": 10, "large": 50_000}, 2, (CONTENTS[1], [[CONTENTS[0], CONTENTS[2]]])),
        ({"small": 10, "large": 50_000}, 1, (None, [CONTENTS[:3]])),
        ({"small": 10, "large": 5_000}, 2, (None, [[CONTENTS[1], CONTENTS[2]], [CONTENTS[0]]])),
        ({"small": 50_000, "large": 50_000}, 2, (None, [[CONTENTS[0], CONTENTS[2]], [CONTENTS[1]]])),
        ({}, 2, (None, [CONTENTS[:3]])),
    ],
    ids=["outweighs", "one program", "little", "balanced", "unknown"],
)
def test_a_table_that_outweighs_the_others_is_divided(rows: dict[str, int], jobs: int, expected: t.Any) -> None:
    assert shares(CONTENTS, rows, jobs) == expected
