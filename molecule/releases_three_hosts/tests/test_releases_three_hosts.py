# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts whose releases lie beside each other: users never see two versions for longer than a switch takes."""

from __future__ import annotations

import functools

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.acted import acted

requirement = pytest.mark.requirement
act = functools.partial(acted, "releases_three_hosts")


@requirement("G-13")
def test_both_go_back_with_users_on_the_site() -> None:
    found = act("together")
    assert found.rc == 0, found.output
    assert found.endings == ["ROLLED BACK"] * 2
    assert found.after("commit") == ["v1.2.3", "v1.2.3"]
    assert found.after("version") == ["1.2.3", "1.2.3"]
    assert found.after("runs_in")[0] != found.after("runs_in")[1]  # one numbers its releases, the other names them by time
    assert found.failed_questions == [0, 0]
