# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import socket
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.lastgood.rollback.plugins.action.application_profile import ActionModule

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


@pytest.mark.parametrize(("seconds", "refused"), [(300, False), ("0", False), ("5m", True), ("", True), (-1, True)])
def test_how_long_to_watch_is_said_in_seconds(act: t.Any, seconds: t.Any, refused: bool) -> None:
    result = act("application_profile", {"profile": PROFILE, "watch_seconds": seconds})
    assert bool(result.get("failed")) is refused
    assert not refused or "whole seconds" in result["msg"]


def test_a_mistake_fails_with_its_name(act: t.Any) -> None:
    result = act("application_profile", {"profile": {**PROFILE, "heath": {}}})
    assert result["failed"]
    assert "did you mean health?" in result["msg"]
    assert "XYZZY" not in str(result)
    assert act("application_profile", {})["failed"]


def test_the_second_profile_has_its_own_defaults(act: t.Any) -> None:
    for _time in range(2):
        assert act("application_profile", {"profile": {**PROFILE, "notify": None}})["ansible_facts"]["rollback_profile"]


def test_a_host_that_cannot_be_reached_is_a_failure_that_says_so(act: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_about: t.Any) -> t.NoReturn:
        raise AnsibleConnectionFailure("Connection timed out")

    monkeypatch.setattr(ActionModule, "_begin_session", lost)
    result = act("application_profile", {"profile": PROFILE, "session": True})
    assert result["failed"]
    assert result["unreached"]
    first, second, third = result["msg"].splitlines()
    assert first == "UNKNOWN: the host chom of chom cannot be reached. This run changed nothing there."
    assert second == "Connection timed out"
    assert third.startswith("Next: ansible-playbook playbooks/status.yml -l chom")
