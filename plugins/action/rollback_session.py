# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import typing as t

from ansible.plugins.action.normal import ActionModule as Normal
from ansible.release import __version__

_PLUGINS = pathlib.Path(__file__).resolve().parents[1]
_GONE = "lastgood: nobody waits on the host any more"
_UNABLE = "lastgood: the process on the host cannot run this module"  # _session.UNABLE

# Runs on the host in place of the module: hands the order to the process that waits there, and its answer to Ansible.
_MESSENGER = """
import os, sys, _socket  # without what socket adds to _socket: this starts for each task
line = _socket.socket(_socket.AF_UNIX)
try:
    if os.stat(os.path.dirname({path!r})).st_uid != os.geteuid():
        raise OSError
    line.connect({path!r})
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

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        if self._begins():
            self._task.args = {**self._task.args, "sources": _sources()}
            return t.cast("dict[str, t.Any]", super().run(tmp, task_vars))
        if self._can_be_handed_over():
            self._session = ((task_vars or {}).get("ansible_facts") or {}).get("lastgood_session")
        result = super().run(tmp, task_vars)
        said = f"{result.get('module_stderr', '')}{result.get('module_stdout', '')}"
        if self._session and (_GONE in said or _UNABLE in said):
            self._session = None
            result = super().run(tmp, task_vars)
        return t.cast("dict[str, t.Any]", result)

    def _begins(self) -> bool:
        return str(self._task.action).rpartition(".")[2] == "rollback_session"

    def _can_be_handed_over(self) -> bool:
        special = self._task.async_val or self._task.delegate_to or any(self._task.environment or ()) or self._connection.become
        return not special and bool(self._is_pipelining_enabled("new"))

    def _low_level_execute_command(self, cmd: str, *arguments: t.Any, **more: t.Any) -> t.Any:
        """The messenger needs nothing of what Python otherwise looks for when it starts."""
        return super()._low_level_execute_command(f"{cmd} -I -S" if self._session else cmd, *arguments, **more)

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
        program = _MESSENGER.format(path=self._session, gone=_GONE, order=json.dumps(order).encode())
        return _built(program.encode(), f"#!{task_vars.get('ansible_python_interpreter', '/usr/bin/python3')}", str(module))

    def _pack_while_connecting(self, *module: t.Any) -> t.Any:
        """The first task on the host: each takes a quarter of a second. Why there is no connection is for the task itself to find out."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self._low_level_execute_command, ":", sudoable=False)
            return super()._configure_module(*module)


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
