# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _restore_postgresql_deal
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._restore_postgresql_deal import Dealer

SETTINGS = "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n"
HOSTILE = 'public."a ""quoted"" name; COPY x FROM stdin;\n\\! id\n:y"'
USERS = "COPY public.users (id, name) FROM stdin;"
TABLES = {
    USERS: [f"{number}\tuser \\\\. {number} é" for number in range(500)],
    "COPY public.empty (id) FROM stdin;": [],
    'COPY "Odd schema".nothing_in_it  FROM stdin;': ["", "", ""],
    f'COPY {HOSTILE} ("from", "a;b") FROM stdin;': ["\\\\.", "COPY nothing FROM stdin;", "\\N", "x" * 5000, ""],
    "COPY public.zz (id) FROM stdin;": ["1"],
}


@dataclass
class Sessions:
    """What each session is told; they are ready by turns."""

    said: list[bytes] = field(default_factory=lambda: [b"", b"", b""])
    turn: int = 0

    def ready(self) -> int:
        self.turn = (self.turn + 1) % len(self.said)
        return self.turn

    def write(self, number: int, chunk: bytes | memoryview) -> None:
        self.said[number] += bytes(chunk)


def script(tables: t.Mapping[str, t.Sequence[str]]) -> bytes:
    """What pg_restore writes."""
    text = f"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n{SETTINGS}\n"
    for statement, rows in tables.items():
        text += f"--\n-- Data for Name: some; Type: TABLE DATA\n--\n\n{statement}\n" + "".join(f"{row}\n" for row in rows) + "\\.\n\n\n"
    return (text + "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n").encode()


def heard(said: bytes) -> dict[str, list[str]]:
    """What psql would understand: settings first, then tables with their rows; nothing else."""
    text = said.decode()
    assert text.startswith(SETTINGS) or not text
    text, found = text[len(SETTINGS) :], {}
    while text:
        begins = re.match(r'COPY (?:"(?:[^"]|"")*"|[^"])*? FROM stdin;', text)
        assert begins, text[:100]
        rows, end, text = text[begins.end() :].partition("\n\\.\n")
        assert end
        found[begins.group(0)] = rows.split("\n")[1:]
    return found


def dealt(tables: t.Mapping[str, t.Sequence[str]], size: int) -> list[dict[str, list[str]]]:
    dealer, sessions, text = Dealer(), Sessions(), script(tables)
    for place in range(0, len(text), size):
        dealer(t.cast("t.Any", sessions), text[place : place + size])
    dealer(t.cast("t.Any", sessions), b"")
    return [heard(said) for said in sessions.said]


@pytest.mark.parametrize("turn", [1, 100, 1 << 18])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096, 1 << 20])
def test_each_row_reaches_one_session_under_the_statement_of_its_table(monkeypatch: pytest.MonkeyPatch, size: int, turn: int) -> None:
    monkeypatch.setattr(_restore_postgresql_deal, "_WHOLE", turn)
    monkeypatch.setattr(_restore_postgresql_deal, "_TURN", turn)
    found = dealt(TABLES, size)
    for statement, rows in TABLES.items():
        assert sorted(row for each in found for row in each.get(statement, [])) == sorted(rows)
    assert {statement for each in found for statement in each} == {statement for statement, rows in TABLES.items() if rows}


def test_a_large_table_keeps_all_sessions_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restore_postgresql_deal, "_WHOLE", 1000)
    monkeypatch.setattr(_restore_postgresql_deal, "_TURN", 1000)
    counts = [len(each[USERS]) for each in dealt({USERS: TABLES[USERS]}, 512)]
    assert min(counts) > 100


def test_a_small_table_stays_with_one_session_in_its_order() -> None:
    (rows,) = [each[USERS] for each in dealt({USERS: TABLES[USERS]}, 512) if each]
    assert rows == TABLES[USERS]


@pytest.mark.parametrize("cut", [400, 700, 1])
def test_rows_without_an_end_are_refused(cut: int) -> None:
    text = script({USERS: TABLES[USERS]})
    text = text[: text.index(b"0\tuser") + cut]
    dealer, sessions = Dealer(), t.cast("t.Any", Sessions())
    dealer(sessions, text)
    with pytest.raises(RollbackError, match="ends within the rows of a table"):
        dealer(sessions, b"")
    assert not any(said.endswith(b"\\.\n") for said in sessions.said)


def test_a_statement_that_is_not_understood_is_refused_and_not_kept_for_ever() -> None:
    dealer, sessions = Dealer(), t.cast("t.Any", Sessions())
    with pytest.raises(RollbackError, match="is not understood"):
        dealer(sessions, b"COPY public.users (id) FROM '/etc/passwd';\n" * 40000)
    assert not any(sessions.said)


@pytest.mark.parametrize(
    "line", ["\\! id", "SET x = 'y'; \\! id", "SET x = :y;", "DROP TABLE users;", "SELECT pg_sleep(9);", "\\connect other"]
)
def test_nothing_else_in_an_archive_is_handed_on(line: str) -> None:
    dealer, sessions = Dealer(), Sessions()
    dealer(t.cast("t.Any", sessions), script({USERS: ["1\tx"]}).replace(b"\n\\restrict", f"\n{line}\n\\restrict".encode(), 1))
    assert [heard(said) for said in sessions.said if said] == [{USERS: ["1\tx"]}]
