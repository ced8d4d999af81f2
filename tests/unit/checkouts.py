# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real git repositories with a small PHP application in them, and a Composer that installs by writing files."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import typing as t

_COMPOSER = r"""#!/usr/bin/env python3
import json, os, pathlib, shutil, sys

here = pathlib.Path(__file__).parent
command = sys.argv[1]
offline = os.environ.get("COMPOSER_DISABLE_NETWORK") == "1"
tree = pathlib.Path(next(word for word in sys.argv if word.startswith("--working-dir=")).partition("=")[2])
with (here / "composer.calls").open("a") as log:
    log.write(f"{command} {'offline' if offline else 'online'} {' '.join(sys.argv[2:])}\n")
(tree / "vendor/composer").mkdir(parents=True, exist_ok=True)
(tree / "vendor/half-done").write_text("")
if (here / f"fail-{command}").exists() or (offline and (here / f"fail-{command}-offline").exists()):
    sys.exit("Your lock file does not contain a compatible set of packages.")
(tree / "vendor/half-done").unlink()
lock = json.loads((tree / "composer.lock").read_text())
if command == "install":
    shutil.rmtree(tree / "vendor")
    for package in lock["packages"]:
        (tree / "vendor" / package["name"]).mkdir(parents=True)
        (tree / "vendor" / package["name"] / "version.txt").write_text(package["version"])
    (tree / "vendor/composer").mkdir()
    (tree / "vendor/composer/installed.json").write_text(json.dumps({"packages": lock["packages"]}))
names = sorted(path.relative_to(tree) for path in (tree / "app").rglob("*.php"))
(tree / "vendor/composer/autoload_classmap.php").write_text(
    "<?php\n$baseDir = dirname(dirname(__DIR__));\nreturn array(\n"
    + "".join(f"    'App\\\\{name.stem}' => $baseDir . '/{name}',\n" for name in names) + ");\n")
(tree / "vendor/composer/autoload_real.php").write_text("<?php\n")
"""


def lock(**versions: str) -> str:
    packages = [
        {"name": name.replace("_", "/"), "version": version, "dist": {"reference": f"r-{version}"}} for name, version in versions.items()
    ]
    return json.dumps(
        {"packages": packages, "packages-dev": [{"name": "dev/tool", "version": "9.0", "dist": {"reference": "d"}}]}, indent=1
    )


class Checkout:
    """The application's directory."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def git(self, *words: str, check: bool = True) -> str:
        identity = [
            "-c",
            "user.name=CHOM",
            "-c",
            "user.email=dev@chom.test",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "protocol.file.allow=always",
        ]
        done = subprocess.run(["git", "-C", self.path, *identity, *words], capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, name: str, content: str | bytes) -> pathlib.Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def commit(self, message: str, tag: str | None = None, **files: str | bytes | None) -> str:
        """Commit files, given as {"a/b": content} under the keyword files or one by one; None deletes."""
        for name, content in files.items():
            if content is None:
                (self.path / name).unlink()
            else:
                self.write(name, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        if tag:
            self.git("tag", tag)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def branch(self) -> str | None:
        return self.git("symbolic-ref", "--short", "HEAD", check=False) or None

    def at(self, name: str) -> str:
        return self.git("rev-parse", f"{name}^{{commit}}")

    @property
    def depot(self) -> list[str]:
        """What lies in the folder of dependency trees."""
        folder = self.path / ".git/lastgood"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def package(self, name: str) -> str | None:
        path = self.path / "vendor" / name / "version.txt"
        return path.read_text() if path.exists() else None


def listing(*roots: pathlib.Path) -> dict[str, str]:
    """Everything below: names, kinds, modes and contents; not times."""
    found = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            for name in [*folders, *files]:
                path = pathlib.Path(folder, name)
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    what = f"-> {os.readlink(path)}"
                elif stat.S_ISREG(mode):
                    what = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    what = "folder"
                found[str(path)] = f"{stat.filemode(mode)} {what}"
    return found


class Composer:
    """The fake program: what it was asked, and how it is made to fail."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def fail(self, *commands: str) -> None:
        for command in commands:
            (self.folder / f"fail-{command}").touch()

    def recover(self) -> None:
        for path in self.folder.glob("fail-*"):
            path.unlink()

    @property
    def calls(self) -> list[str]:
        log = self.folder / "composer.calls"
        return [" ".join(line.split()[:2]) for line in log.read_text().splitlines()] if log.exists() else []


def build(folder: pathlib.Path) -> None:
    """An origin and a checkout of it: releases v1.0.0, v1.1.0 and v1.2.0, the last one checked out with its packages."""
    origin = folder / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", origin], check=True)
    app = Checkout(folder / "app")
    app.path.mkdir()
    app.git("init", "--quiet", "--template=", "--initial-branch=main")
    app.git("remote", "add", "origin", str(origin))
    files: dict[str, str | bytes] = {
        ".gitignore": "/vendor/\n/.env\n*.log\n",
        ".env.example": "APP_NAME=x\nOLD_KEY=\n",
        "README.md": "one\n",
        "app/User.php": "<?php class User {}\n",
        "app/Legacy.php": "<?php class Legacy {}\n",
        "composer.json": "{}\n",
        "composer.lock": lock(acme_log="1.0", acme_cache="1.0"),
        "database/migrations/2024_01_01_000000_users.php": "<?php\n",
        "logo.bin": bytes(range(256)),
    }
    app.commit("First", "v1.0.0", **files)
    app.commit("Second: plans", **{"README.md": "two\n", "database/migrations/2024_02_01_000000_plans.php": "<?php\n"})
    app.git("tag", "--annotate", "--message=Release 1.1.0", "v1.1.0")
    changed: dict[str, str | bytes | None] = {
        "README.md": "three\n",
        ".env.example": "APP_NAME=x\nNEW_KEY=\n",
        "app/Legacy.php": None,
        "app/Metrics.php": "<?php class Metrics {}\n",
        "composer.lock": lock(acme_log="2.0", acme_metrics="0.1"),
        "database/migrations/2024_03_01_000000_metrics.php": "<?php\n",
    }
    app.commit("Third: metrics", "v1.2.0", **changed)
    app.git("push", "--quiet", "--tags", "origin", "main")
    app.write(".env", "APP_KEY=secret\n")
    program = folder / "bin/composer"
    program.parent.mkdir()
    program.write_text(_COMPOSER)
    program.chmod(0o755)
    subprocess.run([program, "install", f"--working-dir={app.path}"], check=True)
    (folder / "bin/composer.calls").unlink()


def copy(template: pathlib.Path, folder: pathlib.Path) -> Checkout:
    """A copy of its own for one test."""
    shutil.copytree(template, folder, symlinks=True)
    app = Checkout(folder / "app")
    app.git("remote", "set-url", "origin", str(folder / "origin.git"))
    return app


def isolate(setenv: t.Callable[[str, str], None], folder: pathlib.Path) -> None:
    """Keep git away from the settings of whoever runs the tests."""
    settings = {"HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(folder)}
    for name, value in settings.items():
        setenv(name, value)
