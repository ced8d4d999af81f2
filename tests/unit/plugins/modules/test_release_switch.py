# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On real folders and links, with the real programs; only PHP is an imitation."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from local_runner import Killed, Local
from releases import Tree

requirement = pytest.mark.requirement


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    """Three releases as Deployer leaves them; the last one runs."""
    found = Tree(tmp_path / "shop")
    found.release("9", "v1.1.0", "a" * 40)
    found.release("10", "v1.2.0", "b" * 40)
    found.release("11", "v1.3.0", "c" * 40)
    found.point("releases/11")
    return found


@pytest.fixture
def switch(tree: Tree, local: Local, run_module: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    """Call the module on the tree."""

    def call(target: str = "v1.2.0", check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        args = {"path": str(tree.current), "target": target, **options}
        return t.cast("dict[str, t.Any]", run_module("release_switch", args, check=check, diff=True))

    return call


Switch = t.Callable[..., dict[str, t.Any]]


def refused(tree: Tree, result: dict[str, t.Any], *words: str) -> None:
    """The module failed, in words that hold these, and the link leads where it led."""
    assert result.get("failed"), result
    for word in words:
        assert word in result["msg"]
    assert result["system_state"] == "Nothing was changed."
    assert os.readlink(tree.current) == "releases/11"


# Going back


@requirement("D-056", "D-057")
@pytest.mark.parametrize("target", ["10", "v1.2.0", "b" * 40, "b" * 12])
def test_goes_to_a_release_by_its_name_version_or_commit(tree: Tree, switch: Switch, target: str) -> None:
    result = switch(target)
    assert result["changed"]
    assert os.readlink(tree.current) == "releases/10"
    assert result["switch"] == {"from_release": "11", "release": "10", "from_commit": "c" * 40, "commit": "b" * 40}
    assert result["from_version"] == "v1.3.0"
    assert result["diff"] == {"before": "11 (v1.3.0)\n", "after": "10 (v1.2.0)\n"}


@requirement("D-057")
def test_there_is_never_a_moment_without_a_release(tree: Tree, switch: Switch, local: Local) -> None:
    seen = []

    def look(_argv: tuple[str, ...], _stdin: str | None) -> None:
        seen.append((tree.current / "artisan").exists())

    local.when("*", look)
    switch()
    assert seen
    assert all(seen)
    assert local.lines("mv --force --no-target-directory *")


def test_running_again_changes_nothing(tree: Tree, switch: Switch) -> None:
    assert switch()["changed"]
    inode = os.lstat(tree.current).st_ino
    assert not switch()["changed"]
    assert os.lstat(tree.current).st_ino == inode


def test_check_mode_says_what_would_be(tree: Tree, switch: Switch) -> None:
    result = switch(check=True)
    assert result["changed"]
    assert result["diff"]["after"] == "10 (v1.2.0)\n"
    assert os.readlink(tree.current) == "releases/11"


def test_only_looks_when_told_so(tree: Tree, switch: Switch) -> None:
    result = switch(state="resolved")
    assert not result["changed"]
    assert result["release_path"] == str(tree.folder("10"))
    assert "shared links" in result["checks"]
    assert os.readlink(tree.current) == "releases/11"


def test_an_absolute_link_stays_one(tree: Tree, switch: Switch) -> None:
    tree.point(str(tree.folder("11")))
    switch()
    assert os.readlink(tree.current) == str(tree.folder("10"))


def test_when_a_folder_was_changed_says_nothing(tree: Tree, switch: Switch) -> None:
    tree.release("12", "v1.2.0", "d" * 40)
    os.utime(tree.folder("10"), (4e9, 4e9))
    assert switch("v1.2.0")["switch"]["release"] == "12"


def test_a_link_that_leads_to_a_deleted_release_is_repaired(tree: Tree, switch: Switch) -> None:
    tree.point("releases/99")
    assert switch()["switch"]["from_release"] == "99"
    assert os.readlink(tree.current) == "releases/10"


def test_a_switch_that_was_cut_off_is_done_again(tree: Tree, switch: Switch, local: Local) -> None:
    local.kill_at("mv --force *")
    with pytest.raises(Killed):
        switch()
    assert os.readlink(tree.current) == "releases/11"
    local.rules.clear()
    assert switch()["changed"]
    assert sorted(path.name for path in tree.root.iterdir()) == [".dep", "current", "releases", "shared"]


def test_marks_what_it_left_and_takes_its_mark_off_again(tree: Tree, switch: Switch) -> None:
    switch(mark_bad=True)
    assert (tree.folder("11") / "BAD_RELEASE").exists()
    switch("11")
    assert not (tree.folder("11") / "BAD_RELEASE").exists()


def test_a_mark_of_somebody_else_stays(tree: Tree, switch: Switch) -> None:
    mark = tree.folder("10") / "BAD_RELEASE"
    mark.write_text("20260101,alice\n")
    switch()
    assert mark.read_text() == "20260101,alice\n"


# As planned


def test_does_what_was_planned(tree: Tree, switch: Switch) -> None:
    planned = switch(state="resolved")["switch"]
    assert switch(prepared=planned)["changed"]
    assert not switch(prepared=planned)["changed"]
    assert os.readlink(tree.current) == "releases/10"


def test_what_was_checked_when_it_was_planned_is_not_checked_again(tree: Tree, switch: Switch, local: Local) -> None:
    planned = switch(state="resolved")["switch"]
    local.calls.clear()
    assert switch(prepared=planned)["checks"] == []
    assert not local.lines("*sha256sum*")
    assert not local.lines("php *")


def test_refuses_when_another_release_runs_by_now(tree: Tree, switch: Switch) -> None:
    planned = switch(state="resolved")["switch"]
    tree.point("releases/9")
    result = switch(prepared=planned)
    assert "leads to 9 (v1.1.0) now; the switch was planned from 11" in result["msg"]
    assert result["code_unchanged"]
    assert os.readlink(tree.current) == "releases/9"


def test_refuses_when_the_target_is_another_one_by_now(tree: Tree, switch: Switch) -> None:
    planned = switch(state="resolved")["switch"]
    (tree.folder("10") / "REVISION").write_text("f" * 40)
    refused(tree, switch(prepared=planned), "another one now")


# What is refused


@requirement("D-051")
def test_refuses_what_is_not_there(tree: Tree, switch: Switch) -> None:
    refused(tree, switch("v9"), "v9 is not the id, version or commit of a release", "11 (v1.3.0), 10 (v1.2.0)")


@pytest.mark.parametrize("target", ["", "--x", "../10", "10; ls"])
def test_refuses_names_that_mean_something_else(tree: Tree, switch: Switch, target: str) -> None:
    refused(tree, switch(target), "target")


def test_refuses_a_folder_in_the_place_of_the_link(tree: Tree, switch: Switch) -> None:
    tree.current.unlink()
    tree.current.mkdir()
    result = switch()
    assert "is a directory, no link to a release" in result["msg"]
    assert "ln -s releases/" in result["next_command"]


def test_refuses_a_link_that_is_not_there(tree: Tree, switch: Switch) -> None:
    tree.current.unlink()
    assert "does not exist" in switch()["msg"]


@pytest.mark.parametrize("place", ["shared", "/elsewhere/releases/11", "releases/11/public", "."])
def test_refuses_a_link_that_leads_elsewhere(tree: Tree, switch: Switch, place: str) -> None:
    tree.point(place)
    assert "which is no release below" in switch()["msg"]
    assert os.readlink(tree.current) == place


def test_a_link_by_another_name_of_the_same_folder_is_good(tree: Tree, switch: Switch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "alias").symlink_to(tree.root)
    tree.point(f"{tmp_path}/alias/releases/11")
    assert switch()["changed"]


def test_refuses_a_release_that_was_not_finished(tree: Tree, switch: Switch) -> None:
    (tree.root / "release").symlink_to("releases/10")
    refused(tree, switch(), "its deployment did not finish")
    (tree.root / "release").unlink()
    (tree.folder("10") / "DEPLOY_UNFINISHED").touch()
    refused(tree, switch(), "DEPLOY_UNFINISHED")


def test_refuses_a_release_without_its_packages(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "vendor/composer/installed.json").unlink()
    refused(tree, switch(), "Composer packages are not installed")


def test_refuses_a_release_with_other_packages(tree: Tree, switch: Switch) -> None:
    lock = {"packages": [{"name": "acme/log", "version": "2.0"}], "packages-dev": []}
    (tree.folder("10") / "composer.lock").write_text(json.dumps(lock))
    refused(tree, switch(), "its packages are not those of its composer.lock: acme/log 2.0")


def test_refuses_a_lock_file_that_is_not_the_recorded_one(tree: Tree, switch: Switch) -> None:
    refused(tree, switch(lock_files={"composer.lock": "0" * 64}), "composer.lock is not what it was when the version was recorded")


def test_refuses_a_release_that_lacks_what_the_running_one_has(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "artisan").unlink()
    refused(tree, switch(), "artisan is missing")


def test_refuses_a_link_that_leads_nowhere(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "storage").unlink()
    (tree.folder("10") / "storage").symlink_to("../../shared/gone")
    refused(tree, switch(), f"its link storage leads to {tree.root}/shared/gone, which is not there")


def test_refuses_a_release_with_something_of_its_own_in_place_of_what_is_shared(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "storage").unlink()
    (tree.folder("10") / "storage").mkdir()
    refused(tree, switch(), f"storage is no link to {tree.root}/shared/storage")


def test_refuses_settings_of_its_own_but_not_every_file_that_is_shared_by_now(tree: Tree, switch: Switch) -> None:
    (tree.folder("11") / "robots.txt").symlink_to("../../shared/.env")
    (tree.folder("10") / "robots.txt").write_text("a file of its own then\n")
    assert not switch(state="resolved").get("failed")
    (tree.folder("10") / ".env").unlink()
    (tree.folder("10") / ".env").write_text("APP_KEY=other\n")
    refused(tree, switch(), f".env is no link to {tree.root}/shared/.env")


def test_names_of_links_can_hold_anything(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "odd\t\nname").symlink_to("artisan")
    assert switch()["changed"]


def test_refuses_a_release_for_another_php(tree: Tree, switch: Switch, local: Local) -> None:
    (tree.folder("10") / "vendor/composer/platform_check.php").write_text("<?php\n")
    local.on("php *platform_check.php", rc=255, stderr="Composer dependencies require a PHP version >= 9.0.0.\n")
    local.present.add("php")
    refused(tree, switch(), "cannot run on this PHP", ">= 9.0.0")


def test_names_everything_that_is_wrong_at_once(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "storage").unlink()
    (tree.folder("10") / "artisan").unlink()
    refused(tree, switch(), "artisan is missing; storage is no link")


# What the tools write


def test_knows_what_capistrano_wrote(tree: Tree, switch: Switch) -> None:
    (tree.root / ".dep/releases_log").unlink()
    (tree.folder("10") / "REVISION").unlink()
    log = f"Branch v1.2.0 (at {'e' * 40}) deployed as release 10 by alice\n"
    (tree.root / "revisions.log").write_text(log)
    assert switch("v1.2.0")["switch"]["commit"] == "e" * 40


def test_a_release_that_does_not_say_its_commit_goes_by_its_name(tree: Tree, switch: Switch) -> None:
    (tree.folder("10") / "REVISION").unlink()
    assert switch("10")["switch"]["commit"] == "10"


def test_of_releases_of_one_commit_each_can_be_named(tree: Tree, switch: Switch) -> None:
    good, bad = "b" * 40, "c" * 40
    tree.release("12", "v1.2.0", good)
    tree.release("13", "v1.2.0", good)
    (tree.folder("13") / "DEPLOY_UNFINISHED").touch()
    assert switch(good, state="resolved")["switch"]["release"] == "12"  # the last that came to its end
    assert switch(f"{good}+10")["switch"] == {"from_release": "11", "release": "10", "from_commit": bad, "commit": f"{good}+10"}
    assert switch("v1.2.0", state="resolved")["switch"]["release"] == "10"  # it runs
    assert switch(good)["switch"]["release"] == "12"
    shutil.rmtree(tree.folder("12"))
    shutil.rmtree(tree.folder("13"))
    assert switch(f"{good}+10", state="resolved")["switch"]["commit"] == good
    assert "is not the id, version or commit of a release" in switch(f"{good}+12")["msg"]


# From an archive, or a folder


@pytest.fixture
def archive(tree: Tree, tmp_path: pathlib.Path) -> pathlib.Path:
    """v1.0.0 as it was packed, with a storage of its own in it, inside a folder."""
    folder = tree.release("shop-v1.0.0", "v1.0.0", "9" * 40)
    (folder / "storage").unlink()
    (folder / "storage/logs").mkdir(parents=True)
    (folder / ".env").unlink()
    place = tmp_path / "shop-v1.0.0.tar.gz"
    subprocess.run(["tar", "-czf", place, "-C", folder.parent, folder.name], check=True)
    folder.rename(tmp_path / "backup")
    return place


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@requirement("D-056")
def test_an_archive_becomes_a_release_of_its_own_and_is_switched_to(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    before = sorted(path.name for path in tree.folder("11").iterdir())
    result = switch("12", archive=str(archive), checksum=sha256(archive))
    assert result["changed"], result
    assert os.readlink(tree.current) == "releases/12"
    assert (tree.current / "artisan").read_text() == "v1.0.0\n"
    assert (tree.current / ".env").read_text() == "APP_KEY=secret\n"
    assert os.readlink(tree.folder("12") / "storage") == "../../shared/storage"
    assert sorted(path.name for path in tree.folder("11").iterdir()) == before
    assert not switch("12", archive=str(archive))["changed"]


@requirement("D-056")
def test_nothing_that_is_shared_is_removed_by_way_of_a_link(
    tree: Tree, switch: Switch, archive: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The backup is of a release that shared its whole storage; the one that runs shares parts of it."""
    upload = tree.root / "shared/storage/app/invoice.pdf"
    upload.parent.mkdir(parents=True)
    upload.write_text("precious")
    (tree.folder("11") / "storage").unlink()
    (tree.folder("11") / "storage").mkdir()
    (tree.folder("11") / "storage/app").symlink_to("../../../shared/storage/app")
    shutil.rmtree(tmp_path / "backup/storage")
    (tmp_path / "backup/storage").symlink_to("../../shared/storage")
    result = switch("12", archive=str(tmp_path / "backup"), state="prepared")
    nothing_left(tree, result, "It has storage as a link, in which the release that runs shares storage/app")
    assert upload.read_text() == "precious"
    assert not upload.parent.is_symlink()


@pytest.mark.parametrize("packed", [True, False])
def test_what_led_into_another_release_leads_into_the_new_one(
    tree: Tree, switch: Switch, archive: pathlib.Path, tmp_path: pathlib.Path, packed: bool
) -> None:
    (tree.folder("11") / "bootstrap/files").symlink_to(tree.folder("11") / "storage")
    if packed:
        (tmp_path / "backup/bootstrap/files").symlink_to(tree.folder("9") / "storage")
    assert switch("12", archive=str(tmp_path / "backup"))["changed"]
    assert os.readlink(tree.folder("12") / "bootstrap/files") == "../storage"
    assert os.readlink(tree.folder("11") / "bootstrap/files") == str(tree.folder("11") / "storage")


def test_caches_that_name_the_place_where_they_were_made_are_left_out(
    tree: Tree, switch: Switch, archive: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name in ("config", "packages"):
        (tmp_path / f"backup/bootstrap/cache/{name}.php").write_text("<?php")
    assert switch("12", archive=str(tmp_path / "backup"))["changed"]
    assert [path.name for path in (tree.folder("12") / "bootstrap/cache").glob("*.php")] == ["packages.php"]


def test_an_archive_whose_name_looks_like_a_host_s_is_a_file(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    named = archive.rename(archive.with_name("host.invalid:12.tar"))
    assert switch("12", archive=str(named))["changed"]


def test_a_folder_becomes_a_release_too(tree: Tree, switch: Switch, archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert switch("12", archive=str(tmp_path / "backup"))["changed"]
    assert (tree.current / "artisan").read_text() == "v1.0.0\n"
    assert (tmp_path / "backup/storage/logs").is_dir()


def test_a_release_is_made_without_switching_to_it(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    assert switch("12", archive=str(archive), state="prepared")["changed"]
    assert not switch("12", archive=str(archive), state="prepared")["changed"]
    assert os.readlink(tree.current) == "releases/11"
    assert switch("12")["changed"]


@pytest.mark.parametrize("options", [{"check": True}, {"state": "resolved"}], ids=["check mode", "only looking"])
def test_nothing_is_unpacked_when_only_asked(tree: Tree, switch: Switch, archive: pathlib.Path, options: dict[str, t.Any]) -> None:
    result = switch("12", archive=str(archive), **options)
    assert not result.get("failed"), result
    assert result["changed"] is ("check" in options)
    assert sorted(path.name for path in (tree.root / "releases").iterdir()) == ["10", "11", "9"]


def nothing_left(tree: Tree, result: dict[str, t.Any], *words: str) -> None:
    refused(tree, result, *words)
    assert sorted(path.name for path in (tree.root / "releases").iterdir()) == ["10", "11", "9"]


def test_refuses_an_archive_with_another_checksum(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    nothing_left(tree, switch("12", archive=str(archive), checksum="0" * 64), "is not what it should be: its SHA-256 is")


def test_refuses_an_archive_that_is_cut_off(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    archive.write_bytes(archive.read_bytes()[:200])
    nothing_left(tree, switch("12", archive=str(archive)), "tar")


def test_refuses_an_archive_that_holds_no_whole_release(tree: Tree, switch: Switch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "README").write_text("nothing else\n")
    subprocess.run(["tar", "-cf", tmp_path / "x.tar", "-C", tmp_path, "README"], check=True)
    nothing_left(tree, switch("12", archive=str(tmp_path / "x.tar")), "artisan is missing")


def test_refuses_an_archive_that_is_not_there(tree: Tree, switch: Switch) -> None:
    nothing_left(tree, switch("12", archive="/nowhere.tar"), "/nowhere.tar is not there")


@pytest.mark.parametrize("name", ["../12", "a/b", "-x", ".hidden"])
def test_refuses_names_that_are_no_folder(tree: Tree, switch: Switch, archive: pathlib.Path, name: str) -> None:
    nothing_left(tree, switch(name, archive=str(archive)), "cannot be the name of a release")


def test_does_not_take_another_release_for_the_archive_s(tree: Tree, switch: Switch, archive: pathlib.Path) -> None:
    nothing_left(tree, switch("10", archive=str(archive)), "it was not made of")


def test_a_link_that_cannot_be_moved_stays_and_that_is_said(tree: Tree, switch: Switch, local: Local) -> None:
    local.on("mv --force --no-target-directory *", rc=1, stderr="Permission denied")
    result = switch()
    assert result["failed"]
    assert result["code_unchanged"]
    assert result["system_state"] == f"{tree.current} still leads to 11 (v1.3.0)."


def test_says_so_when_something_else_switches_too(tree: Tree, switch: Switch, local: Local) -> None:
    def another(_argv: tuple[str, ...], _stdin: str | None) -> None:
        tree.point("releases/9")

    local.when("sync *", another)
    result = switch()
    assert "leads to 9 (v1.1.0): something else is switching it" in result["msg"]
    assert result["system_state"] == "The release 9 (v1.1.0) is live."
    assert "code_unchanged" not in result
