# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody sees who runs a small playbook."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import servers

ROOT = pathlib.Path(__file__).parents[4]

ANSWER = """#!/usr/bin/python
import time
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={"give": {"type": "dict", "default": {}}, "sleep": {"type": "float", "default": 0}},
                       supports_check_mode=True)
time.sleep(module.params["sleep"])
(module.fail_json if module.params["give"].get("reason") else module.exit_json)(**{"msg": "", **module.params["give"]})
"""

PLAYBOOK = """
- name: A rollback
  hosts: here
  gather_facts: false
  tasks:
    - name: Plan | Choose
      answer: {give: {budgets: {gate: 0.01, reopen: 100}}}
    - name: Plan | Show what will happen
      ansible.builtin.debug: {msg: "chom goes back\\nto v1.2.3"}
    - name: Quiet | Remember
      ansible.builtin.set_fact: {x: 1}
    - name: Close traffic | Not this time
      when: false
      answer: {}
    - name: Gate | Ask
      answer: {give: {changed: false}, sleep: 0.1}
    - name: Reopen | Open the site
      answer: {give: {changed: true}}
    - name: Workers | Each of them
      answer: {}
      loop: [one, two]
    - name: A task of no phase
      answer: {}
    - name: Try
      block:
        - name: Switch code | Go
          answer: {give: {reason: "The disk is full.", system_state: "Nothing was changed.", next_command: "df -h /var/www"}}
      rescue:
        - name: Failure | Go on
          answer: {}

- name: Only looking
  hosts: here
  gather_facts: false
  check_mode: true
  tasks:
    - name: Reopen | Open the site
      answer: {give: {changed: true}}

- name: A host that is gone
  hosts: gone
  gather_facts: false
  tasks:
    - name: Lock | Take it
      answer: {}
"""


def play(folder: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "library").mkdir()
    (folder / "library/answer.py").write_text(ANSWER)
    (folder / "playbook.yml").write_text(PLAYBOOK)
    (folder / "hosts.yml").write_text(
        f"all: {{hosts: {{here: {{ansible_connection: local, ansible_python_interpreter: '{sys.executable}'}}, "
        f"gone: {{ansible_host: 127.0.0.1, ansible_port: {servers.closed_port()}}}}}}}"
    )
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT}/.ansible/collections\nstdout_callback = lastgood.rollback.phases\nlocal_tmp = {folder}/tmp\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": f"{folder}/ansible.cfg",
        "ANSIBLE_HOME": f"{folder}/home",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(folder),
    }
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "playbook.yml", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return play(tmp_path_factory.mktemp("phases"))


def line(shown: subprocess.CompletedProcess[str], word: str) -> str:
    found = [text for text in shown.stdout.splitlines() if word in text]
    assert len(found) == 1, shown.stdout + shown.stderr
    return found[0]


def order(shown: subprocess.CompletedProcess[str], *words: str) -> None:
    places = [shown.stdout.index(word) for word in words]
    assert places == sorted(places), shown.stdout


def test_phases_are_shown_in_their_order_with_the_time_since_the_start(shown: t.Any) -> None:
    phases = re.findall(r"^ +(\d+\.\d) s  (.+)$", shown.stdout, re.MULTILINE)
    names = [name for _seconds, name in phases]
    assert names == ["plan", "gate", "reopen", "workers", "switch code", "failure", "reopen", "lock", "end"]
    seconds = [float(second) for second, _name in phases]
    assert seconds == sorted(seconds)
    assert shown.stderr == ""


def test_each_task_has_its_word_its_time_and_its_host(shown: t.Any) -> None:
    assert re.fullmatch(r" {12}Choose +ok +\d+\.\d s  here", line(shown, "Choose"))
    assert "A task of no phase" in shown.stdout
    order(shown, "  plan", "Choose", "  gate", "Ask", "  reopen", "Open the site")


def test_what_is_to_be_read_is_shown_plainly(shown: t.Any) -> None:
    assert "            chom goes back\n            to v1.2.3\n" in shown.stdout


def test_what_was_skipped_or_only_remembered_is_not_shown(shown: t.Any) -> None:
    assert "close traffic" not in shown.stdout
    assert "Remember" not in shown.stdout


def test_budgets_are_compared(shown: t.Any) -> None:
    assert re.search(r"^ {12}\d+\.\d s of 0\.01 s - OVER BUDGET$", shown.stdout, re.MULTILINE)
    assert re.search(r"^ {12}\d+\.\d s of 100 s$", shown.stdout, re.MULTILINE)
    order(shown, "Ask", "of 0.01 s", "  reopen")


def test_a_failure_shows_its_reason_state_and_next_command(shown: t.Any) -> None:
    assert re.fullmatch(r" {12}Go +FAILED +\d+\.\d s  here", line(shown, "   Go   "))
    assert "              The disk is full.\n" in shown.stdout
    assert "              State: Nothing was changed.\n" in shown.stdout
    assert "              Next: df -h /var/www\n" in shown.stdout


def test_the_items_of_a_loop_are_one_line(shown: t.Any) -> None:
    assert re.fullmatch(r" {12}Each of them +ok +\d+\.\d s  here", line(shown, "Each of them"))
    assert "item=" not in shown.stdout


def test_check_mode_says_so(shown: t.Any) -> None:
    assert "Only looking (check mode: nothing is changed)" in shown.stdout
    words = re.findall(r"Open the site +(\w+)", shown.stdout)
    assert words == ["changed", "would"]


def test_a_host_that_cannot_be_reached_is_in_an_unknown_state(shown: t.Any) -> None:
    assert re.fullmatch(r" {12}Take it +UNREACHABLE +\d+\.\d s  gone", line(shown, "Take it"))
    assert shown.returncode == 4


def test_with_v_everything_is_shown(tmp_path: pathlib.Path) -> None:
    shown = play(tmp_path, "-v", "--limit", "here")
    assert re.search(r"Not this time +skipped", shown.stdout)
    assert '"budgets"' in shown.stdout
    assert re.search(r"Remember +ok", shown.stdout)
    assert shown.returncode == 0
