# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fnmatch
import json
import pathlib
import threading
import time
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _wiring
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed

REFUSED = "sudo: a password is required\n"
WORKERS = [f"chom-queue-{name}.service" for name in ("emails", "reports", "worker")]


def now() -> int:
    return int(time.monotonic() * 1e6)


@dataclass
class Service:
    """A unit of the machine below."""

    active: str = "active"
    sub: str = "running"
    load: str = "loaded"
    result: str = "success"
    kind: str = "simple"
    pid: int = 100
    since: int = 1
    entered: int = 1
    executed: int = 1
    triggers: str = ""
    stops: bool = True
    starts: bool = True
    listed: bool = True
    user: str = "www-data"
    place: str = "/"


@dataclass
class Machine:
    """A systemd that does what it is told, or not, in place of Runner."""

    units: dict[str, Service] = field(default_factory=dict)
    one_unit_only: bool = False
    may: bool = True
    me: str = "deploy"
    commands: list[tuple[str, str | None]] = field(default_factory=list)
    shows: int = 0
    on_show: t.Callable[[int], None] | None = None
    lock: t.Any = field(default_factory=threading.Lock)
    journal: str = "PHP Fatal error: no\n"

    def find(self, program: str) -> str:
        return f"/usr/bin/{program}"

    def run(self, argv: t.Sequence[str], *, user: str | None = None, check: bool = True, **_more: t.Any) -> Completed:
        with self.lock:
            self.commands.append((" ".join(argv), user))
            rc, out, err = getattr(self, f"_{argv[0]}")([word for word in argv[1:] if word != "--"], user)
            assert rc == 0 or not check, argv
            return Completed(tuple(argv), rc, out, err)

    def _systemctl(self, words: list[str], user: str | None) -> tuple[int, str, str]:
        verb, names = words[0], words[1:]
        if verb == "show":
            self.shows += 1
            if self.on_show:
                self.on_show(self.shows)
            return 0, "\n".join(self._block(name) for name in names[1:]), ""
        if verb.startswith("list-"):
            return 0, self._list(verb, [name for name in names if not name.startswith("-")]), ""
        assert user == "root"
        if not self.may or (self.one_unit_only and (len(names) > 1 or verb == "reset-failed")):
            return 1, "", REFUSED
        return max(getattr(self, f"_{verb.replace('-', '_')}")(self.units[name]) for name in names), "", ""

    def _block(self, name: str) -> str:
        unit = self.units.get(name, Service(active="inactive", sub="dead", load="not-found"))
        return (
            f"Id={name}\nLoadState={unit.load}\nActiveState={unit.active}\nSubState={unit.sub}\nResult={unit.result}\nType={unit.kind}\n"
            f"User={unit.user}\nMainPID={unit.pid}\nStateChangeTimestampMonotonic={unit.since}\n"
            f"ActiveEnterTimestampMonotonic={unit.entered}\nExecMainStartTimestampMonotonic={unit.executed}\nTriggers={unit.triggers}\n"
        )

    def _find(self, words: list[str], _user: str | None) -> tuple[int, str, str]:
        places = {f"/proc/{unit.pid}/cwd": unit.place for unit in self.units.values()}
        return 0, "".join(f"{word}\0{places[word]}\0" for word in words if word in places), ""

    def _list(self, verb: str, patterns: list[str]) -> str:
        found = {name: unit for name, unit in self.units.items() if any(fnmatch.fnmatch(name, each) for each in patterns)}
        if verb == "list-units":
            return "".join(f"{name} {unit.load} {unit.active} {unit.sub} Text\n" for name, unit in found.items() if unit.listed)
        return "".join(f"{name} enabled enabled\n" for name in found) + "chom-queue-@.service static -\n"

    def _stop(self, unit: Service) -> int:
        unit.since = now()
        unit.active, unit.sub = ("inactive", "dead") if unit.stops else ("deactivating", "stop-sigterm")
        return 0

    def _start(self, unit: Service) -> int:
        unit.since = unit.entered = now()
        unit.executed += 1
        unit.pid += 100
        unit.active, unit.sub, unit.result = ("active", "running", "success") if unit.starts else ("failed", "failed", "exit-code")
        return 0 if unit.starts else 1

    _restart = _start
    _reload = _start

    def _reset_failed(self, unit: Service) -> int:
        unit.starts, unit.active = True, "inactive"
        return 0

    def _kill(self, words: list[str], _user: str | None) -> tuple[int, str, str]:
        for unit in self.units.values():
            if str(unit.pid) == words[1]:
                unit.active, unit.sub, unit.result = "failed", "failed", "signal"
        return 0, "", ""

    def _journalctl(self, _words: list[str], user: str | None) -> tuple[int, str, str]:
        return (0, self.journal, "") if user == "root" else (0, "", "")

    def orders(self) -> list[str]:
        return [line.removeprefix("systemctl ") for line, user in self.commands if user == "root" and line.startswith("systemctl")]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine({name: Service(pid=100 + number) for number, name in enumerate(WORKERS)})
    machine.units["chom-scheduler.timer"] = Service(sub="waiting", pid=0, kind="", triggers="chom-scheduler.service")
    machine.units["chom-scheduler.service"] = Service("inactive", "dead", kind="oneshot", pid=0)
    machine.units["php8.4-fpm.service"] = Service(user="", kind="notify", pid=50)
    monkeypatch.setattr(_wiring, "Runner", lambda module: machine)
    return machine


