# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What a rollback needs of the host, looked at before anything is changed.

from __future__ import annotations

import os
import typing as t

from ._errors import RollbackError
from ._probes_units import full_name, is_pattern
from ._rights import require
from ._run import free_bytes, read_json
from ._units import Systemd

if t.TYPE_CHECKING:
    from ._checkout import Switch
    from ._command import Runner
    from ._layout import Layout
    from ._plan import Findings, Request
    from ._units import Unit

_MEBIBYTE = 1024 * 1024
_SPACE = 200 * _MEBIBYTE


def check_host(
    runner: Runner, request: Request, layout: Layout, switch: Switch, obstacles: t.Callable[[], None], findings: Findings
) -> dict[str, Unit]:
    application = request.application
    services = application["services"]
    mine = [*services["workers"], *services["schedulers"], *services["reload"]]
    backups = [application["backup"]["directory"]] if request.backup and application["backup"]["directory"] else []
    checks: dict[str, t.Callable[[], t.Any]] = {
        "checkout": obstacles,
        "programs": lambda: _programs(runner, layout, application, composer=switch.moves_dependencies, backup=request.backup),
        "units": lambda: _units(runner, services),
        "rights": lambda: _rights(runner, mine, services["reload"]),
        "state folder": lambda: _state_folder(application["state_directory"], application["name"]),
    }
    if backups:
        checks["backup folder"] = lambda: _writable(backups[0], "backup.directory")
    checks["disk"] = lambda: _space([application["path"], application["state_directory"], *backups])
    found = findings.check_together(checks)
    return found["units"] or {}


def _there(runner: Runner, program: str, user: str) -> bool:
    """A path is asked for as who runs it, who may see what this user may not."""
    if os.path.isabs(program):
        return runner.run(["test", "-x", program], user=user, check=False).rc == 0
    return runner.find(program) is not None


def _programs(runner: Runner, layout: Layout, application: t.Mapping[str, t.Any], *, composer: bool, backup: bool) -> None:
    wanted = [*layout.programs, application["php"], "systemctl", *([application["composer"]["program"]] if composer else [])]
    missing = [program for program in wanted if not _there(runner, program, application["user"])]
    packing = ["zstd", application["backup"]["encryption"] or "zstd"] if backup else []
    missing += [program for program in dict.fromkeys(packing) if not runner.find(program)]
    if missing:
        raise RollbackError(f"Not installed on this host: {', '.join(missing)}.", next_command="install them")


def _units(runner: Runner, services: t.Mapping[str, t.Any]) -> dict[str, Unit]:
    systemd = Systemd(runner)
    mine = systemd.expand([*services["workers"], *services["schedulers"]])
    needed = systemd.expand([*services["reload"], *services["required"]])
    units = systemd.show(list(dict.fromkeys([*mine, *needed])))
    masked = [name for name, unit in units.items() if unit.load == "masked"]
    if masked:
        raise RollbackError(
            f"Masked on this host, so that they cannot be started: {', '.join(masked)}.",
            next_command=f"sudo systemctl unmask {' '.join(masked)} && sudo systemctl start {' '.join(masked)}",
        )
    missing = [name for name, unit in units.items() if unit.load != "loaded"]
    if missing:
        raise RollbackError(
            f"The profile names units that this host does not have: {', '.join(missing)}.",
            next_command="systemctl list-unit-files --type=service,timer",
        )
    # what failed or crashes may run again with the target, and workers may have been stopped by the run before: only the others were switched off
    stopped = [name for name in needed if name not in mine and units[name].active == "inactive" and not units[name].errand]
    if stopped:
        raise RollbackError(
            f"Switched off, though the application needs it: {', '.join(f'{name} is {units[name].state}' for name in stopped)}.",
            next_command=f"sudo systemctl start {' '.join(stopped)}",
        )
    return units


def _rights(runner: Runner, stopped: t.Sequence[str], reloaded: t.Sequence[str]) -> None:
    """Whether sudo lets the user of the connection do what the run will need."""
    systemctl = runner.path("systemctl")
    wanted = [
        f"{systemctl} {verb} {full_name(name)}"
        for name in stopped
        if name not in reloaded and not is_pattern(name)
        for verb in ("stop", "start")
    ]
    wanted += [f"{systemctl} reload {full_name(name)}" for name in reloaded]
    require(runner, wanted)


def _state_folder(directory: str, application: str) -> None:
    _writable(directory, "state_directory")
    read_json(os.path.join(directory, application, "workers.json"))  # the run starts what an earlier one stopped


def _writable(directory: str, option: str) -> None:
    place = directory
    while not os.path.exists(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        raise RollbackError(
            f"{option} {directory} cannot be written by the user of the connection.",
            next_command=f"sudo install -d -o $(id -un) -m 0700 {directory}",
        )


def _space(places: t.Sequence[str]) -> None:
    for place in places:
        while not os.path.exists(place):
            place = os.path.dirname(place)
        free = free_bytes(place)
        if free < _SPACE:
            raise RollbackError(f"Only {free // _MEBIBYTE} MiB are free at {place}; a rollback needs {_SPACE // _MEBIBYTE} MiB.")
