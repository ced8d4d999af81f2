# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module concludes."""

from __future__ import annotations

import json
import types
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.lastgood.rollback.plugins.module_utils import _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from scripted import Scripted


@pytest.fixture
def conclude(run_module: t.Any, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[t.Callable[[], dict[str, t.Any]]], dict[str, t.Any]]:
    """What a module with this work hands to Ansible."""
    monkeypatch.setattr(_wiring, "Runner", lambda module: Scripted())

    def run(work: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
        def main() -> None:
            _wiring.conclude(AnsibleModule(argument_spec={}), lambda _module, _runner: work())

        return t.cast("dict[str, t.Any]", run_module(types.SimpleNamespace(main=main), {}))

    return run


Conclude = t.Callable[[t.Callable[[], dict[str, t.Any]]], dict[str, t.Any]]


def fail(*arguments: t.Any, **more: t.Any) -> t.Callable[[], dict[str, t.Any]]:
    def work() -> dict[str, t.Any]:
        raise RollbackError(*arguments, **more)

    return work


def test_every_result_says_when_and_how_long(conclude: Conclude) -> None:
    for work in (lambda: {"changed": True}, fail("No.")):
        result = conclude(work)
        assert result["started"] <= result["ended"]
        assert result["started"].endswith("Z")
        assert 0 <= result["seconds"] < 5


@pytest.mark.requirement("G-12")
def test_a_failure_says_what_failed_what_state_this_is_and_what_to_type(conclude: Conclude) -> None:
    result = conclude(fail("The disk is full.", state="Nothing was changed.", next_command="df -h", facts={"free": 0}))
    assert result["failed"]
    assert result["msg"] == "The disk is full. Nothing was changed. Next: df -h"
    assert (result["reason"], result["system_state"], result["next_command"], result["free"]) == (
        "The disk is full.",
        "Nothing was changed.",
        "df -h",
        0,
    )


def test_without_a_next_command_none_is_shown(conclude: Conclude) -> None:
    assert conclude(fail("No."))["msg"] == "No. Nothing was changed."


@pytest.mark.parametrize("bad", [False, True])
def test_bytes_that_are_no_text_do_not_break_the_result(conclude: Conclude, bad: bool) -> None:
    facts = {"list": ["caf\udce9"], "nested": {"\udcff": ("é", 1, None, True)}}
    result = conclude(fail("caf\udce9", facts=facts) if bad else lambda: {"msg": "caf\udce9", **facts})
    json.dumps(result, ensure_ascii=False).encode()
    assert result["msg"].startswith("caf?")
    assert result["list"] == ["caf?"]
    assert result["nested"] == {"?": ["é", 1, None, True]}