def stop(**more: t.Any) -> dict[str, t.Any]:
    return {"names": ["chom-queue-*.service", "chom-scheduler.timer"], "state": "stopped", **more}


def start(**more: t.Any) -> dict[str, t.Any]:
    return {"state": "started", "settle": 0, "timeout": 0.3, **more}


@pytest.mark.requirement("CHOM-4.1-08", "CHOM-5.2-02", "D-068")
def test_stops_all_in_one_command_and_proves_it(run_module, machine) -> None:
    result = run_module("service_group", stop(), diff=True)
    assert result["changed"] is True
    assert machine.orders() == [f"stop {' '.join([*WORKERS, 'chom-scheduler.timer'])}"]
    assert result["units"][WORKERS[0]] == {"before": "active (running)", "after": "inactive (dead)", "action": "stop"}
    assert result["ran"] == [*WORKERS, "chom-scheduler.timer"]
    assert result["diff"]["after"]["chom-scheduler.timer"] == "inactive (dead)"


def test_asks_systemd_without_privileges(run_module, machine) -> None:
    run_module("service_group", stop())
    assert {user for line, user in machine.commands if line.startswith(("systemctl show", "systemctl list"))} == {None}


def test_gives_one_order_for_each_unit_where_sudo_wants_it(run_module, machine) -> None:
    machine.one_unit_only = True
    assert run_module("service_group", stop())["changed"] is True
    assert sorted(machine.orders()[1:]) == sorted(f"stop {name}" for name in [*WORKERS, "chom-scheduler.timer"])


def test_stop_that_sudo_refuses_fails_at_once(run_module, machine) -> None:
    machine.may = False
    result = run_module("service_group", stop())
    assert result["failed"] is True
    assert "a password is required" in result["msg"]
    assert result["system_state"] == "What was stopped runs again."


def test_stopped_again_changes_nothing(run_module, machine) -> None:
    run_module("service_group", stop())
    machine.commands.clear()
    result = run_module("service_group", stop())
    assert (result["changed"], result["ran"], machine.orders()) == (False, [], [])


def test_check_mode_gives_no_orders(run_module, machine, tmp_path) -> None:
    result = run_module("service_group", stop(remember=str(tmp_path / "ran.json")), check=True)
    assert result["changed"] is True
    assert result["units"][WORKERS[0]]["after"] == "inactive"
    assert machine.orders() == []
    assert not (tmp_path / "ran.json").exists()
    again = run_module("service_group", start(names=WORKERS, reload=["php8.4-fpm"]), check=True)
    assert (again["changed"], again["units"]["php8.4-fpm.service"]["action"], machine.orders()) == (True, "reload", [])


@pytest.mark.requirement("D-065")
def test_starts_exactly_what_ran(run_module, machine, tmp_path) -> None:
    remember = str(tmp_path / "ran.json")
    machine.units[WORKERS[1]] = Service("inactive", "dead")
    run_module("service_group", stop(remember=remember))
    result = run_module("service_group", start(remember=remember, remembered=True))
    assert result["changed"] is True
    assert machine.units[WORKERS[0]].active == "active"
    assert machine.units[WORKERS[1]].active == "inactive"
    assert machine.units["chom-scheduler.timer"].active == "active"
    assert not pathlib.Path(remember).exists()


