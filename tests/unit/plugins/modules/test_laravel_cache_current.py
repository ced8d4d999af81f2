# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches of a release that need not be built again; the files are real, PHP is not."""

from __future__ import annotations

import json
import os
import pathlib
import time
import typing as t

import pytest
from local_runner import Local, install

CACHES = ("config", "routes-v7", "events", "packages", "services")
VIEW = "resources/views/home.blade.php"
REBUILT = "php -r *"


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    found = {name: {"files": 1, "sha256": "x"} for name in ("config", "route", "view", "event", "packages")}
    answer = json.dumps({"before": found, "after": found, "commands": {}, "failed": None})
    return install(monkeypatch).on(REBUILT, f"lastgood-answer:{answer}\n")


@pytest.fixture
def release(tmp_path: pathlib.Path) -> pathlib.Path:
    """As a deployment leaves it: sources, settings that all releases share, then caches."""
    path, shared = tmp_path / "releases/2", tmp_path / "shared"
    for name in ("config/app.php", "routes/web.php", VIEW, "vendor/composer/installed.json", "vendor/shop/code.php", "public/index.php"):
        write(path / name)
    write(shared / ".env", "APP_KEY=secret\n")
    (shared / "storage").mkdir()
    (path / ".env").symlink_to("../../shared/.env")
    (path / "storage").symlink_to("../../shared/storage")
    for name in CACHES:
        write(path / f"bootstrap/cache/{name}.php")
    write(path / "bootstrap/cache/config.php", f"'paths' => ['{path}/resources/views'], 'relative_hash' => false,")
    return path


def write(path: pathlib.Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time.sleep(0.005)  # file systems count in ticks
    path.write_text(text)


def rebuilt(run_module: t.Callable[..., dict[str, t.Any]], local: Local, release: pathlib.Path, **more: t.Any) -> bool:
    result = run_module("laravel_cache", {"path": str(release), "user": local.me, "keep_current": True, **more})
    called = bool(local.lines(REBUILT))
    if not called:
        assert result["changed"] is False
        assert {cache["state"] for cache in result["caches"].values()} == {"present"}
    return called


def test_caches_that_are_newer_than_all_sources_stay(run_module, local, release) -> None:
    assert not rebuilt(run_module, local, release)


def test_without_being_asked_they_are_rebuilt(run_module, local, release) -> None:
    assert rebuilt(run_module, local, release, keep_current=False)


def test_what_marks_a_release_is_no_source(run_module, local, release) -> None:
    for name in (".lastgood-source", "BAD_RELEASE"):
        write(release / name)
    write(release / "vendor/shop/code.php")
    write(release / "public/build.js")
    assert not rebuilt(run_module, local, release)


def old(path: pathlib.Path) -> None:
    """Changed now, with a time from before: as an archive or a copy leaves it."""
    write(path, "changed")
    os.utime(path, (1, 1))


STALE: dict[str, t.Callable[[pathlib.Path], object]] = {
    "settings changed": lambda release: write(release / ".env", "APP_KEY=other\n"),
    "settings changed with an old time": lambda release: old(release / ".env"),
    "settings replaced": lambda release: (write(release / "env.new"), (release / "env.new").replace(release.parents[1] / "shared/.env")),
    "configuration changed": lambda release: old(release / "config/app.php"),
    "file removed": lambda release: (release / "config/app.php").unlink(),
    "route added": lambda release: write(release / "routes/api.php"),
    "packages changed": lambda release: write(release / "vendor/composer/installed.json"),
    "version written, which settings may read": lambda release: write(release / "VERSION", "1.2.4"),
    "file called like a mark": lambda release: write(release / "config/BAD_RELEASE"),
    "template changed": lambda release: write(release / VIEW),
    "cache missing": lambda release: (release / "bootstrap/cache/events.php").unlink(),
    "no caches": lambda release: [path.unlink() for path in (release / "bootstrap/cache").iterdir()],
    "made at another place": lambda release: write(release / "bootstrap/cache/config.php", "'paths' => ['/build/resources/views']"),
    "templates shared by all": lambda release: write(
        release / "bootstrap/cache/config.php", f"'{release}/resources/views', 'relative_hash' => true,"
    ),
}


@pytest.mark.parametrize("change", STALE.values(), ids=STALE)
def test_in_doubt_they_are_rebuilt(run_module, local, release, change) -> None:
    change(release)
    assert rebuilt(run_module, local, release)


def test_caches_at_another_place_are_rebuilt(run_module, local, release) -> None:
    settings = release / ".env"
    write(settings, " APP_CONFIG_CACHE=/var/cache/config.php\n")
    for name in CACHES:
        os.utime(release / f"bootstrap/cache/{name}.php")
    assert rebuilt(run_module, local, release)


def test_settings_that_cannot_be_read_are_a_doubt(run_module, local, release) -> None:
    (release / ".env").unlink()
    assert rebuilt(run_module, local, release)


def test_only_some_caches_are_judged_with_their_configuration(run_module, local, release) -> None:
    assert rebuilt(run_module, local, release, caches=["route"])
    local.calls.clear()
    (release / "bootstrap/cache/events.php").unlink()
    time.sleep(0.005)
    assert not rebuilt(run_module, local, release, caches=["config", "route"])
