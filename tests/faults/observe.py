# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print, as JSON, where a rollback stands, found out without asking the collection. Runs on the host as root, fed to python3."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import time
import typing as t

PLACE = "/var/www/chom"
RELEASES = os.path.islink(f"{PLACE}/current")
APPLICATION = f"{PLACE}/current" if RELEASES else PLACE
ROOT = "/var/lib/lastgood/chom"
UNITS = [f"chom-queue-{name}.service" for name in ("worker", "default", "emails", "notifications", "reports")] + ["chom-scheduler.timer"]
QUIET_SECONDS = 60.0


def out(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def git(*words: str) -> str:
    return out("runuser", "-u", "www-data", "--", "env", "GIT_OPTIONAL_LOCKS=0", "git", "-C", APPLICATION, *words)


def code() -> dict[str, t.Any]:
    """Which commit the application is at, what it is called, and what was changed by hand."""
    if RELEASES:
        head = (text_of(f"{APPLICATION}/REVISION") or "").strip()
        tags = out("runuser", "-u", "www-data", "--", "git", "--git-dir=/srv/git/chom.git", "tag", "--points-at", head)
        return {"head": head, "tags": tags.split(), "changed": []}
    return {
        "head": git("rev-parse", "HEAD"),
        "tags": git("tag", "--points-at", "HEAD").split(),
        "changed": git("status", "--porcelain", "--untracked-files=no").splitlines(),
    }


def text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def journals() -> dict[str, str]:
    """Of each run its journal as it stands in the file, the oldest first."""
    found = sorted(glob.glob(f"{ROOT}/runs/*/journal.jsonl"), key=lambda path: (text_of(path) or "")[:40])
    return {path.split("/")[-2]: text_of(path) or "" for path in found}


def alive(process: t.Mapping[str, int]) -> bool:
    stat = text_of(f"/proc/{process.get('id')}/stat")
    return stat is not None and int(stat.rpartition(")")[2].split()[19]) == process.get("began")


def at_work() -> bool:
    """Whether somebody is in the middle of a step at this moment."""
    for text in journals().values():
        whole = text.split("\n")[:-1]
        last = json.loads(whole[-1]) if whole else {}
        if last.get("event") == "intent" and alive(last.get("process") or {}):
            return True
    return False


def become_quiet() -> bool:
    deadline = time.monotonic() + QUIET_SECONDS
    while at_work():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def observe() -> dict[str, t.Any]:
    return {
        "quiet": become_quiet(),
        **code(),
        "down": os.path.exists(f"{APPLICATION}/storage/framework/down"),
        "lock": text_of(f"{ROOT}/lock"),
        "last_run": text_of(f"{ROOT}/last_run.json"),
        "waiting": text_of(f"{ROOT}/workers.json"),
        "journals": journals(),
        "units": {name: out("systemctl", "is-active", name) for name in UNITS},
        "fpm": out("systemctl", "is-active", "php8.4-fpm.service"),
    }


if __name__ == "__main__":
    print(json.dumps(observe()))
    sys.exit(0)