def test_interrupted_run_is_not_forgotten(run_module, machine, tmp_path) -> None:
    remember = tmp_path / "ran.json"
    run_module("service_group", stop(remember=str(remember)))
    again = run_module("service_group", stop(remember=str(remember)))
    assert again["remembered"] == [*WORKERS, "chom-scheduler.timer"]
    assert json.loads(remember.read_text())["units"] == [*WORKERS, "chom-scheduler.timer"]


def test_what_ran_is_written_before_anything_stops(run_module, machine, tmp_path) -> None:
    remember = tmp_path / "ran.json"
    seen: list[bool] = []
    machine._stop = lambda unit: seen.append(remember.exists()) or 0
    run_module("service_group", stop(remember=str(remember), drain_timeout=0.05))
    assert seen
    assert all(seen)


def test_unit_that_systemd_gave_up_on_counts_as_one_that_ran(run_module, machine, tmp_path) -> None:
    remember = str(tmp_path / "ran.json")
    machine.units[WORKERS[0]] = Service("failed", "failed", result="exit-code")
    machine.units[WORKERS[1]] = Service("activating", "auto-restart", result="exit-code")
    run_module("service_group", stop(remember=remember))
    assert not any(WORKERS[0] in order for order in machine.orders())
    run_module("service_group", start(remember=remember, remembered=True))
    assert {machine.units[name].active for name in WORKERS} == {"active"}


def test_nothing_remembered_is_nothing_to_start(run_module, machine, tmp_path) -> None:
    result = run_module("service_group", start(remember=str(tmp_path / "none.json"), remembered=True))
    assert (result["changed"], result["units"]) == (False, {})


def test_unreadable_memory_is_a_clear_failure(run_module, machine, tmp_path) -> None:
    (tmp_path / "ran.json").write_text("{")
    assert "cannot be read" in run_module("service_group", stop(remember=str(tmp_path / "ran.json")))["msg"]
    assert machine.orders() == []


@pytest.mark.requirement("CHOM-4.1-13", "CHOM-4.1-14", "D-080")
def test_reloads_and_starts_in_the_same_moment(run_module, machine) -> None:
    for name in WORKERS:
        machine.units[name].active = "inactive"
    result = run_module("service_group", start(names=WORKERS, reload=["php8.4-fpm"]))
    assert sorted(machine.orders()) == ["reload php8.4-fpm.service", f"start {' '.join(WORKERS)}"]
    assert result["units"]["php8.4-fpm.service"]["action"] == "reload"


def test_unit_that_does_not_run_is_restarted_instead_of_reloaded(run_module, machine) -> None:
    machine.units["php8.4-fpm.service"].active = "failed"
    result = run_module("service_group", start(reload=["php8.4-fpm"]))
    assert result["units"]["php8.4-fpm.service"]["action"] == "restart"


def test_reload_without_effect_is_a_failure(run_module, machine) -> None:
    machine._reload = lambda unit: 0
    result = run_module("service_group", {"names": ["php8.4-fpm"], "state": "reloaded", "settle": 0})
    assert result["failed"] is True
    assert "Not running as they should: php8.4-fpm.service" in result["msg"]


@pytest.mark.parametrize(("state", "verb"), [("restarted", "restart"), ("reloaded", "reload")])
def test_restarts_and_reloads_all(run_module, machine, state, verb) -> None:
    result = run_module("service_group", {"names": WORKERS, "state": state, "settle": 0})
    assert (result["changed"], machine.orders()) == (True, [f"{verb} {' '.join(WORKERS)}"])


def test_started_again_changes_nothing(run_module, machine) -> None:
    result = run_module("service_group", start(names=WORKERS))
    assert (result["changed"], machine.orders()) == (False, [])


def test_unit_that_does_not_start_is_named_with_its_last_words(run_module, machine, tmp_path) -> None:
    remember = tmp_path / "ran.json"
    run_module("service_group", stop(remember=str(remember)))
    machine.units[WORKERS[0]].starts = False
    result = run_module("service_group", start(remember=str(remember), remembered=True))
    assert result["failed"] is True
    assert f"{WORKERS[0]} is failed (failed, exit-code), its journal ends with: PHP Fatal error: no" in result["msg"]
    assert result["system_state"] == "3 of 4 units run."
    assert result["next_command"] == f"systemctl status {WORKERS[0]}"
    assert remember.exists()


