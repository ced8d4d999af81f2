# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal, _run, _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._run import Folder
from scripted import Scripted

requirement = pytest.mark.requirement

RUN = "20261122T031500Z-standard-1"
OTHER = "20261122T031501Z-standard-2"
FACTS = {"actor": "on-call", "controller": "laptop", "target": "v1.2.3", "reason": "every page answers 500", "from_version": "v1.2.4"}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    found = Scripted()
    found.on("tail --lines=500 -- /srv/laravel.log", "[2026-11-22] production.ERROR: boom\n")
    found.on("systemctl show *", "Id=nginx.service\nActiveState=active\n")
    monkeypatch.setattr(_wiring, "Runner", lambda module: found)
    return found


@pytest.fixture
def state(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state"


@pytest.fixture
def run(run_module: t.Any, scripted: Scripted, state: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    def call(how: str, run: str = RUN, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        args: dict[str, t.Any] = {"application": "chom", "state_directory": str(state), "run": run, "state": how}
        if how == "closed":
            args["outcome"] = "rolled_back"
        else:
            args["facts"] = FACTS
        return t.cast("dict[str, t.Any]", run_module("rollback_run", {**args, **options}, check=check))

    return call


Run = t.Callable[..., dict[str, t.Any]]


def read(path: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(path.read_text()))


def test_opening_takes_the_lock_and_records_what_the_run_is_about(run: Run, state: pathlib.Path) -> None:
    result = run("opened")
    assert result["changed"]
    assert result["folder"] == f"{state}/chom/runs/{RUN}"
    lock = read(state / "chom/lock")
    assert {name: lock[name] for name in ("run", "actor", "controller", "target")} == {
        "run": RUN,
        "actor": "on-call",
        "controller": "laptop",
        "target": "v1.2.3",
    }
    assert lock["since"].endswith("Z")
    record = read(state / f"chom/runs/{RUN}/run.json")
    assert record == result["record"] == read(state / "chom/last_run.json")
    assert record["reason"] == "every page answers 500"


def test_a_run_that_never_ends_stays_recorded_as_interrupted(run: Run, state: pathlib.Path) -> None:
    run("opened")
    assert read(state / "chom/last_run.json")["outcome"] == "interrupted"
    assert _run.unfinished(read(state / "chom/last_run.json"))


def test_everything_is_readable_by_one_user_only(run: Run, state: pathlib.Path) -> None:
    before = os.umask(0)
    try:
        run("opened", log_file="/srv/laravel.log", units=["nginx.service"])
    finally:
        os.umask(before)
    modes = {str(path.relative_to(state)): path.stat().st_mode & 0o777 for path in state.rglob("*")}
    assert {name: mode for name, mode in modes.items() if mode not in (0o600, 0o700)} == {}


@requirement("CHOM-5.1-04", "CHOM-5.3-03", "CHOM-CL-06")
def test_evidence_is_kept_before_anything_changes(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    result = run("opened", log_file="/srv/laravel.log", user="www-data", units=["nginx.service"])
    evidence = state / f"chom/runs/{RUN}/evidence"
    assert (evidence / "application.log").read_text() == "[2026-11-22] production.ERROR: boom\n"
    assert result["evidence"] == {path.name: path.stat().st_size for path in evidence.iterdir()}
    assert set(result["evidence"]) == {"application.log", "units.txt"}
    assert scripted.calls[0].argv == ("tail", "--lines=500", "--", "/srv/laravel.log")
    assert scripted.calls[0].user == "www-data"


def test_sizes_are_bytes(run: Run, scripted: Scripted) -> None:
    scripted.first("tail *", "é\udcff\n")
    assert run("opened", log_file="/srv/laravel.log")["evidence"] == {"application.log": 4}


@pytest.mark.parametrize("how", ["refused", "no program"])
def test_evidence_that_cannot_be_had_is_noted(run: Run, scripted: Scripted, state: pathlib.Path, how: str) -> None:
    if how == "refused":
        scripted.first("tail *", rc=1, stderr="tail: cannot open '/srv/laravel.log': Permission denied")
    else:
        scripted.missing.add("tail")
    assert run("opened", log_file="/srv/laravel.log")["changed"]
    kept = (state / f"chom/runs/{RUN}/evidence/application.log").read_text()
    assert kept.startswith("not available: ")


def test_a_disk_too_full_for_evidence_does_not_stop_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def full(path: t.Any, *rest: t.Any, **more: t.Any) -> int:
        if str(path).endswith("application.log"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(path, *rest, **more)

    monkeypatch.setattr(os, "open", full)
    result = run("opened", log_file="/srv/laravel.log")
    assert result["changed"]
    assert result["evidence"] == {}


# One at a time


def test_a_second_run_is_refused_and_told_everything(run: Run, state: pathlib.Path) -> None:
    run("opened")
    since = read(state / "chom/lock")["since"]
    result = run("opened", OTHER)
    assert result["failed"]
    for word in ("on-call", since, RUN, "laptop", "v1.2.3", f"{state}/chom/lock"):
        assert word in result["msg"]
    assert result["system_state"] == "This run changed nothing."
    assert "take_over" in result["next_command"]
    assert "playbooks/resume.yml" in result["next_command"]
    assert result["lock"]["run"] == RUN
    assert read(state / "chom/last_run.json")["run"] == RUN
    assert not (state / f"chom/runs/{OTHER}").exists()


def test_a_dead_run_s_lock_can_be_taken_over_with_a_reason(run: Run, state: pathlib.Path) -> None:
    run("opened")
    result = run("opened", OTHER, take_over="the laptop fell into the sea")
    assert result["changed"]
    assert result["taken_over"]["run"] == RUN
    assert read(state / "chom/lock")["run"] == OTHER
    record = read(state / f"chom/runs/{OTHER}/run.json")
    assert record["taken_over"]["from"]["run"] == RUN
    assert record["taken_over"]["reason"] == "the laptop fell into the sea"


def test_the_lock_of_a_run_that_is_at_work_cannot_be_taken_over(run: Run, state: pathlib.Path) -> None:
    run("opened")
    folder = str(state / f"chom/runs/{RUN}")
    _journal.append(folder, {"event": "intent", "step": "db_backup", "at": "now", "process": _journal.this_process()})
    result = run("opened", OTHER, take_over="I am in a hurry")
    assert result["failed"]
    assert "at work at this moment: db_backup since now" in result["msg"]
    assert "take_over" not in result["next_command"]
    _journal.append(folder, {"event": "result", "step": "db_backup", "at": "later"})
    assert "last sign of life was" in run("opened", OTHER)["msg"]
    assert run("opened", OTHER, take_over="its controller is off")["changed"]


def test_of_locks_that_were_taken_over_the_newest_stay(run: Run, state: pathlib.Path) -> None:
    run("opened")
    for number in range(6):
        run("opened", f"{OTHER}{number}", take_over="it is dead")
    assert len(list((state / "chom").glob("lock.taken-over-*"))) == 6
    _run.release(Folder(str(state / "chom")), f"{OTHER}5")
    kept = sorted((state / "chom").glob("lock.taken-over-*"))
    assert [read(path)["run"] for path in kept] == [f"{OTHER}{number}" for number in (2, 3, 4)]


def test_the_lock_of_a_run_that_only_watches_can_be_taken_over(run: Run, state: pathlib.Path) -> None:
    run("opened")
    entry = {"event": "intent", "step": "health_gate", "at": "now", "process": _journal.this_process(), "only_reads": True}
    _journal.append(str(state / f"chom/runs/{RUN}"), entry)
    result = run("opened", OTHER)
    assert "That is a watch, which only reads." in result["msg"]
    assert "take_over" in result["next_command"]
    assert run("opened", OTHER, take_over="somebody interrupted it")["changed"]


def test_the_journal_begins_and_ends_with_the_run_and_comes_back_for_a_copy(run: Run, state: pathlib.Path) -> None:
    run("opened")
    result = run("closed", outcome="rolled_back")
    assert result["journal"] == (state / f"chom/runs/{RUN}/journal.jsonl").read_text()
    found = _journal.parse(result["journal"])
    assert [entry["event"] for entry in found.entries] == ["opened", "closed"]
    assert found.entries[1]["outcome"] == "rolled_back"


def test_a_damaged_journal_does_not_keep_the_lock(run: Run, state: pathlib.Path) -> None:
    run("opened")
    (state / f"chom/runs/{RUN}/journal.jsonl").write_text("nonsense\n")
    result = run("closed", outcome="held")
    assert "line 1 is not an entry" in result["record"]["journal_problem"]
    assert not (state / "chom/lock").exists()


def test_a_free_lock_needs_no_taking_over(run: Run) -> None:
    result = run("opened", take_over="to be sure")
    assert "taken_over" not in result
    assert "taken_over" not in result["record"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_an_unreadable_lock_is_somebody_s_until_it_is_taken_over(run: Run, state: pathlib.Path, content: str) -> None:
    (state / "chom").mkdir(parents=True)
    (state / "chom/lock").write_text(content)
    result = run("opened")
    assert result["failed"]
    assert "somebody since an unknown time" in result["msg"]
    assert run("opened", take_over="it is broken")["changed"]
    assert read(state / "chom/lock")["run"] == RUN


def test_other_applications_have_locks_of_their_own(run: Run) -> None:
    run("opened")
    assert run("opened", OTHER, application="shop")["changed"]


def _try(root: str, run: str, take_over: str | None, start: t.Any, winners: t.Any) -> None:
    start.wait()
    try:
        _run.acquire(Folder(root), {"run": run, "actor": run}, take_over=take_over)
    except RollbackError:
        return
    winners.put(run)


@pytest.mark.parametrize("take_over", [None, "it is dead"], ids=["free", "taken over"])
@pytest.mark.parametrize("attempt", range(5))
def test_of_several_at_once_exactly_one_wins(tmp_path: pathlib.Path, take_over: str | None, attempt: int) -> None:
    processes = multiprocessing.get_context("fork")
    folder = Folder(str(tmp_path))
    folder.create()
    if take_over:
        _run.acquire(folder, {"run": "dead"}, take_over=None)
    start, winners = processes.Barrier(6), processes.Queue()
    # those who want to take over have all seen the dead run's lock
    racers = [processes.Process(target=_try, args=(str(tmp_path), f"run-{n}", take_over, start, winners)) for n in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    won = [winners.get(timeout=5)]
    while not winners.empty():
        won.append(winners.get())
    owner = (_run.holder(folder) or {})["run"]
    if take_over is None:
        assert won == [owner]
    else:
        assert owner in won
        taken = [json.loads(path.read_text())["run"] for path in tmp_path.glob("lock.taken-over-*")]
        assert set(taken) <= {"dead", *won}


def test_who_wanted_to_take_over_another_lock_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    folder.create()
    answers = iter([{"run": "dead"}, {"run": "quicker"}])
    monkeypatch.setattr(_run, "holder", lambda _folder: next(answers))
    with pytest.raises(RollbackError, match="run quicker"):
        _run.acquire(folder, {"run": "slower"}, take_over="it is dead")


def test_a_guard_that_somebody_sits_on_is_not_waited_for_forever(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_GUARD_SECONDS", 0.05)
    folder = Folder(str(tmp_path))
    folder.create()
    with _run.guard(folder), pytest.raises(RollbackError, match="Another rollback"):
        _run.acquire(folder, {"run": RUN}, take_over=None)


def test_opening_twice_by_the_same_run_changes_nothing(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    first = run("opened", log_file="/srv/laravel.log")
    scripted.first("tail *", "something newer\n")
    second = run("opened", log_file="/srv/laravel.log")
    assert not second["changed"]
    assert second["record"] == first["record"]
    assert second["evidence"] == first["evidence"]
    assert "boom" in (state / f"chom/runs/{RUN}/evidence/application.log").read_text()


def test_a_run_that_cannot_be_recorded_gives_the_lock_back(run: Run, state: pathlib.Path) -> None:
    (state / "chom/runs").mkdir(parents=True)
    (state / f"chom/runs/{RUN}").write_text("in the way")
    result = run("opened")
    assert result["failed"]
    assert "cannot be created" in result["msg"]
    assert not (state / "chom/lock").exists()
    assert run("opened", OTHER)["changed"]


# Closing


def test_closing_records_the_outcome_and_gives_the_lock_back(run: Run, state: pathlib.Path) -> None:
    run("opened")
    result = run("closed", outcome="held", facts={"state": "HELD"})
    assert result["changed"]
    record = read(state / f"chom/runs/{RUN}/run.json")
    assert record == result["record"] == read(state / "chom/last_run.json")
    assert (record["outcome"], record["state"], record["reason"]) == ("held", "HELD", "every page answers 500")
    assert record["opened"] <= record["closed"]
    assert not (state / "chom/lock").exists()
    assert run("opened", OTHER)["changed"]


@pytest.mark.parametrize(("outcome", "unfinished"), [("rolled_back", False), ("nothing_to_do", False), ("held", True), ("failed", True)])
def test_what_counts_as_an_end(run: Run, state: pathlib.Path, outcome: str, unfinished: bool) -> None:
    run("opened")
    run("closed", outcome=outcome)
    assert _run.unfinished(read(state / "chom/last_run.json")) == unfinished


def test_a_run_that_was_refused_never_was(run: Run, state: pathlib.Path) -> None:
    """What can be resumed, undone, and shown is the run before it."""
    run("opened")
    run("closed", outcome="refused")
    assert not (state / "chom/last_run.json").exists()
    run("opened", OTHER)
    run("closed", OTHER, outcome="held")
    before = read(state / "chom/last_run.json")
    run("opened", "r3")
    run("closed", "r3", outcome="refused")
    assert {**read(state / "chom/last_run.json"), "preceded_by": None} == before
    assert read(state / "chom/runs/r3/run.json")["outcome"] == "refused"
    assert not (state / "chom/lock").exists()


def test_closing_again_changes_nothing(run: Run) -> None:
    run("opened")
    first = run("closed")
    second = run("closed")
    assert not second["changed"]
    assert second["record"] == first["record"]


def test_a_run_gives_back_only_its_own_lock(run: Run, state: pathlib.Path) -> None:
    run("opened")
    run("opened", OTHER, take_over="dead")
    run("closed", outcome="failed")
    assert read(state / "chom/lock")["run"] == OTHER
    assert read(state / "chom/last_run.json")["run"] == OTHER
    assert read(state / f"chom/runs/{RUN}/run.json")["outcome"] == "failed"


def test_closing_needs_an_outcome(run_module: t.Any, state: pathlib.Path) -> None:
    args = {"application": "chom", "state_directory": str(state), "run": RUN, "state": "closed"}
    assert "outcome" in run_module("rollback_run", args)["msg"]


# Check mode and refusals


def test_check_mode_takes_nothing_and_writes_nothing(run: Run, scripted: Scripted, state: pathlib.Path) -> None:
    assert run("opened", check=True, log_file="/srv/laravel.log")["changed"]
    assert run("closed", check=True)["changed"]
    assert not state.exists()
    assert scripted.calls == []
    run("opened")
    assert not run("opened", check=True)["changed"]
    assert run("closed", check=True)["changed"]
    assert read(state / "chom/last_run.json")["outcome"] == "interrupted"
    run("closed")
    assert not run("closed", check=True)["changed"]


def test_check_mode_tells_of_the_lock_too(run: Run) -> None:
    run("opened")
    assert "Another rollback holds the lock" in run("opened", OTHER, check=True)["msg"]
    assert run("opened", OTHER, check=True, take_over="dead")["changed"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", "a b", "x\n", "é", "x" * 90, "a.b"], ids=ascii)
@pytest.mark.parametrize("option", ["application", "run"])
def test_names_that_are_no_names_are_refused(run: Run, state: pathlib.Path, option: str, name: str) -> None:
    result = run("opened", **{option: name})
    assert result["failed"]
    assert f"cannot be used as {option}" in result["msg"]
    assert not state.exists()


def test_a_state_directory_that_cannot_be_written_says_how_to_make_it(
    run: Run, state: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str, mode: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", denied)
    result = run("opened")
    assert result["failed"]
    assert "cannot write the state folder" in result["msg"]
    assert result["next_command"].startswith("sudo install -d -o ")
    assert result["next_command"].endswith(str(state))


def test_a_read_only_state_directory_is_named(run: Run, state: pathlib.Path) -> None:
    state.write_text("a file")
    assert "cannot write the state folder" in run("opened")["msg"]


def test_a_damaged_record_is_named(run: Run, state: pathlib.Path) -> None:
    run("opened")
    (state / "chom/last_run.json").write_text("{")
    assert "last_run.json cannot be read" in run("closed")["msg"]


def test_a_lock_that_was_left_over_is_given_back(run: Run, state: pathlib.Path) -> None:
    assert not run("released")["changed"]
    run("opened")
    assert "Another rollback holds the lock" in run("released")["msg"]  # it may be about to do something
    (state / "chom/last_run.json").unlink()
    os.utime(state / "chom/lock", (1, 1))
    assert run("released", check=True)["changed"]
    assert run("released")["changed"]
    assert not (state / "chom/lock").exists()
    assert read(state / f"chom/runs/{RUN}/run.json")["outcome"] == "aborted"
    assert not run("released", run=OTHER)["changed"]


COMMIT, OTHER_COMMIT = "722620b03305aa", "d39cb56abb7eaa"


@requirement("G-13")
@pytest.mark.parametrize(
    ("here", "there", "agree"),
    [
        ({"commit": COMMIT}, {"commit": COMMIT}, True),
        ({"commit": COMMIT}, {"commit": OTHER_COMMIT}, False),
        ({"commit": COMMIT, "version": "v1"}, {"commit": OTHER_COMMIT, "version": "v1"}, False),
        ({"commit": COMMIT, "version": "v1"}, {"commit": None, "version": "v1"}, True),
        ({"commit": None, "version": "v1", "content": "a"}, {"commit": None, "version": "v2", "content": "a"}, False),
        ({"commit": None, "version": "v1", "content": "a"}, {"commit": None, "version": None, "content": "a"}, True),
        ({"commit": None, "version": None, "content": "a"}, {"commit": None, "version": None, "content": "b"}, False),
        ({"commit": COMMIT}, {"commit": None, "version": "v1"}, False),
    ],
)
def test_hosts_agree_by_the_surest_name_that_both_know(run: Run, here: dict[str, t.Any], there: dict[str, t.Any], agree: bool) -> None:
    result = run("opened", targets={"web1": here, "web2": there})
    assert result.get("failed", False) is not agree


def test_hosts_that_do_not_agree_say_who_would_go_where(run: Run, state: pathlib.Path) -> None:
    result = run("opened", targets={"web1": {"commit": COMMIT, "version": "v1.2.3"}, "web2": {"commit": OTHER_COMMIT}})
    assert "web1 would go to v1.2.3 (722620b03305), web2 would go to d39cb56abb7e." in result["msg"]
    assert not (state / "chom/lock").exists()
