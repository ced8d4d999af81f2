# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real checkout for the tests that need one."""

from __future__ import annotations

import os
import pathlib

import checkouts
import local_runner
import pytest
from checkouts import Checkout, Composer
from hosts import Host
from local_runner import Local


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An application with its origin, made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("application")
    with pytest.MonkeyPatch.context() as patch:
        checkouts.isolate(patch.setenv, folder)
        checkouts.build(folder)
    return folder


@pytest.fixture
def app(application: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkouts.isolate(monkeypatch.setenv, tmp_path)
    found = checkouts.copy(application, tmp_path / "host")
    monkeypatch.setenv("PATH", f"{tmp_path}/host/bin:{os.environ['PATH']}")
    return found


@pytest.fixture
def composer(app: Checkout) -> Composer:
    return Composer(app.path.parent / "bin")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    return local_runner.install(monkeypatch)


@pytest.fixture
def host(app: Checkout, local: Local, tmp_path: pathlib.Path) -> Host:
    return Host(app, local, tmp_path)
