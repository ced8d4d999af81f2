# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import json
import pathlib
import socket
import stat
import time
import typing as t

import pytest
import yaml

from ansible_collections.lastgood.rollback.plugins.module_utils import _session

PLUGINS = pathlib.Path(_session.__file__).resolve().parents[1]


@pytest.fixture
def session() -> t.Iterator[str]:
    path = _session.begin(0.5, {}, [])
    yield path
    deadline = time.monotonic() + 10
    while pathlib.Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def order(path: str, source: str, **arguments: t.Any) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
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


def test_nobody_else_can_reach_it_and_nothing_is_left(session: str) -> None:
    folder = pathlib.Path(session).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def _used(path: pathlib.Path) -> set[str]:
    """The private utilities that a file imports, by whichever of the two forms."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            within = (node.module or "").removeprefix("module_utils").removeprefix(".")
            found |= {within} if within else {alias.name for alias in node.names}
    return {name for name in found if (PLUGINS / f"module_utils/{name}.py").exists()}


def test_carries_all_that_the_modules_need() -> None:
    """A module that needs more would still run, in a Python of its own, slowly."""
    carried, waiting = set(), {"_session", "_wiring"}
    while waiting:
        name = waiting.pop()
        carried.add(name)
        waiting |= _used(PLUGINS / f"module_utils/{name}.py") - carried
    routed = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]["modules"]
    for module in routed:
        assert _used(PLUGINS / f"modules/{module}.py") <= carried, module
