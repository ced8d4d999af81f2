# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose checkout is real, and whose database, units and sudo rights are what a test says."""

from __future__ import annotations

import json
import pathlib
import typing as t

from checkouts import Checkout
from local_runner import Local

from ansible_collections.lastgood.rollback.plugins.module_utils._profile import normalised

_FULL = "User deploy may run the following commands on chom:\n    (ALL : ALL) NOPASSWD: ALL\n"
PASSWORD = "s3cret!word"


class Host:
    def __init__(self, app: Checkout, local: Local, folder: pathlib.Path) -> None:
        self.app = app
        self.state = folder / "state"
        self.backups = folder / "backups"
        self.state.mkdir()
        self.backups.mkdir()
        self.migrations = [path.stem for path in sorted((app.path / "database/migrations").glob("*.php"), reverse=True)]
        self.units = dict.fromkeys(("nginx.service", "php8.4-fpm.service", "w1.service", "w2.service", "s.timer"), "active")
        self.sudo = (0, _FULL, "")
        self.database = (0, "", "")
        local.me = "deploy"
        local.present |= {"mariadb", "php", "systemctl", "sudo", "zstd"}
        local.when("mariadb *", self._query)
        local.when("systemctl show *", self._show)
        local.when("systemctl list-unit* *", self._list)
        local.when("sudo -n -l", lambda _argv, _stdin: self.sudo)
        local.on("php * --version --no-ansi", "Laravel Framework 11.0")
        app.write(".env", f"DB_DATABASE=chom\nDB_USERNAME=chom\nDB_PASSWORD={PASSWORD}\n")

    @property
    def profile(self) -> dict[str, t.Any]:
        """The application profile, fresh each time."""
        return normalised(
            {
                "name": "chom",
                "path": str(self.app.path),
                "user": "www-data",
                "state_directory": str(self.state),
                "backup": {"directory": str(self.backups)},
                "services": {
                    "workers": ["w1.service", "w2"],
                    "schedulers": ["s.timer"],
                    "reload": ["php8.4-fpm"],
                    "required": ["nginx.service"],
                },
                "health": {
                    "base_url": "http://chom.test",
                    "version_probe": {"path": "/health/basic", "header": "X-App-Version"},
                    "probes": [{"name": "home", "type": "http", "path": "/"}],
                },
            }
        )

    def last_run(self, **facts: t.Any) -> None:
        """What the last run left behind."""
        folder = self.state / "chom"
        folder.mkdir(exist_ok=True)
        (folder / "last_run.json").write_text(json.dumps({"run": "r1", "closed": "2026-01-01T00:00:00Z", **facts}))

    def _query(self, _argv: tuple[str, ...], sql: str | None) -> tuple[int, str, str]:
        if self.database[0]:
            return self.database
        return 0, "1\n" if sql == "SELECT 1" else "".join(f"{name}\t1\n" for name in self.migrations), ""

    def _show(self, argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        return 0, "\n\n".join(self._unit(name) for name in argv[argv.index("--") + 1 :]), ""

    def _unit(self, name: str) -> str:
        active = self.units.get(name)
        load = "not-found" if not active else "masked" if active == "masked" else "loaded"
        pid = 4000 + list(self.units).index(name) if active == "active" else 0
        return f"Id={name}\nLoadState={load}\nActiveState={active if load == 'loaded' else 'inactive'}\nSubState=running\nMainPID={pid}"

    def _list(self, argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        state = "loaded active running" if argv[1] == "list-units" else "enabled"
        return 0, "".join(f"{name} {state}\n" for name in self.units), ""
