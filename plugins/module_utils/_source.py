# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import importlib.util

from ._errors import RollbackError


def source(name: str) -> str:
    """The text of one of our files, wherever this collection was loaded from (a folder, a session, or an archive)."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise RollbackError(f"The part {name} of this collection is missing.")
    return str(spec.loader.get_source(spec.name))  # type: ignore[union-attr]
