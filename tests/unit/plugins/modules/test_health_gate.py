# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from servers import Asked, FakeRedis, Reply, Website, as_json, closed_port

from ansible_collections.lastgood.rollback.plugins.module_utils import _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._clock import Clock
from ansible_collections.lastgood.rollback.plugins.modules import health_gate
from scripted import Scripted

if t.TYPE_CHECKING:
    from conftest import RunModule

DOWN = "/var/www/chom/storage/framework/down"
ENVIRONMENT = "/var/www/chom/.env"
NGINX = "Id=nginx.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\n"


@pytest.fixture
def site() -> t.Iterator[Website]:
    website = Website()
    yield website
    website.close()


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(_wiring, "Runner", lambda _module: scripted)
    return scripted


@pytest.fixture
def gate(run_module: RunModule, runner: Scripted, site: Website) -> t.Callable[..., dict[str, t.Any]]:
    def run(*probes: dict[str, t.Any], check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {"base_url": site.url, "interval": 0.01, "deadline": 0.2, "probes": list(probes), **options}
        return run_module(health_gate, given, check=check)

    return run


def page(**options: t.Any) -> dict[str, t.Any]:
    return {"name": "home", "type": "http", "path": "/", **options}


def test_passes_when_all_are_good(gate: t.Any, runner: Scripted, site: Website) -> None:
    runner.on("systemctl *", NGINX)
    units = {"name": "services", "type": "units", "units": ["nginx"]}
    port = {"name": "port", "type": "tcp", "port": site.port}
    result = gate(page(), units, port)
    assert (result["changed"], result["passed"], result["rounds"], result["availability"]) == (False, True, 2, 100.0)
    assert [probe["name"] for probe in result["probes"]] == ["home", "services", "port"]
    assert result["probes"][0]["measured"]["status"] == 200
    assert result["msg"].startswith("All required probes are good (3 of 3) after ")


@pytest.mark.requirement("D-083", "D-082")
def test_fails_with_the_last_failure_of_each_culprit(gate: t.Any, site: Website) -> None:
    site.site = lambda asked: Reply(status=500 if asked.target == "/" else 200)
    port = closed_port()
    result = gate(page(), page(name="ready", path="/ready"), {"name": "redis", "type": "redis", "port": port})
    assert result["failed"]
    assert not result["passed"]
    assert "2 of 3 probes are not good" in result["msg"]
    assert f"home: status 500, expected 200; redis: 127.0.0.1:{port}: connection refused." in result["msg"]
    assert result["system_state"] == "The gate itself changed nothing."
    assert [probe["passed"] for probe in result["probes"]] == [False, True, False]


def test_waits_until_good(gate: t.Any, site: Website) -> None:
    statuses = [503, 503, 200]
    site.site = lambda _asked: Reply(status=statuses.pop(0) if len(statuses) > 1 else statuses[0])
    result = gate(page(), deadline=5, successes=3)
    assert (result["passed"], result["rounds"]) == (True, 5)
    assert result["probes"][0]["last_error"] == "status 503, expected 200"


@pytest.mark.requirement("CHOM-4.2-08")
def test_goes_through_maintenance_mode_without_showing_the_secret(gate: t.Any, runner: Scripted, site: Website) -> None:
    runner.on(f"cat -- {DOWN}", '{"secret": "s3cret-bypass"}')
    site.site = lambda asked: Reply(status=200 if "laravel_maintenance=" in asked.headers.get("Cookie", "") else 503)
    users = page(name="users", bypass=False, status=[503])
    result = gate(page(), users, maintenance_file=DOWN, maintenance_user="www-data")
    assert result["passed"]
    assert "s3cret-bypass" not in str(result)
    assert len(runner.calls) == 1


@pytest.mark.parametrize("behind", [True, False])
def test_workers_may_end_well_behind_maintenance_mode(gate: t.Any, runner: Scripted, behind: bool) -> None:
    runner.on("systemctl *", NGINX.replace("=active", "=activating").replace("=running", "=auto-restart\nResult=success"))
    runner.on("cat *", '{"secret": "x"}' if behind else "", rc=0 if behind else 1, stderr="No such file or directory")
    result = gate(page(), {"name": "workers", "type": "units", "units": ["nginx"]}, maintenance_file=DOWN)
    assert result["passed"] == behind


def test_maintenance_mode_without_a_secret_is_said_at_once(gate: t.Any, runner: Scripted, site: Website) -> None:
    runner.on(f"cat -- {DOWN}", "{}")
    result = gate(page(), maintenance_file=DOWN)
    assert "in maintenance mode without a bypass secret" in result["msg"]
    assert site.asked == []


def test_the_maintenance_file_is_not_read_when_nobody_needs_it(gate: t.Any, runner: Scripted) -> None:
    assert gate(page(bypass=False), maintenance_file=DOWN)["passed"]
    assert runner.calls == []


def test_takes_the_logins_from_the_application(gate: t.Any, runner: Scripted) -> None:
    redis = FakeRedis(password="redis-geheim")
    content = f"REDIS_PORT={redis.port}\nREDIS_PASSWORD=redis-geheim\nDB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD=db-geheim\n"
    runner.on(f"cat -- {ENVIRONMENT}", content).on("mariadb *", "1\n")
    login = {"environment_file": ENVIRONMENT, "environment_user": "www-data"}
    result = gate({"name": "redis", "type": "redis"}, {"name": "database", "type": "sql"}, **login)
    redis.close()
    assert result["passed"]
    assert len(runner.lines("cat *")) == 1
    assert "geheim" not in str(result)
    assert "geheim" not in "".join(call.line for call in runner.calls)


def test_an_environment_file_that_cannot_be_read_is_said(gate: t.Any, runner: Scripted) -> None:
    runner.on("cat *", rc=1, stderr="cat: x: Permission denied")
    result = gate({"name": "redis", "type": "redis"}, environment_file=ENVIRONMENT)
    assert f"{ENVIRONMENT} could not be read as deploy: cat: x: Permission denied." in result["msg"]


def test_measures_log_resources_and_monitoring(gate: t.Any, runner: Scripted, site: Website) -> None:
    def monitoring(asked: Asked) -> Reply:
        if asked.target.startswith("/api/v2/alerts"):
            return as_json([])
        result = [{"metric": {}, "value": [1, "1"]}]
        return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})

    site.site = monitoring
    runner.on("find *", "12 100 1763780000.5 /var/log/x.log\n")
    result = gate(
        {"name": "log", "type": "log", "file": "/var/log/x.log"},
        {"name": "disk", "type": "resources", "disk_used_percent": 101},
        {"name": "up", "type": "prometheus", "url": site.url, "query": "up", "expected": "1"},
        {"name": "alerts", "type": "alertmanager", "url": site.url},
        mode="measure",
    )
    assert result["passed"], result["msg"]
    assert result["probes"][0]["measured"]["position"] == {"12": 100}


