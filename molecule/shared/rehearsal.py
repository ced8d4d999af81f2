# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a test host for a case and run its rollbacks, with users outside all the while.

Each run leaves build/molecule/<case>/<run>.json: what was typed, what it said, how it ended, the host before and after, and what
the users got. The tests read that.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

import yaml

from ansible_collections.lastgood.rollback.molecule.shared.cases import CASES, HOSTS, Case, Run
from ansible_collections.lastgood.rollback.molecule.shared.host_state import CLIENTS, name_of
from ansible_collections.lastgood.rollback.tests.tools.prober import PAGE, Answer, Prober, Site, load, summarise

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "build" / HOSTS.partition("-")[0]  # of scenarios that run side by side, too
CHOMHOST = ROOT / "molecule/shared/host/chomhost"
STATE = ROOT / "molecule/shared/host_state.py"
INVENTORY = ROOT / "inventories/chom"
NAME = "chom.test"
SECRET_PATH = "/services/T000/B000/webhook-secret"
PARKED, LATER = 20, 50
PAGES = ("/", "/login", "/dashboard", "/organizations", "/sites", "/health/ready", "/health/live", "/health/basic", "/css/app.css")
PATIENCE_SECONDS = 240
SETTLING_SECONDS = 8  # an idle worker looks for a job every second
CONNECTIONS = {"mariadb": "mysql", "postgresql": "pgsql", "sqlite": "sqlite"}
INSTEAD: dict[str, dict[str, str]] = {  # what the profile says of another database
    "mariadb": {},
    "postgresql": {"mariadb.service": "postgresql@17-main.service", "/run/mysqld/mysqld.sock": "/run/postgresql"},
    "sqlite": {"mariadb.service, ": "", "    administrator: {user: deploy, unix_socket: /run/mysqld/mysqld.sock}": "    administrator: {}"},
}


@dataclasses.dataclass
class Record:
    """What is known about a run that was made."""

    command: list[str]
    rc: int
    output: str
    began: float
    ended: float
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    outside: dict[str, dict[str, t.Any]]
    webhook: list[dict[str, t.Any]]
    report: dict[str, t.Any]
    others: list[dict[str, t.Any]]
    answers: str

    @property
    def users(self) -> list[Answer]:
        return load(ROOT / self.answers)

    @property
    def words(self) -> str:
        """The output without its line breaks, which depend on a width."""
        return " ".join(self.output.split())


def record_path(case: str, run: str) -> pathlib.Path:
    return RECORDS / case / f"{run}.json"


def read_record(case: str, run: str) -> Record:
    return Record(**json.loads(record_path(case, run).read_text()))


