# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts on which runs are disturbed, from behind the scenes and from outside."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import time
import typing as t

import yaml

from ansible_collections.lastgood.rollback.tests.faults.invariants import Site as Pages
from ansible_collections.lastgood.rollback.tests.tools.prober import Site

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHOMHOST = ROOT / "molecule/shared/host/chomhost"
STATE = ROOT / "molecule/shared/host_state.py"
HERE = pathlib.Path(__file__).resolve().parent
CONTAINERS = ROOT / ".cache/host/containers.conf"
NAME = "chom.test"
PAGES = ("/", "/login", "/dashboard", "/sites", "/health/ready")
PARKED = 5
BOOT_SECONDS = 60


class MachineError(Exception):
    """The test host itself does not do what it should; no judgement about the collection."""


def call(*argv: str, data: str | None = None) -> str:
    environment = {**os.environ, **({"CONTAINERS_CONF": str(CONTAINERS)} if CONTAINERS.exists() else {})}
    done = subprocess.run(argv, input=data, capture_output=True, text=True, errors="replace", check=False, env=environment)
    if done.returncode:
        raise MachineError(f"{' '.join(argv)[:200]}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Backup:
    """What a rollback of the database goes back to."""

    state: dict[str, t.Any]  # of the host when it was made
    approval: str  # what somebody who agrees to go back to it types


class Machine:
    """One host with a bad release on it, used by one case after the other."""

    def __init__(self, name: str, release: str, folder: pathlib.Path, *, layout: str = "git") -> None:
        self.name = name
        self.release = release
        self.layout = layout
        self.application = "/var/www/chom/current" if layout == "releases" else "/var/www/chom"
        self.container = f"lastgood-{name}"
        self.folder = folder
        self.inventory = folder / f"{name}.yml"
        self.backup: Backup | None = None
        self.inside = (str(CHOMHOST), "exec", name, "--")
        self._full = ""

    def create(self) -> None:
        """A fresh host that keeps its address when it starts again."""
        call(str(CHOMHOST), "create", "--layout", self.layout, self.name)
        call(str(CHOMHOST), "reset", self.name)
        self.inventory.write_text(call(str(CHOMHOST), "inventory", self.name))
        self._full = ""
        self.backup = None
        for _visitor in range(2):
            _answer, cookie = self.site.ask("/session")
            self.site.ask("/session", cookie=cookie)
        self.artisan("chom:enqueue", str(PARKED), "--queue=parked")
        self.artisan("chom:enqueue", str(PARKED), "--delay=36000")

    def destroy(self) -> None:
        call(str(CHOMHOST), "destroy", self.name)

    def root(self, script: str) -> str:
        return call(*self.inside, "bash", "-euo", "pipefail", "-c", script)

    def artisan(self, *words: str) -> str:
        return call(*self.inside, "runuser", "-u", "www-data", "--", "php", f"{self.application}/artisan", *words)

    def prepare(self, off: t.Sequence[str] = ()) -> None:
        """The bad release runs, nothing is left of an earlier case, all workers but those in off run."""
        self.root("systemctl stop 'lastgood-*.timer' 'lastgood-*.service'")
        self.root(
            "rm -rf /var/lib/lastgood/* /var/www/chom/.git/lastgood; find /tmp /home/deploy -name '.lastgood-*' -prune -exec rm -rf {} +"
        )
        self.root(
            "mariadb --skip-column-names -e \"SHOW DATABASES LIKE 'chom\\_\\_%'\" | xargs --no-run-if-empty -n 1 mariadb-admin --force drop"
        )
        self.root(f"rm -f {self.application}/storage/framework/{{down,maintenance.php}}")
        self.root("systemctl enable --now --quiet chom-queue-{worker,default,emails,notifications,reports}.service chom-scheduler.timer")
        call(str(CHOMHOST), "deploy", self.name, self.release)
        self.root(f"touch {self.application}/.env")  # so that an emergency builds the caches, too, and can be disturbed there
        for unit in off:
            self.root(f"systemctl disable --now --quiet {unit}")

    def state(self, before: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Rows, jobs and sessions, as the host's own tools see them."""
        since = [json.dumps({"tables": before["tables"]})] if before else []
        return t.cast("dict[str, t.Any]", json.loads(self._python(STATE.read_text(), *since)))

    def observe(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self._python((HERE / "observe.py").read_text())))

    def damage_data(self) -> None:
        """Change rows that are in the backup."""
        self.root("mariadb chom -e \"UPDATE organizations SET name = CONCAT('damaged ', UUID()) WHERE id <= 10\"")

    def rows(self, database: str, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Of each table of a database, up to the last row of the state before."""
        return t.cast("dict[str, t.Any]", json.loads(self._python(STATE.read_text(), json.dumps({"tables": before["tables"]}), database)))

    def left_again(self) -> list[str]:
        """The database that was live for a while, and lies beside the live one since the other came back."""
        record = json.loads(self.root("cat /var/lib/lastgood/chom/db_restore.json 2>/dev/null || echo {}"))
        return [record["side"]] if record.get("stage") == "returned" else []

    def replaced(self) -> list[str]:
        """The databases that a rollback replaced and kept."""
        return self.root("mariadb --skip-column-names -e \"SHOW DATABASES LIKE 'chom\\_\\_kept\\_%'\"").split()

    def _python(self, program: str, *arguments: str) -> str:
        return call(*self.inside, "python3", "-", *arguments, data=program)

    def secrets(self) -> dict[str, str]:
        text = self.root(f"cat {self.application}/.env")
        pairs = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        return {name: pairs[name].strip("\"'") for name in ("DB_PASSWORD", "REDIS_PASSWORD", "APP_KEY")}

    def kept_users(self, numbers: t.Collection[int], database: str = "chom") -> list[int]:
        """Which of these sign-ups are in the database."""
        if not numbers:
            return []
        wanted = ", ".join(str(number) for number in sorted(set(numbers)))
        return [int(row) for row in self.root(f'mariadb -N {database} -e "SELECT id FROM users WHERE id IN ({wanted})"').split()]

    def logs(self, since: float) -> str:
        """What was written down about the run on the host: the system's journal, what is in the collection's folder, what is left behind."""
        kept = "find /var/lib/lastgood /tmp /var/tmp /home/deploy -type f -size -4000k -exec cat {} + 2>/dev/null"
        return self.root(f"journalctl --no-pager --since=@{int(since)}; cat {self.application}/storage/logs/laravel.log; {kept}")

    # The site from outside

    @property
    def site(self) -> Site:
        inventory = yaml.safe_load(self.inventory.read_text())
        return Site(f"http://{inventory['chom']['hosts'][self.name]['ansible_host']}/", NAME, 8)

    def pages(self, rounds: int = 3) -> Pages:
        asked = [self.site.ask(path)[0] for path in PAGES * rounds]
        return Pages(tuple((answer.path, answer.status, answer.version) for answer in asked))

    # Faults of the machine itself

    def lose_power(self) -> None:
        call("podman", "kill", self.container)
        call("podman", "start", self.container)
        deadline = time.monotonic() + BOOT_SECONDS
        units = "ssh nginx php8.4-fpm mariadb redis-server"
        up = f"[[ $(systemctl is-system-running) =~ running|degraded ]]; systemctl is-active --quiet {units}"
        while True:
            with contextlib.suppress(MachineError):
                self.root(up)
                if self.site.ask("/css/app.css")[0].status == 200:
                    return
            if time.monotonic() > deadline:
                raise MachineError(f"{self.name} did not start again within {BOOT_SECONDS} s")
            time.sleep(0.2)

    def make_small(self, place: str) -> None:
        """Give a folder a file system of its own that is hardly larger than a rollback needs."""
        self._full = place
        self._mount("-t", "tmpfs", "-o", "size=300m,mode=755", "tmpfs", "/mnt/small")
        self.root(f"cp -a {place}/. /mnt/small/; chown --reference={place} /mnt/small; chmod --reference={place} /mnt/small")
        self._mount("--bind", "/mnt/small", place)
        self._renew(place)

    def make_normal(self) -> None:
        place, self._full = self._full, ""
        if place:
            self._inside("umount", "--lazy", place)
            self._inside("umount", "--lazy", "/mnt/small")
            self._renew(place)

    def _renew(self, place: str) -> None:
        """Have everything that works in the application's folder work in the one that is there now."""
        if place == "/var/www":
            self.root("systemctl restart php8.4-fpm; systemctl try-restart 'chom-queue-*.service'")

    def _mount(self, *words: str) -> None:
        self._inside("mount", *words)

    def _inside(self, *words: str) -> None:
        process = call("podman", "inspect", "--format", "{{.State.Pid}}", self.container).strip()
        call("nsenter", "--target", process, "--mount", "--pid", *words)
