# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On real repositories, with the real git; only Composer is an imitation."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import time
import typing as t

import checkouts
import pytest
from checkouts import Checkout, Composer, listing
from local_runner import Killed, Local

requirement = pytest.mark.requirement


@pytest.fixture
def switch(app: Checkout, local: Local, run_module: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    """Call the module on the checkout."""

    def call(target: str | None = "v1.1.0", check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        args = {"path": str(app.path), **({} if target is None else {"target": target}), **options}
        return t.cast("dict[str, t.Any]", run_module("git_version_switch", args, check=check, diff=True))

    return call


Switch = t.Callable[..., dict[str, t.Any]]


def refused(result: dict[str, t.Any], *words: str) -> None:
    """The module failed, in words that hold these, and claims that nothing happened."""
    assert result.get("failed"), result
    for word in words:
        assert word in result["msg"]
    assert result["system_state"] == "Nothing was changed."


def _outside_git(found: dict[str, str]) -> dict[str, str]:
    return {name: what for name, what in found.items() if "/.git/" not in name}


# Going back


@requirement("CHOM-4.1-09", "CHOM-5.2-04", "CHOM-5.3-08", "D-049")
def test_goes_back_to_a_release_and_proves_it(app: Checkout, switch: Switch) -> None:
    result = switch("v1.1.0")
    assert result["changed"]
    assert app.head == app.at("v1.1.0")
    assert app.git("status", "--porcelain") == ""
    assert app.read("README.md") == "two\n"
    assert (app.path / "app/Legacy.php").exists()
    assert not (app.path / "app/Metrics.php").exists()
    assert app.read(".env") == "APP_KEY=secret\n"


@requirement("CHOM-4.1-10", "CHOM-5.2-05", "CHOM-5.3-09")
def test_brings_the_dependencies_of_the_target(app: Checkout, switch: Switch, composer: Composer) -> None:
    result = switch("v1.1.0")
    assert result["dependencies"] == "installed offline"
    assert (app.package("acme/log"), app.package("acme/cache"), app.package("acme/metrics")) == ("1.0", "1.0", None)
    log = (composer.folder / "composer.calls").read_text()
    assert "install offline --no-dev" in log
    assert "--optimize-autoloader" in log
    assert "--no-scripts" in log


def test_says_what_is_left_behind(switch: Switch, app: Checkout) -> None:
    result = switch("v1.0.0", state="resolved")
    assert result["from_version"] == "v1.2.0"
    assert [line.split(" ", 1)[1] for line in result["commits"]] == ["Third: metrics", "Second: plans"]
    assert result["files"] == 7
    assert result["lock_files"] == ["composer.lock"]
    assert result["packages"] == ["acme/cache 1.0", "acme/log 1.0", "acme/metrics (not in the target)"]
    assert result["migrations"] == ["2024_01_01_000000_users"]
    assert result["config_keys"] == {"running": ["NEW_KEY"], "target": ["OLD_KEY"]}
    assert result["switch"] == {"from_commit": app.at("v1.2.0"), "commit": app.at("v1.0.0"), "dependencies": True, "install": True}
    assert result["diff"] == {"before": "v1.2.0\n", "after": "v1.0.0\n"}


@requirement("CHOM-5.1-02", "CHOM-5.1-03")
def test_names_the_running_version_by_its_release_tag_or_its_commit(switch: Switch, app: Checkout) -> None:
    app.git("tag", "nightly-1", "v1.2.0")
    assert switch("v1.1.0", state="resolved")["from_version"] == "v1.2.0"
    app.commit("Hotfix on the server")
    assert switch("v1.1.0", state="resolved")["from_version"] == app.head[:12]


@requirement("D-051")
def test_does_nothing_when_the_target_runs_already(app: Checkout, switch: Switch, composer: Composer) -> None:
    before = listing(app.path)
    result = switch("v1.2.0")
    assert not result["changed"]
    assert not result.get("failed")
    assert result["diff"] == {"before": "v1.2.0\n", "after": "v1.2.0\n"}
    assert listing(app.path) == before
    assert composer.calls == []


def test_running_again_changes_nothing(app: Checkout, switch: Switch) -> None:
    assert switch("v1.1.0")["changed"]
    before = listing(app.path)
    assert not switch("v1.1.0")["changed"]
    assert listing(app.path) == before


def test_leaves_branches_where_they_are(app: Checkout, switch: Switch) -> None:
    main = app.at("main")
    assert app.branch == "main"
    switch("v1.1.0")
    assert app.branch is None
    assert app.at("main") == main


def test_the_repository_s_hooks_do_not_run(app: Checkout, switch: Switch) -> None:
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        app.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {app.path}/.git/hook-ran\n").chmod(0o755)
    switch("v1.1.0")
    assert not (app.path / ".git/hook-ran").exists()


# Which commit a target means


def test_an_annotated_tag_means_its_commit(app: Checkout, switch: Switch) -> None:
    assert app.git("cat-file", "-t", "v1.1.0") == "tag"
    assert switch("v1.1.0", state="resolved")["switch"]["commit"] == app.at("v1.1.0")


def test_a_tag_of_a_tag_means_its_commit_too(app: Checkout, switch: Switch) -> None:
    app.git("tag", "--annotate", "--message=Approved", "approved", "v1.1.0")
    assert switch("approved", state="resolved")["switch"]["commit"] == app.at("v1.1.0")


@pytest.mark.parametrize("length", [7, 12, 40])
def test_a_commit_may_be_given_by_its_first_digits(app: Checkout, switch: Switch, length: int) -> None:
    assert switch(app.at("v1.0.0")[:length], state="resolved")["switch"]["commit"] == app.at("v1.0.0")


def test_a_tag_wins_over_a_commit(app: Checkout, switch: Switch) -> None:
    name = app.at("v1.0.0")[:10]
    app.git("tag", name, "v1.1.0")
    assert switch(name, state="resolved")["switch"]["commit"] == app.at("v1.1.0")


@pytest.mark.parametrize("branch", ["main", "feature/x", "deadbee"])
def test_a_branch_is_refused(app: Checkout, switch: Switch, branch: str) -> None:
    if branch != "main":
        app.git("branch", branch, "v1.0.0")
    refused(switch(branch), f"{branch} is not a t")


@pytest.mark.parametrize("name", ["HEAD", "FETCH_HEAD", "origin/main", "v1.1.0-0-gabcdef0"])
def test_other_ways_to_name_a_commit_are_refused(app: Checkout, switch: Switch, name: str) -> None:
    app.git("fetch", "--quiet", "origin")
    refused(switch(name), f"{name} is not a tag of")


def test_a_tag_wins_over_a_branch_of_the_same_name(app: Checkout, switch: Switch) -> None:
    app.git("branch", "v1.0.0", "v1.1.0")
    assert switch("v1.0.0", state="resolved")["switch"]["commit"] == app.git("rev-parse", "refs/tags/v1.0.0")


# Targets that are refused


@requirement("D-051")
def test_an_empty_target_is_refused(app: Checkout, switch: Switch) -> None:
    before = listing(app.path)
    refused(switch(""), "target is empty")
    assert listing(app.path) == before


@requirement("D-055", "G-06")
def test_an_unknown_tag_is_refused_and_the_list_of_tags_is_offered(app: Checkout, switch: Switch) -> None:
    before = listing(app.path / "app", app.path / "vendor")
    result = switch("v9.9.9")
    refused(result, "v9.9.9 is not a tag of", "or its remote origin")
    assert result["next_command"].endswith("tag --list --sort=-version:refname")
    refused(switch("1.1.0"), "1.1.0 is not a tag of", "Did you mean v1.1.0?")
    assert listing(app.path / "app", app.path / "vendor") == before
    assert app.branch == "main"


@requirement("D-055")
@pytest.mark.parametrize(
    "target",
    [
        "--upload-pack=x", "-x", "v1; rm -rf /", "$(id)", "`id`", "v1|cat", "v1&", "v1 v2", " v1.1.0", "v1.1.0 ", "../x", "a..b", "x.lock",
        "x/", "x//y", "x.", "/x", ".x", "v1.1.0\n", "v1\nv2", "v1.1.0^", "v1.1.0~1", "v1.1.0:app", "@{-1}", "v1@{0}", "vé", "v\uff11",
        "*", "v1.*", "refs/tags/../heads/main", "\u202ev1", "x" * 200, "~", "%n", "v1\\x",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_hostile_target_is_refused_before_git_sees_it(app: Checkout, switch: Switch, local: Local, target: str) -> None:
    result = switch(target, state="resolved")
    refused(result, "is not a release tag or commit")
    assert not [line for line in local.calls if "rev-parse" in line or "fetch" in line]


def test_a_path_that_is_no_checkout_is_refused(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    refused(switch("v1.1.0", path=str(tmp_path / "elsewhere")), "is not a git checkout")
    refused(switch("v1.1.0", path=str(tmp_path / "nowhere")), "The owner of", "cannot be found")


def test_a_checkout_without_a_commit_is_refused(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    empty = Checkout(tmp_path / "empty")
    empty.path.mkdir()
    empty.git("init", "--quiet")
    refused(switch("v1.1.0", path=str(empty.path)), "has no commit checked out")


def test_submodules_are_refused(app: Checkout, switch: Switch) -> None:
    app.git("update-index", "--add", "--cacheinfo", f"160000,{app.at('v1.0.0')},plugin")
    app.git("commit", "--quiet", "--message=With a submodule")
    app.git("tag", "v1.3.0")
    app.git("reset", "--quiet", "--hard", "v1.2.0")
    refused(switch("v1.3.0"), "uses git submodules (plugin)")


def _delete_object(app: Checkout, name: str) -> None:
    blob = app.git("rev-parse", name)
    (app.path / ".git/objects" / blob[:2] / blob[2:]).unlink()


@requirement("G-06", "D-055")
def test_a_target_with_a_lost_file_is_refused(app: Checkout, switch: Switch) -> None:
    _delete_object(app, "v1.1.0:README.md")
    result = switch("v1.1.0")
    refused(result, "does not hold all files of v1.1.0: README.md")
    assert result["next_command"].endswith("fetch --refetch --tags")
    assert app.branch == "main"


def test_a_target_with_a_lost_folder_is_refused(app: Checkout, switch: Switch) -> None:
    _delete_object(app, "v1.0.0:app")
    assert switch("v1.0.0").get("failed")
    assert app.branch == "main"
    assert app.package("acme/log") == "2.0"


def test_an_unreadable_lock_file_is_refused(app: Checkout, switch: Switch) -> None:
    app.commit("Conflict left in", "v1.3.0", **{"composer.lock": "<<<<<<< HEAD\n{}\n"})
    app.git("reset", "--quiet", "--hard", "v1.2.0")
    refused(switch("v1.3.0"), "composer.lock of the target cannot be read")


def test_a_running_git_process_is_noticed_before_anything_happens(app: Checkout, switch: Switch, composer: Composer) -> None:
    app.write(".git/index.lock", "")
    result = switch("v1.1.0")
    refused(result, "Another git process", "index.lock exists")
    assert "rm" in result["next_command"]
    assert composer.calls == []
    assert app.branch == "main"


# The remote


def _publish(app: Checkout, tag: str) -> None:
    """A tag that only the remote has."""
    app.commit("Elsewhere", tag, **{"README.md": f"{tag}\n"})
    app.git("push", "--quiet", "origin", tag)
    app.git("tag", "--delete", tag)
    app.git("reset", "--quiet", "--hard", "v1.2.0")


@requirement("CHOM-5.2-04", "D-055")
def test_a_tag_that_only_the_remote_has_is_fetched(app: Checkout, switch: Switch) -> None:
    _publish(app, "v1.3.0")
    assert switch("v1.3.0")["changed"]
    assert app.read("README.md") == "v1.3.0\n"


def test_a_known_target_needs_no_remote(app: Checkout, switch: Switch, local: Local) -> None:
    shutil.rmtree(app.path.parent / "origin.git")
    assert switch("v1.1.0")["changed"]
    assert local.lines("* fetch *") == []


def test_an_unreachable_remote_is_named(app: Checkout, switch: Switch) -> None:
    shutil.rmtree(app.path.parent / "origin.git")
    refused(switch("v1.3.0"), "v1.3.0 is not in", "fetching from origin failed", "does not appear to be a git repository")


def test_a_tag_that_was_moved_elsewhere_does_not_spoil_the_fetch(app: Checkout, switch: Switch) -> None:
    _publish(app, "v1.3.0")
    app.git("push", "--quiet", "--force", "origin", f"{app.at('v1.0.0')}:refs/tags/v1.2.0")
    assert switch("v1.3.0", state="resolved")["switch"]["commit"]
    assert app.at("v1.2.0") == app.head


def test_no_remote_is_asked_when_none_is_named(app: Checkout, switch: Switch, local: Local) -> None:
    _publish(app, "v1.3.0")
    refused(switch("v1.3.0", remote=""), "v1.3.0 is not a tag of")
    assert local.lines("* fetch *") == []


def test_fetching_deletes_no_tag_and_no_branch(app: Checkout, switch: Switch) -> None:
    _publish(app, "v1.3.0")
    app.git("tag", "only-here")
    app.git("config", "fetch.prune", "true")
    app.git("config", "fetch.pruneTags", "true")
    switch("v1.3.0")
    assert "only-here" in app.git("tag", "--list")


# Local changes


@requirement("D-058")
def test_local_changes_are_refused(app: Checkout, switch: Switch) -> None:
    app.write("README.md", "edited on the server\n")
    before = listing(app.path)
    result = switch("v1.1.0")
    refused(result, "local changes in 1 tracked files (README.md)")
    assert "local_changes=save" in result["next_command"]
    assert listing(app.path) == before


@pytest.mark.parametrize("kind", ["staged", "staged new file", "deleted", "made executable", "replaced by a link", "intent to add"])
def test_every_kind_of_local_change_is_noticed(app: Checkout, switch: Switch, kind: str) -> None:
    readme = app.path / "README.md"
    if kind == "staged":
        readme.write_text("edited\n")
        app.git("add", "README.md")
    elif kind in ("staged new file", "intent to add"):
        app.write("new.php", "<?php\n")
        app.git("add", *(["--intent-to-add"] if kind == "intent to add" else []), "new.php")
    elif kind == "deleted":
        readme.unlink()
    elif kind == "made executable":
        readme.chmod(0o755)
    else:
        readme.unlink()
        readme.symlink_to("logo.bin")
    before = listing(app.path)
    refused(switch("v1.1.0"), "local changes in 1 tracked files")
    assert listing(app.path) == before


def _restored(app: Checkout, patch: str, name: str) -> bytes:
    """What git apply makes of a patch on the version that was left."""
    app.git("checkout", "--quiet", "--force", "main")
    app.git("apply", patch)
    return (app.path / name).read_bytes()


@requirement("D-058")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("README.md", b"edited\n", id="text"),
        pytest.param("README.md", "fran\u00e7ais \u2603\n".encode(), id="UTF-8"),
        pytest.param("README.md", b"caf\xe9 \xff\n", id="not UTF-8"),
        pytest.param("README.md", b"one\r\ntwo\r\n", id="carriage returns"),
        pytest.param("README.md", b"no newline at the end", id="no newline"),
        pytest.param("README.md", b"trailing  \n\t\n\n", id="odd spaces"),
        pytest.param("logo.bin", bytes(reversed(range(256))), id="binary"),
        pytest.param("app/User.php", b"", id="emptied"),
    ],
)
def test_local_changes_can_be_saved_and_got_back(app: Checkout, switch: Switch, tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    app.write(name, content)
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))
    assert result["changed"], result
    assert app.head == app.at("v1.1.0")
    assert app.git("status", "--porcelain") == ""
    assert pathlib.Path(result["patch"]).stat().st_mode & 0o777 == 0o600
    assert _restored(app, result["patch"], name) == content


@pytest.mark.parametrize(
    "setting", ["diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.external=true", "diff.renames=copies"]
)
def test_the_patch_does_not_depend_on_anybody_s_settings(app: Checkout, switch: Switch, tmp_path: pathlib.Path, setting: str) -> None:
    app.git("config", *setting.split("="))
    app.write("README.md", "edited\n")
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))
    assert _restored(app, result["patch"], "README.md") == b"edited\n"


def test_a_text_filter_of_git_does_not_spoil_the_patch(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    app.write(".git/info/attributes", "*.bin diff=hex\n")
    app.git("config", "diff.hex.textconv", "od -c")
    app.write("logo.bin", b"\0changed")
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))
    assert _restored(app, result["patch"], "logo.bin") == b"\0changed"


