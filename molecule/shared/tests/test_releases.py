# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application in releases/, shared/ and current goes to another release, and back, while users are on the site."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.cases import WORKERS
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, only
from ansible_collections.lastgood.rollback.tests.tools.prober import Site

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"switched", "unswitched"}
PLACE = "/var/www/chom"
requirement = pytest.mark.requirement


def target(rehearsed: Rehearsed) -> str:
    return "1.2.3" if rehearsed.run.expected == "switched" else "1.2.4"


def release(rehearsed: Rehearsed) -> str:
    return f"{PLACE}/releases/{'2' if rehearsed.run.expected == 'switched' else '3'}"


def left(rehearsed: Rehearsed) -> str:
    return f"{PLACE}/releases/{'3' if rehearsed.run.expected == 'switched' else '2'}"


def steps(rehearsed: Rehearsed, host: Host) -> list[str]:
    """What the journal of the run says was done, in order."""
    run = rehearsed.record.after["durable"]["last_run.json"]["run"]
    lines = host.file(f"/var/lib/lastgood/chom/runs/{run}/journal.jsonl").content_string.splitlines()
    return [entry["step"] for entry in map(json.loads, lines) if entry["event"] == "result"]


def test_the_command_ends_well_and_says_so(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == 0, rehearsed.record.output
    assert ("ROLLED BACK: chom " if rehearsed.run.expected == "switched" else "UNDONE: chom ") in rehearsed.record.words
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words


@requirement("D-056", "D-057")
def test_the_link_leads_to_the_target(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.before["release"] == left(rehearsed)
    assert rehearsed.record.after["release"] == release(rehearsed)
    assert f"v{target(rehearsed)}" in rehearsed.record.after["checkout"]["tags"]
    assert rehearsed.record.after["beside"] == rehearsed.record.before["beside"]


@only(lambda rehearsed: rehearsed.case.bad == "none")
@requirement("D-057")
def test_no_user_notices(rehearsed: Rehearsed) -> None:
    users = rehearsed.users()
    assert users.asked > 10
    assert users.failed == 0, users
    for path in ("/health/ready", "/session"):
        assert rehearsed.users(path).failed == 0, path
    versions = [answer.version for answer in sorted(rehearsed.record.users, key=lambda answer: answer.t) if answer.path == "/"]
    assert set(versions) == {"1.2.3", "1.2.4"}
    assert versions.index(target(rehearsed)) == len(versions) - versions.count(target(rehearsed)), "two versions were served in turn"


@only(lambda rehearsed: "migrations" not in rehearsed.run.extra)
def test_the_maintenance_page_is_not_used(rehearsed: Rehearsed, host: Host) -> None:
    assert not [answer for answer in rehearsed.record.users if answer.status == 503]
    assert not [step for step in steps(rehearsed, host) if step.startswith("laravel_maintenance")]


@only(lambda rehearsed: "migrations" in rehearsed.run.extra)
def test_users_get_the_maintenance_page_only_while_the_schema_and_the_code_do_not_fit(rehearsed: Rehearsed, host: Host) -> None:
    done = steps(rehearsed, host)
    window = done[done.index("laravel_maintenance down") : done.index("laravel_maintenance up") + 1]
    assert [step for step in window if step not in ("service_group reloaded", "health_gate")] == [
        "laravel_maintenance down",
        "db_migration down",
        "release_switch switched",
        "laravel_maintenance up",
    ]
    assert done.index("db_backup") < done.index("laravel_maintenance down")


def test_caches_are_built_before_the_switch_and_fpm_is_renewed_after_it(rehearsed: Rehearsed, host: Host) -> None:
    done = steps(rehearsed, host)
    reloading = next(step for step in done if step in ("service_group reloaded", "service_group renewed"))
    order = [done.index(step) for step in ("laravel_cache rebuilt", "release_switch switched", reloading)]
    assert order == sorted(order)


@only(lambda rehearsed: rehearsed.run.expected == "switched" and "migrations" not in rehearsed.run.extra)
def test_workers_get_the_target_together_with_users_and_are_proven_after_the_gate(rehearsed: Rehearsed, host: Host) -> None:
    done = [step for step in steps(rehearsed, host) if step.startswith(("release_switch", "service_group", "health_gate"))]
    assert done[:4] == ["release_switch switched", "service_group renewed", "health_gate", "service_group started"]


@only(lambda rehearsed: rehearsed.run.expected == "switched")
@requirement("D-055")
def test_the_target_is_asked_before_the_switch_where_users_stay_on_the_site(rehearsed: Rehearsed, host: Host) -> None:
    done = steps(rehearsed, host)
    asked = (
        [done.index("laravel_cache rebuilt"), done.index("release_trial"), done.index("release_switch switched")]
        if "release_trial" in done
        else []
    )
    assert asked == sorted(asked)
    assert bool(asked) == ("migrations" not in rehearsed.run.extra)


@only(lambda rehearsed: rehearsed.last)
def test_the_caches_are_those_of_the_target(rehearsed: Rehearsed, host: Host) -> None:
    cache = host.file(f"{release(rehearsed)}/bootstrap/cache/config.php")
    assert f"'version' => '{target(rehearsed)}'" in cache.content_string
    assert cache.user == "www-data"


@requirement("CHOM-4.1-14", "CHOM-4.2-07")
def test_every_worker_is_a_new_process_that_works_in_the_release(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["units"], rehearsed.record.after["units"]
    for name in WORKERS:
        assert after[name]["ActiveState"] == "active", name
        assert after[name]["InvocationID"] != before[name]["InvocationID"], name
        assert after[name]["works_in"] == release(rehearsed), name
    assert rehearsed.record.after["durable"]["workers.json"] is None


@only(lambda rehearsed: rehearsed.run.expected == "switched")
def test_what_was_left_is_kept_and_marked(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.after["marked"] == ["3"]


@only(lambda rehearsed: rehearsed.run.expected == "unswitched")
def test_what_is_used_again_is_not_marked_any_more(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.before["marked"] == ["3"]
    assert rehearsed.record.after["marked"] == []


def test_every_page_answers_right_after_the_command_has_ended(rehearsed: Rehearsed) -> None:
    for path in PAGES:
        seen = rehearsed.record.outside[path]
        assert seen["status"] == 200, seen
        assert seen["version"] == (None if path.startswith("/css/") else target(rehearsed)), seen


@only(lambda rehearsed: rehearsed.last)
def test_no_process_answers_with_other_code_later_on(rehearsed: Rehearsed, site: Site) -> None:
    """What FPM keeps compiled in memory is that of the target."""
    answers = [site.ask("/")[0] for _number in range(20)]
    assert {(answer.status, answer.version) for answer in answers} == {(200, target(rehearsed))}


def test_the_lock_is_given_back(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.after["durable"]["lock"] is None
    assert rehearsed.record.after["maintenance"] is False
