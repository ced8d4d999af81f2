# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A Python that waits on the host and has imported everything, so that not every module of a run has to start one.

from __future__ import annotations

import atexit
import contextlib
import glob
import importlib.abc
import importlib.util
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import traceback
import typing as t

from ansible.module_utils import basic
from ansible.module_utils.common import arg_spec

from ._command import Spares
from ._progress import Progress

if t.TYPE_CHECKING:
    import types
    from importlib.machinery import ModuleSpec

NEEDED = (basic, arg_spec)  # what the sources that are sent import of Ansible: it packs what it finds imported here
UNABLE = "lastgood: the process on the host cannot run this module"
GREETING = b"lastgood\n"  # who hears it is heard, too
_UTILS = __package__
_MODULES = f"{_UTILS.rpartition('.')[0]}.modules"
_PATIENCE = 30.0
_PREFIX = ".lastgood-"


class Sent(importlib.abc.InspectLoader, importlib.abc.MetaPathFinder):
    """Imports Python files that are texts in memory, as parts of one package."""

    def __init__(self, package: str, sources: t.Mapping[str, str]) -> None:
        self._package = package
        self._sources = sources

    def find_spec(self, fullname: str, path: t.Sequence[str] | None = None, target: types.ModuleType | None = None) -> ModuleSpec | None:
        package, _dot, name = fullname.rpartition(".")
        known = package == self._package and name in self._sources
        return importlib.util.spec_from_loader(fullname, self, origin=f"{name}.py") if known else None

    def get_source(self, fullname: str) -> str:
        return self._sources[fullname.rpartition(".")[2]]

    def get_code(self, fullname: str) -> types.CodeType:
        """With a name, so that tracebacks show lines."""
        return self.source_to_code(self.get_source(fullname), f"{fullname.rpartition('.')[2]}.py")

    def is_package(self, fullname: str) -> bool:
        return False

    def load(self, name: str) -> types.ModuleType:
        spec = t.cast("ModuleSpec", self.find_spec(f"{self._package}.{name}"))
        module = importlib.util.module_from_spec(spec)
        self.exec_module(module)
        return module


def begin(home: str, idle: float, sources: t.Mapping[str, str], users: t.Sequence[str]) -> str | None:
    """Leave a process behind that waits for orders; return the path of its socket, in a folder that only its user can enter.

    None where somebody else could write to the user's home: once the process is gone, its place must not be taken.
    """
    if not _private(home):
        return None
    _sweep(home)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=home)
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
        sys.meta_path.append(Sent(_UTILS, sources))
        _serve(listener, idle, users, list(sources))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _private(home: str) -> bool:
    try:
        found = os.stat(home)
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _sweep(home: str) -> None:
    """Remove what processes left that were killed."""
    for folder in glob.glob(os.path.join(glob.escape(home), f"{_PREFIX}*")):
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(os.path.join(folder, "socket"))
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)


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


def _serve(listener: socket.socket, idle: float, users: t.Sequence[str], names: list[str]) -> None:
    """Run one module after the other, each in a process of its own, until nobody has asked for a while.

    While nobody asks, import what modules would import, and become the users that they will need.
    Who only looks whether it is there asks for nothing.
    """
    Spares.provide(users)
    until = time.monotonic() + idle
    while names or time.monotonic() < until:
        listener.settimeout(0 if names else max(until - time.monotonic(), 0.001))
        try:
            visitor = listener.accept()[0]
        except BlockingIOError:
            _import(names.pop(0))
            continue
        except socket.timeout:
            return
        with visitor, contextlib.suppress(OSError, ValueError):
            _attend(visitor, listener, users)
            until = time.monotonic() + idle


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # the module that needs it will say so
        importlib.import_module(f"{_UTILS}.{name}")


def _attend(visitor: socket.socket, listener: socket.socket, users: t.Sequence[str]) -> None:
    visitor.settimeout(_PATIENCE)
    visitor.sendall(GREETING)
    order = json.loads(b"".join(iter(lambda: visitor.recv(1 << 16), b"")))
    Spares.greet()
    child = os.fork()
    if child == 0:
        listener.close()
        _run_module(visitor, order)
    visitor.close()
    if os.waitpid(child, 0)[1] != 0:
        Spares.dismiss()
    Spares.provide(users)


def _run_module(visitor: socket.socket, order: dict[str, t.Any]) -> t.NoReturn:
    """What Ansible's own wrapper does: hand over the arguments, run the module, let its output go to the caller."""
    try:
        visitor.settimeout(None)
        for descriptor in (1, 2):
            os.dup2(visitor.fileno(), descriptor)
        visitor.close()
        Progress.listened_to = True
        sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 - until the process ends
        basic._ANSIBLE_ARGS = order["arguments"].encode("utf-8", "surrogateescape")
        basic._ANSIBLE_PROFILE = order["profile"]
        main = _main(order["name"], order["source"])
        main() if main else sys.stdout.write(f"{UNABLE}\n")
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):  # the caller is gone
            sys.stdout.flush()
        os._exit(1 if Spares.busy() else 0)


def _main(name: str, source: str) -> t.Callable[[], t.Any] | None:
    """The main function of a module; None when it needs something that was not sent along. Nothing was done then."""
    try:
        module = Sent(_MODULES, {name: source}).load(name)
    except ImportError:
        return None
    module.__dict__.update(_module_fqn=module.__name__, _modlib_path="")  # Ansible asks __main__ for them
    sys.modules["__main__"] = module
    return t.cast("t.Callable[[], t.Any]", module.main)
