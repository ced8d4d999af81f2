# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wherever a run fails, one safe state follows from it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.plugin_utils._failure import (
    Verdict,
    judge,
    next_commands,
    on_top,
    together,
    with_journal,
)

ORDER = ["lock", "quiesce writers", "close traffic", "migrate down", "switch code", "reopen", "start workers"]
DONE = {"changed": True, "failed": False}
FAILED = {"changed": False, "failed": True}
SKIPPED = {"changed": False, "skipped": True}
TARGET, BEFORE = "v1.2.3", "v1.2.4"
OPEN = f"The application runs {TARGET} and is open"
HELD = "The application is HELD IN MAINTENANCE: users get the maintenance page."


def steps(upto: str, **more: t.Any) -> dict[str, t.Any]:
    """All steps before one went well, that one failed, none after it was tried; others as given."""
    found: dict[str, t.Any] = {}
    for number, name in enumerate(ORDER):
        here = ORDER.index(upto)
        found[name] = DONE if number < here else FAILED if number == here else {}
    return {**found, **{name.replace("_", " "): value for name, value in more.items()}}


CASES: dict[str, tuple[dict[str, t.Any], Verdict]] = {
    "the lock is somebody else's": (steps("lock"), Verdict("refused", "Nothing was changed by this run.")),
    "nothing was tried": ({name: {} for name in ORDER}, Verdict("refused", "Nothing was changed by this run.")),
    "preparing fails": (
        steps("quiesce writers", quiesce_writers={}),
        Verdict("failed", f"The application still runs {BEFORE} and was never closed."),
    ),
    "workers do not stop": (
        steps("quiesce writers"),
        Verdict("failed", f"The application still runs {BEFORE} and was never closed.", start_workers=True),
    ),
    "there are no workers and closing is not reached": (
        steps("close traffic", close_traffic={}, quiesce_writers=SKIPPED),
        Verdict("failed", f"The application still runs {BEFORE} and was never closed."),
    ),
    "traffic does not close": (
        steps("close traffic"),
        Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True),
    ),
    "after closing, before anything else": (
        steps("migrate down", migrate_down={}),
        Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True),
    ),
    "it was closed already": (
        steps(
            "switch code", migrate_down=SKIPPED, close_traffic={**DONE, "was_down": True}, switch_code={**FAILED, "code_unchanged": True}
        ),
        Verdict("held", f"The application still runs {BEFORE}. It was in maintenance mode before and is again.", start_workers=True),
    ),
    "it was closed already by a run that stopped the workers too": (
        steps(
            "switch code",
            migrate_down=SKIPPED,
            quiesce_writers={"changed": False},
            close_traffic={**DONE, "was_down": True},
            switch_code={**FAILED, "code_unchanged": True},
        ),
        Verdict("held", f"The application still runs {BEFORE}. It was in maintenance mode before and is again."),
    ),
    "an undo that does not get its migrations up": (
        {**steps("reopen", migrate_down={}, reopen={}), "migrate up": FAILED},
        Verdict("held", f"{HELD} The code is {TARGET}. Its migrations are not all applied again."),
    ),
    "a migration does not go down": (
        steps("migrate down"),
        Verdict("held", f"{HELD} The code is still {BEFORE}; its migrations were being taken down."),
    ),
    "the database cannot be asked when migrations are to go down": (
        steps("migrate down", migrate_down={**FAILED, "schema_unchanged": True}),
        Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True),
    ),
    "the switch fails and is undone": (
        steps("switch code", migrate_down=SKIPPED, switch_code={**FAILED, "code_unchanged": True}),
        Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True),
    ),
    "the switch fails and is undone after migrations went down": (
        steps("switch code", switch_code={**FAILED, "code_unchanged": True}),
        Verdict("held", f"{HELD} The code is still {BEFORE}; its migrations are down."),
    ),
    "the database cannot be swapped, and was not touched": (
        steps("migrate down", migrate_down={}, swap_database={**FAILED, "database_unchanged": True}),
        Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True),
    ),
    "the database is swapped in part": (
        steps("migrate down", migrate_down={}, swap_database=FAILED),
        Verdict("held", f"{HELD} The code is still {BEFORE}. The swap of the database did not finish."),
    ),
    "the gate says no to the restored database": (
        steps("reopen", reopen={}, swap_database=DONE),
        Verdict("held", f"{HELD} The code is {TARGET}. The database is the restored one; the other is kept."),
    ),
    "an undo does not get the database back": (
        {**steps("switch code", migrate_down={}, switch_code={}), "return database": FAILED},
        Verdict("held", f"{HELD} The code is still {BEFORE}. The way back to the database from before did not finish."),
    ),
    "an undo fails after the database is back": (
        {**steps("switch code", migrate_down={}), "return database": DONE},
        Verdict("held", f"{HELD} The switch from {BEFORE} to {TARGET} did not finish. The database is the one from before again."),
    ),
    "the switch fails half-way": (
        steps("switch code", migrate_down=SKIPPED),
        Verdict("held", f"{HELD} The switch from {BEFORE} to {TARGET} did not finish."),
    ),
    "a link was switched with users on the site, and the gate says no": (
        steps("reopen", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen={}, gate=FAILED),
        Verdict("held", f"{HELD} The code is {TARGET}.", close=True, stop_workers=True),
    ),
    "a link was switched with users on the site, and nobody knows how it is": (
        steps("reopen", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen={}),
        Verdict("held", f"{HELD} The code is {TARGET}.", close=True, stop_workers=True),
    ),
    "a target that was switched to with users on the site is proven, and its workers were not thought of yet": (
        steps(
            "start workers", quiesce_writers={}, close_traffic=SKIPPED, migrate_down=SKIPPED, reopen=SKIPPED, gate=DONE, start_workers={}
        ),
        Verdict("failed", f"{OPEN}, and the workers that ran run again.", start_workers=True, stop_workers=True),
    ),
    "such a target is proven, and its workers are stopped": (
        steps("start workers", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen=SKIPPED, gate=DONE, start_workers={}),
        Verdict("failed", f"{OPEN}, and the workers that ran run again.", start_workers=True),
    ),
    "such a target is proven, and its workers do not stop": (
        steps(
            "start workers",
            quiesce_writers=FAILED,
            close_traffic=SKIPPED,
            migrate_down=SKIPPED,
            reopen=SKIPPED,
            gate=DONE,
            start_workers={},
        ),
        Verdict("failed", f"{OPEN}, but its workers were not renewed: those that run still run {BEFORE}.", start_workers=True),
    ),
    "a link cannot be switched with users on the site": (
        steps("switch code", close_traffic=SKIPPED, migrate_down=SKIPPED, switch_code={**FAILED, "code_unchanged": True}),
        Verdict("failed", f"The application still runs {BEFORE} and was never closed.", start_workers=True),
    ),
    "a link leads elsewhere by now": (
        steps(
            "switch code",
            close_traffic=SKIPPED,
            migrate_down=SKIPPED,
            switch_code={**FAILED, "code_unchanged": True, "runs": "4 (v1.2.5), made live meanwhile,"},
        ),
        Verdict("failed", "The application still runs 4 (v1.2.5), made live meanwhile, and was never closed.", start_workers=True),
    ),
    "workers do not start after a link was switched with users on the site": (
        steps("start workers", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen=SKIPPED, gate=DONE),
        Verdict("failed", f"The application runs {TARGET} and is open, but not all of its workers run."),
    ),
    "a target that was switched to with users on the site does not stay healthy": (
        steps("start workers", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen=SKIPPED, gate=DONE, start_workers=DONE),
        Verdict("failed", f"The application runs {TARGET} and is open, but it did not stay healthy."),
    ),
    "the gate says no": (steps("reopen", reopen={}), Verdict("held", f"{HELD} The code is {TARGET}.")),
    "traffic does not open": (
        steps("reopen"),
        Verdict(
            "held",
            "The application is HELD IN MAINTENANCE: opening it failed, and users get the maintenance page or no good answer. "
            f"The code is {TARGET}.",
        ),
    ),
    "workers do not start": (
        steps("start workers"),
        Verdict("failed", f"The application runs {TARGET} and is open, but not all of its workers run."),
    ),
    "the watch sees it fall over": (
        steps("start workers", start_workers=DONE),
        Verdict("failed", f"The application runs {TARGET} and is open, but it did not stay healthy."),
    ),
}


