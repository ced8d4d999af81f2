# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One application on three hosts, and somebody on call who types what a scenario's acts say, with users on both web servers meanwhile.

Each act leaves build/molecule/<scenario>/<act>.json: what was said, how it ended, the hosts before and after, and what users got.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

import yaml

from ansible_collections.lastgood.rollback.molecule.shared.cases import HOSTS
from ansible_collections.lastgood.rollback.molecule.shared.cluster_acts import ACTS, LAYOUTS, Act
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import INVENTORY, RECORDS, ROOT, Machine, approval_in, laid_over
from ansible_collections.lastgood.rollback.tests.tools.prober import Prober, summarise

STATE = ROOT / "molecule/shared/cluster_state.py"
NEEDED = ["nginx.service", "php8.4-fpm.service"]

OPEN_DATABASE = r"""
systemctl disable --quiet --now chom-queue-{worker,default,emails,notifications,reports}.service chom-scheduler.timer nginx php8.4-fpm
password=$(sed -n 's/^DB_PASSWORD="\(.*\)"/\1/p' /var/www/chom/.env)
printf '[mysqld]\nbind-address = 0.0.0.0\n' > /etc/mysql/mariadb.conf.d/99-open.cnf
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf
systemctl restart mariadb redis-server
mariadb -e "CREATE USER chom@'%' IDENTIFIED BY '$password'; GRANT ALL ON chom.* TO chom@'%'"
mariadb -e "CREATE USER keeper@'%' IDENTIFIED BY 'kept-0815'; GRANT ALL ON *.* TO keeper@'%' WITH GRANT OPTION"
"""
ADMINISTRATOR = {"user": "keeper", "password": "kept-0815"}
USE_IT = r"""
systemctl stop 'chom-queue-*.service' mariadb redis-server
systemctl mask --quiet mariadb redis-server
sed -i --follow-symlinks 's/^DB_HOST=.*/DB_HOST=@ADDRESS@/; s/^REDIS_HOST=.*/REDIS_HOST=@ADDRESS@/' @APPLICATION@/.env
runuser -u www-data -- php @APPLICATION@/artisan config:cache --quiet
systemctl restart php8.4-fpm
"""
NAME_BY_TIME = r"""
sed -i 's/^number=.*/number=$(date -u +%Y%m%d%H%M%S)/' /usr/local/sbin/chom-deploy
chom-deploy v1.2.3 > /dev/null < /dev/null
rm -r /var/www/chom/releases/2
"""
START_WORKERS = "systemctl start chom-queue-{worker,default,emails,notifications,reports}.service"
NO_WORKERS = "systemctl disable --quiet --now chom-queue-{worker,default,emails,notifications,reports}.service chom-scheduler.timer"


