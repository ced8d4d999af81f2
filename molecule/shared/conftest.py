# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give each test the runs that it is about: those with the endings its module names in EXPECTED, narrowed down by @only."""

from __future__ import annotations

import os
import shlex
import typing as t

import pytest
from testinfra.backend.local import LocalBackend
from testinfra.host import Host

from ansible_collections.lastgood.rollback.molecule.shared.cases import CASES
from ansible_collections.lastgood.rollback.molecule.shared.host.machines import inside
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed
from ansible_collections.lastgood.rollback.tests.tools.prober import Site


def _wanted(scenario: str) -> t.Iterator[Rehearsed]:
    """The runs of a scenario; all there are when tests are only listed."""
    some = os.environ.get("RUNS", "").replace(",", " ").split()
    for name, case in CASES.items():
        for run in case.runs:
            if scenario in ("", name) and (not some or run.name in some):
                yield Rehearsed(name, case, run)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rehearsed" not in metafunc.fixturenames:
        return
    narrowed: t.Callable[[Rehearsed], bool] = getattr(metafunc.function, "only", lambda _rehearsed: True)
    expected = metafunc.module.EXPECTED
    wanted = _wanted(os.environ.get("MOLECULE_SCENARIO_NAME", ""))
    chosen = [one for one in wanted if one.run.expected in expected and narrowed(one)]
    metafunc.parametrize("rehearsed", chosen or [None], ids=[str(one) for one in chosen] or ["none"], indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that is about no run of this scenario is not there at all."""
    items[:] = [item for item in items if not item.nodeid.endswith("[none]")]


@pytest.fixture(scope="session")
def rehearsed(request: pytest.FixtureRequest) -> Rehearsed:
    return t.cast("Rehearsed", request.param)


@pytest.fixture
def host(rehearsed: Rehearsed) -> Host:
    """The machine as it is now, behind the scenes."""
    way, backend = shlex.join(inside(rehearsed.case.host)), LocalBackend()
    written = backend.get_command
    backend.get_command = lambda command, *words: f"{way} /bin/sh -c {shlex.quote(written(command, *words))}"
    return Host(backend)


@pytest.fixture
def site(rehearsed: Rehearsed) -> Site:
    """The machine as it is now, from outside."""
    return rehearsed.machine.site