@pytest.mark.requirement("G-12", "D-131", "CHOM-4.1-16", "CHOM-5.2-16")
@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_each_failure_leads_to_its_safe_state(given: dict[str, t.Any], expected: Verdict) -> None:
    assert judge(given, TARGET, BEFORE) == expected


@pytest.mark.parametrize(("changed", "start"), [(True, True), (False, False)])
def test_what_was_closed_before_the_run_is_not_said_to_be_open(changed: bool, start: bool) -> None:
    stopped = {"failed": True, "changed": changed}
    verdict = judge(steps("quiesce writers", quiesce_writers=stopped), TARGET, BEFORE, was_down=True)
    state = f"The application still runs {BEFORE}. It was in maintenance mode before this run and still is."
    assert verdict == Verdict("held", state, start_workers=start)


@pytest.mark.requirement("CHOM-4.1-16", "CHOM-4.2-09")
@pytest.mark.parametrize("stage", ORDER[4:6])
def test_nothing_is_opened_between_the_switch_and_the_gate(stage: str) -> None:
    assert not judge(steps(stage), TARGET, BEFORE).reopen


@pytest.mark.requirement("G-12")
def test_a_whole_target_that_is_not_good_is_left_again_when_that_is_wanted_and_better() -> None:
    found = judge(steps("reopen", reopen={}), TARGET, BEFORE, undo=True)
    assert (found.outcome, found.undo) == ("held", True)
    assert not judge(steps("reopen", reopen={}), TARGET, BEFORE).undo


