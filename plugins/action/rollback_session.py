# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import typing as t

from ansible import constants
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.release import __version__

_PLUGINS = pathlib.Path(__file__).resolve().parents[1]
_GONE = "lastgood: nobody waits on the host any more"
_UNABLE = "lastgood: the process on the host cannot run this module"  # _session.UNABLE
_GREETING = b"lastgood\n"  # _session.GREETING
_PROGRESS = b"lastgood progress: "  # _progress.LINE
_PATIENCE = 10.0

# Runs on the host in place of the module: hands the order to the process that waits there, and its answer to Ansible.
_MESSENGER = """
import os, sys, _socket  # without what socket adds to _socket: this starts for each task
line = _socket.socket(_socket.AF_UNIX)
try:
    line.connect({path!r})
    if line.recv({length}) != {greeting!r}:
        raise OSError
except OSError:
    sys.exit({gone!r})
line.sendall({order!r})
line.shutdown(_socket.SHUT_WR)
while True:
    part = line.recv(1 << 16)
    if not part:
        break
    sys.stdout.buffer.write(part)
"""


class ActionModule(Normal):
    """Runs a module in the Python that rollback_session left on the host; as always where there is none."""

    _session: str | None = None
    _order = b""
    _task_host = ""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        if self._begins():
            self._task.args = {**self._task.args, "sources": _sources()}
            begun = super().run(tmp, task_vars)
            self._lay_line(begun.get("ansible_facts", {}).get("lastgood_session"))
            return t.cast("dict[str, t.Any]", begun)
        self._task_host = str((task_vars or {}).get("inventory_hostname", ""))
        if self._can_be_handed_over():
            self._session = ((task_vars or {}).get("ansible_facts") or {}).get("lastgood_session")
        result = super().run(tmp, task_vars)
        said = f"{result.get('module_stderr', '')}{result.get('module_stdout', '')}"
        if self._session and (_GONE in said or _UNABLE in said):
            self._session = None
            result = super().run(tmp, task_vars)
        if "lastgood_text" in result:  # what a person should read whatever shows the run; only an action can ask for that
            result.update(msg=result["lastgood_text"], _ansible_verbose_always=True)
        return t.cast("dict[str, t.Any]", result)

    def _begins(self) -> bool:
        return str(self._task.action).rpartition(".")[2] == "rollback_session"

    def _can_be_handed_over(self) -> bool:
        special = self._task.async_val or self._task.delegate_to or any(self._task.environment or ()) or self._connection.become
        return not special and bool(self._is_pipelining_enabled("new"))

    def _lay_line(self, session: str | None) -> None:
        """Have the connection that Ansible keeps open lead a socket of ours to the one on the host: each command takes longer than most modules."""
        try:
            connection: t.Any = self._connection
            way = f"{_line(session)}:{session}"
            command = connection._build_command(
                connection.get_option("ssh_executable"), "ssh", "-O", "forward", "-L", way, connection.get_option("host")
            )
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)
        except (AttributeError, KeyError, OSError, TypeError, subprocess.SubprocessError):
            return  # not ssh, or a later Ansible with other insides: then each task takes the usual way

    def _low_level_execute_command(self, cmd: str, *arguments: t.Any, **more: t.Any) -> t.Any:
        if not self._session:
            return super()._low_level_execute_command(cmd, *arguments, **more)
        answer = self._ask()
        if answer is None:  # the messenger needs nothing of what Python otherwise looks for when it starts
            return super()._low_level_execute_command(f"{cmd} -I -S", *arguments, **more)
        if not answer:  # whoever answers died; or the connection did, which this would say
            super()._low_level_execute_command(":", sudoable=False)
        return {"rc": 0, "stdout": answer, "stdout_lines": answer.splitlines(), "stderr": "", "stderr_lines": []}

    def _ask(self) -> str | None:
        """What the process on the host says to our order; None when there is no line to it, and the order was not sent."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(_line(self._session))
                if line.recv(len(_GREETING)) != _GREETING:
                    return None
            except OSError:
                return None
            try:
                line.sendall(self._order)
                line.shutdown(socket.SHUT_WR)
                return str(to_text(self._heard(line), errors="surrogate_then_replace"))
            except OSError:
                return ""

    def _heard(self, line: socket.socket) -> bytes:
        """The module's answer; what it says of its progress before that is shown at once."""
        heard = b""
        while part := line.recv(1 << 16):
            heard += part
            while heard.startswith(_PROGRESS) and b"\n" in heard:
                said, _end, heard = heard[len(_PROGRESS) :].partition(b"\n")
                self._display.display(f"  {self._task_host}: {to_text(said, errors='replace')}")
        return heard

    def _configure_module(self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> t.Any:
        """What Ansible sends to the host's Python: the messenger instead of an archive with the module and all it needs."""
        if self._begins():
            return self._pack_while_connecting(module_name, module_args, task_vars)
        if self._session:
            try:
                return self._messenger(module_name, module_args, task_vars)
            except (AttributeError, ImportError, TypeError):  # a later Ansible, with other insides
                self._session = None
        return super()._configure_module(module_name, module_args, task_vars)

    def _messenger(self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> t.Any:
        module = _PLUGINS / f"modules/{module_name.rpartition('.')[2]}.py"
        order = {"name": module.stem, "source": module.read_text(encoding="utf-8"), "profile": "legacy", "arguments": _encoded(module_args)}
        self._order = json.dumps(order).encode()
        program = _MESSENGER.format(path=self._session, gone=_GONE, greeting=_GREETING, length=len(_GREETING), order=self._order)
        return _built(program.encode(), f"#!{task_vars.get('ansible_python_interpreter', '/usr/bin/python3')}", str(module))

    def _pack_while_connecting(self, *module: t.Any) -> t.Any:
        """The first task on the host: each takes a quarter of a second. Why there is no connection is for the task itself to find out."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self._low_level_execute_command, ":", sudoable=False)
            return super()._configure_module(*module)


def _line(session: str | None) -> str:
    """Our end of the line, in the folder that Ansible removes when it ends."""
    return os.path.join(constants.DEFAULT_LOCAL_TMP, os.path.basename(os.path.dirname(str(session))))


def _sources() -> dict[str, str]:
    """Our own part of what modules import: sent as text, since Ansible would read and compile each file to find out what it imports."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((_PLUGINS / "module_utils").glob("_*.py"))}


def _encoded(module_args: dict[str, t.Any]) -> str:
    try:
        from ansible.module_utils.common.json import Direction, get_module_encoder
    except ImportError:  # ansible-core before 2.19
        from ansible.module_utils.common.json import AnsibleJSONEncoder

        old: t.Any = AnsibleJSONEncoder
        return json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=old, vault_to_text=True)
    encoder: t.Any = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
    return json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder)


def _built(program: bytes, shebang: str, path: str) -> t.Any:
    if tuple(int(number) for number in __version__.split(".")[:2]) < (2, 19):
        return "new", shebang, program, path
    from ansible.executor.module_common import _BuiltModule

    return _BuiltModule(b_module_data=program, module_style="new", shebang=shebang, serialization_profile="legacy"), path
