# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host on which both sides are measured, and how each of them is started."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
VERSION = "1.2.3"
OPTIONS = ("BatchMode yes", "IdentitiesOnly yes", "StrictHostKeyChecking no", "User deploy")


class BenchmarkError(Exception):
    """Something without which no number can be trusted; printed without a traceback."""


class Host:
    """One production-like host; both sides meet it in the same state."""

    manager = ROOT / "molecule/shared/host/chomhost"
    begin = "cd /var/www/chom\n"

    def __init__(self, name: str, folder: pathlib.Path, *, layout: str = "git", gigabytes: int = 1) -> None:
        self.name = name
        self.layout = layout
        self.gigabytes = gigabytes  # of data in the databases that are backed up
        self._folder = folder
        description = json.loads(self._manage("create", "--layout", layout, name))
        self.address: str = description["ip"]
        self.ssh_config = self._write_ssh_config(description["ssh_key"])
        self.inventory = folder / "inventory.yml"
        self.inventory.write_text(self._manage("inventory", name), encoding="utf-8")

    def _manage(self, *argv: str) -> str:
        done = subprocess.run([self.manager, *argv], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{self.manager.name} {' '.join(argv)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _write_ssh_config(self, key: str) -> pathlib.Path:
        """Plain connections: ssh's own defaults, and nothing shared between two commands."""
        known = ROOT / ".cache/host/known_hosts" / self.name
        lines = [f"HostName {self.address}", f"IdentityFile {key}", f"UserKnownHostsFile {known}", *OPTIONS]
        path = self._folder / "ssh_config"
        path.write_text("\n    ".join(["Host chom", *lines]) + "\n", encoding="utf-8")
        return path

    def destroy(self) -> None:
        self._manage("destroy", self.name)

    def root(self, script: str) -> str:
        """Behind the scenes, as root."""
        return self._manage("exec", self.name, "--", "bash", "-euc", script)

    def prepare(self, bad: str, *, kept: bool = False) -> None:
        """The bad release runs, all workers run; unless kept, nothing that an earlier rollback built is there."""
        self.root("rm -rf /var/lib/lastgood/*" + ("" if kept else " /var/www/chom/.git/lastgood"))
        self._manage("deploy", self.name, bad)
        self.expect_workers()
        time.sleep(1)

    def expect_workers(self) -> None:
        """All five run, or do so soon: one that ended in between is started again by systemd."""
        deadline = time.monotonic() + 20
        while (running := int(self.root("systemctl list-units --no-legend --state=active 'chom-queue-*.service' | wc -l"))) != 5:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{running} of 5 workers run")
            time.sleep(0.5)

    def expect_good(self) -> None:
        """A number counts only if the rollback it belongs to is complete."""
        self.expect_workers()
        if self.layout == "releases":
            self._expect_release()
            return
        commits = self.root("cd /var/www/chom; runuser -u www-data -- git rev-parse HEAD 'refs/tags/v1.2.3^{commit}'").split()
        if commits[0] != commits[1] or self.root("ls /var/www/chom/storage/framework").split().count("down"):
            raise BenchmarkError("the rollback did not end at v1.2.3 with the site open")

    def _expect_release(self) -> None:
        if self.running_release() != self.release("v1.2.3") or self.root("ls /var/www/chom/shared/storage/framework").split().count("down"):
            raise BenchmarkError("the rollback did not end at v1.2.3 with the site open")

    def running_release(self) -> str:
        return self.root("basename $(readlink /var/www/chom/current)").strip()

    def release(self, version: str) -> str:
        """The one that was deployed last of those of a version, by the deployment tool's own log."""
        lines = map(json.loads, self.root("cat /var/www/chom/.dep/releases_log").splitlines())
        return [str(line["release_name"]) for line in lines if line["target"] == version][-1]

    def ssh(self, commands: str) -> float:
        """Run bare commands in the application's folder by a fresh connection; return the seconds that took."""
        began = time.monotonic()
        script = f"{self.begin}set -e\n{commands}"
        run_silently(["ssh", "-F", str(self.ssh_config), "chom", script], "bare commands")
        return time.monotonic() - began

    def script(self, name: str, *arguments: str) -> list[str]:
        """The operator's script."""
        return [str(HERE / "runbook" / name), str(self.ssh_config), self.address, *arguments]

    def playbook(self, name: str, *options: str) -> list[str]:
        """Our side."""
        reports = ["-e", f"report_directory={self._folder}/reports"]
        return [*self._ansible("ansible-playbook"), "-l", self.name, f"playbooks/{name}.yml", *reports, *options]

    def play(self, name: str, *options: str) -> list[str]:
        """The smallest play that somebody could write."""
        return [*self._ansible("ansible-playbook"), "-l", self.name, str(HERE / "runbook" / name), *options]

    def module(self, name: str, options: t.Mapping[str, t.Any]) -> list[str]:
        """One of our modules on its own."""
        return [*self._ansible("ansible"), self.name, "-m", f"lastgood.rollback.{name}", "-a", json.dumps(options)]

    def _ansible(self, program: str) -> list[str]:
        return [str(pathlib.Path(sys.executable).parent / program), "-i", "inventories/chom", "-i", str(self.inventory)]


class DatabaseHost(Host):
    """A host with PostgreSQL, and nothing of the application."""

    manager = ROOT / "molecule/shared/host/databasehost"
    begin = ""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name = name
        self._folder = folder
        description = json.loads(self._manage("create", name))
        self.address = description["ip"]
        self.ssh_config = self._write_ssh_config(description["ssh_key"])
        host = {
            "ansible_host": self.address,
            "ansible_user": "deploy",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": description["ssh_key"],
            "ansible_ssh_common_args": f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={ROOT}/.cache/host/known_hosts/{name}",
        }
        self.inventory = folder / "databases.json"
        self.inventory.write_text(json.dumps({"databases": {"hosts": {name: host}}}), encoding="utf-8")


def run_silently(argv: t.Sequence[str], what: str, environment: t.Mapping[str, str] | None = None) -> None:
    done = subprocess.run(argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{what} ended with status {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


@contextlib.contextmanager
def fresh_connections() -> t.Iterator[dict[str, str]]:
    """An environment in which ansible-playbook finds no ssh connection of an earlier run; what it opens is closed again."""
    with tempfile.TemporaryDirectory(prefix="lastgood-") as folder:
        mine = {name: value for name, value in os.environ.items() if not re.match(r"ANSIBLE_|TASK_TIMES", name)}
        yield {**mine, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_SSH_CONTROL_PATH_DIR": folder}
        for socket in pathlib.Path(folder).iterdir():
            subprocess.run(["ssh", "-O", "exit", "-S", str(socket), "chom"], stderr=subprocess.DEVNULL, check=False)