def test_unit_that_dies_while_settling_is_noticed(run_module, machine) -> None:
    for name in WORKERS:
        machine.units[name].active = "inactive"

    def crash(shows: int) -> None:
        if shows > 2:
            unit = machine.units[WORKERS[0]]
            unit.pid, unit.since, unit.active, unit.sub = 0, now(), "activating", "auto-restart"

    machine.on_show = crash
    result = run_module("service_group", start(names=WORKERS, settle=0.1))
    assert result["failed"] is True
    assert f"{WORKERS[0]} is activating (auto-restart)" in result["msg"]


def test_unit_that_starts_over_and_over_does_not_count_as_running(run_module, machine) -> None:
    unit = machine.units[WORKERS[0]]
    unit.active = "inactive"

    def again(_shows: int) -> None:
        unit.since = now()

    machine.on_show = again
    result = run_module("service_group", start(names=WORKERS[:1], settle=0.2, timeout=0.5))
    assert f"Not running as they should: {WORKERS[0]} is active (running), but not for long" in result["msg"]


def test_units_that_only_just_run_are_not_blamed_for_one_that_failed(run_module, machine) -> None:
    for name in WORKERS:
        machine.units[name].active = "inactive"

    def die(_shows: int) -> None:
        unit = machine.units[WORKERS[1]]
        if unit.executed > 1:
            unit.active, unit.sub, unit.result = "failed", "failed", "exit-code"

    machine.on_show = die
    result = run_module("service_group", start(names=WORKERS, settle=4, timeout=5))
    assert result["msg"].startswith(f"Not running as they should: {WORKERS[1]} is failed (failed, exit-code)")
    assert (result["system_state"], result["next_command"]) == ("2 of 3 units run.", f"systemctl status {WORKERS[1]}")


@pytest.mark.parametrize("may_reset", [True, False])
def test_unit_that_systemd_gave_up_on_is_started(run_module, machine, may_reset) -> None:
    unit = machine.units[WORKERS[0]]
    unit.active, unit.sub, unit.result = "failed", "failed", "exit-code"
    tries: list[int] = []

    def begin(unit: Service) -> int:
        tries.append(1)
        if unit.active == "failed" and len(tries) < 3:
            return 1
        return Machine._start(machine, unit)

    machine._start = begin
    machine.one_unit_only = not may_reset
    result = run_module("service_group", start(names=[WORKERS[0]], timeout=2))
    assert result["units"][WORKERS[0]]["after"] == "active (running)"
    assert len(tries) == (2 if may_reset else 3)


def test_php_fpm_that_systemd_gave_up_on_is_tried_again_with_the_order_that_was_given(run_module, machine) -> None:
    unit = machine.units["php8.4-fpm.service"]
    unit.active, unit.sub, unit.result = "failed", "failed", "exit-code"
    tries: list[int] = []

    def begin(unit: Service) -> int:
        tries.append(1)
        return Machine._restart(machine, unit) if len(tries) == 3 else 1

    machine._restart = begin
    machine.one_unit_only = True  # which refuses reset-failed too
    result = run_module("service_group", {"names": ["php8.4-fpm.service"], "state": "reloaded", "settle": 0, "timeout": 2})
    assert result["units"]["php8.4-fpm.service"]["after"] == "active (running)"
    assert {order for order in machine.orders() if "reset-failed" not in order} == {"restart php8.4-fpm.service"}


def test_busy_unit_fails_the_stop_and_the_others_run_again(run_module, machine) -> None:
    machine.units[WORKERS[1]].stops = False
    result = run_module("service_group", stop(drain_timeout=0.1))
    assert result["failed"] is True
    assert f"Still busy after 0.1 s: {WORKERS[1]} is deactivating (stop-sigterm)." in result["msg"]
    assert result["system_state"] == "What was stopped runs again."
    assert machine.units[WORKERS[0]].active == "active"
    assert "drain_timeout" in result["next_command"]


def test_busy_unit_can_be_killed_as_the_user_it_runs_as(run_module, machine) -> None:
    machine.units[WORKERS[1]].stops = False
    result = run_module("service_group", stop(drain_timeout=0.1, on_timeout="kill"))
    assert result["units"][WORKERS[1]] == {"before": "active (running)", "after": "failed (failed, signal)", "action": "kill"}
    assert ("kill -KILL 101", "www-data") in machine.commands
    assert result["interrupted"] == [WORKERS[1]]


