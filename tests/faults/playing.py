# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a playbook as somebody on call would, disturb it, and keep what it said."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import typing as t

import yaml

from ansible_collections.lastgood.rollback.tests.faults.faults import Fault
from ansible_collections.lastgood.rollback.tests.faults.machine import HERE, ROOT, Machine, MachineError
from ansible_collections.lastgood.rollback.tests.faults.phases import Point

PLAYBOOKS = {"backup": "tests/faults/backup.yml"}  # those that are not the collection's
PATIENCE_SECONDS = 120.0
GATE_SECONDS, BAD_GATE_SECONDS = 40, 10  # a busy machine needs time; a gate that cannot pass need not be waited for


class Controller:
    """The machine from which somebody rolls back; its folder has all that an earlier playbook left there."""

    def __init__(self, machine: Machine, folder: pathlib.Path, extra: t.Mapping[str, t.Any]) -> None:
        self._machine = machine
        self.folder = folder
        inventory = (ROOT / "inventories/chom/group_vars/chom.yml").read_text().replace("/var/www/chom", machine.application)
        self._profile = {**yaml.safe_load(inventory)["rollback_application"], "layout": machine.layout}
        self._extra = {"report_directory": str(folder / "reports"), **extra}
        for name in ("reports", "cp", "tmp"):
            (folder / name).mkdir()

    def start(self, playbook: str, gate: int = GATE_SECONDS, **extra: t.Any) -> Play:
        order = self.folder / f"{playbook}.json"
        profile = {**self._profile, "health": {**self._profile["health"], "deadline": gate}}
        order.write_text(json.dumps({**self._extra, "rollback_application": profile, **extra}))
        program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
        inventories = ["-i", str(ROOT / "inventories/chom"), "-i", str(self._machine.inventory), "-l", self._machine.name]
        argv = [program, *inventories, PLAYBOOKS.get(playbook, f"playbooks/{playbook}.yml"), "-e", f"@{order}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
        environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(self.folder / "cp")
        environment["ANSIBLE_LOCAL_TEMP"] = environment["TMPDIR"] = str(self.folder / "tmp")
        return Play(argv, environment, self.folder / f"{playbook}.txt")

    def play(self, playbook: str, **extra: t.Any) -> tuple[int | None, str]:
        with self.start(playbook, **extra) as play:
            return play.wait(PATIENCE_SECONDS), play.said

    def close(self) -> None:
        """End the connections that ssh keeps."""
        for socket in (self.folder / "cp").iterdir():
            subprocess.run(["ssh", "-O", "exit", "-S", str(socket), "host"], capture_output=True, check=False, timeout=10)

    def reports(self) -> dict[str, dict[str, t.Any]]:
        """What was reported here, by the run that it is about."""
        return {path.parent.name: json.loads(path.read_text()) for path in self.folder.glob("reports/*/*/report.json")}

    def written(self) -> str:
        """Everything that was said, reported and left behind here."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".zip"]
        return "\n".join(path.read_text(errors="replace") for path in files)


class Play:
    """A playbook that is being played, in a session of its own."""

    def __init__(self, argv: t.Sequence[str], environment: t.Mapping[str, str], output: pathlib.Path) -> None:
        self._output = output
        with output.open("w") as file:
            self._process = subprocess.Popen(
                argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_about: object) -> None:
        self._kill_all()
        self._process.wait()

    @property
    def said(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def strike(self, name: str) -> None:
        """Send a signal: what cannot be caught to all its processes, what can be caught to the one that was started."""
        if name == "SIGKILL":
            self._kill_all()
            self._process.wait()
        else:
            self._process.send_signal(signal.Signals[name])

    def _kill_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None when it has not ended by then, and it is killed."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_all()
            self._process.wait()
            return None

    def arguments(self) -> str:
        """Of all its processes at this moment."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if int((path / "stat").read_text(errors="replace").rpartition(")")[2].split()[3]) == self._process.pid:
                    found.append((path / "cmdline").read_text(errors="replace"))
        return "\n".join(found)


class Watcher:
    """The process on the host that sees the moment come, and holds the run there."""

    def __init__(self, machine: Machine, fault: Fault, point: Point, secrets: t.Mapping[str, str]) -> None:
        self._lines: list[dict[str, t.Any]] = []
        self._news = threading.Condition()
        program = (HERE / "watcher.py").read_text()
        self._process = subprocess.Popen(
            [*machine.inside, "python3", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self._say(
            json.dumps(
                {
                    **point.order(releases=machine.layout == "releases"),
                    "script": fault.script,
                    "kill_module": fault.kill_module,
                    "secrets": secrets,
                }
            )
        )
        if self.wait_for("ready", 20) is None:
            raise MachineError(f"the watcher did not start: {t.cast('t.IO[str]', self._process.stderr).read()[-500:]}")

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_about: object) -> None:
        with contextlib.suppress(OSError):
            t.cast("t.IO[str]", self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join(5)

    def _say(self, line: str) -> None:
        stdin = t.cast("t.IO[str]", self._process.stdin)
        stdin.write(f"{line}\n")
        stdin.flush()

    def _read(self) -> None:
        for line in t.cast("t.IO[str]", self._process.stdout):
            with self._news:
                self._lines.append(json.loads(line))
                self._news.notify_all()

    def wait_for(self, word: str, seconds: float, give_up: t.Callable[[], bool] = lambda: False) -> dict[str, t.Any] | None:
        """The watcher's line with this word; None when it does not come, or when there is no more reason to wait for it."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                found = next((line for line in self._lines if word in line), None)
                if found is not None or time.monotonic() > deadline or give_up():
                    return found
                self._news.wait(0.05)

    def release(self) -> dict[str, t.Any] | None:
        """Let the run go on; how many lines it was ahead of the moment."""
        self._say("go")
        return self.wait_for("released", 10)

    @property
    def leaks(self) -> list[str]:
        return [f"{line['leak']} in {line['where']}" for line in list(self._lines) if "leak" in line]