class Machine:
    """A test host, from behind the scenes and from outside."""

    def __init__(self, name: str, layout: str = "git", database: str = "mariadb") -> None:
        self.name = name
        self.layout = layout
        self.database = database

    @property
    def application(self) -> str:
        return "/var/www/chom/current" if self.layout == "releases" else "/var/www/chom"

    def chomhost(self, *words: str, data: str | None = None) -> str:
        done = subprocess.run([str(CHOMHOST), *words], input=data, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"chomhost {' '.join(words)[:300]}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def type(self, line: str) -> str:
        return self.chomhost("exec", self.name, "--", "bash", "-euo", "pipefail", "-c", line)

    def artisan(self, *words: str) -> str:
        return self.chomhost("exec", self.name, "--", "runuser", "-u", "www-data", "--", "php", f"{self.application}/artisan", *words)

    def rows(self, sql: str, database: str = "chom") -> list[list[str]]:
        """What the application's database server, or the file, says."""
        kind = CONNECTIONS[self.database]
        client = [*CLIENTS[kind], name_of(database, kind)]
        return [line.split("\t") for line in self.chomhost("exec", self.name, "--", *client, data=sql).splitlines()]

    @property
    def databases(self) -> list[str]:
        """Those of the application: the live one, and what lies beside it."""
        names: dict[str, t.Callable[[], list[list[str]]]] = {
            "mariadb": lambda: self.rows("SHOW DATABASES"),
            "postgresql": lambda: self.rows("SELECT datname FROM pg_database"),
            "sqlite": lambda: [
                [name.replace(".sqlite", "")] for name in self.type("ls --ignore='*-wal' --ignore='*-shm' /var/lib/chom").split()
            ],
        }
        return [name for (name,) in names[self.database]() if name.startswith("chom")]

    def state(self, before: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        since = [json.dumps({"tables": before["tables"]})] if before else []
        printed = self.chomhost("exec", self.name, "--", "python3", "-", *since, data=STATE.read_text())
        return t.cast("dict[str, t.Any]", json.loads(printed))

    @property
    def site(self) -> Site:
        inventory = yaml.safe_load(self.chomhost("inventory", self.name))
        return Site(f"http://{inventory['chom']['hosts'][self.name]['ansible_host']}/", NAME)


def prepare(name: str, case: Case) -> None:
    """A fresh host with things that must not be lost on it, then the bad release."""
    shutil.rmtree(RECORDS / name, ignore_errors=True)
    machine = Machine(case.host, case.layout, case.database)
    machine.chomhost("create", "--variant", case.variant, "--layout", case.layout, "--database", case.database, case.host)
    site = machine.site
    for _visitor in range(3):
        _answer, cookie = site.ask("/session")
        site.ask("/session", cookie=cookie)
    machine.artisan("chom:enqueue", str(PARKED), "--queue=parked")
    machine.artisan("chom:enqueue", str(LATER), "--delay=36000")
    if case.bad:
        machine.chomhost("deploy", case.host, case.bad)
    if case.script:
        script = (ROOT / "molecule/shared" / case.script).read_text()
        machine.chomhost("exec", case.host, "--", "runuser", "-u", "www-data", "--", "bash", "-s", data=script)
    for line in case.setup:
        machine.type(line)


def rehearse(name: str, case: Case, only: t.Collection[str] = ()) -> None:
    """Make the runs of a case, one after the other."""
    folder = RECORDS / name
    folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(case.host, case.layout, case.database)
    (folder / "inventory.yml").write_text(machine.chomhost("inventory", case.host))
    for run in case.runs:
        if only and run.name not in only:
            continue
        for line in run.before:
            machine.type(line)
        record = _make(machine, run, folder)
        record_path(name, run.name).write_text(json.dumps(dataclasses.asdict(record), indent=1))
        _tell(name, run, record)
        for line in run.after:
            machine.type(line)


def _make(machine: Machine, run: Run, folder: pathlib.Path) -> Record:
    site = machine.site
    answers = folder / f"{run.name}.answers.jsonl"
    writing = run.expected not in (
        "refused",
        "nothing_to_do",
        "checked",
        "recorded",
        "put_back",
    )  # users change the data only where data need not stay the same
    before = machine.state() if writing else _settled(machine)
    with (
        _webhook(run) as (url, messages),
        tempfile.TemporaryDirectory(prefix="lastgood-") as scratch,
        Prober(site, pages=5, ready=1, signups=1 if writing else 0, session=1 if writing else 0, output=answers) as prober,
    ):
        if run.job_at_work:
            machine.artisan("chom:enqueue", "1", "--queue=reports", "--sleep=4")
        time.sleep(1 if writing else 0.3)
        command = _command(machine, run, folder, pathlib.Path(scratch), url)
        began = time.time()
        started = [_start(command, scratch, folder, number) for number in range(run.together)]
        if run.kill_when_closed:
            _kill_when_closed(started[0], prober, began)
        if run.kill_when_begun:
            _kill_when_begun(started[0], machine, run.kill_when_begun)
        if run.kill_when_said:
            _kill_when_said(started[0], run.kill_when_said)
        if run.until:
            _wait_until(machine, run.until)
        ended = [_end(process, output) for process, output in started]
        over = time.time()
        time.sleep(1 if writing else 0.3)
        outside = {path: _seen(site, path) for path in PAGES}
    ended.sort(key=lambda end: end["rc"])
    return Record(
        command=command,
        rc=ended[0]["rc"],
        output=ended[0]["output"],
        began=began,
        ended=over,
        before=before,
        after=machine.state(before) if writing else _settled(machine, before),
        outside=outside,
        webhook=messages,
        report=_report(folder / f"reports-{run.name}", ended[0]["output"]),
        others=ended[1:],
        answers=str(answers.relative_to(ROOT)),
    )


def _settled(machine: Machine, before: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    """The state once the workers have done what users, or a probe that signs up, left them to do; those of a broken release never do."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        state = machine.state(before)
        waiting = [name for name in state["queues"] if not name.startswith("parked") and name != "default:delayed"]
        if not waiting or time.monotonic() > deadline:
            return state
        time.sleep(0.5)


def _command(machine: Machine, run: Run, folder: pathlib.Path, scratch: pathlib.Path, webhook: str) -> list[str]:
    """What somebody on call types, with the test host's inventory beside the project's own."""
    extra = dict(run.extra)
    extra["report_directory"] = str(folder / f"reports-{run.name}")
    if run.plan_of:
        extra["plan"] = digest_in(folder / f"{run.plan_of}.json")
    if run.approved_in:
        extra["approve"] = approval_in(folder / f"{run.approved_in}.json")
    if run.salvage_of:
        extra["salvage"] = json.loads((folder / f"{run.salvage_of}.json").read_text())["report"]["json"]["database"]["loss"]["salvage"]
    if webhook:
        extra["vault_chom_webhook_url"] = webhook
    if run.profile or (machine.layout, machine.database) != ("git", "mariadb"):
        inventory = (INVENTORY / "group_vars/chom.yml").read_text().replace("/var/www/chom", machine.application)
        for ours, theirs in INSTEAD[machine.database].items():
            inventory = inventory.replace(ours, theirs)
        profile = yaml.safe_load(inventory)["rollback_application"]
        extra["rollback_application"] = laid_over({**profile, "layout": machine.layout}, run.profile)
    (scratch / "extra.json").write_text(json.dumps(extra))
    playbook = f"playbooks/{run.playbook}.yml"
    inventories = ["-i", str(INVENTORY), "-i", str(folder / "inventory.yml"), "-l", machine.name]
    return ["ansible-playbook", *inventories, playbook, "-e", f"@{scratch / 'extra.json'}", *run.options]


def digest_in(record: pathlib.Path) -> str:
    """What somebody copies from the end of the output of plan.yml."""
    found = re.search(r"-e plan=([0-9a-f]{64})", json.loads(record.read_text())["output"])
    if found is None:
        raise RuntimeError(f"{record} names no plan")
    return found.group(1)


def approval_in(record: pathlib.Path) -> str:
    """What somebody copies who agrees to what a rollback would take away."""
    found = re.search(r"-e approve=([0-9a-f]{12})", " ".join(json.loads(record.read_text())["output"].split()))
    if found is None:
        raise RuntimeError(f"{record} asks for no approval")
    return found.group(1)


def laid_over(below: t.Any, above: t.Any) -> t.Any:
    if not isinstance(below, dict) or not isinstance(above, collections.abc.Mapping):
        return above
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


def _start(command: list[str], scratch: str, folder: pathlib.Path, number: int) -> tuple[subprocess.Popen[str], pathlib.Path]:
    """Start a playbook in an environment without anything of molecule's."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
    environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = scratch  # no connection of an earlier run is used again
    output = folder / f"output-{number}.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    return process, output


def _end(process: subprocess.Popen[str], output: pathlib.Path) -> dict[str, t.Any]:
    try:
        rc = process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        rc = process.wait()
    said = output.read_text()
    output.unlink()
    return {"rc": rc, "output": said}


def _kill_when_closed(started: tuple[subprocess.Popen[str], pathlib.Path], prober: Prober, began: float) -> None:
    closed = prober.wait_for(lambda answer: answer.path == PAGE and answer.status == 503 and answer.t > began, PATIENCE_SECONDS)
    os.killpg(started[0].pid, signal.SIGKILL)
    if not closed:
        raise RuntimeError("the site was never closed")


def _kill_when_begun(started: tuple[subprocess.Popen[str], pathlib.Path], machine: Machine, step: str) -> None:
    """While the step is carried out on the host, which it is whoever is gone; told by a line, since a command's end would be too late."""
    look = f'until grep -qs \'"step":"{step}"\' /var/lib/lastgood/chom/runs/*/journal.jsonl; do sleep 0.005; done; echo begun; sleep 1'
    argv = [str(CHOMHOST), "exec", machine.name, "--", "timeout", str(PATIENCE_SECONDS), "bash", "-c", look]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as watcher:
        said = watcher.stdout.readline() if watcher.stdout else ""
        os.killpg(started[0].pid, signal.SIGKILL)
    if said.strip() != "begun":
        raise RuntimeError(f"the step {step} was never begun")


def _kill_when_said(started: tuple[subprocess.Popen[str], pathlib.Path], words: str) -> None:
    process, output = started
    deadline = time.monotonic() + PATIENCE_SECONDS
    while words not in output.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is not None:
        raise RuntimeError(f"it ended before it said {words}")
    os.killpg(process.pid, signal.SIGKILL)


def _wait_until(machine: Machine, line: str) -> None:
    """What the host does by itself once nobody tells it what to do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            machine.type(line)
            return
        time.sleep(0.5)
    raise RuntimeError(f"it never came to this: {line}; was the controller killed too late?")


def _seen(site: Site, path: str) -> dict[str, t.Any]:
    answer, _cookie = site.ask(path)
    return dataclasses.asdict(answer)


def _report(folder: pathlib.Path, output: str) -> dict[str, t.Any]:
    """The report of the run, found by the path that its output names; of two the one that is named last."""
    places = {path: output.rfind(f"{path.parent.name}/report.md") for path in folder.glob("*/*/report.json")}
    found = [path for path, place in places.items() if place >= 0]
    if not found:
        return {}
    last = max(found, key=lambda path: places[path])
    return {"json": json.loads(last.read_text()), "markdown": last.with_suffix(".md").read_text()}


@contextlib.contextmanager
def _webhook(run: Run) -> t.Iterator[tuple[str, list[dict[str, t.Any]]]]:
    """A place where notifications arrive, or where none can."""
    messages: list[dict[str, t.Any]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append({"path": self.path, "type": self.headers["Content-Type"], "body": json.loads(body)})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_about: t.Any) -> None:
            """Say nothing."""

    if run.webhook == "none":
        yield "", messages
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    url = f"http://127.0.0.1:{server.server_port}{SECRET_PATH}"
    if run.webhook == "unreachable":
        server.server_close()
        yield url, messages
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url, messages
    finally:
        server.shutdown()
        server.server_close()


def _tell(name: str, run: Run, record: Record) -> None:
    users = summarise(record.users, since=record.began)
    print(f"--- {name}: {run.name} ---\n{record.output.strip()}")
    print(
        f"exit status {record.rc} after {record.ended - record.began:.1f} s; users: {users.failed} of {users.asked} questions without a good "
        f"answer, {users.seconds_without_good_answer:.2f} s in all\n"
    )


def main() -> int:
    action, name = sys.argv[1:3]
    case = CASES[name]
    if action == "prepare":
        prepare(name, case)
    else:
        rehearse(name, case, os.environ.get("RUNS", "").replace(",", " ").split())
    return 0


if __name__ == "__main__":
    sys.exit(main())
