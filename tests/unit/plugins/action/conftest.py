# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door of an action: a task's arguments in, its result out."""

from __future__ import annotations

import importlib
import typing as t
from unittest import mock

import pytest

ACTIONS = "ansible_collections.lastgood.rollback.plugins.action"


class Act(t.Protocol):
    def __call__(self, action: str, args: dict[str, t.Any], check: bool = False, **variables: t.Any) -> dict[str, t.Any]: ...


@pytest.fixture
def act() -> Act:
    def run(action: str, args: dict[str, t.Any], check: bool = False, **variables: t.Any) -> dict[str, t.Any]:
        task = mock.Mock(args=args, check_mode=check, async_val=0, diff=False)
        plugin = importlib.import_module(f"{ACTIONS}.{action}").ActionModule(
            task=task,
            connection=mock.Mock(),
            play_context=mock.Mock(),
            loader=mock.Mock(),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        return t.cast("dict[str, t.Any]", plugin.run(task_vars={"inventory_hostname": "chom", **variables}))

    return run
