# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an application that lies in releases/, shared/ and current."""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

import pytest
from hosts import Host
from local_runner import Local
from releases import Tree

requirement = pytest.mark.requirement
OLD, GOOD, BAD = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    found = Tree(tmp_path / "shop")
    found.release("9", "v1.1.0", OLD)
    found.release("10", "v1.2.0", GOOD)
    found.release("11", "v1.3.0", BAD)
    found.point("releases/11")
    return found


@pytest.fixture
def machine(tree: Tree, local: Local, tmp_path: pathlib.Path) -> Host:
    return Host(t.cast("t.Any", tree), local, tmp_path)


@pytest.fixture
def plan(machine: Host, run_module: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    def call(target: str | None = "v1.2.0", **options: t.Any) -> dict[str, t.Any]:
        args = {"application": {**machine.profile, "layout": "releases"}, "migrations": "stop", **options}
        return t.cast("dict[str, t.Any]", run_module("rollback_plan", {**args, **({} if target is None else {"target": target})}))

    return call


Plan = t.Callable[..., dict[str, t.Any]]


def test_says_where_it_would_go_and_that_nobody_is_kept_out(plan: Plan, tree: Tree) -> None:
    found = plan()
    assert not found.get("failed"), found
    assert (found["from_version"], found["from_commit"]) == ("v1.3.0", BAD)
    assert (found["target"], found["to_commit"], found["release_path"]) == ("v1.2.0", GOOD, str(tree.folder("10")))
    assert found["switch"] == {"from_release": "11", "release": "10", "from_commit": BAD, "commit": GOOD}
    assert found["files"] == 1
    assert found["closes"] is False
    assert found["dependencies_change"] is False


def test_says_what_tells_whether_the_target_is_the_same_elsewhere(plan: Plan, tree: Tree) -> None:
    found = plan()["identity"]
    assert (found["commit"], found["version"]) == (GOOD, "v1.2.0")
    tree.release("12", "v1.2.0", GOOD)  # the same files in another folder
    assert plan()["identity"]["content"] == found["content"]
    assert plan("9")["identity"]["content"] != found["content"]


def test_nothing_of_the_rest_of_the_checks_is_left_out(plan: Plan) -> None:
    assert set(plan()["checks"]) >= {"database", "migrations", "redis", "checkout", "programs", "units", "rights", "disk"}


def test_names_the_version_as_the_application_may_name_it(plan: Plan) -> None:
    names = plan()["version_probes"][0]["response_headers"]["X-App-Version"]
    assert {"v1.2.0", "1.2.0", GOOD, GOOD[:7]} <= set(names)


@pytest.mark.parametrize(("migrations", "closes"), [("keep", False), ("down", True)])
def test_users_are_kept_out_only_while_migrations_go_down(plan: Plan, tree: Tree, machine: Host, migrations: str, closes: bool) -> None:
    name = "2026_01_01_000000_rename"
    down = "<?php\nreturn new class {\n    public function down(): void { Schema::drop('x'); }\n};\n"
    (tree.folder("11") / f"database/migrations/{name}.php").write_text(down)
    machine.migrations.insert(0, name)
    found = plan(migrations=migrations)
    assert not found.get("failed"), found
    assert found["closes"] is closes


def test_a_site_that_is_closed_is_opened_again(plan: Plan, tree: Tree) -> None:
    (tree.root / "shared/storage/framework/down").write_text("{}")
    assert plan()["closes"] is True


def test_there_is_nothing_to_do_when_the_target_runs(plan: Plan) -> None:
    assert plan("v1.3.0")["nothing_to_do"]


# The target of an emergency


def test_an_emergency_goes_to_the_release_that_was_deployed_before(plan: Plan) -> None:
    found = plan(None, severity="emergency", backup=False)
    assert found["target"] == "v1.2.0"
    assert "deployed before the running one 11 (v1.3.0)" in found["reason"]


def test_an_emergency_leaves_a_release_that_was_deleted(plan: Plan, tree: Tree) -> None:
    """Nothing can be read by way of the link then."""
    shutil.rmtree(tree.folder("11"))
    found = plan(None, severity="emergency", backup=False)
    assert not found.get("failed"), found
    assert (found["from_version"], found["target"]) == ("v1.3.0", "v1.2.0")
    assert found["environment_file"] == str(tree.folder("10") / ".env")


def test_a_site_whose_release_was_deleted_cannot_be_closed(plan: Plan, tree: Tree, machine: Host) -> None:
    machine.migrations.insert(0, "2026_01_01_000000_rename")
    shutil.rmtree(tree.folder("11"))
    result = plan(migrations="down")
    assert "the release that runs, 11 (v1.3.0), was deleted" in result["msg"]


def test_an_emergency_passes_over_what_is_unfinished_or_bad_and_says_so(plan: Plan, tree: Tree) -> None:
    (tree.folder("10") / "BAD_RELEASE").touch()
    found = plan(None, severity="emergency", backup=False)
    assert found["target"] == "v1.1.0"
    assert "PASSED OVER: 10 (v1.2.0): it is marked as bad" in found["reason"]


def test_a_newer_release_that_never_ran_is_not_chosen(plan: Plan, tree: Tree) -> None:
    tree.release("12", "v1.4.0", "d" * 40)
    assert plan(None, severity="emergency", backup=False)["target"] == "v1.2.0"


def test_an_emergency_without_an_earlier_release_wants_to_be_told(plan: Plan, tree: Tree) -> None:
    tree.point("releases/9")
    result = plan(None, severity="emergency", backup=False)
    assert "No earlier release was found" in result["msg"]


# What is refused


def test_refuses_a_release_that_is_not_whole(plan: Plan, tree: Tree) -> None:
    (tree.folder("10") / "artisan").unlink()
    result = plan()
    assert result["failed"]
    assert "artisan is missing" in result["msg"]
    assert "Nothing was changed" in result["system_state"]


def test_refuses_where_the_link_cannot_be_written(plan: Plan, local: Local, tree: Tree) -> None:
    """The other hosts of the application would have been switched by then."""
    local.on(f"test -w {tree.root}", rc=1)
    assert f"cannot write {tree.root}, where the link is" in plan()["msg"]


def test_goes_to_another_release_of_the_commit_that_runs_when_it_is_named(plan: Plan, tree: Tree) -> None:
    tree.release("12", "v1.3.0", BAD)
    assert plan("v1.3.0")["nothing_to_do"]
    found = plan("12")
    assert (found["from_commit"], found["to_commit"], found["nothing_to_do"]) == (f"{BAD}+11", BAD, False)
    assert found["switch"]["release"] == "12"
    assert {BAD, BAD[:7], "v1.3.0", "1.3.0"} <= set(found["version_probes"][0]["response_headers"]["X-App-Version"])


def test_what_was_deployed_again_since_a_rollback_is_not_what_that_went_to(plan: Plan, tree: Tree, machine: Host) -> None:
    machine.last_run(outcome="rolled_back", target="v1.2.0", from_commit=BAD, to_commit=GOOD, to_release="10")
    tree.point("releases/10")
    assert plan(None, severity="emergency", backup=False)["nothing_to_do"]
    tree.release("12", "v1.2.0", GOOD)
    tree.point("releases/12")
    found = plan(None, severity="emergency", backup=False)
    assert (found["from_commit"], found["target"]) == (GOOD, "v1.3.0")  # the release that was deployed before


def test_a_release_that_does_not_say_its_version_is_not_held_against_the_application(plan: Plan, tree: Tree) -> None:
    log = tree.root / ".dep/releases_log"
    log.write_text(log.read_text().replace("v1.2.0", "main"))
    (tree.folder("10") / "VERSION").write_text("Release 1.2.0 (build 7)\n")  # nothing that could be asked for
    assert plan("11")["version_probes"][0]["required"]
    found = plan(None, severity="emergency", backup=False)
    assert (found["target"], found["version_probes"][0]["required"]) == ("10", False)
    assert "nothing says which version the release 10" in " ".join(found["concerns"])


def test_says_when_a_deployment_is_under_way(plan: Plan, tree: Tree) -> None:
    tree.release("12", "v1.4.0", "d" * 40)
    (tree.root / "release").symlink_to("releases/12")
    assert "a deployment is under way, or did not come to its end" in plan()["concerns"][0]


def test_says_which_links_the_target_lacks(plan: Plan, tree: Tree) -> None:
    (tree.folder("11") / "bootstrap/files").symlink_to("../storage")
    assert "10 (v1.2.0) has no link bootstrap/files to storage, which 11 (v1.3.0) has" in plan()["concerns"]


def test_a_release_may_lie_on_another_disk(plan: Plan, tree: Tree, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shop/disk").mkdir()
    tree.folder("10").rename(tmp_path / "shop/disk/10")
    tree.folder("10").symlink_to("../disk/10")
    found = plan()
    assert not found.get("failed"), found
    assert (found["switch"]["release"], found["files"]) == ("10", 1)


def test_workers_that_run_another_release_are_something_to_do(plan: Plan, tree: Tree, local: Local, machine: Host) -> None:
    local.when("find /proc/*", lambda argv, _stdin: (0, f"{argv[1]}\0{tree.folder('10')} (deleted)\0", ""))
    found = plan("v1.3.0")
    assert not found["nothing_to_do"]
    assert found["pending"] == [f"w1.service works in {tree.folder('10')} (deleted)"]


def test_says_which_releases_nobody_knows_the_time_of(plan: Plan, tree: Tree) -> None:
    log = tree.root / ".dep/releases_log"
    log.write_text("".join(line for line in log.read_text().splitlines(keepends=True) if '"10"' not in line))
    found = plan(None, severity="emergency", backup=False)
    assert found["target"] == "v1.1.0"
    assert "PASSED OVER: 10: no log of deployments says when" in found["reason"]


def test_says_that_uploads_stay_behind_which_are_not_shared(plan: Plan, tree: Tree) -> None:
    assert not [concern for concern in plan()["concerns"] if "storage/app" in concern]
    (tree.folder("11") / "storage").unlink()
    (tree.folder("11") / "storage/app").mkdir(parents=True)
    (tree.folder("11") / "storage/app/invoice.pdf").write_text("precious")
    assert "storage/app is not shared" in plan()["concerns"][0]


def test_without_a_target_a_standard_rollback_says_where_releases_are(plan: Plan, tree: Tree) -> None:
    assert f"ls {tree.root}/releases" in plan(None)["next_command"]


@pytest.mark.parametrize(("root", "concerned"), [("$document_root", True), ("$realpath_root", False)])
def test_says_when_nginx_names_the_link_and_not_the_release(
    plan: Plan, tree: Tree, local: Local, tmp_path: pathlib.Path, root: str, concerned: bool
) -> None:
    site = tmp_path / "shop.conf"
    site.write_text(f"# not $realpath_root\nfastcgi_pass unix:/run/fpm.sock;\nfastcgi_param SCRIPT_FILENAME {root}$fastcgi_script_name;\n")
    local.on(f"grep -RlsF -- {tree.current} *", f"{site}\n")
    assert any(f"{site} gives PHP-FPM $document_root" in concern for concern in plan()["concerns"]) == concerned


SITE = """
upstream php {{ server unix:{socket}; }}
server {{
    root {root}; # not /elsewhere
    location ~ \\.php$ {{ fastcgi_pass {address}; fastcgi_param DOCUMENT_ROOT $realpath_root; }}
}}
"""


@pytest.fixture
def served(tree: Tree, local: Local, tmp_path: pathlib.Path) -> t.Callable[..., pathlib.Path]:
    """Have nginx serve the application in this way; returns where PHP-FPM listens."""

    def write(address: str = "unix:{socket}", root: str = "{link}/public") -> pathlib.Path:
        site, socket = tmp_path / "shop.conf", tmp_path / "fpm.sock"
        socket.touch()
        site.write_text(SITE.format(socket=socket, root=root.format(link=tree.current), address=address.format(socket=socket)))
        local.on(f"grep -RlsF -- {tree.current} *", f"{site}\n")
        return socket

    return write


Served = t.Callable[..., pathlib.Path]


@pytest.mark.parametrize("address", ["unix:{socket}", "php"], ids=["a socket", "an upstream"])
def test_finds_how_the_target_can_be_asked_before_users_get_it(plan: Plan, served: Served, address: str) -> None:
    socket = served(address)
    found = plan()
    assert found["entry"] == {"address": str(socket), "public": "public", "user": None}
    assert "get it when PHP-FPM has answered well from it" in found["lastgood_text"]
    assert found["concerns"] == []


@pytest.mark.parametrize(("root", "public"), [("{link}", ""), ("{link}/web/html/", "web/html"), ("/elsewhere", "public")])
def test_finds_the_folder_that_is_public(plan: Plan, served: Served, root: str, public: str) -> None:
    served(root=root)
    assert plan()["entry"]["public"] == public


def test_php_fpm_at_a_port_is_asked_there(plan: Plan, served: Served) -> None:
    served("127.0.0.1:9000")
    assert plan()["entry"] == {"address": "127.0.0.1:9000", "public": "public", "user": None}


def test_says_when_nobody_knows_how_the_target_can_be_asked(plan: Plan) -> None:
    found = plan()
    assert found["entry"] is None
    assert "The target is not asked before users get it, only right after" in found["concerns"][0]
    assert "releases.fastcgi in the profile can" in found["concerns"][0]


def test_says_when_what_nginx_names_cannot_be_asked(plan: Plan, served: Served) -> None:
    served("$backend")
    found = plan()
    assert found["entry"] is None
    assert "$backend is no address of PHP-FPM that can be asked" in found["concerns"][0]


def test_says_when_nobody_may_ask(plan: Plan, served: Served, monkeypatch: pytest.MonkeyPatch, local: Local) -> None:
    socket = served()
    really = os.access
    monkeypatch.setattr("os.access", lambda path, mode: path != str(socket) and really(path, mode))
    local.on(f"test -w {socket}", rc=1)
    assert f"www-data may not write to {socket}" in plan()["concerns"][0]
    local.on(f"test -w {socket}")
    assert plan()["entry"]["user"] == "www-data"


@pytest.mark.parametrize(
    ("releases", "entry"),
    [({"trial": False}, None), ({"fastcgi": "127.0.0.1:9001"}, {"address": "127.0.0.1:9001", "public": "public", "user": None})],
)
def test_the_profile_decides(plan: Plan, machine: Host, served: Served, releases: dict[str, t.Any], entry: dict[str, t.Any] | None) -> None:
    served()
    profile = {**machine.profile, "layout": "releases"}
    found = plan(application={**profile, "releases": {**profile["releases"], **releases}})
    assert found["entry"] == entry
    assert found["concerns"] == []


def test_refuses_to_close_a_site_that_the_switch_would_open(plan: Plan, tree: Tree) -> None:
    for name in ("10", "11"):
        (tree.folder(name) / "storage").unlink()
        (tree.folder(name) / "storage/framework").mkdir(parents=True)
    assert not plan().get("failed")
    (tree.folder("11") / "storage/framework/down").write_text("{}")
    result = plan()
    assert result["failed"]
    assert "do not share storage/framework" in result["msg"]


# With a ledger, and afterwards


@pytest.fixture
def profile(machine: Host) -> dict[str, t.Any]:
    return {**machine.profile, "layout": "releases"}


@pytest.fixture
def recorded(profile: dict[str, t.Any], tree: Tree, run_module: t.Any) -> dict[str, t.Any]:
    """v1.1.0 ran, and somebody said that it was good; then the others were deployed."""
    tree.point("releases/9")
    result = run_module("restore_point", {"application": profile, "state": "verified"})
    assert not result.get("failed"), result
    tree.point("releases/11")
    return t.cast("dict[str, t.Any]", result["restore_point"])


def test_what_runs_is_recorded_with_its_commit_and_version(recorded: dict[str, t.Any]) -> None:
    assert (recorded["commit"], recorded["version"], recorded["state"]) == (OLD, "v1.1.0", "verified")


def test_an_emergency_goes_to_the_last_good_version(recorded: dict[str, t.Any], plan: Plan) -> None:
    found = plan(None, severity="emergency", backup=False)
    assert (found["target"], found["switch"]["release"]) == ("v1.1.0", "9")
    assert "the last good version" in found["reason"]


def test_refuses_packages_that_are_not_those_that_were_recorded(recorded: dict[str, t.Any], plan: Plan, tree: Tree) -> None:
    lock = tree.folder("9") / "composer.lock"
    lock.write_text(lock.read_text() + "\n")
    assert "composer.lock is not what it was when the version was recorded" in plan("v1.1.0")["msg"]


def test_status_names_the_release_that_runs(profile: dict[str, t.Any], run_module: t.Any, local: Local) -> None:
    found = run_module("rollback_info", {"application": profile})
    assert (found["version"], found["commit"], found["changed_files"]) == ("v1.3.0", BAD, [])
    assert {each["version"]: each["current"] for each in found["ledger"]["discovered"]} == {"9": False, "10": False, "11": True}


def test_status_tells_when_the_release_from_before_the_last_run_was_removed(
    profile: dict[str, t.Any], run_module: t.Any, tree: Tree, machine: Host
) -> None:
    machine.last_run(outcome="rolled_back", from_version="v1.3.0", from_commit=BAD, to_commit=GOOD)
    tree.point("releases/10")
    assert run_module("rollback_info", {"application": profile})["lacks"] is None
    shutil.rmtree(tree.folder("11"))
    assert run_module("rollback_info", {"application": profile})["lacks"] == "v1.3.0"


def test_status_tells_when_the_release_that_runs_was_removed(profile: dict[str, t.Any], run_module: t.Any, tree: Tree) -> None:
    assert run_module("rollback_info", {"application": profile})["missing"] is False
    shutil.rmtree(tree.folder("11"))
    found = run_module("rollback_info", {"application": profile})
    assert (found["version"], found["missing"]) == ("v1.3.0", True)


def test_a_deployment_that_begins_has_a_release_to_name(profile: dict[str, t.Any], run_module: t.Any) -> None:
    begun = run_module("restore_point", {"application": profile, "state": "started", "version": "v1.2.0"})
    assert begun["restore_point"]["commit"] == GOOD
    unknown = run_module("restore_point", {"application": profile, "state": "started", "version": "v9"})
    assert "v9 is not the id, version or commit of a release" in unknown["msg"]