def test_staged_and_new_files_are_saved_too(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    app.write("README.md", "staged\n")
    app.write("app/New.php", "<?php // new\n")
    app.git("add", "--all")
    app.write("README.md", "edited again\n")
    (app.path / "app/User.php").unlink()
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))
    assert not (app.path / "app/New.php").exists()
    assert _restored(app, result["patch"], "README.md") == b"edited again\n"
    assert app.read("app/New.php") == "<?php // new\n"
    assert not (app.path / "app/User.php").exists()


def test_each_save_writes_a_file_of_its_own(app: Checkout, switch: Switch, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app.write("README.md", "edited\n")
    assert switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))["changed"]
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    app.write("README.md", "edited\n")
    assert switch("v1.0.0", local_changes="save", patch_directory=str(tmp_path))["changed"]
    assert len(list(tmp_path.glob("local-changes-*.patch"))) == 2


def test_changes_that_cannot_be_saved_stay_where_they_are(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    app.write("README.md", "edited\n")
    before = listing(app.path)
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path / "nowhere"))
    assert result["failed"]
    assert "cannot be saved" in result["msg"]
    assert result["code_unchanged"]
    assert _outside_git(listing(app.path)) == _outside_git(before)


def test_an_unfinished_merge_is_refused_even_when_changes_are_to_be_saved(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    app.git("checkout", "--quiet", "-b", "other", "v1.1.0")
    app.commit("Other", **{"README.md": "other\n"})
    app.git("checkout", "--quiet", "main")
    app.git("merge", "other", check=False)
    refused(switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path)), "a patch cannot hold: README.md")


