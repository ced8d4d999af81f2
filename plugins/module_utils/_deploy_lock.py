# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import json
import os
import typing as t

from . import _deploy_lock_file
from ._errors import RollbackError
from ._source import source

if t.TYPE_CHECKING:
    from ._command import Runner


def lay(runner: Runner, options: t.Mapping[str, t.Any], *, actor: str) -> str | None:
    """Keep Deployer from deploying; returns who holds its lock when that is somebody else and was taken into account."""
    path = options.get("deploy_path")
    if not path:
        return None
    order = {"deploy_path": path, "state": "present", "text": _deploy_lock_file.text(actor, options["run"])}
    foreign = _as_owner(runner, order, options.get("user")).get("foreign")
    if foreign and not options.get("take_over"):
        raise RollbackError(
            f"A deployment is in progress: {foreign} holds {_deploy_lock_file.place(path)}.",
            state="This run changed nothing.",
            next_command='wait for it; if it is dead, run again with -e \'{"take_over": "why you are sure that it is dead"}\'',
            facts={"deploy_lock": foreign},
        )
    return t.cast("str | None", foreign)


def remove(runner: Runner, options: t.Mapping[str, t.Any]) -> None:
    """Take our lock away; that of somebody else stays."""
    if options.get("deploy_path"):
        _as_owner(runner, {"deploy_path": options["deploy_path"], "state": "absent"}, options.get("user"))


def _as_owner(runner: Runner, order: dict[str, t.Any], user: str | None) -> dict[str, t.Any]:
    folder = os.path.dirname(_deploy_lock_file.place(order["deploy_path"]))
    if user is None or os.access(folder, os.W_OK | os.X_OK):
        try:
            return _deploy_lock_file.carry_out(order)
        except OSError as error:
            raise RollbackError(f"The lock of deployments cannot be had: {error.filename}: {error.strerror}.") from error
    done = runner.run(["python3", "-I", "-S", "-c", source(_deploy_lock_file.__name__)], user=user, stdin=json.dumps(order), timeout=10)
    answer = t.cast("dict[str, t.Any]", json.loads(done.stdout))
    if "error" in answer:
        raise RollbackError(f"The lock of deployments cannot be had: {answer['error']}")
    return answer
