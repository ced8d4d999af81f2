# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in an application profile are named before any host is asked."""

from __future__ import annotations

import copy
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._profile import normalised

ROOT = pathlib.Path(__file__).parents[4]
SECRET = "https://hooks.example.com/services/T0/B0/XYZZY"
requirement = pytest.mark.requirement

PROFILE: dict[str, t.Any] = {
    "name": "chom",
    "path": "/var/www/chom",
    "user": "www-data",
    "services": {"workers": ["w.service"], "reload": ["php8.4-fpm.service"]},
    "health": {
        "base_url": "http://chom.test",
        "version_probe": {"path": "/health/basic", "header": "X-App-Version"},
        "probes": [{"name": "home", "type": "http", "path": "/"}],
    },
    "notify": {"webhook_url": SECRET},
}


def changed(where: str, value: t.Any) -> dict[str, t.Any]:
    """The profile with one value set; a dot goes down, a number into a list, DELETE takes away."""
    profile = copy.deepcopy(PROFILE)
    *parents, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    place: t.Any = profile
    for parent in parents:
        place = place[parent] if isinstance(parent, int) else place.setdefault(parent, {})
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    return profile


DELETE = object()


def mistakes(profile: t.Any) -> list[str]:
    with pytest.raises(RollbackError) as caught:
        normalised(profile)
    assert caught.value.state == "Nothing was changed."
    assert SECRET not in str(caught.value.as_result())
    found = caught.value.facts.get("mistakes", [])
    assert all(text in caught.value.message for text in found)
    return t.cast("list[str]", found)


def test_what_is_not_said_gets_its_default() -> None:
    ready = normalised(PROFILE)
    assert ready["environment_file"] == "/var/www/chom/.env"
    assert ready["log_file"] == "/var/www/chom/storage/logs/laravel.log"
    assert ready["state_directory"] == "/var/lib/lastgood"
    assert ready["services"]["drain_timeout"] == 60
    assert ready["composer"] == {"program": "composer", "cache_directory": None, "network": True, "timeout": 600}
    assert ready["budgets"]["emergency"]["total"] == 300
    assert ready["budgets"]["standard"] == {"total": 900}


def test_where_releases_lie_deployer_is_looked_for_beside_the_link() -> None:
    assert normalised(PROFILE)["releases"]["deploy_path"] is None
    assert normalised({**PROFILE, "layout": "releases", "path": "/srv/shop/current/"})["releases"]["deploy_path"] == "/srv/shop"
    given = {**PROFILE, "layout": "releases", "releases": {"deploy_path": "/srv/other"}}
    assert normalised(given)["releases"]["deploy_path"] == "/srv/other"


@requirement("D-145")
def test_the_budgets_are_those_of_the_procedure() -> None:
    """The seconds are what these requirements ask for; that a run keeps them is shown elsewhere."""
    budgets = normalised(PROFILE)["budgets"]["emergency"]
    assert (budgets["close traffic"], budgets["quiesce writers"], budgets["switch code"], budgets["reopen"]) == (5, 5, 30, 5)
    assert (budgets["rebuild caches"], budgets["start services"], budgets["gate"]) == (20, 5, 10)


def test_two_profiles_do_not_share_anything() -> None:
    first = normalised(PROFILE)
    first["releases"]["pattern"] = "changed"
    first["notify"].pop("webhook_url")
    first["caches"].append("changed")
    assert "changed" not in str(normalised(PROFILE))
    assert normalised({**PROFILE, "notify": {}})["notify"]["webhook_url"] is None


def test_budgets_can_be_set_one_by_one() -> None:
    budgets = normalised({**PROFILE, "budgets": {"standard": {"total": 600, "gate": 30.5}}})["budgets"]
    assert budgets["standard"] == {"total": 600, "gate": 30.5}
    assert budgets["emergency"]["total"] == 300


def test_the_profile_is_not_changed() -> None:
    before = copy.deepcopy(PROFILE)
    normalised(PROFILE)
    assert before == PROFILE