def test_measuring_reports_and_does_not_fail(gate: t.Any, site: Website) -> None:
    site.site = lambda _asked: Reply(status=500)
    result = gate(page(), page(name="sign-up", method="POST"), mode="measure")
    assert not result.get("failed")
    assert (result["passed"], result["rounds"], result["skipped_probes"]) == (False, 1, ["sign-up"])


@pytest.mark.requirement("D-093")
def test_watching_fails_when_it_does_not_stay_good(gate: t.Any, site: Website) -> None:
    replies = [Reply(), Reply(), Reply(status=500)]
    site.site = lambda _asked: replies.pop(0) if len(replies) > 1 else replies[0]
    result = gate(page(), mode="watch", duration=5, failures=2)
    assert result["failed"]
    assert (result["rounds"], result["availability"]) == (4, 50.0)


def test_watching_lasts_its_duration(gate: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(health_gate, "_CLOCK", Clock(lambda: now[0], sleep))
    result = gate(page(), mode="watch", duration=300, interval=60)
    assert (result["passed"], result["rounds"], now[0]) == (True, 5, 240)


def test_check_mode_reads_once_and_writes_nothing(gate: t.Any, site: Website) -> None:
    site.site = lambda _asked: Reply(status=500)
    result = gate(page(), page(name="sign-up", method="POST"), check=True)
    assert not result.get("failed")
    assert (result["passed"], result["skipped_probes"], len(site.asked)) == (False, ["sign-up"], 1)


def test_what_writes_is_asked_once(gate: t.Any, site: Website) -> None:
    gate(page(), page(name="sign-up", method="POST"), successes=3)
    assert [asked.method for asked in site.asked].count("POST") == 1
    assert len(site.asked) == 4


def test_optional_probes_do_not_count(gate: t.Any) -> None:
    result = gate(page(), {"name": "extra", "type": "tcp", "port": closed_port(), "required": False})
    assert result["passed"]
    assert result["probes"][1]["last_error"].endswith("connection refused")


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        pytest.param([], "There are no probes", id="none"),
        pytest.param([page(), page()], "Several probes have the same name: home.", id="same name"),
        pytest.param([page(required=False)], "None of the probes is required", id="none required"),
        pytest.param([page(pth="/")], "Unsupported parameters", id="mistyped option"),
        pytest.param([{"name": "x", "type": "https"}], "value of type must be one of", id="unknown type"),
        pytest.param([page(port=80)], "of type http, which has no option port", id="option of another type"),
        pytest.param([{"name": "x", "type": "tcp"}], "port", id="something is missing"),
        pytest.param([page(path="/", url="http://x/")], "mutually exclusive", id="two addresses"),
        pytest.param([{"name": "x", "type": "http", "url": "x"}], "Probe x cannot be asked: 'x' is not an http", id="url"),
        pytest.param([{"name": "x", "type": "sql"}], "Probe x cannot be asked: environment_file", id="no login"),
        pytest.param([{"name": "x", "type": "resources"}], "Probe x cannot be asked: it has no limit", id="no limit"),
        pytest.param([{"name": "x", "type": "log", "file": "/x.log", "since": "noon"}], "Probe x cannot be asked: ", id="time"),
        pytest.param([page(samples=0)], "samples of home must be more than 0", id="no samples"),
        pytest.param([page(successes=0)], "successes of home must be more than 0", id="no successes"),
    ],
)
def test_refuses_what_cannot_be_meant(gate: t.Any, site: Website, probes: list[t.Any], message: str) -> None:
    result = gate(*probes)
    assert result["failed"]
    assert message in result["msg"]
    assert site.asked == []


@pytest.mark.parametrize("option", ["successes", "failures", "interval", "timeout"])
def test_refuses_limits_that_ask_for_nothing(gate: t.Any, option: str) -> None:
    assert f"{option} must be more than 0" in gate(page(), **{option: 0})["msg"]
