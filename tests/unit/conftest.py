# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door of a module: arguments in, result out, on every ansible-core that we support."""

from __future__ import annotations

import contextlib
import importlib
import json
import pathlib
import types
import typing as t
from unittest import mock

import hypothesis
import pytest
from ansible.module_utils import basic

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core before 2.19

    @contextlib.contextmanager
    def patch_module_args(args: dict[str, t.Any] | None = None) -> t.Iterator[None]:
        before = basic._ANSIBLE_ARGS
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = before


try:
    _internal: t.Any = importlib.import_module("ansible.module_utils._internal")
except ImportError:  # ansible-core before 2.19
    _internal = None

# A slow machine is no failed test.
hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("unhurried")

MODULES = "ansible_collections.lastgood.rollback.plugins.modules"


def as_on_a_host() -> contextlib.AbstractContextManager[t.Any]:
    """Once a test has imported the controller's half of Ansible, warnings of modules would go to its screen, not into results."""
    known = _internal is not None and hasattr(_internal, "is_controller")
    return mock.patch.object(_internal, "is_controller", False) if known else contextlib.nullcontext()


class RunModule(t.Protocol):
    def __call__(
        self, module: str | types.ModuleType, args: dict[str, t.Any], check: bool = False, diff: bool = False
    ) -> dict[str, t.Any]: ...


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> RunModule:
    """Call a module's main() and return what it hands to Ansible, be it a success or a failure (then `failed` is true)."""

    def run(module: str | types.ModuleType, args: dict[str, t.Any], check: bool = False, diff: bool = False) -> dict[str, t.Any]:
        if isinstance(module, str):
            module = importlib.import_module(f"{MODULES}.{module}")
        internal = {
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_remote_tmp": str(tmp_path),
            "_ansible_keep_remote_files": False,
        }
        capsys.readouterr()
        with patch_module_args({**args, **internal}), as_on_a_host(), pytest.raises(SystemExit):
            module.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out.strip().splitlines()[-1]))

    return run