def test_a_file_taken_out_of_the_index_but_kept_is_not_overwritten(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    app.git("rm", "--quiet", "--cached", "README.md")
    app.write("README.md", "only here\n")
    refused(switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path)), "a patch cannot hold: README.md")
    assert app.read("README.md") == "only here\n"


# Files in the way


@requirement("D-058")
@pytest.mark.parametrize("changes", ["refuse", "save"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("app/Legacy.php", id="untracked"),
        pytest.param("app/Legacy.php/deep/notes.txt", id="a folder where the target has a file"),
    ],
)
def test_an_untracked_file_in_the_way_is_refused(app: Checkout, switch: Switch, tmp_path: pathlib.Path, name: str, changes: str) -> None:
    app.write(name, "precious\n")
    before = listing(app.path)
    refused(switch("v1.1.0", local_changes=changes, patch_directory=str(tmp_path)), name, "would overwrite")
    assert listing(app.path) == before


def _with_folder(app: Checkout) -> None:
    """A release that has public/uploads/index.html."""
    app.commit("Uploads", "v1.3.0", **{"public/uploads/index.html": "x"})
    app.git("reset", "--quiet", "--hard", "v1.2.0")


def test_an_ignored_file_in_the_way_is_refused(app: Checkout, switch: Switch) -> None:
    app.write("debug.log", "x")
    app.git("add", "--force", "debug.log")
    app.commit("A log by mistake", "v1.3.0")
    app.git("reset", "--quiet", "--hard", "v1.2.0")
    app.write("debug.log", "precious\n")
    refused(switch("v1.3.0"), "debug.log", "would overwrite")
    assert app.read("debug.log") == "precious\n"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_where_the_target_needs_a_folder_is_refused(app: Checkout, switch: Switch, tmp_path: pathlib.Path, kind: str) -> None:
    _with_folder(app)
    app.write(".git/info/exclude", "/public\n")
    (app.path / "public").mkdir()
    if kind == "file":
        app.write("public/uploads", "precious\n")
    else:
        (app.path / "public/uploads").symlink_to(tmp_path)
    refused(switch("v1.3.0"), "public/uploads", "would overwrite")


