# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from servers import FakeRedis, closed_port

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_redis
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_redis import probe_from

SIZES = {
    "chom_database_queues:emails": 200,
    "chom_database_queues:emails:delayed": 5,
    "chom_database_queues:emails:reserved": 1,
}


@pytest.fixture
def start() -> t.Iterator[t.Callable[..., FakeRedis]]:
    running: list[FakeRedis] = []

    def run(**options: t.Any) -> FakeRedis:
        running.append(FakeRedis(**options))
        return running[-1]

    yield run
    for redis in running:
        redis.close()


def settings(redis: FakeRedis, **more: str) -> dict[str, str]:
    return {"REDIS_PORT": str(redis.port), "REDIS_PASSWORD": "pw", "APP_NAME": "CHOM", **more}


@pytest.mark.requirement("CHOM-7.1-06")
def test_pings_with_the_application_login(start: t.Any) -> None:
    redis = start(password="pw")
    assert probe_from({}, settings(redis))(5) == {}
    assert redis.commands[-1] == ["PING"]


def test_options_outrank_the_application(start: t.Any) -> None:
    redis = start(password="other")
    probe_from({"host": "127.0.0.1", "password": "other"}, settings(redis, REDIS_HOST="/run/x.sock"))(5)


def test_counts_jobs_by_the_real_prefix(start: t.Any) -> None:
    redis = start(password="pw", sizes=SIZES)
    values = probe_from({"queues": ["emails", "reports"], "maximum_waiting": 200}, settings(redis))(5)
    assert values["queues"] == {
        "emails": {"waiting": 200, "delayed": 5, "reserved": 1},
        "reports": {"waiting": 0, "delayed": 0, "reserved": 0},
    }


def test_too_many_waiting_jobs_are_a_failure(start: t.Any) -> None:
    redis = start(password="pw", sizes=SIZES)
    with pytest.raises(ProbeError, match="jobs are waiting: emails 200, expected at most 100") as caught:
        probe_from({"queues": ["emails"], "maximum_waiting": 100}, settings(redis))(5)
    assert caught.value.values["queues"]["emails"]["waiting"] == 200


@pytest.mark.parametrize(
    ("server", "password", "message"),
    [
        pytest.param({"password": "right"}, "pw", "WRONGPASS invalid username-password pair or user is disabled", id="wrong"),
        pytest.param({"password": "right"}, "", "NOAUTH Authentication required", id="none"),
        pytest.param({"error": "LOADING Redis is loading the dataset in memory"}, "", "LOADING Redis is", id="loading"),
    ],
)
def test_an_error_reply_is_a_failure(start: t.Any, server: dict[str, str], password: str, message: str) -> None:
    redis = start(**server)
    with pytest.raises(ProbeError, match=f"127.0.0.1:{redis.port}: {message}") as caught:
        probe_from({}, settings(redis, REDIS_PASSWORD=password))(5)
    assert "right" not in str(caught.value)


def test_nobody_listening_is_a_failure() -> None:
    port = closed_port()
    with pytest.raises(ProbeError, match=f"127.0.0.1:{port}: connection refused"):
        probe_from({"port": port}, {})(5)


def test_a_socket_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(ProbeError, match=r"/nowhere/redis\.sock: no such file or directory"):
        probe_from({"socket": "/nowhere/redis.sock"}, {})(5)


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        ({}, "laravel_database_"),
        ({"APP_NAME": "CHOM"}, "chom_database_"),
        ({"APP_NAME": "My App-Two!  v1.2"}, "my_app_two_v12_database_"),
        ({"REDIS_PREFIX": "", "APP_NAME": "CHOM"}, ""),
        ({"REDIS_PREFIX": "x:"}, "x:"),
    ],
)
def test_knows_the_prefix_that_laravel_makes(settings: dict[str, str], prefix: str) -> None:
    assert _probes_redis.laravel_prefix(settings) == prefix
