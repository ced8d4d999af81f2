# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of releases, as Deployer leaves it."""

from __future__ import annotations

import json
import pathlib

LOCK = {"packages": [{"name": "acme/log", "version": "1.0"}], "packages-dev": []}


class Tree:
    """releases/, shared/ and current."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.current = root / "current"
        (root / ".dep").mkdir(parents=True)
        (root / "shared/storage/framework").mkdir(parents=True)
        (root / "shared/.env").write_text("APP_KEY=secret\n")

    @property
    def path(self) -> pathlib.Path:
        return self.current

    def write(self, name: str, text: str) -> None:
        """Write a file of the release that runs, or one that it shares."""
        (self.current / name).write_text(text)

    def folder(self, name: str) -> pathlib.Path:
        return self.root / "releases" / name

    def release(self, name: str, version: str, commit: str) -> pathlib.Path:
        """A whole release, deployed after those that are there."""
        folder = self.folder(name)
        (folder / "vendor/composer").mkdir(parents=True)
        (folder / "bootstrap/cache").mkdir(parents=True)
        (folder / "database/migrations").mkdir(parents=True)
        (folder / "artisan").write_text(f"{version}\n")
        (folder / "composer.lock").write_text(json.dumps(LOCK))
        (folder / "vendor/composer/installed.json").write_text(json.dumps({"packages": LOCK["packages"]}))
        (folder / "database/migrations/2024_01_01_000000_users.php").write_text("<?php\n")
        (folder / "REVISION").write_text(f"{commit}\n")
        (folder / "storage").symlink_to("../../shared/storage")
        (folder / ".env").symlink_to("../../shared/.env")
        entry = {"created_at": "2026-01-01T00:00:00+0000", "release_name": name, "user": "alice", "target": version}
        with (self.root / ".dep/releases_log").open("a") as log:
            log.write(f"{json.dumps(entry)}\n")
        return folder

    def point(self, where: str) -> None:
        """Let the link lead there."""
        self.current.unlink(missing_ok=True)
        self.current.symlink_to(where)