def test_other_untracked_files_are_left_alone(app: Checkout, switch: Switch) -> None:
    _with_folder(app)
    app.write("public/uploads/photo.jpg", "precious\n")
    app.write("public/notes.txt", "precious\n")
    assert switch("v1.3.0")["changed"]
    assert app.read("public/uploads/photo.jpg") == "precious\n"
    assert app.read("public/uploads/index.html") == "x"
    assert app.read("public/notes.txt") == "precious\n"


def test_a_file_that_turns_up_after_the_plan_is_not_overwritten_either(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    app.write("app/Legacy.php", "precious\n")
    app.write("README.md", "edited\n")
    result = switch("v1.1.0", prepared=prepared, local_changes="save", patch_directory=str(tmp_path))
    assert result["failed"]
    assert result["code_unchanged"]
    assert app.read("app/Legacy.php") == "precious\n"
    assert app.read("README.md") == "edited\n"
    assert app.branch == "main"
    assert app.package("acme/log") == "2.0"


# Names that are hard to handle


ODD_NAMES = [
    "a b.php",
    "new\nline.php",
    "tab\t.php",
    "-x.php",
    "quote'\".php",
    "snow\u2603.php",
    ":(top)x",
    "back\\slash",
    "*.php",
    "\udce9.bin",
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_odd_file_names_come_and_go(app: Checkout, switch: Switch, name: str) -> None:
    path = os.fsencode(app.path) + b"/" + os.fsencode(name)
    with open(path, "wb") as file:
        file.write(b"x")
    app.commit("Odd", "v1.3.0")
    assert switch("v1.1.0")["changed"]
    assert not os.path.lexists(path)
    with open(path, "wb") as file:
        file.write(b"precious")
    result = switch("v1.3.0")
    assert result["failed"], result
    assert "would overwrite" in result["msg"]
    assert "\n" not in result["reason"]
    json.dumps(result, ensure_ascii=False).encode()
    os.unlink(path)
    assert switch("v1.3.0")["changed"]
    assert os.path.lexists(path)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_local_changes_in_odd_files_are_saved(app: Checkout, switch: Switch, tmp_path: pathlib.Path, name: str) -> None:
    path = pathlib.Path(os.fsdecode(os.fsencode(app.path) + b"/" + os.fsencode(name)))
    path.write_text("x\n")
    app.commit("Odd", "v1.3.0")
    path.write_text("edited\n")
    assert switch("v1.1.0")["failed"]
    result = switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path))
    assert result["changed"]
    app.git("apply", "--unidiff-zero", result["patch"], check=False)
    app.git("checkout", "--quiet", "--force", "v1.3.0")
    app.git("apply", result["patch"])
    assert path.read_text() == "edited\n"


