# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print, as JSON, what a rollback of several hosts leaves on one of the web servers. Runs there as root, fed to python3 on standard input."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

PLACE = "/var/www/chom"
LINK = f"{PLACE}/current"
APPLICATION = LINK if os.path.lexists(LINK) else PLACE
STATE = pathlib.Path("/var/lib/lastgood/chom")
CONFIGURATION = (f"{APPLICATION}/.env", "/etc/nginx/sites-available/chom", "/etc/php/8.4/fpm/pool.d/www.conf")


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def as_application(*argv: str) -> str:
    return said("runuser", "-u", "www-data", "--", *argv)


def tag() -> str:
    """The name of what is in place, by git or by what the deployment wrote down."""
    if APPLICATION == PLACE:
        return as_application("git", "-C", PLACE, "describe", "--tags", "--always")
    logged = [json.loads(line) for line in pathlib.Path(f"{PLACE}/.dep/releases_log").read_text().splitlines()]
    return next(str(entry["target"]) for entry in logged if entry["release_name"] == os.path.basename(os.path.realpath(LINK)))


def workers() -> dict[str, str]:
    """Where each worker that runs works, as seen by whom it runs as: root may not look, in a container."""
    units = said("systemctl", "list-units", "--no-legend", "--plain", "--state=active", "chom-queue-*.service").splitlines()
    names = [line.split()[0] for line in units]
    pids = {name: said("systemctl", "show", "--property=MainPID", "--value", name) for name in names}
    return {name: as_application("readlink", f"/proc/{pid}/cwd") for name, pid in pids.items()}


def read(path: pathlib.Path) -> t.Any:
    return json.loads(path.read_text()) if path.exists() else {}


print(
    json.dumps(
        {
            "commit": tag(),
            "runs_in": os.path.realpath(APPLICATION),
            "closed": os.path.exists(f"{APPLICATION}/storage/framework/down"),
            "workers": workers(),
            "scheduler": said("systemctl", "is-active", "chom-scheduler.timer"),
            "locked": (STATE / "lock").exists(),
            "last_run": read(STATE / "last_run.json"),
            "journals": {path.parent.name: path.read_text() for path in sorted(STATE.glob("runs/*/journal.jsonl"))},
            "configuration": {path: pathlib.Path(path).read_text() for path in CONFIGURATION},
            "backups": sorted(os.listdir("/var/backups/chom")),
        }
    )
)