class Cluster:
    """Two web servers, of which one has the workers, and a server for MariaDB and Redis."""

    def __init__(self, scenario: str) -> None:
        self.layout = LAYOUTS[scenario]
        self.folder = RECORDS / scenario
        self.with_workers, self.without = (Machine(f"{HOSTS}-{name}", self.layout) for name in ("web1", "web2"))
        self.database = Machine(f"{HOSTS}-db1")
        self.web = (self.with_workers, self.without)
        self.acts = ACTS[scenario]

    def create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for machine in (*self.web, self.database):
            machine.chomhost("create", "--layout", machine.layout, machine.name)
        self.database.type(OPEN_DATABASE)
        address = _variables(self.database)["ansible_host"]
        if self.layout == "releases":
            self.without.type(NAME_BY_TIME)
        for machine in self.web:
            machine.type(USE_IT.replace("@ADDRESS@", address).replace("@APPLICATION@", machine.application))
        self.with_workers.type(START_WORKERS)
        self.without.type(NO_WORKERS)

    def inventory(self, act: Act) -> dict[str, t.Any]:
        """The profile of the inventory, less what each host does not have."""
        found: dict[str, t.Any] = {"chom": {"hosts": {}}}
        for machine in self.web:
            text = (INVENTORY / "group_vars/chom.yml").read_text().replace("/var/www/chom", machine.application)
            profile = yaml.safe_load(text)["rollback_application"]
            profile["layout"] = self.layout
            profile["services"]["required"] = NEEDED
            profile["database"]["administrator"] = ADMINISTRATOR
            for probe in profile["health"]["probes"]:
                if probe["type"] == "units":
                    probe["units"] = NEEDED
            if act.fails_on and machine.name.endswith(act.fails_on):
                profile["health"]["deadline"] = 5
            if machine is self.without:
                profile["services"].update(workers=[], schedulers=[])
                profile["health"]["verify_probes"] = [probe for probe in profile["health"]["verify_probes"] if probe["type"] != "units"]
            found["chom"]["hosts"][machine.name] = {**_variables(machine), "rollback_application": laid_over(profile, act.profile)}
        return found

    def state(self) -> dict[str, t.Any]:
        """Each web server, from behind the scenes and from outside, and the one database."""
        return {"hosts": {machine.name: _seen(machine) for machine in self.web}, "data": self._data()}

    def _data(self) -> dict[str, t.Any]:
        databases = self.database.type("mariadb -N -e \"SHOW DATABASES LIKE 'chom%'\"").split()
        if "chom" not in databases:
            return {"databases": databases, "sites": 0, "migrations": []}
        asked = self.database.type("mariadb -N chom -e 'SELECT COUNT(*) FROM sites; SELECT migration FROM migrations ORDER BY 1'").split()
        return {"databases": databases, "sites": int(asked[0]), "migrations": asked[1:]}

    def play(self, act: Act) -> None:
        for machine in self.web if act.release else ():
            machine.chomhost("deploy", machine.name, str(act.release))
            if machine is self.without:
                machine.type(NO_WORKERS)  # a deployment starts them
        for machine in (*self.web, self.database):
            line = act.before.get(machine.name.rpartition("-")[2])
            if line:
                machine.type(line)
        before = self.state()
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(self.inventory(act)))
        began = time.monotonic()
        with contextlib.ExitStack() as users:
            probers = {machine.name: users.enter_context(Prober(machine.site, pages=5, ready=1, signups=1)) for machine in self.web}
            done = self._typed(act)
        record = {
            "rc": done.returncode,
            "output": done.stdout + done.stderr,
            "before": before,
            "after": self.state(),
            "reports": [json.loads(path.read_text()) for path in sorted(self._reports(act).rglob("report.json"))],
            "users": {name: dataclasses.asdict(summarise(prober.answers)) for name, prober in probers.items()},
        }
        (self.folder / f"{act.name}.json").write_text(json.dumps(record))
        print(f"--- {act.name} ---\n{done.stdout}{done.stderr}exit status {done.returncode} after {time.monotonic() - began:.1f} s\n")

    def _reports(self, act: Act) -> t.Any:
        return self.folder / f"reports-{act.name}"

    def _typed(self, act: Act) -> subprocess.CompletedProcess[str]:
        extra = {**act.extra, "report_directory": str(self._reports(act))}
        if act.approved_in:
            extra["approve"] = approval_in(self.folder / f"{act.approved_in}.json")
        limit = ",".join(machine.name for machine in self.web if act.only in ("", machine.name.rpartition("-")[2]))
        inventories = ["-i", str(INVENTORY), "-i", str(self.folder / "inventory.yml"), "-l", limit]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
        with tempfile.TemporaryDirectory() as scratch:
            environment.update(ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_SSH_CONTROL_PATH_DIR=scratch)
            return subprocess.run(
                ["ansible-playbook", *inventories, f"playbooks/{act.playbook}.yml", "-e", json.dumps(extra)],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip


def _variables(machine: Machine) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(machine.chomhost("inventory", machine.name))["chom"]["hosts"][machine.name])


def _seen(machine: Machine) -> dict[str, t.Any]:
    answer, _cookie = machine.site.ask("/health/basic")
    behind = json.loads(machine.chomhost("exec", machine.name, "--", "python3", "-", data=STATE.read_text()))
    return {"status": answer.status, "version": answer.version, **behind}


def main() -> int:
    action, scenario, *wanted = sys.argv[1:]
    cluster = Cluster(scenario)
    if action == "prepare":
        cluster.create()
    else:
        for act in cluster.acts:
            if not wanted or act.name in wanted:
                cluster.play(act)
    return 0


if __name__ == "__main__":
    sys.exit(main())