def test_unit_that_systemd_killed_is_named(run_module, machine) -> None:
    def overrun(unit: Service) -> int:
        unit.active, unit.sub, unit.result = "failed", "failed", "timeout"
        return 0

    machine._stop = overrun
    machine.units["chom-scheduler.timer"].active = "inactive"
    result = run_module("service_group", stop())
    assert result["interrupted"] == WORKERS
    assert f"{WORKERS[0]} was killed in the middle of its work." in str(result["warnings"])


def test_errand_of_a_timer_is_waited_for_and_never_stopped(run_module, machine) -> None:
    errand = machine.units["chom-scheduler.service"]
    errand.active, errand.sub = "activating", "start"

    def end(shows: int) -> None:
        if shows == 3:
            errand.active, errand.sub = "inactive", "dead"

    machine.on_show = end
    run_module("service_group", stop())
    assert machine.shows == 3
    assert not any("chom-scheduler.service" in order for order in machine.orders())


def test_pattern_stands_for_units_that_are_not_loaded_too(run_module, machine) -> None:
    machine.units[WORKERS[2]].listed = False
    assert list(run_module("service_group", stop())["units"]) == [*WORKERS, "chom-scheduler.timer"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nothing-*.service"], "No unit of this host fits the pattern nothing-*.service."),
        (["chom-queue-nosuch"], "chom-queue-nosuch.service (not-found)"),
        (["--now"], "'--now' is not the name of a unit."),
        (["a b"], "'a b' is not the name of a unit."),
        (["x;reboot"], "is not the name of a unit."),
        ([], "There is nothing to do"),
    ],
)
def test_wrong_names_are_refused_before_anything_changes(run_module, machine, names, message) -> None:
    for state in ("stopped", "started"):
        result = run_module("service_group", {"names": names, "state": state})
        assert result["failed"] is True
        assert message in result["msg"]
    assert machine.orders() == []


def test_masked_unit_is_refused_before_anything_starts(run_module, machine) -> None:
    machine.units[WORKERS[0]] = Service("inactive", "dead", load="masked")
    assert f"{WORKERS[0]} (masked)" in run_module("service_group", start(names=WORKERS))["msg"]
    assert machine.orders() == []


def test_stop_takes_no_options_of_a_start(run_module, machine) -> None:
    assert "belong to a start" in run_module("service_group", stop(reload=["php8.4-fpm"]))["msg"]


@pytest.mark.requirement("CHOM-4.2-07")
def test_proves_in_which_release_what_was_started_works(run_module, machine, tmp_path) -> None:
    for number, name in enumerate(WORKERS):
        machine.units[name].pid = 1000 + number
        machine.units[name].active = "inactive"
    (tmp_path / "releases/10").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/10")
    for name in WORKERS:
        machine.units[name].place = f"{tmp_path}/releases/10"
    found = run_module("service_group", {"names": WORKERS, "state": "started", "settle": 0, "release": str(tmp_path / "current")})
    assert found["works_in"] == dict.fromkeys(WORKERS, f"{tmp_path}/releases/10")


def test_a_unit_that_works_in_another_release_is_refused(run_module, machine, tmp_path) -> None:
    (tmp_path / "releases/10").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/10")
    unit = machine.units[WORKERS[0]]
    unit.active, unit.place = "inactive", f"{tmp_path}/releases/101"
    found = run_module("service_group", {"names": WORKERS[:1], "state": "started", "settle": 0, "release": str(tmp_path / "current")})
    assert found["failed"]
    assert f"Not working in the release 10: {WORKERS[0]} works in {tmp_path}/releases/101" in found["msg"]
    assert f"WorkingDirectory of {WORKERS[0]}" in found["next_command"]