def test_links_in_the_tree_are_switched_as_links(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "outside").write_text("untouched\n")
    (app.path / "README.md").unlink()
    (app.path / "README.md").symlink_to(tmp_path / "outside")
    app.commit("A link", "v1.3.0")
    assert switch("v1.1.0")["changed"]
    assert not (app.path / "README.md").is_symlink()
    assert (tmp_path / "outside").read_text() == "untouched\n"


def test_messages_in_other_encodings_can_be_shown(app: Checkout, switch: Switch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "message").write_bytes(b"caf\xe9\n")
    app.git("-c", "i18n.commitEncoding=utf-8", "commit", "--quiet", "--allow-empty", f"--file={tmp_path}/message")
    result = switch("v1.1.0", state="resolved")
    json.dumps(result, ensure_ascii=False).encode()
    assert result["commits"][0].split(" ", 1)[1].startswith("caf")


# Dependencies: prepared aside, swapped, kept for the way back


def test_unchanged_packages_are_not_touched(app: Checkout, switch: Switch, composer: Composer) -> None:
    switch("v1.1.0")
    before = (app.path / "vendor").stat().st_ino
    calls = len(composer.calls)
    result = switch("v1.0.0")
    assert result["changed"]
    assert not result["switch"]["dependencies"]
    assert (app.path / "vendor").stat().st_ino == before
    assert len(composer.calls) == calls


@requirement("D-103")
def test_preparing_touches_neither_code_nor_packages(app: Checkout, switch: Switch, composer: Composer) -> None:
    before = _outside_git(listing(app.path))
    result = switch("v1.1.0", state="prepared")
    assert result["changed"]
    assert result["dependencies"] == "installed offline"
    assert _outside_git(listing(app.path)) == before
    assert app.branch == "main"
    assert app.depot == [app.at("v1.1.0")]


@requirement("D-103")
def test_what_was_prepared_is_switched_to_without_composer(app: Checkout, switch: Switch, composer: Composer, local: Local) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    calls = composer.calls
    local.calls.clear()
    result = switch("v1.1.0", prepared=prepared)
    assert result["changed"]
    assert result["switch"] == prepared
    assert composer.calls == calls
    assert app.head == app.at("v1.1.0")
    assert app.package("acme/cache") == "1.0"
    assert len(local.calls) < 12, "inside the window every command counts"


def test_preparing_again_keeps_what_is_there(switch: Switch, composer: Composer) -> None:
    switch("v1.1.0", state="prepared")
    calls = composer.calls
    assert not switch("v1.1.0", state="prepared", check=True)["changed"]
    result = switch("v1.1.0", state="prepared")
    assert not result["changed"]
    assert result["dependencies"] == "kept from before"
    assert composer.calls == calls


def test_the_way_back_needs_no_composer(app: Checkout, switch: Switch, composer: Composer) -> None:
    switch("v1.1.0")
    calls = composer.calls
    composer.fail("install", "dump-autoload")
    result = switch("v1.2.0")
    assert result["dependencies"] == "kept from before"
    assert composer.calls == calls
    assert app.package("acme/metrics") == "0.1"
    assert app.head == app.at("v1.2.0")


def test_a_kept_tree_that_does_not_fit_any_more_is_built_anew(app: Checkout, switch: Switch, composer: Composer) -> None:
    switch("v1.1.0", state="prepared")
    kept = app.path / ".git/lastgood" / app.at("v1.1.0") / "vendor/composer/installed.json"
    kept.write_text("{}")
    assert switch("v1.1.0")["dependencies"] == "installed offline"
    assert app.package("acme/cache") == "1.0"


