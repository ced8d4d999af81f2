# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real server on this machine; a message that does not arrive never fails a run."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
import typing as t

import pytest
import servers
from servers import Asked, Reply, Website

requirement = pytest.mark.requirement
PATH = "/services/T0/B0/XYZZY"
MESSAGE = {"event": "started", "text": "STANDARD ROLLBACK STARTED", "channel": "#incidents", "timeout": 5}


@pytest.fixture
def website() -> t.Iterator[Website]:
    with contextlib.closing(Website()) as found:
        yield found


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}{PATH}"


def command_lines() -> str:
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return "\n".join(found)


def read_soon(path: pathlib.Path, seconds: float = 10) -> dict[str, t.Any]:
    """What a process of its own writes some time after."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return t.cast("dict[str, t.Any]", json.loads(path.read_text()))


@requirement("CHOM-4.1-06", "CHOM-5.1-01", "CHOM-CT-05", "CHOM-CL-03")
def test_posts_what_slack_understands(act: t.Any, website: Website) -> None:
    fields = {"Reason": "every page answers 500", "Run": "r1"}
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "fields": fields, "colour": "warning"})
    assert (result["delivered"], result["status"], result["event"]) == (True, 200, "started")
    (asked,) = website.asked
    assert (asked.method, asked.target, asked.headers["Content-Type"]) == ("POST", PATH, "application/json")
    assert json.loads(asked.body) == {
        "text": "STANDARD ROLLBACK STARTED",
        "channel": "#incidents",
        "attachments": [
            {
                "color": "warning",
                "fields": [
                    {"title": "Reason", "value": "every page answers 500", "short": True},
                    {"title": "Run", "value": "r1", "short": True},
                ],
            }
        ],
    }


@requirement("D-130")
@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_an_answer_that_is_no_success_is_recorded(act: t.Any, website: Website, tmp_path: pathlib.Path, status: int) -> None:
    website.site = lambda _asked: Reply(body="invalid_token XYZZY", status=status)
    record = tmp_path / "runs/r1/notification-started.json"
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "record": str(record)})
    assert (result["delivered"], result["status"], result["error"]) == (False, status, f"HTTP {status}")
    assert not result.get("failed")
    assert json.loads(record.read_text())["status"] == status
    assert record.parent.stat().st_mode & 0o777 == 0o700
    assert "XYZZY" not in str(result) + record.read_text()


@requirement("D-130", "CHOM-4.1-06")
def test_nobody_listening_is_recorded(act: t.Any) -> None:
    result = act("notification", {**MESSAGE, "webhook_url": url(servers.closed_port())})
    assert not result["delivered"]
    assert "refused" in result["error"]
    assert not result.get("failed")


@requirement("D-130", "CHOM-4.1-06")
def test_a_server_that_does_not_answer_is_given_up(act: t.Any, website: Website) -> None:
    website.site = lambda _asked: Reply(delay=5)
    began = time.monotonic()
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "timeout": 0.3})
    assert not result["delivered"]
    assert "timed out" in result["error"]
    assert time.monotonic() - began < 5


@requirement("D-130")
def test_when_nobody_waits_a_slow_server_delays_nothing(act: t.Any, website: Website, tmp_path: pathlib.Path) -> None:
    website.site = lambda _asked: Reply(delay=1.5)
    record = tmp_path / "notification-started.json"
    began = time.monotonic()
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "wait": False, "record": str(record)})
    assert time.monotonic() - began < 1.2
    assert result == {"changed": False, "event": "started", "msg": "sending"}
    assert read_soon(record)["delivered"]


def test_wait_may_be_a_word(act: t.Any, website: Website, tmp_path: pathlib.Path) -> None:
    record = tmp_path / "notification-started.json"
    assert act("notification", {**MESSAGE, "webhook_url": url(website.port), "wait": "no", "record": str(record)})["msg"] == "sending"
    read_soon(record)


@requirement("D-114")
@pytest.mark.parametrize("wait", [True, False])
def test_the_address_is_nowhere_to_be_seen(act: t.Any, website: Website, tmp_path: pathlib.Path, wait: bool) -> None:
    seen: list[str] = []
    arrived = threading.Event()

    def look(_asked: Asked) -> Reply:
        seen.append(command_lines())
        arrived.set()
        return Reply()

    website.site = look
    record = tmp_path / "notification-started.json"
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "wait": wait, "record": str(record)})
    assert arrived.wait(10)
    read_soon(record)
    assert "json.load(sys.stdin)" in seen[0], "the sender was running"
    assert "XYZZY" not in seen[0]
    assert "XYZZY" not in str(result) + record.read_text()


@pytest.mark.parametrize(
    "address", ["hooks.example.com/XYZZY", "http://127.0.0.1:1/a b\nXYZZY", "http://[XYZZY", "xyzzy://XYZZY", "file:///XYZZY"]
)
def test_an_address_that_is_none_is_not_repeated(act: t.Any, address: str) -> None:
    result = act("notification", {**MESSAGE, "webhook_url": address})
    assert not result["delivered"]
    assert result["error"]
    assert "XYZZY" not in str(result)


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_nothing_is_sent(act: t.Any, address: str | None) -> None:
    assert act("notification", {**MESSAGE, "webhook_url": address})["skipped"]


def test_check_mode_sends_nothing(act: t.Any, website: Website, tmp_path: pathlib.Path) -> None:
    record = tmp_path / "x/notification-started.json"
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "record": str(record)}, check=True)
    assert result["msg"] == "would be sent"
    assert website.asked == []
    assert not record.parent.exists()


def test_a_record_that_cannot_be_written_fails_nothing(act: t.Any, website: Website, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    result = act("notification", {**MESSAGE, "webhook_url": url(website.port), "record": str(tmp_path / "file/x.json")})
    assert not result["delivered"]
    assert not result.get("failed")
