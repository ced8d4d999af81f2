# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t

import pytest
from checkouts import listing
from hosts import Host
from local_runner import Local

from ansible_collections.lastgood.rollback.plugins.module_utils._freeze import freeze
from ansible_collections.lastgood.rollback.plugins.module_utils._journal import this_process
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder, acquire

Info = t.Callable[[], dict[str, t.Any]]


@pytest.fixture
def info(host: Host, run_module: t.Any) -> Info:
    return lambda: t.cast("dict[str, t.Any]", run_module("rollback_info", {"application": host.profile}))


@pytest.mark.requirement("CHOM-5.1-02", "CHOM-5.1-03")
def test_a_healthy_application(host: Host, info: Info) -> None:
    result = info()
    assert not result["changed"]
    assert (result["version"], result["commit"]) == ("v1.2.0", host.app.head)
    assert (result["maintenance"], result["changed_files"], result["lock"], result["last_run"]) == (False, [], None, None)
    assert not result["unfinished"]
    assert result["workers_waiting"] == []
    assert set(result["units"]) >= {"nginx.service", "w1.service", "w2.service", "s.timer"}


def test_what_an_interrupted_run_left_behind(host: Host, info: Info) -> None:
    host.last_run(outcome="interrupted", target="v1.1.0")
    (host.state / "chom/lock").write_text(json.dumps({"run": "r1", "actor": "on-call"}))
    (host.state / "chom/workers.json").write_text(json.dumps({"units": ["w1.service"]}))
    host.app.write("storage/framework/down", "{}")
    host.app.write("README.md", "edited\n")
    host.units.pop("w1.service")
    result = info()
    assert result["maintenance"]
    assert result["unfinished"]
    assert result["changed_files"] == ["README.md"]
    assert result["lock"]["actor"] == "on-call"
    assert result["last_run"]["target"] == "v1.1.0"
    assert result["workers_waiting"] == ["w1.service"]
    assert not result["units"]["w1.service"].startswith("active")


def test_damaged_records_are_named_and_the_rest_is_shown(host: Host, info: Info) -> None:
    host.last_run()
    (host.state / "chom/lock").write_text(json.dumps({"run": "r1", "actor": "on-call"}))
    for name in ("last_run.json", "workers.json"):
        (host.state / "chom" / name).write_text("{")
    result = info()
    assert (result["version"], result["lock"]["actor"], result["last_run"]) == ("v1.2.0", "on-call", None)
    assert [each["reason"].split()[0].rpartition("/")[2] for each in result["damaged"]] == ["last_run.json", "workers.json"]
    assert f"mv {host.state}/chom/last_run.json " in result["damaged"][0]["next_command"]


def test_a_step_that_takes_long_is_seen(host: Host, info: Info) -> None:
    assert info()["progress"] is None
    folder = Folder(str(host.state / "chom"))
    folder.create()
    facts = {"step": "db_backup of chom", "doing": "dumping", "bytes": 5, "of": 10, "at": "now", "process": this_process()}
    (host.state / "chom/progress.json").write_text(json.dumps(facts))
    assert info()["progress"]["text"] == "db_backup of chom: dumping, 5 bytes of 10 bytes (50 %)"


def test_a_run_that_nobody_watches(host: Host, local: Local, info: Info) -> None:
    """A timer does not survive a restart of the host, and may never have been armed."""
    local.when("systemctl is-active lastgood-chom.timer", lambda _argv, _stdin: (3, "inactive\n", ""))
    assert info()["watched"] is None
    folder = Folder(str(host.state / "chom"))
    folder.create()
    acquire(folder, {"run": "r1", "actor": "on-call", "lease": 60}, take_over=None)
    result = info()
    assert result["watched"] is False
    assert result["lock"]["alive"]
    assert result["lock"]["expires"] > result["started"]
    local.when("systemctl is-active lastgood-chom.timer", lambda _argv, _stdin: (0, "active\n", ""))
    assert info()["watched"] is True


def test_a_freeze_is_shown_until_it_is_over(host: Host, info: Info) -> None:
    folder = Folder(str(host.state / "chom"))
    folder.create()
    freeze(folder, {"run": "r1", "reason": "500"}, 1)
    assert info()["freeze"]["run"] == "r1"
    freeze(folder, {"run": "r1", "reason": "500"}, -1)
    assert info()["freeze"] is None


def test_a_version_without_a_release_tag(host: Host, info: Info) -> None:
    host.app.commit("Hotfix")
    assert info()["version"] == host.app.head[:12]


def test_looking_changes_nothing(host: Host, info: Info) -> None:
    os.utime(host.app.path / "README.md", (1, 1))
    before = listing(host.app.path, host.state)
    info()
    assert listing(host.app.path, host.state) == before
