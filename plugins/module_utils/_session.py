# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A Python that waits on the host and has imported everything, so that not every module of a run has to start one.

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import traceback
import types
import typing as t

from ansible.module_utils import basic

from . import (
    _checkout,
    _laravel_cache,
    _maintenance,
    _migrations,
    _plan,
    _probes_options,
    _probes_spec,
    _run,
    _service_group,
    _status,
)

# What the modules of a rollback are made of: it is imported here once, and copied into every process that runs a module.
PARTS = (_checkout, _laravel_cache, _maintenance, _migrations, _plan, _probes_options, _probes_spec, _run, _service_group, _status)

UNABLE = "lastgood: the process on the host cannot run this module"
_PACKAGE = "ansible_collections.lastgood.rollback.plugins.modules"
_PATIENCE = 30.0


def begin(idle: float) -> str:
    """Leave a process behind that waits for orders; return the path of its socket, in a folder that only its user can enter."""
    folder = tempfile.mkdtemp(prefix="lastgood-")
    path = os.path.join(folder, "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    _keep_archive(os.path.join(folder, "code.zip"))
    if os.fork():
        listener.close()
        return path
    try:
        _detach()
        serve(listener, idle)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _keep_archive(copy: str) -> None:
    """Ansible removes the archive it sent when its module ends; what is imported later comes from this copy of it."""
    archive = getattr(basic.__spec__.loader, "archive", None) if basic.__spec__ else None
    if archive is None:
        return
    shutil.copyfile(archive, copy)
    loaders = [getattr(getattr(module, "__spec__", None), "loader", None) for module in list(sys.modules.values())]
    for loader in [*loaders, *sys.path_importer_cache.values()]:
        if getattr(loader, "archive", None) == archive:
            loader.archive = copy  # type: ignore[union-attr]


def _detach() -> None:
    """Belong to nobody: Ansible waits until whoever could still write to its connection is gone."""
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def serve(listener: socket.socket, idle: float) -> None:
    """Run one module after the other, each in a process of its own, until nobody has asked for a while."""
    while True:
        listener.settimeout(idle)
        try:
            visitor = listener.accept()[0]
        except socket.timeout:
            return
        with visitor, contextlib.suppress(OSError, ValueError):
            visitor.settimeout(_PATIENCE)
            order = json.loads(_all_of(visitor))
            child = os.fork()
            if child == 0:
                listener.close()
                _run_module(visitor, order)
            visitor.close()
            os.waitpid(child, 0)


def _all_of(visitor: socket.socket) -> bytes:
    return b"".join(iter(lambda: visitor.recv(1 << 16), b""))


def _run_module(visitor: socket.socket, order: dict[str, t.Any]) -> t.NoReturn:
    """What Ansible's own wrapper does: hand over the arguments, run the module, let its output go to the caller."""
    try:
        visitor.settimeout(None)
        for descriptor in (1, 2):
            os.dup2(visitor.fileno(), descriptor)
        visitor.close()
        sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 - until the process ends
        basic._ANSIBLE_ARGS = order["arguments"].encode("utf-8", "surrogateescape")
        basic._ANSIBLE_PROFILE = order["profile"]
        main = _main(order["name"], order["source"])
        main() if main else print(UNABLE)
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):  # the caller is gone
            sys.stdout.flush()
        os._exit(0)


def _main(name: str, source: str) -> t.Callable[[], t.Any] | None:
    """The main function of a module; None when it needs something that was not sent along. Nothing was done then."""
    module = types.ModuleType(name)
    module.__dict__.update(__package__=_PACKAGE, _module_fqn=f"{_PACKAGE}.{name}", _modlib_path="")
    sys.modules["__main__"] = module
    try:
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    except ImportError:
        return None
    return t.cast("t.Callable[[], t.Any]", module.__dict__["main"])
