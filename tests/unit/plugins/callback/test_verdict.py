# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of a run, under the stdout callback that Ansible has by itself."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
import servers

ROOT = pathlib.Path(__file__).parents[4]

PLAYBOOK = """
- name: A rollback
  hosts: all
  gather_facts: false
  tasks:
    - name: Preflight | Reach the host
      when: inventory_hostname == 'away'
      ansible.builtin.ping:
    - name: Lock | Take it
      when: inventory_hostname in ['silent', 'lost']
      lastgood.rollback.rollback_run:
        application: "{{ inventory_hostname }}"
        state_directory: "{{ playbook_dir }}/state"
        run: r1
        state: opened
      vars: {ansible_connection: local}
    - name: Lock | Look whether it could be taken
      when: inventory_hostname == 'looked'
      check_mode: true
      lastgood.rollback.rollback_run: {application: looked, state_directory: "{{ playbook_dir }}/state", run: r1, state: opened}
    - name: Plan | Say
      when: inventory_hostname == 'nothing'
      ansible.builtin.debug: {msg: "first this\\nNOTHING TO DO: chom runs v1.2.3 already (given)."}
    - name: Preflight | Refuse
      when: inventory_hostname == 'refused'
      ansible.builtin.fail: {msg: "REFUSED: the rollback on refused did not begin.\\nNext: think"}
    - name: Report | Write
      when: inventory_hostname == 'open'
      lastgood.rollback.rollback_report:
        identity: {severity: standard, run: r1, actor: me, controller: here, began: 1763781300.0, folder: "{{ playbook_dir }}/reports"}
        plan: {application: chom, from_version: b, from_commit: b, target: a, to_commit: a, reason: given, commits: [], budgets: {}}
        steps: {}
        outcome: failed
        state: It is open, but it did not stay healthy.
        reason: ""
        incident: ""
        failure: {}
    - name: Failure | Say it
      when: inventory_hostname == 'open'
      ansible.builtin.fail: {msg: "What failed: the watch"}
    - name: Switch code | Break
      when: inventory_hostname == 'silent'
      ansible.builtin.fail: {msg: "an error in a template"}
    - name: Switch code | Go
      when: inventory_hostname == 'lost'
      ansible.builtin.ping:
    - name: Verify | Look
      when: inventory_hostname == 'looked'
      ansible.builtin.fail: {msg: "Not good: home page."}
"""
TOGETHER = """
- name: Undo
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Change
      ansible.builtin.debug: {msg: this host is changed}
      changed_when: inventory_hostname == 'changed'
    - name: Look | Refuse
      when: inventory_hostname in ['refused', 'broken']
      ansible.builtin.fail: {msg: "{{ said[inventory_hostname] }}"}
      vars: {said: {broken: an error in a template, refused: "REFUSED: undo of chom on refused. Nothing was changed."}}
    - name: Go on
      ansible.builtin.debug: {msg: never shown}
"""
INTERRUPTED = """
- name: A rollback
  hosts: all
  gather_facts: false
  tasks:
    - name: Look | Only look
      check_mode: true
      lastgood.rollback.rollback_run: {application: looked, state_directory: "{{ playbook_dir }}/state", run: r1, state: opened}
    - name: Lock | Take it
      when: inventory_hostname == 'locked'
      lastgood.rollback.rollback_run: {application: chom, state_directory: "{{ playbook_dir }}/state", run: r1, state: opened}
    - name: Switch code | Take long
      ansible.builtin.shell: {cmd: "touch {{ playbook_dir }}/begun-{{ inventory_hostname }}; sleep 60"}
"""
LOCAL = ("nothing", "refused", "open", "silent", "looked")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    port = servers.closed_port()
    gone = {name: {"ansible_host": "127.0.0.1", "ansible_port": port} for name in ("away", "lost")}
    return run(tmp_path_factory.mktemp("verdict"), PLAYBOOK, {**{name: {"ansible_connection": "local"} for name in LOCAL}, **gone})


def run(folder: pathlib.Path, playbook: str, hosts: dict[str, dict[str, t.Any]]) -> subprocess.CompletedProcess[str]:
    command, environment = prepared(folder, playbook, hosts)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def prepared(folder: pathlib.Path, playbook: str, hosts: dict[str, dict[str, t.Any]]) -> tuple[list[str], dict[str, str]]:
    (folder / "playbook.yml").write_text(playbook)
    known = {name: {"ansible_python_interpreter": sys.executable, **more} for name, more in hosts.items()}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": known}}))
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT}/.ansible/collections\ncallbacks_enabled = lastgood.rollback.verdict\n"
        f"local_tmp = {folder}/tmp\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": f"{folder}/ansible.cfg",
        "ANSIBLE_HOME": f"{folder}/home",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(folder),
    }
    return [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "playbook.yml"], environment


def last_lines(shown: subprocess.CompletedProcess[str]) -> list[str]:
    _before, recap, after = shown.stdout.partition("PLAY RECAP")
    assert recap, shown.stdout + shown.stderr
    return [line for line in after.splitlines()[1:] if line.strip() and " : ok=" not in line]


ASK = "Next: ansible-playbook playbooks/status.yml -l"


@pytest.mark.requirement("CHOM-4.1-17")
def test_each_host_ends_with_one_line_after_everything_else(shown: t.Any) -> None:
    assert last_lines(shown) == [
        f"UNKNOWN on host away: it could not be reached at: Preflight | Reach the host. This run changed nothing there. {ASK} away",
        "UNKNOWN on host lost: the connection was lost at: Switch code | Go. What was closed stays closed; a step that was going on there "
        f"may still end. {ASK} lost",
        "NOTHING TO DO: chom runs v1.2.3 already (given). (host nothing)",
        "FAILED: chom on open. It is open, but it did not stay healthy.",
        "REFUSED: the rollback on refused did not begin.",
        f"UNKNOWN on host silent: the run ended without saying how. {ASK} silent",
    ]


def test_a_playbook_that_only_looked_has_no_verdict(shown: t.Any) -> None:
    assert "Not good: home page." in shown.stdout
    assert not [line for line in last_lines(shown) if "looked" in line]


def test_where_one_host_refuses_for_all_those_that_nothing_was_changed_on_say_so(tmp_path: pathlib.Path) -> None:
    shown = run(tmp_path, TOGETHER, {name: {"ansible_connection": "local"} for name in ("refused", "other", "changed", "broken")})
    assert "never shown" not in shown.stdout
    assert last_lines(shown) == [
        "REFUSED: nothing was changed on other, since refused refused.",
        "REFUSED: undo of chom on refused. Nothing was changed.",
    ]


def test_a_run_that_somebody_interrupts_says_what_may_be_and_what_to_type(tmp_path: pathlib.Path) -> None:
    hosts = ("locked", "looked")
    command, environment = prepared(tmp_path, INTERRUPTED, {name: {"ansible_connection": "local"} for name in hosts})
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not all((tmp_path / f"begun-{name}").exists() for name in hosts) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 99
    assert [line for line in said.splitlines() if line.strip()][-2:] == [
        "UNKNOWN on host locked: interrupted at: Switch code | Take long. The site may be closed, and a step may still be going on there. "
        f"{ASK} locked, then playbooks/resume.yml to go on, or playbooks/undo.yml to go back",
        f"UNKNOWN on host looked: interrupted at: Switch code | Take long. No rollback had begun there. {ASK} looked",
    ]
