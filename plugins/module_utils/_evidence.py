# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What a later analysis needs to see of the application as it was before anything was touched.

from __future__ import annotations

import os
import typing as t

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner


def keep_evidence(runner: Runner, directory: str, options: t.Mapping[str, t.Any]) -> dict[str, int]:
    """Keep what a later analysis needs; evidence that cannot be had is noted, it does not stop a rollback."""
    wanted: dict[str, tuple[list[str], str | None]] = {}
    if options["log_file"]:
        wanted["application.log"] = ["tail", f"--lines={options['log_lines']}", "--", options["log_file"]], options["user"]
    if options["units"]:
        show = ["systemctl", "show", "--property=Id,ActiveState,SubState,MainPID,NRestarts", "--", *options["units"]]
        wanted["units.txt"] = show, None
    for name, (argv, user) in wanted.items():
        try:
            done = runner.run(argv, user=user, check=False, timeout=10)
            text = done.stdout if done.rc == 0 else f"not available: {done.output}\n"
        except RollbackError as error:
            text = f"not available: {error.message}\n"
        _write(os.path.join(directory, name), text)
    return kept(directory)


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
    except OSError:
        return  # a full disk: the missing or short file shows in the sizes that are returned


def kept(directory: str) -> dict[str, int]:
    return {name: os.stat(os.path.join(directory, name)).st_size for name in sorted(os.listdir(directory))}
