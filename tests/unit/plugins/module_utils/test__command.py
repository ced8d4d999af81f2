# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs, started without a shell."""

from __future__ import annotations

import os
import pathlib
import sys
import time
import typing as t

import pytest
from ansible.module_utils import basic

from ansible_collections.lastgood.rollback.plugins.module_utils import _command
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Runner, elevated
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import CommandError, RollbackError

ECHO = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]
ENVIRONMENT = [sys.executable, "-c", "import os; print(os.environ.get('LC_ALL'), os.environ.get('SETTING'), os.getcwd())"]
COPY = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"]
SAY = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(int(sys.argv[1]))"]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Runner:
    import conftest  # the one in tests/unit

    with conftest.patch_module_args({"_ansible_remote_tmp": str(tmp_path), "_ansible_keep_remote_files": False}):
        return Runner(basic.AnsibleModule(argument_spec={}))


@pytest.fixture(params=["directly", "as another user, first", "as another user, again"])
def run(request: pytest.FixtureRequest, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., _command.Completed]:
    """Run as the user of the connection, or as another one (who is the same here: becoming somebody else needs rights)."""
    if request.param == "directly":
        return runner.run
    monkeypatch.setattr(
        _command, "elevated", lambda argv, user, *, me, environment: ["env", *(f"{k}={v}" for k, v in environment.items()), *argv]
    )
    if request.param.endswith("again"):
        runner.run(["true"], user="somebody")
    return lambda argv, **more: runner.run(argv, user="somebody", **more)


Run = t.Callable[..., _command.Completed]


@pytest.mark.parametrize("word", ["$HOME", "~", "`id`", "$(id)", "a b", "*", ";", "'", '"', "\\", "\n", "é", "", "-x", "%s"], ids=ascii)
def test_every_word_arrives_as_it_is(run: Run, word: str) -> None:
    assert run([*ECHO, word]).stdout == f"{[word]}\n"


def test_programs_speak_english_and_start_in_the_root(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert run(ENVIRONMENT, environment={"SETTING": "$HOME x"}).stdout == "C.UTF-8 $HOME x /\n"


def test_settings_of_one_program_do_not_reach_the_next(run: Run) -> None:
    run(ENVIRONMENT, environment={"SETTING": "x"})
    assert run(ENVIRONMENT).stdout == "C.UTF-8 None /\n"
    assert "SETTING" not in os.environ


@pytest.mark.parametrize(
    "text", ["", "x", "line\n", "\r\n", "é☃", "\udce9\udcff", "x" * 200_000], ids=["nothing", "x", "line", "crlf", "utf8", "bytes", "long"]
)
def test_what_goes_in_comes_out(run: Run, text: str) -> None:
    assert run(COPY, stdin=text).stdout == text


def test_a_program_does_not_wait_for_somebody_to_type(run: Run) -> None:
    assert run(COPY, timeout=10).stdout == ""


def test_a_failure_is_raised_with_what_was_said(run: Run) -> None:
    with pytest.raises(CommandError, match="ended with status 3") as caught:
        run([*SAY, "3"])
    assert (caught.value.rc, caught.value.stdout, caught.value.stderr) == (3, "out\n", "err\n")
    assert "err\nout" in caught.value.message


def test_a_failure_can_be_looked_at_instead(run: Run) -> None:
    done = run([*SAY, "3"], check=False)
    assert (done.rc, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_only_the_end_of_much_output_is_quoted(run: Run) -> None:
    with pytest.raises(CommandError) as caught:
        run([sys.executable, "-c", "import sys; sys.exit('x' * 5000 + ' the cause')"])
    assert "the cause" in caught.value.message
    assert len(caught.value.message) < 1000


def test_a_program_that_does_not_end_is_ended(run: Run) -> None:
    began = time.monotonic()
    with pytest.raises(CommandError, match="did not end in time") as caught:
        run(["sleep", "30"], timeout=0.3)
    assert caught.value.rc == 124
    assert time.monotonic() - began < 10


def test_a_program_of_its_own_accord_may_take_its_time(run: Run) -> None:
    assert run(["sleep", "0.1"], timeout=20).rc == 0


def test_a_missing_program_is_named(run: Run) -> None:
    with pytest.raises(RollbackError, match="The program no-such-program is not installed"):
        run(["no-such-program"])


def test_programs_are_found_by_name_or_path(runner: Runner) -> None:
    assert runner.find("no-such-program") is None
    assert runner.find("/opt/x") == "/opt/x"
    assert (runner.find("cat") or "").endswith("/cat")


def test_the_path_of_a_program_that_is_installed_meanwhile_is_found(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert runner.find("new-program") is None
    (tmp_path / "new-program").write_text("#!/bin/sh\n")
    (tmp_path / "new-program").chmod(0o755)
    assert runner.find("new-program") == str(tmp_path / "new-program")


def test_a_helper_that_cannot_be_had_is_a_failure(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_command, "elevated", lambda argv, user, *, me, environment: ["false"])
    runner.run(["true"], user="somebody", check=False)
    for _attempt in range(2):
        with pytest.raises(CommandError, match="helper process"):
            runner.run(["true"], user="somebody")


@pytest.mark.parametrize(
    ("user", "me", "expected"),
    [
        (None, "deploy", ["cat", "/x"]),
        ("deploy", "deploy", ["cat", "/x"]),
        ("root", "root", ["cat", "/x"]),
        ("root", "deploy", ["sudo", "-n", "--", "cat", "/x"]),
        ("www-data", "deploy", ["sudo", "-n", "-u", "www-data", "--", "env", "A=1", "B=x y", "cat", "/x"]),
        ("www-data", "root", ["runuser", "-u", "www-data", "--", "env", "A=1", "B=x y", "cat", "/x"]),
    ],
)
def test_how_a_program_gets_to_its_user(user: str | None, me: str, expected: list[str]) -> None:
    assert elevated(["cat", "/x"], user, me=me, environment={"B": "x y", "A": "1"}) == expected
