# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Laravel's cookie that lets its owner through maintenance mode (Illuminate's MaintenanceModeBypassCookie).

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import typing as t
import urllib.parse

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner

NAME = "laravel_maintenance"
LIFETIME = 12 * 3600  # seconds, as long as Laravel makes it last


def value(secret: str, expires_at: int) -> str:
    """What a browser would send for the cookie; quoted, since PHP decodes cookies like addresses."""
    mac = hmac.new(secret.encode(), str(expires_at).encode(), hashlib.sha256).hexdigest()
    payload = json.dumps({"expires_at": expires_at, "mac": mac}, separators=(",", ":"))
    return urllib.parse.quote(base64.b64encode(payload.encode()).decode(), safe="")


def read_secret(runner: Runner, maintenance_file: str, user: str | None) -> str | None:
    """The bypass secret of an application in maintenance mode; None when it is not in maintenance mode."""
    done = runner.run(["cat", "--", maintenance_file], user=user, check=False, timeout=20)
    if done.rc != 0:
        if "No such file or directory" in done.stderr:
            return None
        raise RollbackError(
            f"The maintenance file {maintenance_file} could not be read as {user or runner.me}: {done.output or 'no reason given'}."
        )
    try:
        secret = json.loads(done.stdout).get("secret")
    except (ValueError, AttributeError):
        raise RollbackError(f"The maintenance file {maintenance_file} is not the JSON that Laravel writes.") from None
    if not secret or not isinstance(secret, str):
        raise RollbackError(
            f"The application is in maintenance mode without a bypass secret ({maintenance_file} has none), so its pages cannot be asked."
        )
    return secret