@pytest.mark.parametrize(
    "given",
    [
        steps("switch code"),
        steps("migrate down"),
        steps("close traffic"),
        steps("start workers"),
        steps("reopen", close_traffic={**DONE, "was_down": True}, reopen={}),
    ],
    ids=["switched in part", "migrated in part", "nothing switched", "open already", "users had nothing before"],
)
def test_nothing_else_goes_back_by_itself(given: dict[str, t.Any]) -> None:
    assert not judge(given, TARGET, BEFORE, undo=True).undo


def resumed(phases: dict[str, t.Any], own: dict[str, t.Any], *, was_down: bool = False) -> Verdict:
    return judge(on_top({"phases": phases, "was_down": was_down}, own), TARGET, BEFORE)


CLOSED_BY_THE_FIRST = {"lock": DONE, "quiesce writers": DONE, "close traffic": {**DONE, "was_down": False}}
REFUSES_TO_SWITCH = steps(
    "switch code", migrate_down=SKIPPED, close_traffic={**DONE, "was_down": True}, switch_code={**FAILED, "code_unchanged": True}
)


@pytest.mark.requirement("G-10")
def test_a_resumed_run_opens_what_was_open_before_the_first() -> None:
    found = resumed(CLOSED_BY_THE_FIRST, REFUSES_TO_SWITCH)
    assert found == Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True)
    early = resumed(CLOSED_BY_THE_FIRST, {**steps("quiesce writers", quiesce_writers={})})
    assert (early.reopen, early.start_workers) == (True, True)


@pytest.mark.requirement("G-10")
def test_a_resumed_run_keeps_closed_what_was_closed_before_the_first() -> None:
    found = resumed({**CLOSED_BY_THE_FIRST, "close traffic": {**DONE, "was_down": True}}, REFUSES_TO_SWITCH, was_down=True)
    assert (found.outcome, found.reopen) == ("held", False)


