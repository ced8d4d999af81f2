#!/usr/bin/python3
"""Make the application's git history from the source folders: history.py SOURCES ORIGIN."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AUTHOR = {
    "GIT_AUTHOR_NAME": "CHOM",
    "GIT_AUTHOR_EMAIL": "dev@chom.test",
    "GIT_COMMITTER_NAME": "CHOM",
    "GIT_COMMITTER_EMAIL": "dev@chom.test",
}
BAD_KINDS = ("crash", "boot", "slow", "migration", "jobs", "env", "none")


class History:
    """A working tree that grows commit by commit."""

    def __init__(self, sources: Path, tree: Path) -> None:
        self.sources = sources
        self.tree = tree
        self.git("init", "--quiet", "--initial-branch=main")

    def run(self, *argv: str, date: str = "2026-01-01T00:00:00Z") -> None:
        """Run a command in the tree, at a moment."""
        moment = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "HOME": str(self.tree.parent)}
        subprocess.run(argv, cwd=self.tree, env={**os.environ, **AUTHOR, **moment}, check=True)

    def git(self, *words: str, date: str = "2026-01-01T00:00:00Z") -> None:
        """Run git."""
        self.run("git", *words, date=date)

    def overlay(self, name: str) -> None:
        """Lay the files of a source folder over the tree, with fresh times: git tells changes by them."""
        shutil.copytree(self.sources / name, self.tree, dirs_exist_ok=True, copy_function=shutil.copy)

    def set_version(self, version: str) -> None:
        """Write the version where the application reads it."""
        config = self.tree / "config" / "app.php"
        config.write_text(re.sub(r"('version' => )'[^']*'", rf"\1'{version}'", config.read_text()))

    def lock(self) -> None:
        """Resolve the dependencies."""
        self.run("composer", "update", "--no-install", "--no-scripts", "--no-plugins", "--quiet", "--no-interaction")

    def append(self, name: str, line: str) -> None:
        """Add a line to a text file."""
        with (self.tree / name).open("a") as file:
            file.write(f"\n{line}\n")

    def commit(self, message: str, date: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}", date=date)

    def tag(self, name: str, message: str, date: str) -> None:
        """Put an annotated tag on the head."""
        self.git("tag", "--annotate", f"--message={message}", name, date=date)

    def release(self, folder: str, version: str, date: str) -> None:
        """Commit and tag a release."""
        self.overlay(folder)
        self.set_version(version)
        self.lock()
        self.commit(f"Release {version}", date)
        self.tag(f"v{version}", f"Release {version}", date)


def build(history: History) -> None:
    """Two good releases, a candidate, and the bad releases as branches."""
    history.release("v1.2.2", "1.2.2", "2025-10-14T09:00:00Z")
    history.append("README.md", "Support: helpdesk@chom.test")
    history.commit("Hotfix: name the helpdesk", "2025-10-20T15:12:00Z")
    history.append("public/robots.txt", "# sitemaps follow")
    history.commit("Hotfix: announce sitemaps", "2025-11-03T11:40:00Z")
    history.release("v1.2.3", "1.2.3", "2025-12-02T09:00:00Z")
    history.append("README.md", "Plans: basic, team, business.")
    history.commit("Document the plans", "2025-12-10T10:05:00Z")
    history.overlay("v1.2.4")
    history.set_version("1.2.4-rc1")
    history.lock()
    history.commit("Telemetry, formatter of support 2.0", "2025-12-29T14:00:00Z")
    history.tag("v1.2.4-rc1", "Release candidate", "2025-12-29T14:10:00Z")
    history.append("README.md", "Telemetry can be switched off.")
    history.commit("Document telemetry", "2026-01-02T01:00:00Z")
    history.git("tag", "nightly-2026-01-02")
    for kind in BAD_KINDS:
        history.git("checkout", "--quiet", "-b", f"bad/{kind}", "main")
        history.overlay(f"bad/{kind}")
        history.set_version("1.2.4")
        history.commit("Release 1.2.4", "2026-01-05T09:00:00Z")
    history.git("checkout", "--quiet", "main")


def main() -> None:
    """Build the history and put it into a bare repository."""
    sources, origin = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "chom"
        tree.mkdir()
        build(History(sources, tree))
        subprocess.run(["git", "clone", "--quiet", "--bare", str(tree), str(origin)], check=True)
    subprocess.run(["git", f"--git-dir={origin}", "remote", "remove", "origin"], check=True)


if __name__ == "__main__":
    main()
