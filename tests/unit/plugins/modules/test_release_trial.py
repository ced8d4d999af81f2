# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that answers through PHP-FPM as it should, or does not."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from fpm import FakeFpm
from local_runner import Local
from servers import Reply

requirement = pytest.mark.requirement
VERSION = {"name": "running version", "type": "http", "path": "/version", "response_headers": {"X-App-Version": ["v1.2.0", "1.2.0"]}}


@pytest.fixture
def release(tmp_path: pathlib.Path) -> pathlib.Path:
    public = tmp_path / "releases/10/public"
    (public / "css").mkdir(parents=True)
    (public / "css/app.css").write_text("body {}")
    return public.parent


@pytest.fixture
def fpm(tmp_path: pathlib.Path) -> t.Iterator[FakeFpm]:
    server = FakeFpm(tmp_path / "fpm.sock", lambda _asked: Reply("fine", headers={"X-App-Version": "1.2.0"}))
    yield server
    server.close()


Trial = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def trial(release: pathlib.Path, fpm: FakeFpm, local: Local, run_module: t.Any) -> Trial:
    def call(*probes: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
        given = {"path": str(release), "address": fpm.address, "base_url": "http://shop.test", "interval": 0.01, "deadline": 3}
        return t.cast("dict[str, t.Any]", run_module("release_trial", {**given, "probes": [*probes, VERSION], **options}))

    return call


def page(path: str = "/", **options: t.Any) -> dict[str, t.Any]:
    return {"name": path, "type": "http", "path": path, **options}


@requirement("D-055")
def test_asks_the_release_and_not_the_one_that_runs(trial: Trial, fpm: FakeFpm, release: pathlib.Path) -> None:
    result = trial(page(), page("/health", successes=3))
    assert not result.get("failed"), result
    assert (result["changed"], result["answered"]) == (False, True)
    assert [asked["REQUEST_URI"] for asked in fpm.asked] == ["/", "/health", "/version"]
    assert {asked["DOCUMENT_ROOT"] for asked in fpm.asked} == {str(release / "public")}


@requirement("D-055")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=500, headers={"X-App-Version": "1.2.0"}), "/: status 500, expected 200"),
        (Reply(headers={"X-App-Version": "1.3.0"}), "running version: header X-App-Version is 1.3.0, expected v1.2.0 or 1.2.0"),
    ],
    ids=["it crashes", "it is another version"],
)
def test_refuses_a_release_that_does_not_answer_well(trial: Trial, fpm: FakeFpm, release: pathlib.Path, reply: Reply, words: str) -> None:
    fpm.answering = lambda _asked: reply
    result = trial(page(), unanswered="accepted")
    assert result["failed"]
    assert f"The release in {release} was asked through PHP-FPM before users get it, and is not good" in result["msg"]
    assert words in result["msg"]
    assert (result["answered"], result["system_state"]) == (True, "Nothing was switched.")
    assert f"ls {release.parent}, then run again with another release: -e target=<release>" in result["next_command"]


def test_what_is_answered_badly_again_and_again_is_not_waited_for(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda _asked: Reply(status=500, headers={"X-App-Version": "1.2.0"})
    result = trial(page(), deadline=60)
    assert result["failed"]
    assert result["probes"][0]["attempts"] == 3


def test_an_answer_may_be_bad_for_a_moment(trial: Trial, fpm: FakeFpm) -> None:
    statuses = [500, 200, 500]
    fpm.answering = lambda _asked: Reply(status=statuses.pop() if statuses else 200, headers={"X-App-Version": "1.2.0"})
    assert not trial(page(), deadline=60).get("failed")


def test_how_long_an_answer_takes_is_left_to_the_gate(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda _asked: Reply(headers={"X-App-Version": "1.2.0"}, delay=0.2)
    assert not trial(page(maximum_seconds=0.1), deadline=5).get("failed")
    assert len(fpm.asked) == 2


def test_answers_that_take_all_the_time_say_nothing_about_the_release(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda _asked: Reply(headers={"X-App-Version": "1.2.0"}, delay=0.3)
    result = trial(*(page(f"/{number}") for number in range(20)), deadline=0.5, unanswered="accepted")
    assert not result.get("failed"), result
    assert (result["answered"], len(fpm.asked) <= 3) == (False, True)
    assert "not asked, since" in str(result["warnings"])


def test_what_it_cannot_ask_is_left_to_the_gate(trial: Trial, fpm: FakeFpm) -> None:
    others = [
        page("/css/app.css"),
        page("/signups", method="POST", body={}),
        {"name": "elsewhere", "type": "http", "url": "http://other.test/"},
        {"name": "services", "type": "units", "units": ["nginx"]},
    ]
    result = trial(*others)
    assert result["skipped_probes"] == ["/css/app.css", "/signups", "elsewhere", "services"]
    assert [asked["REQUEST_URI"] for asked in fpm.asked] == ["/version"]


def test_a_probe_that_is_not_required_refuses_nothing(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda asked: Reply(status=200 if asked["REQUEST_URI"] == "/version" else 500, headers={"X-App-Version": "1.2.0"})
    assert not trial(page(required=False)).get("failed")


def test_a_php_fpm_that_says_nothing_is_asked_once_in_a_round(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda _asked: b""
    result = trial(page(), page("/health"), deadline=0.1)
    assert result["failed"]
    assert "could not be asked (/: PHP-FPM ended the connection without an answer; /health: not asked, since" in result["msg"]
    assert not result["answered"]
    assert {asked["REQUEST_URI"] for asked in fpm.asked} == {"/"}


def test_that_it_says_nothing_can_be_accepted_and_is_said(trial: Trial, fpm: FakeFpm) -> None:
    fpm.answering = lambda _asked: b""
    result = trial(page(), unanswered="accepted", deadline=0.1)
    assert not result.get("failed"), result
    assert not result["answered"]
    assert "It is asked when users have got it." in str(result["warnings"])


@pytest.mark.parametrize(("status", "failed"), [(200, False), (500, True)], ids=["no answer was bad", "one was bad"])
def test_an_answer_that_is_missing_is_not_held_against_a_release_that_else_answers_well(
    trial: Trial, fpm: FakeFpm, status: int, failed: bool
) -> None:
    fpm.answering = lambda asked: b"" if asked["REQUEST_URI"] == "/version" else Reply(status=status)
    assert trial(page(), unanswered="accepted", deadline=1).get("failed", False) == failed


def test_nothing_to_ask_is_no_proof(trial: Trial, fpm: FakeFpm, run_module: t.Any, release: pathlib.Path) -> None:
    units = [{"name": "services", "type": "units", "units": ["nginx"]}]
    result = trial(probes=units)
    assert result["failed"]
    assert "None of the probes can be asked through PHP-FPM" in result["msg"]


def test_names_a_mistake_in_a_probe(trial: Trial) -> None:
    assert "statsu" in trial(page(statsu=[200]))["msg"]