@pytest.mark.parametrize("inventory", sorted((ROOT / "inventories").glob("*/group_vars/*.yml")), ids=lambda path: path.parent.parent.name)
def test_the_shipped_profiles_are_valid(inventory: pathlib.Path) -> None:
    variables = yaml.safe_load(inventory.read_text())
    profile = variables["rollback_application"]
    profile["notify"] = {}  # a template that only Ansible can read
    ready = normalised(profile)
    assert [probe["name"] for probe in ready["health"]["probes"]] == [probe["name"] for probe in profile["health"]["probes"]]


def test_probes_are_handed_on_as_they_were_given_with_their_defaults() -> None:
    probe = {
        "name": "api",
        "type": "http",
        "path": "/api",
        "json": {"error": None, "status": ["ok", "fine"]},
        "method": None,
        "cleanup": {"path": "/api/{id}"},
    }
    (ready,) = normalised(changed("health.probes", [probe]))["health"]["probes"]
    assert ready == {
        "name": "api",
        "type": "http",
        "path": "/api",
        "json": {"error": None, "status": ["ok", "fine"]},
        "required": True,
        "cleanup": {"path": "/api/{id}", "method": "DELETE", "status": [200, 202, 204]},
    }


# Mistakes


@pytest.mark.parametrize("profile", [None, {}, [], "chom", 5])
def test_no_profile_at_all_says_which_variable_to_set(profile: t.Any) -> None:
    with pytest.raises(RollbackError, match="rollback_application") as caught:
        normalised(profile)
    assert caught.value.next_command


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("servces", "rollback_application.servces is unknown (did you mean services?)"),
        ("xyz", "rollback_application.xyz is unknown (known: backup, "),
        ("services.worker", "rollback_application.services.worker is unknown (did you mean workers?)"),
        ("health.probe", "rollback_application.health.probe is unknown (did you mean probes?)"),
        ("health.version_probe.heder", "rollback_application.health.version_probe.heder is unknown (did you mean header?)"),
        ("health.probes.0.pth", "rollback_application.health.probes[home].pth is unknown (did you mean path?)"),
        ("health.probes.0.maximum_second", "rollback_application.health.probes[home].maximum_second is unknown (did you mean maximum_seconds?)"),
        ("health.probes.0.token", {"patern": "x"}),
        ("budgets.emergancy", "rollback_application.budgets.emergancy is unknown (did you mean emergency?)"),
        ("budgets.standard", {"close trafic": 5}),
        ("notify.webhook", "rollback_application.notify.webhook is unknown (did you mean webhook_url?)"),
    ],
)  # fmt: skip
def test_a_mistyped_key_is_named_with_what_was_meant(where: str, hint: t.Any) -> None:
    if isinstance(hint, dict):
        (key,) = hint
        profile = changed(where, hint)
        meant = {"patern": "pattern", "close trafic": "close traffic"}[key]
        place = where.replace("probes.0", "probes[home]")
        assert mistakes(profile) == [f"rollback_application.{place}.{key} is unknown (did you mean {meant}?)"]
    else:
        (found,) = mistakes(changed(where, {"total": 5} if where.startswith("budgets") else 1))
        assert found.startswith(hint)


def test_all_mistyped_keys_are_named_at_once() -> None:
    profile = changed("services.worker", [])
    profile["helth"] = {}
    assert len(mistakes(profile)) == 2


@pytest.mark.parametrize(
    "where", ["name", "path", "user", "health", "health.base_url", "health.version_probe", "health.probes", "health.version_probe.path"]
)
@pytest.mark.parametrize("how", ["absent", "without a value"])
def test_what_is_needed_is_asked_for(where: str, how: str) -> None:
    (found,) = mistakes(changed(where, DELETE if how == "absent" else None))
    assert "missing required arguments" in found
    assert where.rsplit(".", 1)[-1] in found


