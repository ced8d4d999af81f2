# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Has systemd look every few seconds whether somebody still goes on with a run: arms the timer whose program is _watch.py.

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
import time
import typing as t
import zipfile

from . import _watch
from ._errors import RollbackError
from ._run import Folder, write_json
from ._source import source

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

ARGUMENTS: dict[str, t.Any] = {
    "seconds": {"type": "int", "required": True},
    "action": {"type": "str", "choices": ["alarm", "reopen"], "default": "alarm"},
    "path": {"type": "path", "required": True},
    "user": {"type": "str", "required": True},
    "php": {"type": "str", "default": "php"},
    "verify_url": {"type": "str"},
    "webhook_url": {"type": "str", "no_log": True},
    "channel": {"type": "str"},
    "timeout": {"type": "int", "default": 5},
}  # deploy_path is added by the module, which has it as an option of its own
INTERVAL = 15
_ATTEMPTS = 3
_PATIENCE = 0.02
_PACKAGE = "lastgood_watch"
_MAIN = f"import {_PACKAGE}._watch\n{_PACKAGE}._watch.main()\n"
_IMPORTS = re.compile(r"^ *from \.(?:(_\w+)| import (\w+(?:, \w+)*))", re.M)


def command(user: str, application: str, program: str, python: str) -> list[str]:
    """The same for every run of an application, so that sudoers can list it; it runs as the user of the connection, not as root."""
    often = str(INTERVAL)
    return [
        *("systemd-run", "--quiet", "--collect", "--unit", _watch.unit(application), "--uid", user),
        *("--on-active", often, "--on-unit-inactive", often, "--timer-property", "AccuracySec=1s"),
        *(python, "-I", program),
    ]


class Arming:
    """A timer that is being armed while something else is done."""

    def __init__(self, runner: Runner, folder: Folder, application: str) -> None:
        self._runner = runner
        self._application = application
        self._argv: list[str] = []
        self._trouble: BaseException | None = None
        self._why: str | None = None
        self._unprepared: str | None = None
        self._folder = folder
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._why = self._arm()
        except RollbackError as error:
            self._why = error.message
        except BaseException as error:  # raised again by whoever asks for the result
            self._trouble = error

    def _arm(self) -> str | None:
        """Why nobody watches; None when somebody does."""
        self._argv = command(self._runner.me, self._application, self._folder.watch, self._runner.path("python3"))
        done: Completed | None = None
        for _attempt in range(_ATTEMPTS):
            done = self._runner.run(self._argv, user="root", check=False, timeout=10)
            if done.rc == 0 or armed(self._runner, self._application):  # that of a run that died is as good
                return None
            if "already" not in done.output:
                break
            time.sleep(0.2)  # its program is just ending
        return done.output if done is not None else "it was not tried"

    def prepare(self, run: str, orders: t.Mapping[str, t.Any]) -> None:
        """Lay out for the timer what to do, and with what: it looks for the first time long after this."""
        try:
            _lay_out(self._folder, run, orders)
        except RollbackError as error:  # a run that nobody watches is better than none
            self._unprepared = error.message

    def result(self) -> dict[str, t.Any]:
        """Whether somebody watches; null when systemd has not answered yet, which is not waited for: it goes on without us."""
        self._thread.join(_PATIENCE)
        if self._trouble is not None:
            raise self._trouble
        if self._thread.is_alive():
            return {"watched": None}
        why = self._why if self._why is not None else self._unprepared
        if why is None:
            return {"watched": True}
        last = (why.splitlines() or ["no output"])[-1]
        return {"watched": False, "unwatched_because": last, "to_be_watched": f"sudo {' '.join(self._argv)}"}


def armed(runner: Runner, application: str) -> bool:
    argv = ["systemctl", "is-active", f"{_watch.unit(application)}.timer"]
    return runner.run(argv, check=False, timeout=10).stdout.strip() == "active"


def _lay_out(folder: Folder, run: str, orders: t.Mapping[str, t.Any]) -> None:
    """The address for messages apart from the rest, to be removed with the run."""
    write_json(folder.orders(run), {name: value for name, value in orders.items() if name != "webhook_url"})
    if orders.get("webhook_url"):
        _write(folder.webhook(run), str(orders["webhook_url"]).encode())
    _write(folder.watch, program())


def _write(path: str, content: bytes) -> None:
    aside = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(aside, path)
    except OSError as error:
        raise RollbackError(f"{path} cannot be written: {error.strerror}.") from error


def forget(folder: Folder, run: t.Any) -> None:
    """Remove the secret."""
    if not isinstance(run, str) or os.path.basename(run) != run:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder.webhook(run))


def program() -> bytes:
    """The timer's program: our own source files that it needs, in an archive that Python runs as it is."""
    sources: dict[str, str] = {}
    missing = ["_watch"]
    while missing:
        name = missing.pop()
        if name not in sources:
            sources[name] = source(f"{__package__}.{name}")
            missing += [word for one, many in _IMPORTS.findall(sources[name]) for word in [one, *re.split(r", *", many)] if word]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        _put(file, "__main__.py", _MAIN)
        _put(file, f"{_PACKAGE}/__init__.py", "")
        for name in sorted(sources):
            _put(file, f"{_PACKAGE}/{name}.py", sources[name])
    return archive.getvalue()


def _put(file: zipfile.ZipFile, name: str, text: str) -> None:
    """With a fixed time, so that the same sources make the same archive."""
    file.writestr(zipfile.ZipInfo(name), text)