def test_the_network_is_used_only_when_the_cache_does_not_suffice(switch: Switch, composer: Composer) -> None:
    composer.fail("install-offline")
    assert switch("v1.1.0")["dependencies"] == "installed"
    assert composer.calls == ["install offline", "install online"]


@requirement("CHOM-5.2-05", "D-055")
@pytest.mark.parametrize("network", [True, False])
def test_packages_that_cannot_be_installed_stop_it_before_anything_changes(
    app: Checkout, switch: Switch, composer: Composer, network: bool
) -> None:
    composer.fail("install")
    before = listing(app.path)
    result = switch("v1.1.0", composer_network=network)
    refused(result, "could not be installed beside the live ones", "does not contain a compatible set")
    assert composer.calls == ["install offline", "install online"][: 1 + network]
    assert app.depot == []
    assert {name: what for name, what in listing(app.path).items() if not name.endswith("/.git/lastgood")} == before


def test_without_composer_the_switch_is_refused(app: Checkout, switch: Switch, local: Local) -> None:
    local.missing.add("composer")
    refused(switch("v1.1.0"), "composer is not installed")
    assert app.depot == []
    assert app.branch == "main"


def test_a_composer_that_does_not_install_what_the_lock_says_is_not_believed(app: Checkout, switch: Switch, composer: Composer) -> None:
    (composer.folder / "composer").write_text("#!/bin/sh\nexit 0\n")
    refused(switch("v1.1.0"), "do not match its composer.lock")
    assert app.package("acme/log") == "2.0"


@requirement("CHOM-4.1-10")
def test_a_class_map_that_names_a_deleted_file_is_rebuilt_aside(app: Checkout, switch: Switch, composer: Composer) -> None:
    app.commit("More", "v1.3.0", **{"app/More.php": "<?php class More {}\n"})
    app.write("vendor/composer/autoload_classmap.php", "<?php return array('More' => $baseDir . '/app/More.php');\n")
    result = switch("v1.2.0")
    assert result["dependencies"] == "copied, class map rebuilt"
    assert composer.calls == ["dump-autoload offline"]
    assert "/app/More.php" not in app.read("vendor/composer/autoload_classmap.php")
    assert app.package("acme/metrics") == "0.1"


def test_a_helper_file_that_is_always_loaded_counts_too(app: Checkout, switch: Switch) -> None:
    app.commit("Helpers", "v1.3.0", **{"app/helpers.php": "<?php\n"})
    app.write("vendor/composer/autoload_files.php", "<?php return array('x' => $baseDir . '/app/helpers.php');\n")
    assert switch("v1.2.0", state="resolved")["switch"]["dependencies"]


def test_other_rules_for_loading_classes_rebuild_the_autoloader(app: Checkout, switch: Switch) -> None:
    app.commit("Rules", "v1.3.0", **{"composer.json": '{"autoload": {"files": ["app/User.php"]}}'})
    assert switch("v1.2.0", state="resolved")["switch"]["dependencies"]
    app.commit("Only a description", "v1.4.0", **{"composer.json": '{"autoload": {"files": ["app/User.php"]}, "description": "x"}'})
    assert not switch("v1.3.0", state="resolved")["switch"]["dependencies"]


def test_a_sealed_class_map_must_know_the_classes_of_the_target(app: Checkout, switch: Switch) -> None:
    app.commit("Fewer", "v1.3.0", **{"app/User.php": None})
    assert not switch("v1.2.0", state="resolved")["switch"]["dependencies"]
    app.write("vendor/composer/autoload_real.php", "<?php $loader->setClassMapAuthoritative(true);\n")
    assert switch("v1.2.0", state="resolved")["switch"]["dependencies"]


def test_a_release_without_composer_needs_no_packages(app: Checkout, switch: Switch, composer: Composer) -> None:
    app.commit("Static", "v1.3.0", **{"composer.lock": None, "composer.json": None})
    app.git("reset", "--quiet", "--hard", "v1.2.0")
    result = switch("v1.3.0")
    assert result["changed"]
    assert not result["switch"]["dependencies"]
    assert composer.calls == []


def test_packages_installed_by_an_old_composer_are_understood(app: Checkout, switch: Switch) -> None:
    packages = json.loads(checkouts.lock(acme_log="1.0", acme_cache="1.0"))["packages"]
    app.write("vendor/composer/installed.json", json.dumps(packages))
    assert switch("v1.1.0", state="resolved")["packages"] == []


@pytest.mark.parametrize("content", ["", "no json", "[1]", '{"packages": 5}'])
def test_unreadable_packages_are_installed_again(app: Checkout, switch: Switch, content: str) -> None:
    app.write("vendor/composer/installed.json", content)
    assert switch("v1.2.0")["changed"]
    assert app.package("acme/metrics") == "0.1"


def test_old_trees_are_thrown_away(app: Checkout, switch: Switch) -> None:
    for number in range(6):
        app.commit(f"Version {number}", f"v2.0.{number}", **{"composer.lock": checkouts.lock(acme_log=f"3.{number}")})
    app.git("reset", "--quiet", "--hard", "v1.2.0")
    for number in range(6):
        switch(f"v2.0.{number}", state="prepared")
        folder = app.path / ".git/lastgood" / app.at(f"v2.0.{number}")
        os.utime(folder, (1_000_000 + number, 1_000_000 + number))
    assert app.depot == sorted(app.at(f"v2.0.{number}") for number in (2, 3, 4, 5))