@pytest.mark.parametrize("where", ["services", "services.workers", "releases", "notify", "watch", "caches", "budgets", "budgets.standard"])
def test_a_key_without_a_value_is_as_good_as_none(where: str) -> None:
    profile = changed(where, None)
    if where == "budgets.standard":
        assert mistakes(profile) == ["rollback_application.budgets.standard must be a mapping"]
        return
    ready = normalised(profile)
    assert isinstance(ready["services"]["workers"], list)
    assert ready["caches"]
    assert ready["watch"]["duration"] == 300


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("name", "CHOM", "name must be lower-case"),
        ("name", "chom\n", "name must be lower-case"),
        ("name", "../x", "name must be lower-case"),
        ("user", "-x", "user must be the name of a user"),
        ("user", "www-data; id", "user must be the name of a user"),
        ("path", "var/www", "path must be an absolute path"),
        ("path", "/var/../etc", "path must be an absolute path"),
        ("path", "/var/www\nx", "path must be an absolute path"),
        ("environment_file", ".env", "environment_file must be an absolute path"),
        ("log_file", "logs/x", "log_file must be an absolute path"),
        ("state_directory", "lastgood", "state_directory must be an absolute path"),
        ("backup.directory", "backups", "backup.directory must be an absolute path"),
        ("composer.cache_directory", "cache", "composer.cache_directory must be an absolute path"),
        ("health.base_url", "chom.test", "health.base_url must be an http or https address"),
        ("health.base_url", "ftp://chom.test", "health.base_url must be an http or https address"),
        ("health.base_url", "http://", "health.base_url must be an http or https address"),
        ("health.base_url", "http://chom.test:99999", "health.base_url must be an http or https address"),
        ("health.base_url", "http://[chom", "health.base_url must be an http or https address"),
        ("health.outside_url", "chom", "health.outside_url must be an http or https address"),
        ("maintenance.verify_url", "chom", "maintenance.verify_url must be an http or https address"),
        ("notify.webhook_url", "hooks.example.com/services/XYZZY", "notify.webhook_url must be an http or https address"),
        ("health.probes", [], "health.probes is empty"),
        ("health.version_probe.header", None, "needs json or header"),
        ("health.deadline", 0, "health.deadline must be more than 0"),
        ("health.interval", -1, "health.interval must be more than 0"),
        ("watch.failures", 0, "watch.failures must be more than 0"),
        ("dead_man.seconds", 0, "dead_man.seconds must be more than 0"),
        ("dead_man.action", "restart", "value of action must be one of: alarm, reopen, got: restart found in dead_man"),
        ("freeze.hours", -1, "freeze.hours must be 0 (no freeze) to 8760"),
        ("backup.keep_newest", 0, "backup.keep_newest must be at least 1"),
        ("backup.keep_days", -1, "backup.keep_days must be at least 0"),
        ("backup.encryption", "age", "backup.encryption and backup.recipients need each other"),
        ("backup.recipients", ["age1x"], "backup.encryption and backup.recipients need each other"),
        ("backup.encryption", "rot13", "value of encryption must be one of: age, gpg"),
        ("backup.identity_file", "key", "backup.identity_file must be an absolute path"),
        ("releases.deploy_path", "srv", "releases.deploy_path must be an absolute path"),
        ("services.reload", [], "services.reload is empty"),
        ("services.reload", ["php*"], "name the units"),
        ("releases.pattern", "(", "releases.pattern is not a regular expression"),
        ("caches", ["config", "twig"], "twig"),
        ("framework", "symfony", "value of framework must be one of: laravel"),
        ("backup.engine", "oracle", "must be one of"),
        ("services.workers", {"a": 1}, "services"),
        ("services.drain_timeout", "soon", "drain_timeout"),
        ("budgets", [1], "budgets"),
        ("budgets.emergency", 300, "budgets.emergency must be a mapping"),
        ("budgets.emergency", {"gate": "long"}, "budgets.emergency.gate must be a number of seconds"),
        ("budgets.emergency", {"gate": 0}, "budgets.emergency.gate must be a number of seconds"),
        ("budgets.emergency", {"gate": True}, "budgets.emergency.gate must be a number of seconds"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(where: str, value: t.Any, words: str) -> None:
    found = mistakes(changed(where, value))
    assert any(words in text for text in found), found


def probe(**options: t.Any) -> dict[str, t.Any]:
    return changed("health.probes", [{"name": "home", "type": "http", "path": "/", **options}])


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (changed("health.probes", ["home"]), "health.probes[1] must be a mapping"),
        (changed("health.probes", {"name": "home"}), "health.probes must be a list"),
        (changed("health.probes", [{"type": "http", "path": "/"}]), "name"),
        (probe(type="htpp"), "htpp"),
        (probe(path=None), "any of the following are missing: url, path"),
        (probe(url="http://x/"), "mutually exclusive"),
        (probe(url="ftp://x/", path=None), "Probe home cannot be asked"),
        (probe(port=80), "Probe home is of type http, which has no option port"),
        (probe(required=False), "None of the probes is required"),
        (probe(name="running version"), "is taken by the proof of the version"),
        (probe(maximum_seconds="fast"), "maximum_seconds"),
        (probe(type="tcp", path=None), "missing: port"),
        (probe(type="units", path=None), "missing: units"),
        (probe(type="log", path=None), "missing: file"),
        (changed("health.probes", PROFILE["health"]["probes"] * 2), "Several probes have the same name: home"),
        (changed("health.verify_probes", PROFILE["health"]["probes"]), "Several probes have the same name: home"),
        (changed("health.verify_probes", [{"name": "cpu", "type": "resources", "units": ["x"]}]), "has no option units"),
    ],
)
def test_a_probe_that_cannot_be_asked_is_named(profile: dict[str, t.Any], words: str) -> None:
    found = mistakes(profile)
    assert any(words in text for text in found), found


