# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Deployer's own lock, so that it deploys nothing during a rollback and a freeze. Also run as a program of its own, as the owner of
# the file: this file's text is handed to a Python without site packages. So it imports nothing but a little of the standard library.

from __future__ import annotations

import json
import os
import sys
import typing as t

_OURS = "(lastgood run "


def place(deploy_path: str) -> str:
    return os.path.join(deploy_path, ".dep", "deploy.lock")


def text(actor: str, run: str) -> str:
    """Deployer shows it as the name of whoever holds the lock."""
    return f"{actor} {_OURS}{run})"


def carry_out(order: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Lay our lock, or take ours away; that of somebody else is only named."""
    path = place(order["deploy_path"])
    found = _read(path)
    if found is not None and _OURS not in found:
        return {"changed": False, "foreign": found.strip() or "somebody"}
    if order["state"] == "absent":
        if found is not None:
            os.unlink(path)
        return {"changed": found is not None}
    if not os.path.isdir(os.path.dirname(path)):  # Deployer never deployed there
        return {"changed": False}
    aside = f"{path}.{os.getpid()}"
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(f"{order['text']}\n")
        if found is not None:
            os.replace(aside, path)
        else:
            os.link(aside, path)  # fails when somebody else was quicker
    except FileExistsError:
        return {"changed": False, "foreign": (_read(path) or "").strip() or "somebody"}
    finally:
        if os.path.exists(aside):
            os.unlink(aside)
    return {"changed": True}


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1000)
    except FileNotFoundError:
        return None


def main() -> None:
    try:
        answer = carry_out(json.load(sys.stdin))
    except OSError as error:
        answer = {"error": f"{error.filename}: {error.strerror}."}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
