# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each layer knows only what stands to its right: modules, module_utils, ansible.module_utils and the standard library."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
ACTIONS = {path.name for path in (ROOT / "plugins/action").glob("*.py")}  # beside each stands a module that only documents it
ACTIONS -= {"rollback_session.py"}  # but this module runs on the host
MODULES = sorted(path for path in (ROOT / "plugins/modules").glob("*.py") if path.name not in ACTIONS)
UTILS = sorted((ROOT / "plugins/module_utils").rglob("*.py"))
STARTERS = {"subprocess", "run_command", "Popen", "system", "popen", "execv", "execve", "spawnv"}


def _names(path: pathlib.Path) -> t.Iterator[str]:
    """Every name, attribute and keyword that the code of a file uses (not its comments or documentation)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def _imports(path: pathlib.Path) -> t.Iterator[str]:
    """Every imported module; relative ones as the folder they point to, `plugins.modules._x` and the like."""
    package = ["plugins", *path.relative_to(ROOT / "plugins").parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _identify(path: pathlib.Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", MODULES + UTILS, ids=_identify)
def test_nothing_imports_a_module(path: pathlib.Path) -> None:
    assert [name for name in _imports(path) if "plugins.modules" in name] == []


@pytest.mark.parametrize("path", UTILS, ids=_identify)
def test_utilities_are_private(path: pathlib.Path) -> None:
    parts = path.relative_to(ROOT / "plugins/module_utils").parts
    assert parts[0].startswith("_")


@pytest.mark.parametrize("path", MODULES + UTILS, ids=_identify)
def test_only_one_file_starts_programs(path: pathlib.Path) -> None:
    if path.name != "_command.py":
        assert STARTERS.isdisjoint(_names(path))
        assert "subprocess" not in _imports(path)


@pytest.mark.parametrize("path", MODULES + UTILS, ids=_identify)
def test_nothing_asks_for_a_shell(path: pathlib.Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg in {"use_unsafe_shell", "shell"}:
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


@pytest.mark.parametrize("path", MODULES, ids=_identify)
def test_main_only_wires(path: pathlib.Path) -> None:
    (main,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert main.end_lineno is not None
    assert main.end_lineno - main.lineno < 30


def test_the_action_group_names_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert runtime["action_groups"]["rollback"] == [path.stem for path in MODULES]


@pytest.mark.parametrize("path", MODULES, ids=_identify)
def test_every_module_has_its_tests(path: pathlib.Path) -> None:
    assert (ROOT / f"tests/unit/plugins/modules/test_{path.name}").is_file()
    assert (ROOT / f"tests/integration/targets/{path.stem}/tasks/main.yml").is_file()


def test_every_integration_target_is_run() -> None:
    targets = {path.name for path in (ROOT / "tests/integration/targets").glob("*") if not path.name.startswith("setup_")}
    functions = ast.parse((ROOT / "tests/integration/test_targets.py").read_text()).body
    tests = {node.name for node in functions if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    assert {f"test_{name}" for name in targets} == tests
