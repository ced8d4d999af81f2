# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prober measures for molecule and for the benchmarks: what it says must be right."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
import time
import typing as t

import pytest

from ansible_collections.lastgood.rollback.tests.tools.prober import Answer, Prober, Site, load, summarise


def pages(*statuses: int, version: str = "1.2.3", pace: float = 0.05) -> list[Answer]:
    return [Answer(1000 + number * pace, "/", status, 0.01, version) for number, status in enumerate(statuses)]


def test_a_site_that_always_answers_has_no_gap() -> None:
    summary = summarise(pages(200, 200, 200))
    assert (summary.asked, summary.failed, summary.seconds_without_good_answer) == (3, 0, 0)
    assert summary.first_lasting_good == pytest.approx(1000.01)
    assert summary.first_failed is None


def test_a_gap_reaches_from_the_first_failure_to_the_next_good_question() -> None:
    summary = summarise(pages(200, 503, 503, 503, 200, 200))
    assert summary.seconds_without_good_answer == pytest.approx(0.15)
    assert summary.first_failed == pytest.approx(1000.05)
    assert summary.first_lasting_good == pytest.approx(1000.21)


def test_gaps_are_added_up_and_the_longest_is_named() -> None:
    summary = summarise(pages(503, 200, 503, 503, 200))
    assert summary.seconds_without_good_answer == pytest.approx(0.15)
    assert summary.longest_gap_seconds == pytest.approx(0.1)
    assert summary.failed == 3


def test_a_good_answer_that_does_not_last_is_not_the_end() -> None:
    assert summarise(pages(500, 200, 500, 200)).first_lasting_good == pytest.approx(1000.16)


def test_a_site_that_is_down_at_the_end_has_no_lasting_answer() -> None:
    summary = summarise(pages(200, 500, 500))
    assert summary.first_lasting_good is None
    assert summary.seconds_without_good_answer == pytest.approx(0.1), "up to the end of the asking"


def test_answers_of_another_version_are_not_good_when_one_is_expected() -> None:
    answers = [*pages(200, 200, version="1.2.4"), Answer(1000.1, "/", 200, 0.01, "1.2.3")]
    assert summarise(answers).failed == 0
    assert summarise(answers, version="1.2.3").failed == 2
    assert summarise(answers).versions == {"1.2.3": 1, "1.2.4": 2}


def test_an_answer_that_comes_too_late_is_not_good() -> None:
    answers = [Answer(1000, "/", 200, 6.0), Answer(1000.05, "/", 200, 0.1)]
    assert summarise(answers).failed == 1
    assert summarise(answers, limit=7).failed == 0


def test_only_the_page_in_question_and_only_since_a_moment() -> None:
    answers = [*pages(500, 500, 200), Answer(1000, "/health/ready", 503, 0.01)]
    assert summarise(answers, since=1000.09).failed == 0
    assert summarise(answers, path="/health/ready").asked == 1


def test_answers_in_the_order_of_their_arrival_are_put_into_the_order_of_the_questions() -> None:
    answers = pages(200, 503, 200)
    assert summarise(reversed(answers)) == summarise(answers)


def test_acknowledged_sign_ups_are_those_with_a_number() -> None:
    answers = [
        Answer(1000, "/api/signups", 201, 0.1, id=8),
        Answer(1001, "/api/signups", 503, 0.1),
        Answer(1002, "/api/signups", 201, 0.1, id=7),
    ]
    assert summarise(answers).acknowledged == [7, 8]


def test_nothing_asked_says_nothing_good() -> None:
    summary = summarise([])
    assert (summary.asked, summary.first_lasting_good, summary.seconds_without_good_answer) == (0, None, 0)


class Shop(http.server.BaseHTTPRequestHandler):
    """A site with one slow page, sign-ups and a session."""

    visits: t.ClassVar[dict[str, int]] = {}
    created: t.ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path == "/":
            time.sleep(0.3)
        cookie = self.headers.get("Cookie", "visitor=1")
        self.visits[cookie] = self.visits.get(cookie, 0) + 1
        self.answer(200, {"count": self.visits[cookie]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.created.append(body["email"])
        self.answer(201, {"id": len(self.created)})

    def answer(self, status: int, body: dict[str, int]) -> None:
        self.send_response(status)
        self.send_header("X-App-Version", "1.2.3")
        self.send_header("Set-Cookie", "visitor=1; path=/")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_about: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop() -> t.Iterator[Site]:
    Shop.visits.clear()
    Shop.created.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(f"http://127.0.0.1:{server.server_port}/", "chom.test", give_up=2)
    server.shutdown()
    server.server_close()


def test_slow_answers_do_not_slow_the_questions(shop: Site) -> None:
    with Prober(shop, pages=20, ready=0, seconds=1) as prober:
        prober.wait()
    answers = prober.answers
    assert 17 <= len(answers) <= 21
    assert all(answer.seconds >= 0.3 and answer.version == "1.2.3" for answer in answers)


def test_sign_ups_sessions_and_the_record(shop: Site, tmp_path: pathlib.Path) -> None:
    with Prober(shop, pages=0, ready=4, signups=10, session=10, seconds=0.5, output=tmp_path / "answers.jsonl") as prober:
        assert prober.wait_for(lambda answer: (answer.count or 0) >= 3, 2)
        prober.wait()
    answers = prober.answers
    assert load(tmp_path / "answers.jsonl") == answers
    assert summarise(answers).acknowledged == list(range(1, len(Shop.created) + 1))
    assert len(set(Shop.created)) == len(Shop.created)
    counts = [answer.count for answer in answers if answer.path == "/session"]
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert summarise(answers, path="/health/ready").asked >= 2


def test_nobody_there_is_an_answer_too() -> None:
    with Prober(Site("http://127.0.0.1:9/"), pages=10, ready=0, seconds=0.3) as prober:
        prober.wait()
    assert prober.answers
    assert {(answer.status, answer.error) for answer in prober.answers} == {(0, "ConnectionRefusedError")}
