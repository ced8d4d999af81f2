# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

if t.TYPE_CHECKING:
    from conftest import RunModule


def test_says_where_somebody_waits(run_module: RunModule) -> None:
    result = run_module("rollback_session", {"idle": 0.1})
    assert result["changed"] is False
    path = pathlib.Path(result["ansible_facts"]["lastgood_session"])
    assert path.name == "socket"
    assert path.parent.name.startswith(".lastgood-")