def test_every_kind_of_probe_is_accepted() -> None:
    probes = [
        {"name": "a", "type": "http", "url": "https://x.test/{unique}", "token": {"path": "/t"}},
        {"name": "b", "type": "tcp", "port": 80},
        {"name": "c", "type": "units", "units": ["nginx.service", "w-*"], "minimum_active": 2},
        {"name": "d", "type": "log", "file": "/var/log/x.log", "maximum": 0},
        {"name": "e", "type": "redis", "queues": ["default"]},
        {"name": "f", "type": "sql"},
        {"name": "g", "type": "resources", "disk_used_percent": 80},
        {"name": "h", "type": "prometheus", "url": "http://prometheus.test", "query": "up", "expected": "1"},
        {"name": "i", "type": "alertmanager", "url": "http://alerts.test"},
    ]
    ready = normalised(changed("health.verify_probes", probes))["health"]["verify_probes"]
    assert [entry["name"] for entry in ready] == list("abcdefghi")


# Secrets


@requirement("D-114")
@pytest.mark.parametrize(
    "notify", [SECRET, [SECRET], {"webhook_url": [SECRET]}, {"webhook_url": {"url": SECRET}}, {SECRET: 1}],
    ids=["text", "list", "listed", "nested", "key"],
)  # fmt: skip
def test_an_address_that_is_a_secret_is_not_repeated(notify: t.Any) -> None:
    assert "XYZZY" not in str(mistakes({**PROFILE, "notify": notify}))


def test_a_password_in_a_probe_is_not_repeated() -> None:
    profile = changed("health.probes", [{"name": "r", "type": "redis", "password": {"secret": "XYZZY"}, "port": "XYZZY"}])
    assert "XYZZY" not in str(mistakes(profile))


def test_what_follows_a_failed_gate_is_one_of_two() -> None:
    assert normalised(PROFILE)["on_failed_gate"] == "hold"
    assert normalised(changed("on_failed_gate", "undo"))["on_failed_gate"] == "undo"
    with pytest.raises(RollbackError, match="on_failed_gate"):
        normalised(changed("on_failed_gate", "ignore"))
