# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from hosts import PASSWORD, Host
from local_runner import Killed, Local

from ansible_collections.lastgood.rollback.plugins.module_utils import _configuration_checks

requirement = pytest.mark.requirement
SITE = 'server { root /srv; proxy_set_header X-Token "t0k3n-of-the-site"; }\n'
POOL = "[www]\npm = dynamic\nenv[DB_PASSWORD] = other-secret\n"
UNIT = "[Service]\nExecStart=/bin/true\n"


class Machine:
    """Files under /etc that belong to root, and the programs that read them: each refuses a file with the word BROKEN."""

    def __init__(self, host: Host, local: Local, folder: pathlib.Path, run_module: t.Any) -> None:
        self.host, self.local, self._run_module = host, local, run_module
        self.site, self.pool, self.unit = folder / "nginx/chom", folder / "fpm/pool.d/www.conf", folder / "systemd/w1.service"
        self.env = host.app.path / ".env"
        for path, text in ((self.site, SITE), (self.pool, POOL), (self.unit, UNIT)):
            path.parent.mkdir(parents=True)
            path.write_text(text)
        local.when("stat --format=%a %U %G -- *", self._access)
        local.when("stat --format=%a %U %n -- *", lambda argv, _stdin: (0, "".join(f"755 root {name}\n" for name in argv[3:]), ""))
        local.present.add("nginx")
        local.when("*nginx -t -q", lambda _argv, _stdin: self._read(self.site))
        local.when("*php-fpm* --test *", lambda _argv, _stdin: self._read(self.pool))
        local.when("systemd-analyze verify *", lambda _argv, _stdin: self._read(self.unit))
        local.on("systemctl daemon-reload")
        started = f"/usr/sbin/php-fpm8.4 --nodaemonize --fpm-config {folder}/fpm/php-fpm.conf"
        local.on("systemctl show --property=ExecStart *", f"ExecStart={{ path=/usr/sbin/php-fpm8.4 ; argv[]={started} ; }}\n")

    def _access(self, argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        if not os.path.exists(argv[-1]):
            return 1, "", f"stat: cannot statx '{argv[-1]}': No such file or directory"
        owner = "www-data" if argv[-1] == str(self.env) else "root"
        return 0, f"640 {owner} {owner}\n", ""

    @staticmethod
    def _read(path: pathlib.Path) -> tuple[int, str, str]:
        broken = path.exists() and "BROKEN" in path.read_text()
        return (1, "", f"{path.name}: unknown word BROKEN near {PASSWORD}") if broken else (0, "", "")

    @property
    def profile(self) -> dict[str, t.Any]:
        return {**self.host.profile, "configuration": {"files": [str(self.site), str(self.pool), str(self.unit)]}}

    def point(self, state: str = "verified") -> str:
        result = self._run_module("restore_point", {"application": self.profile, "state": state, "who": {"reason": "a test"}})
        return str(result["restore_point"]["id"])

    def call(self, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        result = self._run_module("configuration_restore", {"application": self.profile, **options}, check=check, diff=True)
        assert PASSWORD not in json.dumps(result)
        return t.cast("dict[str, t.Any]", result)

    def texts(self) -> dict[str, str | None]:
        return {path.name: path.read_text() if path.exists() else None for path in (self.env, self.site, self.pool, self.unit)}

    def spoil(self) -> dict[str, str | None]:
        """Other people's mistakes."""
        self.env.write_text(self.env.read_text().replace(PASSWORD, "wrong") + "LATER=1")
        self.site.write_text("server { root /nowhere; }\n")
        self.pool.write_text("[www]\npm = BROKEN\n")
        return self.texts()


@pytest.fixture
def machine(host: Host, local: Local, tmp_path: pathlib.Path, run_module: t.Any, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(_configuration_checks, "_NGINX_FOLDER", f"{tmp_path}/etc/nginx/")
    monkeypatch.setattr(_configuration_checks, "_UNIT_FOLDER", f"{tmp_path}/etc/systemd/")
    return Machine(host, local, tmp_path / "etc", run_module)


@requirement("CHOM-9.5-03", "D-111", "D-112")
def test_all_files_go_back_to_the_last_good_ones(machine: Machine) -> None:
    good = machine.texts()
    machine.point()
    machine.spoil()
    result = machine.call(restore_point="last_good")
    assert result["changed"], result
    assert machine.texts() == good
    assert set(result["files"].values()) == {"replaced", "same"}
    assert set(result["settings"]) == {"DB_PASSWORD", "LATER"}
    assert result["reload"] == ["nginx.service"]
    assert {test["by"] for test in result["tests"]} == {"nginx", "PHP-FPM"}
    again = machine.call(restore_point="last_good")
    assert not again["changed"]


def test_check_mode_touches_nothing_and_says_what_would_change(machine: Machine) -> None:
    machine.point()
    spoiled = machine.spoil()
    result = machine.call(check=True, restore_point="last_good")
    assert result["changed"]
    assert machine.texts() == spoiled
    assert not (machine.host.state / "chom/configuration").exists()
    assert f"{machine.env} DB_PASSWORD:" in result["lastgood_text"]


def test_only_the_files_that_are_named(machine: Machine) -> None:
    name = machine.point()
    spoiled = machine.spoil()
    machine.pool.write_text(POOL)
    machine.call(restore_point=name, files=[str(machine.site)])
    assert machine.texts() == {**spoiled, "chom": SITE, "www.conf": POOL}
    assert "has no /etc/passwd" in machine.call(restore_point=name, files=["/etc/passwd"])["msg"]


@requirement("D-113")
@pytest.mark.parametrize("name", ["site", "pool", "unit"])
def test_what_is_refused_by_who_reads_it_is_not_left_behind(machine: Machine, name: str) -> None:
    path = getattr(machine, name)
    good = path.read_text()
    path.write_text("BROKEN\n")
    point = machine.point("live")
    path.write_text(good)
    machine.env.write_text("A=b\nDB_DATABASE=x\nDB_USERNAME=x\n")
    before = machine.texts()
    result = machine.call(restore_point=point)
    assert result["failed"]
    assert "unknown word BROKEN near (hidden" in result["msg"] or name == "unit"
    assert result["put_back"]
    assert machine.texts() == before
    assert not [name for _folder, _names, files in os.walk(machine.site.parent.parent) for name in files if name.startswith(".")]


@requirement("G-05")
def test_a_damaged_snapshot_is_refused_before_anything_is_touched(machine: Machine) -> None:
    point = machine.point()
    with (machine.host.state / "chom/restore_points" / point / "files/000").open("a") as file:
        file.write("LATER=1\n")
    spoiled = machine.spoil()
    for name in (point, "last_good"):
        result = machine.call(restore_point=name)
        assert "its copy of" in result["msg"]
        assert machine.texts() == spoiled
    assert not machine.local.lines("tee *")


def test_only_a_configuration_of_the_running_version_is_chosen_by_itself(machine: Machine) -> None:
    machine.host.app.git("checkout", "--quiet", "v1.1.0")
    other = machine.point()
    machine.host.app.git("checkout", "--quiet", "v1.2.0")
    result = machine.call(restore_point="last_good")
    assert result["failed"]
    assert other in result["msg"]
    assert not machine.call(restore_point=other)["changed"]


def test_what_was_replaced_can_be_put_back(machine: Machine) -> None:
    machine.point()
    machine.spoil()
    machine.pool.write_text(POOL)
    spoiled = machine.texts()
    made = machine.call(restore_point="last_good", change="run-1")
    assert made["change"] == "run-1"
    assert machine.call(check=True, state="reverted", change="run-1")["changed"]
    assert machine.call(state="reverted", change="run-1")["changed"]
    assert machine.texts() == spoiled
    assert not machine.call(state="reverted", change="run-1")["changed"]
    unknown = machine.call(state="reverted", change="run-2")
    assert "No change of the configuration named" in unknown["msg"]
    assert unknown["unknown_change"]
    kept = [path for path in (machine.host.state / "chom/configuration").rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)


def test_what_was_not_valid_is_not_put_back(machine: Machine) -> None:
    good = machine.texts()
    machine.point()
    machine.spoil()
    machine.call(restore_point="last_good", change="run-1")
    result = machine.call(state="reverted", change="run-1")
    assert "PHP-FPM refuses the configuration" in result["msg"]
    assert machine.texts() == good


def test_what_somebody_changed_since_is_not_lost(machine: Machine) -> None:
    machine.point()
    machine.spoil()
    machine.call(restore_point="last_good", change="run-1")
    machine.site.write_text("by hand\n")
    result = machine.call(state="reverted", change="run-1")
    assert "was changed since by somebody else" in result["msg"]
    assert machine.site.read_text() == "by hand\n"


@pytest.mark.parametrize("command", ["tee *.www.conf.lastgood", "mv * */pool.d/www.conf", "*php-fpm* --test *"])
def test_killed_anywhere_it_can_be_put_back(machine: Machine, command: str) -> None:
    machine.point()
    machine.spoil()
    machine.pool.write_text("[www]\npm = static\n")
    spoiled = machine.texts()
    machine.local.kill_at(command)
    with pytest.raises(Killed):
        machine.call(restore_point="last_good", change="run-1")
    machine.local.rules.pop(0)
    machine.call(state="reverted", change="run-1")
    assert machine.texts() == spoiled


@pytest.mark.parametrize("command", ["tee *.www.conf.lastgood", "mv * */pool.d/www.conf", "*php-fpm* --test *"])
def test_killed_anywhere_it_can_be_gone_on_with_under_its_name(machine: Machine, command: str) -> None:
    """All of it is done and tested as one, and the way back leads to where the first attempt began."""
    good = machine.texts()
    machine.point()
    machine.spoil()
    machine.pool.write_text("[www]\npm = static\n")
    spoiled = machine.texts()
    machine.local.kill_at(command)
    with pytest.raises(Killed):
        machine.call(restore_point="last_good", change="run-1")
    machine.local.rules.pop(0)
    result = machine.call(restore_point="last_good", change="run-1")
    assert machine.texts() == good
    assert result["reload"] == ["nginx.service"]
    assert {test["by"] for test in result["tests"]} == {"nginx", "PHP-FPM"}
    assert machine.call(state="reverted", change="run-1")["changed"]
    assert machine.texts() == spoiled


def test_a_full_disk_leaves_every_file_as_it_was(machine: Machine) -> None:
    machine.point()
    spoiled = machine.spoil()
    machine.local.on("tee * *.www.conf.lastgood", rc=1, stderr="tee: No space left on device")
    result = machine.call(restore_point="last_good")
    assert "No space left" in result["msg"]
    assert "Every file is as it was before" in result["msg"]
    assert machine.texts() == spoiled


def test_what_was_cut_short_does_not_get_its_name(machine: Machine) -> None:
    machine.point()
    spoiled = machine.spoil()
    machine.local.on("cat -- *.lastgood", "half")
    assert machine.call(restore_point="last_good")["failed"]
    assert machine.texts() == spoiled


def test_when_putting_back_fails_too_that_is_said(machine: Machine) -> None:
    good = machine.texts()
    machine.point()
    spoiled = machine.spoil()
    failing = iter([None, (1, "", "read-only"), (1, "", "read-only")])  # the pool is put in place, the site is not, then nothing is
    machine.local.when("mv -T -- *", lambda _argv, _stdin: next(failing))
    result = machine.call(restore_point="last_good", change="run-1")
    assert result["put_back"] is False
    assert "playbooks/undo.yml" in result["msg"]
    assert machine.texts() == {**spoiled, "www.conf": good["www.conf"]}


def test_a_file_that_is_gone_is_made_again(machine: Machine) -> None:
    good = machine.texts()
    machine.point()
    machine.unit.unlink()
    made = machine.call(restore_point="last_good", change="run-1")
    assert made["files"][str(machine.unit)] == "created"
    assert machine.texts() == good
    machine.call(state="reverted", change="run-1")
    assert not machine.unit.exists()


@requirement("CHOM-9.5-03", "D-107", "D-108")
def test_single_settings(machine: Machine) -> None:
    machine.env.write_text(f"DB_HOST=a\nDB_HOST_OLD=b\nDB_PASSWORD={PASSWORD}\nGONE=1\nLAST=x")
    result = machine.call(keys={"DB_HOST": "10.0.0.1", "GONE": None, "DEBUG": False, "NEW": 'with "quotes" # and $more'})
    assert result["changed"]
    assert machine.env.read_text() == (
        f'DB_HOST=10.0.0.1\nDB_HOST_OLD=b\nDB_PASSWORD={PASSWORD}\nLAST=x\nDEBUG=false\nNEW="with \\"quotes\\" # and \\$more"\n'
    )
    assert "10.0.0.1" not in json.dumps(result)
    assert not machine.call(keys={"DB_HOST": "10.0.0.1"})["changed"]


@pytest.mark.parametrize("keys", [{"A B": "x"}, {"A": ["x"]}, {"A": "\x00"}])
def test_settings_that_cannot_be_are_refused(machine: Machine, keys: dict[str, t.Any]) -> None:
    before = machine.texts()
    assert machine.call(keys=keys)["failed"]
    assert machine.texts() == before


def test_rights_that_are_missing_are_named_before_anything_is_touched(machine: Machine) -> None:
    machine.point()
    spoiled = machine.spoil()
    machine.host.sudo = (0, "    (root) NOPASSWD: /usr/bin/systemctl reload nginx.service\n", "")
    result = machine.call(restore_point="last_good")
    assert f"/usr/bin/tee -- {machine.site.parent}/.chom.lastgood; " in result["msg"]
    assert "systemctl reload" not in result["msg"]
    assert machine.texts() == spoiled


def test_files_that_the_snapshot_does_not_know_are_left_alone(machine: Machine, run_module: t.Any) -> None:
    run_module("restore_point", {"application": machine.host.profile, "state": "verified", "who": {"reason": "a test"}})
    spoiled = machine.spoil()
    result = machine.call(restore_point="last_good")
    assert result["left_alone"] == [str(machine.site), str(machine.pool), str(machine.unit)]
    assert {**machine.texts(), ".env": None} == {**spoiled, ".env": None}


def test_root_writes_only_where_nobody_else_can(machine: Machine) -> None:
    machine.point()
    spoiled = machine.spoil()
    machine.local.when("stat --format=%a %U %n -- *", lambda argv, _stdin: (0, f"775 root {argv[3]}\n", ""))
    assert "others than root may write" in machine.call(restore_point="last_good")["msg"]
    assert machine.texts() == spoiled


def test_no_diff_shows_a_secret(machine: Machine) -> None:
    machine.point()
    machine.spoil()
    result = machine.call(check=True, restore_point="last_good")
    shown = json.dumps(result["diff"])
    assert "t0k3n-of-the-site" not in shown
    assert "other-secret" not in shown
    assert "root /nowhere" in shown
    hashes = result["settings"]["DB_PASSWORD"]
    assert hashes["before"] != hashes["after"]
    assert machine.call(check=True, restore_point="last_good")["settings"]["DB_PASSWORD"] != hashes
