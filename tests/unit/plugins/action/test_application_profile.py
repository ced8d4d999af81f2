# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import socket
import typing as t

import pytest

requirement = pytest.mark.requirement
PROFILE: dict[str, t.Any] = {
    "name": "chom",
    "path": "/var/www/chom",
    "user": "www-data",
    "health": {
        "base_url": "http://chom.test",
        "version_probe": {"path": "/v", "json": "version"},
        "probes": [{"name": "home", "type": "http", "path": "/"}],
    },
    "notify": {"webhook_url": "https://hooks.example.com/XYZZY"},
}


def test_hands_on_the_profile_without_its_secret(act: t.Any) -> None:
    result = act("application_profile", {"profile": PROFILE, "severity": "standard"})
    assert result["ansible_facts"]["rollback_profile"]["name"] == "chom"
    assert "XYZZY" not in str(result)


@requirement("CHOM-8.1-08")
def test_says_once_who_started_what(act: t.Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "on-call")
    args = {"profile": PROFILE, "severity": "emergency", "report_directory": str(tmp_path)}
    identity = act("application_profile", args)["ansible_facts"]["rollback_identity"]
    assert (identity["severity"], identity["actor"], identity["controller"]) == ("emergency", "on-call", socket.gethostname())
    assert identity["run"].split("-")[1] == "emergency"
    assert identity["folder"] == f"{tmp_path}/chom/{identity['run']}"
    assert act("application_profile", args, awx_user_name="jane")["ansible_facts"]["rollback_identity"]["actor"] == "jane"


def test_a_mistake_fails_with_its_name(act: t.Any) -> None:
    result = act("application_profile", {"profile": {**PROFILE, "heath": {}}})
    assert result["failed"]
    assert "did you mean health?" in result["msg"]
    assert "XYZZY" not in str(result)
    assert act("application_profile", {})["failed"]


def test_the_second_profile_has_its_own_defaults(act: t.Any) -> None:
    for _time in range(2):
        assert act("application_profile", {"profile": {**PROFILE, "notify": None}})["ansible_facts"]["rollback_profile"]
