# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Before a module is sent to a host, Ansible packs it together with the Python files it needs. That costs the controller 0.1 s for
# each module, in a row, while the site is down. Here they are packed ahead, in a process of their own, while the host is busy.

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t

from ansible import constants

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

_CACHE = "ansiballz_cache"


def prebuild(action: ActionBase, modules: t.Sequence[str], task_vars: dict[str, t.Any]) -> None:
    """Pack modules ahead. It can only save time: what is not packed when it is needed is packed then, as always."""
    if os.fork() == 0:
        try:
            _pack(action, modules, task_vars)
        finally:
            os._exit(0)  # the parent's queues and handlers are not this process's to close


def _pack(action: ActionBase, modules: t.Sequence[str], task_vars: dict[str, t.Any]) -> None:
    """Pack into a folder of our own and move each result in whole, since the task that needs it may be packing it too."""
    shared = os.path.join(constants.DEFAULT_LOCAL_TMP, _CACHE)
    os.makedirs(shared, mode=0o700, exist_ok=True)
    own = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
    constants.DEFAULT_LOCAL_TMP = own
    for name in modules:
        with contextlib.suppress(Exception):  # any reason not to have it ahead is the later task's to report
            action._configure_module(module_name=name, module_args={}, task_vars=task_vars)
            for packed in os.listdir(os.path.join(own, _CACHE)):
                os.rename(os.path.join(own, _CACHE, packed), os.path.join(shared, packed))
    shutil.rmtree(own, ignore_errors=True)