@pytest.mark.parametrize(
    "touched", [{"migrate down": DONE}, {"switch code": FAILED}, {"switch code": DONE}], ids=["migrated", "half switched", "switched"]
)
@pytest.mark.parametrize("own", [REFUSES_TO_SWITCH, steps("quiesce writers", quiesce_writers={})], ids=["at the switch", "before"])
def test_a_resumed_run_opens_nothing_that_the_first_touched(touched: dict[str, t.Any], own: dict[str, t.Any]) -> None:
    found = resumed({**CLOSED_BY_THE_FIRST, **touched}, own)
    assert (found.outcome, found.reopen, found.start_workers) == ("held", False, False)


def test_what_the_first_opened_counts_until_the_second_closes_it() -> None:
    phases = {**CLOSED_BY_THE_FIRST, "switch code": DONE, "reopen": DONE, "start workers": FAILED}
    found = resumed(phases, steps("quiesce writers", quiesce_writers={}))
    assert found == Verdict("failed", f"{OPEN}, but not all of its workers run.")
    assert resumed(phases, steps("close traffic", close_traffic={})).start_workers
    assert "users get the maintenance page" in resumed(phases, steps("reopen", reopen={})).state


def test_an_undo_is_gone_on_with() -> None:
    look, again = next_commands(Verdict("held", ""), "undo", TARGET, BEFORE, {})
    assert "status.yml" in look
    assert again == f"ansible-playbook playbooks/resume.yml   # try again to reach {TARGET}"


def test_the_next_commands_go_both_ways_when_it_is_held() -> None:
    again, back = next_commands(Verdict("held", ""), "standard_rollback", TARGET, BEFORE, {"migrations": "down"})
    assert again.startswith("ansible-playbook playbooks/resume.yml ")  # with what the run was told
    assert back == "ansible-playbook playbooks/undo.yml   # go back to v1.2.4, where this run began"


def test_after_a_failure_that_held_nothing_one_looks_first() -> None:
    look, again = next_commands(Verdict("failed", ""), "standard_rollback", TARGET, BEFORE, {"migrations": "down"})
    assert "verify.yml" in look
    assert again == "ansible-playbook playbooks/standard_rollback.yml -e target=v1.2.3 -e migrations=down   # try again"
    assert next_commands(Verdict("refused", ""), "emergency_rollback", TARGET, BEFORE, {}) == []


def test_what_was_typed_is_what_to_type_again() -> None:
    _look, again = next_commands(Verdict("failed", ""), "database_rollback", TARGET, BEFORE, {}, "ansible-playbook x -e backup=b1")
    assert again == "ansible-playbook x -e backup=b1   # try again"


# Several hosts

UNTOUCHED = Verdict("failed", f"The application still runs {BEFORE}, open to users as before.", start_workers=True, reopen=True)
NEVER_CLOSED = Verdict("failed", f"The application still runs {BEFORE} and was never closed.", start_workers=True)
SWITCHED = Verdict("held", f"{HELD} The code is {TARGET}.")
WILLING = Verdict("held", f"{HELD} The code is {TARGET}.", undo=True)
PROVEN = Verdict("failed", f"{OPEN}, and the workers that ran run again.", start_workers=True, stop_workers=True, goes_along=True)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (UNTOUCHED, [UNTOUCHED, NEVER_CLOSED], UNTOUCHED),
        (SWITCHED, [UNTOUCHED], SWITCHED),
        (WILLING, [WILLING, UNTOUCHED], WILLING),
        (UNTOUCHED, [WILLING, WILLING], UNTOUCHED),
        (NEVER_CLOSED, [WILLING], NEVER_CLOSED),
        (PROVEN, [UNTOUCHED], PROVEN),
    ],
)
def test_hosts_that_can_all_go_back_do_and_what_is_held_stays_so(own: Verdict, others: list[Verdict], expected: Verdict) -> None:
    staying = dataclasses.replace(own, undo=False)
    assert together(own, staying, {f"web{number}": verdict for number, verdict in enumerate(others, 2)}) == expected


