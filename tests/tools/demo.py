#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a production-like host, roll it back with the standard playbook, and show what came of it, all from outside."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = ROOT / "molecule/shared/host/chomhost"
NAME = "demo"
RATE = 20  # requests a second
JOBS = 50


def say(text: str) -> None:
    print(f"\n==> {text}", flush=True)


def host(*argv: str) -> str:
    return subprocess.run([HOST, *argv], check=True, stdout=subprocess.PIPE, text=True).stdout


def artisan(*argv: str) -> str:
    return host("exec", NAME, "--", "runuser", "-u", "www-data", "--", "php", "/var/www/chom/artisan", *argv)


def ask(address: str, path: str) -> tuple[int, str]:
    """The status of a page and the version that answered."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.headers.get("X-App-Version", "unknown")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("X-App-Version", "unknown")
    except OSError:
        return 0, "none"


def show(address: str) -> None:
    for path in ("/", "/login", "/sites", "/health/ready"):
        status, version = ask(address, path)
        print(f"    GET http://{address}{path:<14} {status or 'no answer'}   version {version}")


class Watcher(threading.Thread):
    """Asks the home page at a steady rate until it is told to stop."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._stop_asking = threading.Event()
        self.answers: list[int] = []

    def run(self) -> None:
        following = time.monotonic()
        while not self._stop_asking.wait(max(0.0, following - time.monotonic())):
            self.answers.append(ask(self._address, "/")[0])
            following += 1 / RATE

    def stop(self) -> None:
        self._stop_asking.set()
        self.join()


def counted() -> dict[str, int]:
    found = json.loads(artisan("chom:status"))
    return {**{name: found["rows"][name] for name in ("organizations", "users", "sites")}, "jobs waiting for later": found["delayed"]}


def rollback(inventory: pathlib.Path) -> int:
    command = ["ansible-playbook", "-i", "inventories/chom", "-i", str(inventory), "-l", NAME, "playbooks/standard_rollback.yml"]
    options = ["-e", "target=v1.2.3", "-e", "watch_seconds=5", "-e", "reason='every page answers 500 since v1.2.4'"]
    print(f"$ {' '.join(command + options)}", flush=True)
    return subprocess.run(
        command + options, cwd=ROOT, env={**os.environ, "ANSIBLE_FORCE_COLOR": "1" if sys.stdout.isatty() else "0"}, check=False
    ).returncode


def main() -> int:
    began = time.monotonic()
    say("A production-like host: systemd, nginx, PHP-FPM, Laravel, MariaDB, Redis, five queue workers, release v1.2.3")
    address = json.loads(host("create", NAME))["ip"]
    inventory = ROOT / ".cache/host/demo.yml"
    inventory.write_text(host("inventory", NAME))
    show(address)
    artisan("chom:enqueue", str(JOBS), "--delay=86400")
    before = counted()

    say("The bad release v1.2.4 is deployed")
    host("deploy", NAME, "crash")
    show(address)

    say("The standard rollback (it watches for 5 s here, for 5 minutes by default)")
    watcher = Watcher(address)
    watcher.start()
    status = rollback(inventory)
    watcher.stop()

    say("Afterwards, from outside")
    show(address)
    after = counted()
    for name, number in before.items():
        print(f"    {name:<24} {number} before, {after[name]} after")
    codes = {code: watcher.answers.count(code) for code in dict.fromkeys(watcher.answers)}
    print(f"    answers of / during the run, {RATE} a second: " + ", ".join(f"{count} x {code}" for code, count in codes.items()))
    print(f"    everything took {time.monotonic() - began:.0f} s; the report is named above")
    if os.environ.get("KEEP"):
        print(f"    the host stays: {HOST.relative_to(ROOT)} exec {NAME} -- bash")
    else:
        host("destroy", NAME)
        print("    the host is gone again; KEEP=1 make demo leaves it")
    good = status == 0 and before == after and watcher.answers[-1] == 200
    print("\nThe demonstration " + ("succeeded." if good else "FAILED."))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