# What was prepared may not fit any more


def test_what_was_prepared_from_another_commit_is_refused(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    app.commit("Deployed meanwhile")
    refused(switch("v1.1.0", prepared=prepared), f"is at {app.head[:12]} now", "was planned from")
    assert app.package("acme/log") == "2.0"


def test_local_changes_made_since_are_refused(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    app.write("README.md", "edited\n")
    result = switch("v1.1.0", prepared=prepared)
    refused(result, "has local changes now: README.md")
    assert result["code_unchanged"]
    assert app.read("README.md") == "edited\n"


def test_prepared_dependencies_that_vanished_are_noticed_before_the_code_moves(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    shutil.rmtree(app.path / ".git/lastgood")
    result = switch("v1.1.0", prepared=prepared)
    assert result["failed"]
    assert "are not prepared" in result["msg"]
    assert result["code_unchanged"]
    assert app.branch == "main"
    assert app.package("acme/log") == "2.0"


@pytest.mark.parametrize("field", ["commit", "from_commit"])
def test_what_was_prepared_must_name_commits(app: Checkout, switch: Switch, field: str) -> None:
    prepared = {**switch("v1.1.0", state="prepared")["switch"], field: "--upload-pack=x"}
    refused(switch("v1.1.0", prepared=prepared), "does not name commits")
    assert app.branch == "main"


def test_a_switch_that_happened_already_is_not_repeated(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.0.0", state="resolved")["switch"]
    prepared["dependencies"] = False
    assert switch("v1.0.0", prepared=prepared)["changed"]
    assert not switch("v1.0.0", prepared=prepared)["changed"]


# Failures and interruptions


@requirement("D-131", "G-12")
def test_when_the_packages_cannot_be_swapped_everything_is_as_before(app: Checkout, switch: Switch, local: Local) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    local.on(f"mv -T -- {app.path}/.git/lastgood/{app.at('v1.1.0')}/vendor {app.path}/vendor", rc=1, stderr="mv: No space left on device")
    result = switch("v1.1.0", prepared=prepared)
    assert result["failed"]
    assert "No space left" in result["msg"]
    assert result["system_state"] == "The code and the dependencies are those from before."
    assert result["code_unchanged"]
    assert app.head == app.at("v1.2.0")
    assert app.package("acme/log") == "2.0"
    assert app.git("status", "--porcelain") == ""


def test_when_the_way_back_fails_too_that_is_said(app: Checkout, switch: Switch, local: Local) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    local.on("mv -T -- *", rc=1, stderr="mv: Input/output error")
    local.on(f"git * checkout * {app.at('v1.2.0')}", rc=128, stderr="fatal: Input/output error")
    result = switch("v1.1.0", prepared=prepared)
    assert result["failed"]
    assert "The way back failed too" in result["system_state"]
    assert not result.get("code_unchanged")


def test_a_switch_that_git_refuses_changes_nothing(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    app.write(".git/index.lock", "")
    result = switch("v1.1.0", prepared=prepared)
    assert result["failed"]
    assert "index.lock" in result["msg"]
    assert app.read("README.md") == "three\n"
    assert app.package("acme/log") == "2.0"


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock"])
@pytest.mark.parametrize("planned", [True, False])
def test_the_lock_of_a_git_process_that_was_killed_stops_nothing(
    app: Checkout, switch: Switch, local: Local, name: str, planned: bool
) -> None:
    more = {"prepared": switch("v1.1.0", state="prepared")["switch"]} if planned else {}
    os.utime(app.write(f".git/{name}", ""), (0, 0))
    local.on("pgrep *", rc=1)
    assert switch("v1.1.0", **more)["changed"]
    assert app.head == app.at("v1.1.0")
    assert not (app.path / ".git" / name).exists()


@pytest.mark.parametrize(("found", "age"), [(0, 100), (127, 100), (1, 0)])
def test_a_lock_whose_process_may_live_is_left_alone(app: Checkout, switch: Switch, local: Local, found: int, age: int) -> None:
    when = time.time() - age
    os.utime(app.write(".git/index.lock", ""), (when, when))
    local.on("pgrep *", rc=found)
    refused(switch("v1.1.0"), "Another git process", "index.lock exists")
    assert (app.path / ".git/index.lock").exists()


def test_a_file_that_git_cannot_write_is_found_and_everything_is_put_back(app: Checkout, switch: Switch) -> None:
    """git ends well then, with HEAD at the target and a file missing."""
    prepared = switch("v1.1.0", state="prepared")["switch"]
    _delete_object(app, "v1.1.0:README.md")
    result = switch("v1.1.0", prepared=prepared)
    assert result["failed"]
    assert "1 of its files are not as they should be" in result["msg"]
    assert result["code_unchanged"]
    assert app.head == app.at("v1.2.0")
    assert app.read("README.md") == "three\n"
    assert app.git("status", "--porcelain", "--untracked-files=no") == ""


def _interrupted(app: Checkout) -> None:
    """git was killed while it went to v1.1.0: it had written some files and not yet its index."""
    (app.path / "app/Metrics.php").unlink()
    app.write("app/Legacy.php", "<?php class Legacy {}\n")
    app.write("README.md", "two\n")
    os.utime(app.write(".git/index.lock", ""), (0, 0))


@pytest.mark.parametrize(
    ("target", "planned"), [("v1.1.0", True), ("v1.1.0", False), ("v1.0.0", True), ("v1.0.0", False), ("v1.2.0", False)]
)
def test_a_switch_that_was_interrupted_half_way_can_be_finished_or_undone(
    app: Checkout, switch: Switch, local: Local, tmp_path: pathlib.Path, target: str, planned: bool
) -> None:
    local.on("pgrep *", rc=1)
    _interrupted(app)
    how: dict[str, t.Any] = {"local_changes": "save", "patch_directory": str(tmp_path)}
    if planned:
        how["prepared"] = switch(target, state="prepared", **how)["switch"]
    assert not switch(target, **how).get("failed")
    assert app.head == app.at(target)
    assert app.git("status", "--porcelain", f"--untracked-files={'no' if target == 'v1.2.0' else 'normal'}") == ""


def test_a_file_that_a_switch_left_half_written_is_not_overwritten(
    app: Checkout, switch: Switch, local: Local, tmp_path: pathlib.Path
) -> None:
    local.on("pgrep *", rc=1)
    _interrupted(app)
    app.write("app/Legacy.php", "<?php cl")
    refused(switch("v1.1.0", local_changes="save", patch_directory=str(tmp_path)), "app/Legacy.php", "would overwrite")
    assert app.read("app/Legacy.php") == "<?php cl"


def test_saved_changes_come_back_when_the_switch_fails(app: Checkout, switch: Switch, local: Local, tmp_path: pathlib.Path) -> None:
    app.write("README.md", b"caf\xe9\r\n")
    local.on(f"git * checkout * {app.at('v1.0.0')}", rc=1, stderr="error: unable to write file")
    result = switch("v1.0.0", local_changes="save", patch_directory=str(tmp_path))
    assert result["failed"]
    assert result["code_unchanged"]
    assert (app.path / "README.md").read_bytes() == b"caf\xe9\r\n"


@pytest.mark.parametrize(
    "moment",
    [
        "git * checkout --quiet *",
        "test -e */vendor",
        "mkdir -p -m 0750 -- */.git/lastgood/*",
        "mv -T -- */app/vendor *",
        "mv -T -- */lastgood/*/vendor *",
    ],
)
@pytest.mark.parametrize("way", ["again", "back"])
def test_killed_during_the_switch_the_next_run_completes_it_or_goes_back(
    app: Checkout, switch: Switch, local: Local, composer: Composer, moment: str, way: str
) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    local.kill_at(moment)
    with pytest.raises(Killed):
        switch("v1.1.0", prepared=prepared)
    local.rules.clear()
    target, log, cache = ("v1.1.0", "1.0", "1.0") if way == "again" else ("v1.2.0", "2.0", None)
    result = switch(target)
    assert not result.get("failed"), result
    assert app.head == app.at(target)
    assert (app.package("acme/log"), app.package("acme/cache")) == (log, cache)
    assert app.git("status", "--porcelain") == ""
    assert composer.calls.count("install offline") <= 2


@pytest.mark.parametrize("moment", ["git * read-tree *", "git * checkout-index *", "composer install *", "mv -T -- *.building *"])
def test_killed_while_preparing_the_next_run_starts_over(app: Checkout, switch: Switch, local: Local, moment: str) -> None:
    local.kill_at(moment)
    with pytest.raises(Killed):
        switch("v1.1.0", state="prepared")
    local.rules.clear()
    half_done = app.path / ".git/lastgood" / f"{app.at('v1.1.0')}.building"
    half_done.mkdir(parents=True)
    (half_done / "rubbish").touch()
    assert switch("v1.1.0")["changed"]
    assert app.package("acme/cache") == "1.0"
    assert not half_done.exists()


def test_a_live_tree_that_is_gone_is_put_back(app: Checkout, switch: Switch) -> None:
    shutil.rmtree(app.path / "vendor")
    result = switch("v1.2.0")
    assert result["changed"]
    assert app.package("acme/metrics") == "0.1"


# Check mode


@pytest.mark.parametrize("state", ["resolved", "prepared", "switched"])
def test_check_mode_changes_nothing_at_all(app: Checkout, switch: Switch, composer: Composer, state: str) -> None:
    os.utime(app.path / "README.md", (1, 1))  # git would like to write that down in its index
    before = listing(app.path.parent)
    result = switch("v1.1.0", check=True, state=state)
    assert result["changed"] == (state != "resolved")
    assert result["diff"] == {"before": "v1.2.0\n", "after": "v1.1.0\n"}
    assert listing(app.path.parent) == before
    assert composer.calls == []


def test_check_mode_of_a_prepared_switch_changes_nothing(app: Checkout, switch: Switch) -> None:
    prepared = switch("v1.1.0", state="prepared")["switch"]
    before = listing(app.path.parent)
    assert switch("v1.1.0", check=True, prepared=prepared)["changed"]
    assert listing(app.path.parent) == before


def test_check_mode_refuses_what_a_run_would_refuse(app: Checkout, switch: Switch) -> None:
    app.write("README.md", "edited\n")
    refused(switch("v1.1.0", check=True), "local changes")