def test_one_that_cannot_go_back_keeps_all_closed() -> None:
    """Users must not get two versions."""
    found = together(UNTOUCHED, UNTOUCHED, {"web2": SWITCHED, "web3": UNTOUCHED})
    assert (found.outcome, found.reopen, found.start_workers) == ("held", False, False)
    assert found.state == f"{HELD[:-1]}, since web2 cannot go back by itself. The application still runs {BEFORE}."
    assert together(WILLING, SWITCHED, {"web2": SWITCHED}) == SWITCHED


@pytest.mark.parametrize("own", [PROVEN, NEVER_CLOSED])
def test_what_users_have_all_the_while_stays_when_another_host_is_held(own: Verdict) -> None:
    found = together(own, own, {"web2": SWITCHED})
    assert found == dataclasses.replace(own, state=f"{own.state} It is not so on web2.")


def test_one_that_has_the_target_goes_back_with_the_others() -> None:
    """Users must not get two versions, the one here and the other there, for good."""
    found = together(PROVEN, PROVEN, {"web2": WILLING, "web3": dataclasses.replace(PROVEN, goes_along=False)})
    assert found == Verdict("held", f"{OPEN}, but web2 cannot keep that version.", undo=True)


@pytest.mark.parametrize("last", ["gate", "start workers"])
def test_what_is_open_and_proven_may_go_along_where_the_policy_is_to_undo(last: str) -> None:
    released = steps("start workers", gate=DONE, close_traffic=SKIPPED, migrate_down=SKIPPED, reopen={})
    found = {**released, **({"quiesce writers": {}, "start workers": {}} if last == "gate" else {})}
    assert judge(found, TARGET, BEFORE, undo=True).goes_along
    assert not judge(found, TARGET, BEFORE).goes_along


def test_a_link_that_was_switched_with_users_on_the_site_is_switched_back_where_that_is_asked_for() -> None:
    found = judge(steps("reopen", close_traffic=SKIPPED, migrate_down=SKIPPED, reopen={}, gate=FAILED), TARGET, BEFORE, undo=True)
    assert found == Verdict("held", f"The application is open and runs {TARGET}, which is not proven.", undo=True)


def test_what_an_earlier_run_proved_is_not_what_a_resumed_one_switched_to() -> None:
    origin = {"phases": {"gate": DONE, "switch code": DONE}, "was_down": False}
    both = on_top(origin, {**steps("reopen", close_traffic=SKIPPED, reopen={}), "gate": FAILED})
    assert judge(both, TARGET, BEFORE).close


def test_workers_that_were_renewed_again_do_not_run_because_an_earlier_run_started_them() -> None:
    origin = {"phases": {"switch code": DONE, "start workers": DONE}, "was_down": False}
    stay_open = {"quiesce_writers": {}, "close_traffic": {}, "reopen": {}, "gate": DONE}
    both = on_top(origin, steps("start workers", **stay_open, start_workers={}))
    assert judge(both, TARGET, BEFORE) == Verdict(
        "failed", f"{OPEN}, and the workers that ran run again.", start_workers=True, stop_workers=True
    )


OPENED = {"started": "2026-11-22T12:00:00.000Z", "seconds": 0.1, "changed": True, "failed": False}


def test_a_step_whose_answer_was_lost_came_to_what_the_journal_says() -> None:
    found = with_journal(steps("reopen"), {"reopen": OPENED})
    assert found["reopen"] == OPENED
    assert judge(found, TARGET, BEFORE) == Verdict("failed", f"{OPEN}, and the workers that ran run again.", start_workers=True)


@pytest.mark.parametrize(
    ("step", "journal"),
    [
        ({**FAILED, "started": "2026-11-22T12:00:00.000Z"}, OPENED),
        (FAILED, {"failed": True, "interrupted": True}),
        (FAILED, {}),
        ({}, OPENED),
    ],
    ids=["it said so itself", "it never ended", "it never began", "it was not reached"],
)
def test_no_other_step_does(step: dict[str, t.Any], journal: dict[str, t.Any]) -> None:
    assert with_journal(steps("reopen", reopen=step), {"reopen": journal})["reopen"] == step
