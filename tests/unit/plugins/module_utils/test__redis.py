# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from servers import FakeRedis, RawServer, closed_port

from ansible_collections.lastgood.rollback.plugins.module_utils import _redis
from ansible_collections.lastgood.rollback.plugins.module_utils._redis import Connection, RedisError, Server


@pytest.mark.parametrize(
    ("settings", "server"),
    [
        pytest.param({}, Server(), id="nothing said"),
        pytest.param(
            {"REDIS_HOST": "10.0.0.5", "REDIS_PORT": "6380", "REDIS_PASSWORD": "pw", "REDIS_DB": "3"},
            Server("10.0.0.5", 6380, password="pw", database=3),
            id="parts",
        ),
        pytest.param(
            {"REDIS_HOST": "/run/redis/redis.sock", "REDIS_PORT": "0", "REDIS_USERNAME": "chom"},
            Server("/run/redis/redis.sock", 0, socket="/run/redis/redis.sock", username="chom"),
            id="socket",
        ),
        pytest.param({"REDIS_HOST": "unix:/run/r.sock"}, Server("unix:/run/r.sock", socket="/run/r.sock"), id="socket with scheme"),
        pytest.param({"REDIS_HOST": "tls://r.example"}, Server("r.example", tls=True), id="encrypted"),
        pytest.param(
            {"REDIS_URL": "rediss://me:p%40ss@r.example:7000/2", "REDIS_HOST": "other"},
            Server("r.example", 7000, username="me", password="p@ss", database=2, tls=True),
            id="address",
        ),
    ],
)
def test_reads_the_login_as_laravel_does(settings: dict[str, str], server: Server) -> None:
    assert _redis.from_settings(settings) == server


@pytest.mark.parametrize("settings", [{"REDIS_PORT": "x"}, {"REDIS_URL": "http://x"}, {"REDIS_URL": "redis://x:y"}])
def test_refuses_what_it_cannot_understand(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="REDIS_"):
        _redis.from_settings(settings)


def test_the_password_is_not_printed() -> None:
    assert "geheim" not in repr(Server(password="geheim"))


def test_commands_are_encoded_by_bytes() -> None:
    assert _redis.encoded(["AUTH", "pä ss\r\n"]) == b"*2\r\n$4\r\nAUTH\r\n$8\r\np\xc3\xa4 ss\r\n\r\n"


def test_logs_in_and_chooses_the_database() -> None:
    redis = FakeRedis(password="pw", username="chom")
    with Connection(Server(port=redis.port, username="chom", password="pw", database=2), 5) as connection:
        assert connection.command("PING") == "PONG"
    assert redis.commands == [["AUTH", "chom", "pw"], ["SELECT", "2"], ["PING"]]
    redis.close()


@pytest.mark.parametrize(
    ("bytes_", "reply"),
    [
        pytest.param(b"+OK\r\n", "OK", id="status"),
        pytest.param(b":-12\r\n", -12, id="number"),
        pytest.param(b"$5\r\na\r\nbc\r\n", "a\r\nbc", id="text"),
        pytest.param(b"$-1\r\n", None, id="nothing"),
        pytest.param(b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", [1, ["x"]], id="nested list"),
        pytest.param(b"*-1\r\n", None, id="no list"),
    ],
)
def test_reads_replies(bytes_: bytes, reply: object) -> None:
    server = RawServer(bytes_)
    with Connection(Server(port=server.port), 5) as connection:
        assert connection.command("X") == reply
    server.close()


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        pytest.param(b"-ERR unknown command\r\n", "ERR unknown command", id="error reply"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", "the reply is not that of a Redis server", id="not Redis"),
        pytest.param(b"$10\r\nabc", "the connection was closed before the reply was complete", id="cut off"),
        pytest.param(b"", "the connection was closed before the reply was complete", id="closed at once"),
    ],
)
def test_a_bad_reply_is_an_error(bytes_: bytes, message: str) -> None:
    server = RawServer(bytes_)
    with Connection(Server(port=server.port), 5) as connection, pytest.raises(RedisError, match=message):
        connection.command("X")
    server.close()


def test_a_server_that_does_not_reply_ends_in_time() -> None:
    server = RawServer(b"", b"")
    server = RawServer(b"+PO", b"NG")
    with Connection(Server(port=server.port), 0.1) as connection, pytest.raises(TimeoutError):
        connection.command("PING")
    server.close()


def test_nobody_listening_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        Connection(Server(port=closed_port()), 5)
