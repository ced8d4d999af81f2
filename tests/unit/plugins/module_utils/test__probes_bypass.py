# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.parse

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_bypass as bypass
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from scripted import Scripted

DOWN = "/var/www/chom/storage/framework/down"


def test_the_cookie_is_what_laravel_checks() -> None:
    """The same steps as MaintenanceModeBypassCookie::isValid."""
    cookie = bypass.value("s3cret", 1_800_000_000)
    payload = json.loads(base64.b64decode(urllib.parse.unquote(cookie)))
    mac = hmac.new(b"s3cret", str(payload["expires_at"]).encode(), hashlib.sha256).hexdigest()
    assert payload == {"expires_at": 1_800_000_000, "mac": mac}


def test_the_cookie_survives_the_decoding_that_php_does() -> None:
    assert all(letter.isalnum() or letter in "%-_." for letter in bypass.value("s3cret", 1_800_000_000))


def test_reads_the_secret_as_the_application_user() -> None:
    runner = Scripted().on(f"cat -- {DOWN}", '{"except": [], "secret": "s3cret", "status": 503}')
    assert bypass.read_secret(runner, DOWN, "www-data") == "s3cret"
    assert runner.calls[0].user == "www-data"


def test_an_application_that_is_up_needs_no_secret() -> None:
    runner = Scripted().on("cat *", rc=1, stderr=f"cat: {DOWN}: No such file or directory\n")
    assert bypass.read_secret(runner, DOWN, "www-data") is None


@pytest.mark.parametrize(
    ("content", "rc", "stderr", "message"),
    [
        pytest.param("", 1, "cat: x: Permission denied", "could not be read as www-data: cat: x: Permission", id="denied"),
        pytest.param("<html>", 0, "", "is not the JSON that Laravel writes", id="not JSON"),
        pytest.param("[]", 0, "", "is not the JSON that Laravel writes", id="not a mapping"),
        pytest.param("{}", 0, "", "in maintenance mode without a bypass secret", id="no secret"),
        pytest.param('{"secret": null}', 0, "", "in maintenance mode without a bypass secret", id="secret is null"),
    ],
)
def test_refuses_what_gives_no_secret(content: str, rc: int, stderr: str, message: str) -> None:
    runner = Scripted().on("cat *", content, rc=rc, stderr=stderr)
    with pytest.raises(RollbackError, match=message):
        bypass.read_secret(runner, DOWN, "www-data")
