# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
import yaml

from ansible_collections.lastgood.rollback.plugins.module_utils import _session

PLUGINS = pathlib.Path(_session.__file__).resolve().parents[1]


IDLE = 5.0  # long enough for a machine that has other things to do


def begin(home: str, *, idle: float = IDLE, sources: t.Mapping[str, str] | None = None, users: t.Sequence[str] = ()) -> str:
    path = _session.begin(home, idle, sources or {}, users)
    assert path
    return path


@pytest.fixture
def home() -> t.Iterator[str]:
    folder = tempfile.mkdtemp()  # the path of a socket must be short; a module's process would remove a TemporaryDirectory when it ends
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def session(home: str) -> str:
    return begin(home)


def order(path: str, source: str, **arguments: t.Any) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        assert line.recv(100) == _session.GREETING
        line.sendall(json.dumps({"name": "sample", "source": source, "profile": "legacy", "arguments": json.dumps(arguments)}).encode())
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 16), b"")).decode()


SAMPLE = """
import sys
from ansible.module_utils import basic
from ..module_utils._clock import Clock
def main():
    print(basic._ANSIBLE_ARGS.decode(), Clock.__name__)
    sys.exit(3)
"""


def test_runs_a_module_with_its_arguments(session: str) -> None:
    assert order(session, SAMPLE, a=1) == '{"a": 1} Clock\n'


def test_runs_one_after_the_other_in_a_process_each(session: str) -> None:
    source = "import os\nfrom ..module_utils import _clock\ndef main():\n    print(os.getpid(), getattr(_clock, 'mark', 0))\n    _clock.mark = 1\n"
    first, second = order(session, source).split(), order(session, source).split()
    assert first[0] != second[0]
    assert first[1] == second[1] == "0"


def test_says_when_a_module_needs_what_was_not_sent_along(session: str) -> None:
    assert order(session, "import there_is_no_such_module\ndef main():\n    print('did something')\n") == f"{_session.UNABLE}\n"


def test_shows_why_a_module_died(session: str) -> None:
    assert "ZeroDivisionError" in order(session, "def main():\n    1 / 0\n")


def test_survives_nonsense(session: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(session)
        line.sendall(b"nonsense")
    assert order(session, SAMPLE) == "{} Clock\n"


def test_nobody_else_can_reach_it_and_nothing_is_left(home: str) -> None:
    folder = pathlib.Path(begin(home, idle=0.5)).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def test_who_only_looks_whether_it_is_there_does_not_keep_it_waiting(home: str) -> None:
    folder = pathlib.Path(begin(home, idle=1.0)).parent
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        _session._sweep(home)
        time.sleep(0.2)
    assert not folder.exists()


def test_each_order_keeps_it_waiting(home: str) -> None:
    path = begin(home, idle=2.0)
    for _time in range(3):
        time.sleep(1.0)
        assert order(path, SAMPLE) == "{} Clock\n"


def test_where_somebody_else_could_take_its_place_there_is_none(home: str) -> None:
    pathlib.Path(home).chmod(0o777)
    assert _session.begin(home, IDLE, {}, []) is None
    assert _session.begin(f"{home}/missing", IDLE, {}, []) is None


def test_what_a_killed_one_left_is_removed_and_others_are_left_alone(home: str, session: str) -> None:
    dead = pathlib.Path(home, ".lastgood-dead")
    dead.mkdir()
    (dead / "code.zip").write_text("old")
    begin(home)
    assert not dead.exists()
    assert order(session, SAMPLE) == "{} Clock\n"


def test_what_was_sent_can_be_imported_and_read(home: str) -> None:
    path = begin(home, sources={"_only_sent": "def fails():\n    return 1 / 0  # here\n"})
    said = order(path, "from ..module_utils import _only_sent\ndef main():\n    _only_sent.fails()\n")
    assert "ZeroDivisionError" in said
    assert "# here" in said  # as in any traceback


def _nobody_has_this_python() -> bool:
    if os.geteuid() != 0:
        return False
    return subprocess.run(["runuser", "-u", "nobody", "--", sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _nobody_has_this_python(), reason="only root can become somebody else here, who must be able to start this Python")
def test_somebody_is_the_applications_user_already(home: str) -> None:
    path = begin(home, users=["nobody"])
    source = """
from ..module_utils import _command
def main():
    _command._Attendant.__init__ = None  # it cannot start one itself
    runner = _command.Runner(None)
    runner._paths = {"id": "/usr/bin/id"}
    print(runner.run(["id", "-un"], user="nobody").stdout.strip())
"""
    assert order(path, source) == "nobody\n"
    assert order(path, source) == "nobody\n"  # the next module has one of its own


def _needed_of_ansible(path: pathlib.Path) -> set[str]:
    """What a file imports of Ansible when it runs, not for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = {inner for node in tree.body if isinstance(node, ast.If) for inner in ast.walk(node)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node not in checked and not node.level]
    return {f"{node.module}.{name.name}" for node in found for name in node.names if (node.module or "").startswith("ansible.")}


def test_ansible_sends_all_of_itself_that_the_modules_need() -> None:
    """A module that needs more would still run, in a Python of its own, slowly."""
    files = [*(PLUGINS / "modules").glob("*.py"), *(PLUGINS / "module_utils").glob("*.py")]
    sent = ("ansible.module_utils.basic", "ansible.module_utils.common.arg_spec")  # imported by _session.py
    for path in files:
        for name in _needed_of_ansible(path):
            assert f"{name}.".startswith(tuple(f"{each}." for each in sent)), f"{path.name} imports {name}"


def test_every_module_that_runs_on_hosts_can_use_the_session() -> None:
    routed = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]["modules"]
    here = {path.stem for path in (PLUGINS / "action").glob("*.py")}
    assert set(routed) == {path.stem for path in (PLUGINS / "modules").glob("*.py")} - here


@pytest.mark.skipif(not _nobody_has_this_python(), reason="only root can become somebody else here, who must be able to start this Python")
def test_what_a_module_left_running_is_not_the_answer_to_the_next(home: str) -> None:
    path = begin(home, users=["nobody"])
    source = """
import threading, time
from ..module_utils import _command
def main():
    runner = _command.Runner(None)
    runner._paths = {"sh": "/bin/sh"}
    threading.Thread(target=runner.run, args=(["sh", "-c", "sleep 0.3; echo stale"],), kwargs={"user": "nobody"}, daemon=True).start()
    time.sleep(0.1)
"""
    assert order(path, source) == ""
    source = source.partition("    threading")[0] + '    print(runner.run(["sh", "-c", "echo $PPID"], user="nobody").stdout.strip())\n'
    first, second = order(path, source), order(path, source)
    assert first.strip().isdigit()
    assert first == second  # the same attendant served both