def renew(remember: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    return {"names": WORKERS, "reload": ["php8.4-fpm"], "state": "renewed", "settle": 0, "remember": str(remember), **more}


@pytest.mark.requirement("CHOM-4.1-13", "D-065")
def test_renews_those_that_ran_after_what_users_wait_for(run_module, machine, tmp_path) -> None:
    machine.units[WORKERS[2]].active = "inactive"
    remember = tmp_path / "ran.json"
    result = run_module("service_group", renew(remember))
    assert machine.orders() == [f"{verb} {names}" for verb, names in [
        ("reload", "php8.4-fpm.service"), ("stop", " ".join(WORKERS[:2])), ("start", " ".join(WORKERS[:2])),
    ]]  # fmt: skip
    assert json.loads(remember.read_text())["units"] == WORKERS[:2]
    assert [result["units"][name]["action"] for name in WORKERS] == ["restart", "restart", "none"]
    after = run_module("service_group", start(remember=str(remember), remembered=True, settle=0.2))
    assert (after["changed"], len(machine.orders())) == (False, 3)
    assert not remember.exists()


def test_what_was_renewed_a_moment_ago_must_have_run_for_a_while(run_module, machine, tmp_path) -> None:
    remember = tmp_path / "ran.json"
    run_module("service_group", renew(remember))
    looked: list[float] = []
    machine.on_show = lambda _shows: looked.append(time.monotonic())
    run_module("service_group", start(remember=str(remember), remembered=True, settle=0.3, timeout=2))
    assert looked[-1] - machine.units[WORKERS[0]].since / 1e6 >= 0.3


def test_a_timer_that_fires_meanwhile_is_steady_all_the_same(run_module, machine, tmp_path) -> None:
    remember = tmp_path / "ran.json"
    run_module("service_group", renew(remember, names=["chom-scheduler.timer"]))
    timer = machine.units["chom-scheduler.timer"]
    timer.entered -= 10**7
    timer.since = now() + 10**7
    assert "failed" not in run_module("service_group", start(remember=str(remember), remembered=True, settle=5, timeout=1))


def test_a_job_in_hand_is_waited_for_by_the_start_alone(run_module, machine, tmp_path) -> None:
    busy = machine.units[WORKERS[1]]
    busy.stops = False
    remember = tmp_path / "ran.json"
    result = run_module("service_group", renew(remember))
    assert result["units"][WORKERS[1]] == {"before": "active (running)", "after": "deactivating (stop-sigterm)", "action": "restart"}
    assert machine.orders()[-1] == f"start {WORKERS[0]} {WORKERS[2]}"

    def end(_shows: int) -> None:
        if machine.shows == before + 3:
            busy.active, busy.sub, busy.result = "failed", "failed", "timeout"

    before = machine.shows
    machine.on_show = end
    after = run_module("service_group", start(remember=str(remember), remembered=True))
    assert (machine.orders()[-1], after["units"][WORKERS[1]]["after"]) == (f"start {WORKERS[1]}", "active (running)")
    assert after["interrupted"] == [WORKERS[1]]
    assert f"{WORKERS[1]} was killed in the middle of its work." in str(after["warnings"])


def test_a_job_that_does_not_end_fails_the_start(run_module, machine, tmp_path) -> None:
    machine.units[WORKERS[1]].stops = False
    remember = tmp_path / "ran.json"
    run_module("service_group", renew(remember))
    machine._start = lambda unit: 0  # systemd starts it when it has ended
    result = run_module("service_group", start(remember=str(remember), remembered=True, drain_timeout=0.2))
    assert f"Still busy after 0.2 s: {WORKERS[1]} is deactivating (stop-sigterm)." in result["msg"]
    assert remember.exists()


def test_units_that_may_not_be_stopped_are_not_renewed(run_module, machine, tmp_path) -> None:
    machine._stop = lambda unit: 5
    result = run_module("service_group", renew(tmp_path / "ran.json"))
    assert f"systemctl could not stop {', '.join(WORKERS)}" in result["msg"]
    assert result["system_state"] == "What was stopped runs again."


def test_renewing_says_in_check_mode_what_it_would_do(run_module, machine, tmp_path) -> None:
    result = run_module("service_group", renew(tmp_path / "ran.json"), check=True)
    assert {unit["action"] for unit in result["units"].values()} == {"reload", "restart"}
    assert (machine.orders(), list(tmp_path.iterdir())) == ([], [])


def test_renewing_takes_no_options_of_a_start(run_module, machine, tmp_path) -> None:
    assert "belongs to the start" in run_module("service_group", renew(tmp_path / "ran.json", remembered=True))["msg"]


@pytest.mark.requirement("CHOM-4.2-07")
def test_proves_in_which_release_what_was_renewed_works(run_module, machine, tmp_path) -> None:
    (tmp_path / "releases/10").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/10")
    remember = tmp_path / "ran.json"
    run_module("service_group", renew(remember, names=WORKERS[:1]))
    machine.units[WORKERS[0]].place = f"{tmp_path}/releases/9"
    found = run_module("service_group", start(remember=str(remember), remembered=True, release=str(tmp_path / "current")))
    assert f"Not working in the release 10: {WORKERS[0]} works in {tmp_path}/releases/9" in found["msg"]
