# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts with one application on them, and what somebody on call types there. Each call leaves build/molecule/three_hosts/<act>.json."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t

import yaml

from ansible_collections.lastgood.rollback.molecule.shared.cases import HOSTS
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import INVENTORY, RECORDS, ROOT, Machine, approval_in

FOLDER = RECORDS / "three_hosts"
WITH_WORKERS, WITHOUT, DATABASE = (Machine(f"{HOSTS}-{name}") for name in ("web1", "web2", "db1"))
WEB = (WITH_WORKERS, WITHOUT)
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
sed -i 's/^DB_HOST=.*/DB_HOST=@ADDRESS@/; s/^REDIS_HOST=.*/REDIS_HOST=@ADDRESS@/' /var/www/chom/.env
runuser -u www-data -- php /var/www/chom/artisan config:cache --quiet
systemctl restart php8.4-fpm
"""
START_WORKERS = "systemctl start chom-queue-{worker,default,emails,notifications,reports}.service"
NO_WORKERS = "systemctl disable --quiet --now chom-queue-{worker,default,emails,notifications,reports}.service chom-scheduler.timer"


@dataclasses.dataclass(frozen=True)
class Act:
    """One call of a playbook, and what is done to the hosts before it."""

    name: str
    playbook: str
    extra: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    before: t.Mapping[str, str] = dataclasses.field(default_factory=dict)  # by the end of a host's name: typed there as root
    limit: tuple[str, ...] = tuple(machine.name for machine in WEB)
    approved_in: str = ""  # an earlier act, which printed how to agree to what this one does
    release: str | None = None  # deployed on both web servers before


BREAK = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=broken/ /var/www/chom/.env"
REPAIR = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=classic/ /var/www/chom/.env"
DOWN = {"target": "v1.2.3", "migrations": "down", "watch_seconds": 0}
DATA: dict[str, t.Any] = {"label": "faults", "watch_seconds": 0}
ACTS = (
    Act("together", "standard_rollback", DOWN, release="migration"),
    Act("backed_up", "../tests/faults/backup", limit=(WITH_WORKERS.name,)),
    Act("asked", "database_rollback", DATA, {"db1": "mariadb chom -e 'DELETE FROM sites WHERE id <= 100'"}),
    Act("data_restored", "database_rollback", DATA, approved_in="asked"),
    Act("data_returned", "undo"),
    Act(
        "disagree",
        "emergency_rollback",
        {"migrations": "keep"},
        {"web2": "runuser -u www-data -- git -C /var/www/chom tag --delete v1.2.3"},
        release="crash",
    ),
    Act("unreachable", "emergency_rollback", {"target": "v1.2.3"}, before={"web2": "systemctl stop ssh.socket ssh.service"}),
    Act(
        "one_fails",
        "emergency_rollback",
        {"target": "v1.2.3"},
        before={"web2": f"systemctl start ssh.service; runuser -u www-data -- git -C /var/www/chom fetch --quiet --tags; {BREAK}"},
    ),
    Act("repaired", "resume", {"take_over": "rehearsed"}, before={"web2": REPAIR}),
    Act("undone", "undo"),
    Act("alone_fails", "emergency_rollback", {"target": "v1.2.3"}, {"web2": BREAK}, limit=(WITHOUT.name,)),
    Act("alone_repaired", "resume", {}, {"web2": REPAIR}),
)


def create() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for machine in (*WEB, DATABASE):
        machine.chomhost("create", machine.name)
    DATABASE.type(OPEN_DATABASE)
    address = _variables(DATABASE)["ansible_host"]
    for machine in WEB:
        machine.type(USE_IT.replace("@ADDRESS@", address))
    WITH_WORKERS.type(START_WORKERS)
    WITHOUT.type(NO_WORKERS)


def _variables(machine: Machine) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(machine.chomhost("inventory", machine.name))["chom"]["hosts"][machine.name])


def inventory() -> dict[str, t.Any]:
    """The profile of the inventory, less what each host does not have."""
    below = yaml.safe_load((INVENTORY / "group_vars/chom.yml").read_text())["rollback_application"]
    found: dict[str, t.Any] = {"chom": {"hosts": {}}}
    for machine in WEB:
        profile = json.loads(json.dumps(below))
        profile["services"]["required"] = NEEDED
        profile["database"]["administrator"] = ADMINISTRATOR
        profile["health"]["deadline"] = 10
        for probe in profile["health"]["probes"]:
            if probe["type"] == "units":
                probe["units"] = NEEDED
        if machine is WITHOUT:
            profile["services"].update(workers=[], schedulers=[])
        found["chom"]["hosts"][machine.name] = {**_variables(machine), "rollback_application": profile}
    return found


def seen(machine: Machine) -> dict[str, t.Any]:
    """A web server, from behind the scenes and from outside."""
    answer, _cookie = machine.site.ask("/health/basic")
    state = "/var/lib/lastgood/chom"
    return {
        "status": answer.status,
        "version": answer.version,
        "commit": machine.type("git -c safe.directory='*' -C /var/www/chom describe --tags --always").strip(),
        "closed": machine.type("ls /var/www/chom/storage/framework").split().count("down") == 1,
        "workers": int(machine.type("systemctl list-units --no-legend --state=active 'chom-queue-*.service' | wc -l")),
        "locked": machine.type(f"[ -e {state}/lock ] && echo locked || echo free").strip() == "locked",
        "last_run": json.loads(machine.type(f"cat {state}/last_run.json 2>/dev/null || echo '{{}}'")),
        "backups": machine.type("ls /var/backups/chom").split(),
    }


def data() -> dict[str, t.Any]:
    """What the one database has, and the databases beside it."""
    return {
        "sites": int(DATABASE.type("mariadb -N chom -e 'SELECT COUNT(*) FROM sites'")),
        "databases": DATABASE.type("mariadb -N -e \"SHOW DATABASES LIKE 'chom%'\"").split(),
    }


def migrations() -> list[str]:
    return DATABASE.type("mariadb -N chom -e 'SELECT migration FROM migrations ORDER BY 1'").split()


def play(act: Act) -> None:
    for machine in WEB if act.release else ():
        machine.chomhost("deploy", machine.name, str(act.release))
        if machine is WITHOUT:
            machine.type(NO_WORKERS)  # a deployment starts them
    for machine in (*WEB, DATABASE):
        line = act.before.get(machine.name.rpartition("-")[2])
        if line:
            machine.type(line)
    before = {"hosts": {machine.name: seen(machine) for machine in WEB}, "migrations": migrations(), "data": data()}
    (FOLDER / "inventory.yml").write_text(yaml.safe_dump(inventory()))
    reports = FOLDER / f"reports-{act.name}"
    extra = {**act.extra, "report_directory": str(reports)}
    if act.approved_in:
        extra["approve"] = approval_in(FOLDER / f"{act.approved_in}.json")
    inventories = ["-i", str(INVENTORY), "-i", str(FOLDER / "inventory.yml"), "-l", ",".join(act.limit)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
    with tempfile.TemporaryDirectory() as scratch:
        environment.update(ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_SSH_CONTROL_PATH_DIR=scratch)
        done = subprocess.run(
            ["ansible-playbook", *inventories, f"playbooks/{act.playbook}.yml", "-e", json.dumps(extra)],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    after = {"hosts": {machine.name: seen(machine) for machine in WEB}, "migrations": migrations(), "data": data()}
    report = [json.loads(path.read_text()) for path in sorted(reports.rglob("report.json"))]
    record = {"rc": done.returncode, "output": done.stdout + done.stderr, "before": before, "after": after, "reports": report}
    (FOLDER / f"{act.name}.json").write_text(json.dumps(record))
    print(f"--- {act.name} ---\n{done.stdout}{done.stderr}exit status {done.returncode}\n")


def main() -> int:
    if sys.argv[1] == "prepare":
        create()
    else:
        wanted = sys.argv[2:]
        for act in ACTS:
            if not wanted or act.name in wanted:
                play(act)
    return 0


if __name__ == "__main__":
    sys.exit(main())
