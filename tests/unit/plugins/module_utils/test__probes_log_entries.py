# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_log_entries as logs

TRACE = """[2026-11-22 02:20:10] production.INFO: signed up {"user":5}
[2026-11-22 02:20:11] production.ERROR: SQLSTATE[42S22]: Column not found {"exception":"[object] (PDOException)
[stacktrace]
#0 /var/www/chom/vendor/x.php(12): App\\\\x()
#1 production.ERROR: is only quoted here
"}
[2026-11-22 02:20:12] production.CRITICAL: out of memory
[2026-11-22T02:20:13.123456+00:00] local-1.error: small letters are another format
[2026-11-22T02:20:14.123456+00:00] production.EMERGENCY: with microseconds
"""


def layout(**options: object) -> logs.Format:
    given = {"pattern": None, "levels": None, "ignored": None, "zone": None, **options}
    return logs.format_of(**given)


def levels(text: str, **options: object) -> list[str | None]:
    return [entry.level for entry in logs.entries(text, layout(**options))]


def test_counts_entries_and_not_the_lines_of_their_traces() -> None:
    assert levels(TRACE) == ["ERROR", "CRITICAL", "EMERGENCY"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param({"levels": ["info"]}, ["INFO"], id="other levels"),
        pytest.param({"ignored": ["SQLSTATE", "memory$"]}, ["EMERGENCY"], id="ignored entries"),
        pytest.param({"pattern": r"^#\d"}, [None, None], id="a pattern without a level"),
        pytest.param({"pattern": r"production\.(?P<level>\w+)"}, ["ERROR", "ERROR", "CRITICAL", "EMERGENCY"], id="with"),
    ],
)
def test_what_counts_can_be_chosen(options: dict[str, object], found: list[str | None]) -> None:
    assert levels(TRACE, **options) == found


def utc(*numbers: int) -> datetime.datetime:
    return datetime.datetime(*numbers, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("text", "zone", "when"),
    [
        pytest.param("2026-11-22 02:20:10", "UTC", utc(2026, 11, 22, 2, 20, 10), id="Laravel"),
        pytest.param("2026-11-22T02:20:10Z", "+02:00", utc(2026, 11, 22, 2, 20, 10), id="says its own zone"),
        pytest.param("2026-11-22T02:20:10.123456789+01:00", "UTC", utc(2026, 11, 22, 1, 20, 10, 123456), id="nano"),
        pytest.param("2026-11-22 02:20:10", "+02:00", utc(2026, 11, 22, 0, 20, 10), id="offset"),
        pytest.param("2026-11-22 02:20:10", "-0330", utc(2026, 11, 22, 5, 50, 10), id="negative offset"),
        pytest.param("2026-07-22 02:20:10", "Europe/Berlin", utc(2026, 7, 22, 0, 20, 10), id="name"),
    ],
)
def test_reads_times(text: str, zone: str, when: datetime.datetime) -> None:
    assert logs.moment(text, logs.time_zone(zone)) == when


@pytest.mark.parametrize("options", [{"zone": "Atlantis/Center"}, {"zone": "+25:99x"}, {"pattern": "("}, {"ignored": ["["]}])
def test_refuses_what_it_cannot_understand(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        layout(**options)


def test_finds_the_first_moment_of_any_level() -> None:
    assert logs.first_moment("rest of a line\n" + TRACE, layout()) == utc(2026, 11, 22, 2, 20, 10)
    assert logs.first_moment("nothing", layout()) is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("mail to jane.doe+x@example.com failed", "mail to <address> failed"),
        ('{"password":"hunter2","ok":1}', '{"password":"<hidden>","ok":1}'),
        ("api_token=abc&x=1", "api_token=<hidden>"),
        ("Authorization: Bearer abc.def", "Authorization: <hidden>"),
        ('missing setting a.token {"exception":1}', 'missing setting a.token {"exception":1}'),
        ("'secret' => 'abc'", "'secret' => '<hidden>'"),
        ("commit 0123456789abcdef0123456789abcdef", "commit <token>"),
        ("App\\Http\\Controllers\\HomeController", "App\\Http\\Controllers\\HomeController"),
    ],
)
def test_masks_what_should_not_travel(line: str, shown: str) -> None:
    assert logs.masked(line) == shown


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    list(logs.entries(text, layout()))
    assert len(logs.masked(text)) <= 160
