# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a rollback the application runs v1.2.3 for everybody, and everybody knows."""

from __future__ import annotations

import json
import time
import typing as t

import pytest

from ansible_collections.lastgood.rollback.molecule.shared.cases import TARGET
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import PAGES, SECRET_PATH
from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed, digest_planned, only
from ansible_collections.lastgood.rollback.tests.tools.prober import Site

if t.TYPE_CHECKING:
    from testinfra.host import Host

EXPECTED = {"rolled_back"}
VERSION = TARGET.removeprefix("v")
APPLICATION = "/var/www/chom"
requirement = pytest.mark.requirement


def emergency(rehearsed: Rehearsed) -> bool:
    return not rehearsed.standard


def told(rehearsed: Rehearsed) -> bool:
    return rehearsed.run.webhook == "listens"


# What the command says


@requirement("CHOM-1.4-04")
def test_the_command_ends_well_and_says_so(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.rc == 0, rehearsed.record.output
    assert "ROLLED BACK: chom " in rehearsed.record.words
    assert f"-> {TARGET} in " in rehearsed.record.words
    for words in rehearsed.run.says:
        assert words in rehearsed.record.words


@only(emergency)
@requirement("CHOM-1.3-01", "CHOM-3.3-01", "CHOM-4.0-01", "CHOM-4.2-01")
def test_an_emergency_needs_no_answers_and_stays_in_its_budget(rehearsed: Rehearsed) -> None:
    assert "target" not in rehearsed.run.extra
    assert rehearsed.record.ended - rehearsed.record.began < 300
    assert any(
        why in rehearsed.record.words for why in ("newest release tag among the ancestors", "target of the run", "the last good version")
    )


@only(lambda rehearsed: rehearsed.name == "last_good" and rehearsed.last)
@requirement("G-04")
def test_the_ledger_knows_which_version_is_bad_and_which_is_good(host: Host) -> None:
    """Checked by what the documentation says about it."""
    lines = [json.loads(line) for line in host.file("/var/lib/lastgood/chom/ledger.jsonl").content_string.splitlines()]
    versions = {line["id"]: line["version"] for line in lines if line["event"] == "recorded"}
    states = {versions[line["id"]]: line["state"] for line in lines}
    assert states == {"v1.2.3": "verified", "v1.2.4": "bad"}
    assert {file.mode for file in _snapshot(host)} == {0o600}


def _snapshot(host: Host) -> list[t.Any]:
    found = host.check_output("find /var/lib/lastgood/chom/restore_points -type f").split()
    assert len(found) > 5
    return [host.file(path) for path in found]


@only(lambda rehearsed: rehearsed.standard)
@requirement("CHOM-1.3-02", "CHOM-5.0-01")
def test_a_standard_rollback_stays_in_its_budget(rehearsed: Rehearsed) -> None:
    assert rehearsed.record.ended - rehearsed.record.began < 900


@requirement("CHOM-1.4-03", "CHOM-4.1-05")
def test_each_phase_is_shown_with_its_time(rehearsed: Rehearsed) -> None:
    shown = rehearsed.record.output
    phases = ["plan", "lock", "close traffic", "quiesce writers", "rebuild caches", "start services", "gate", "reopen", "start workers"]
    for phase in phases:
        assert any(line.strip().endswith(f" s  {phase}") for line in shown.splitlines()), (phase, shown)
    if not rehearsed.standard:
        for budget in ("of 5 s", "of 20 s", "of 10 s"):
            assert budget in shown


# The plan


@only(lambda rehearsed: bool(rehearsed.run.plan_of))
@requirement("G-09")
def test_what_was_done_is_what_was_planned_and_the_report_names_it(rehearsed: Rehearsed) -> None:
    """Nothing but the digest was typed."""
    digest = digest_planned(rehearsed)
    assert "target" not in rehearsed.run.extra
    assert rehearsed.record.report["json"]["plan_digest"] == digest
    assert f"digest `{digest}`" in rehearsed.record.report["markdown"]
    assert "(planned at 20" in rehearsed.record.report["json"]["target_reason"]
    assert rehearsed.record.after["durable"]["last_run.json"]["plan"] == digest


# The code


@requirement("CHOM-4.1-09", "CHOM-5.1-06", "CHOM-5.2-04", "CHOM-5.3-04", "CHOM-5.3-08", "CHOM-CL-07", "CHOM-CL-11")
def test_the_checkout_is_the_target_and_nothing_else(rehearsed: Rehearsed) -> None:
    checkout = rehearsed.record.after["checkout"]
    assert TARGET in checkout["tags"]
    assert checkout["changed"] == []


@only(lambda rehearsed: rehearsed.last)
@requirement("CHOM-4.1-10", "CHOM-5.2-05", "CHOM-5.3-09")
def test_the_dependencies_are_those_of_the_lock_file(rehearsed: Rehearsed, host: Host) -> None:
    lock = json.loads(host.file(f"{APPLICATION}/composer.lock").content_string)
    installed = json.loads(host.file(f"{APPLICATION}/vendor/composer/installed.json").content_string)
    assert {package["name"]: package["version"] for package in installed["packages"]} == {
        package["name"]: package["version"] for package in lock["packages"]
    }
    assert installed["dev"] is False
    assert "App\\\\Http\\\\Kernel" in host.file(f"{APPLICATION}/vendor/composer/autoload_classmap.php").content_string
    assert host.file(f"{APPLICATION}/vendor").user == "www-data"


@only(lambda rehearsed: rehearsed.last)
@requirement("CHOM-4.1-11", "CHOM-4.1-12", "CHOM-5.2-09", "CHOM-5.2-10", "CHOM-5.3-11", "CHOM-5.3-12", "CHOM-CL-12")
def test_the_caches_are_those_of_the_target(rehearsed: Rehearsed, host: Host) -> None:
    cache = f"{APPLICATION}/bootstrap/cache"
    assert f"'version' => '{VERSION}'" in host.file(f"{cache}/config.php").content_string
    for name in ("routes-v7.php", "events.php", "packages.php", "services.php"):
        assert host.file(f"{cache}/{name}").user == "www-data", name
    assert "telemetry" not in host.file(f"{cache}/packages.php").content_string.lower()
    views = host.check_output(f"find {APPLICATION}/resources/views -name '*.blade.php' | wc -l")
    compiled = host.check_output(f"find {APPLICATION}/storage/framework/views -name '*.php' -newer {APPLICATION}/composer.lock | wc -l")
    assert int(compiled) >= int(views)


# The processes


@only(lambda rehearsed: rehearsed.last)
@requirement("CHOM-4.3-01", "CHOM-4.3-02", "CHOM-4.3-03", "CHOM-4.3-04", "CHOM-4.3-05", "CHOM-CL-15")
def test_all_services_run(rehearsed: Rehearsed, host: Host) -> None:
    server = {"mariadb": ["mariadb"], "postgresql": ["postgresql@17-main"], "sqlite": []}[rehearsed.case.database]
    for name in ("nginx", "php8.4-fpm", "redis-server", "chom-queue-worker", *server):
        assert host.service(name).is_running, name
    assert host.service("chom-scheduler.timer").is_running


@requirement("CHOM-4.1-14", "CHOM-4.2-03", "CHOM-4.2-07", "CHOM-5.2-13", "CHOM-5.3-15", "CHOM-CL-13")
def test_exactly_the_workers_that_ran_before_run_again(rehearsed: Rehearsed) -> None:
    units = rehearsed.record.after["units"]
    running = [name for name, unit in units.items() if name.startswith("chom-queue-") and unit["ActiveState"] == "active"]
    assert sorted(running) == sorted(rehearsed.ran)
    assert units["chom-scheduler.timer"]["ActiveState"] == "active"
    assert rehearsed.record.after["durable"]["workers.json"] is None


@requirement("CHOM-5.2-02", "CHOM-5.3-06", "CHOM-CL-09")
def test_every_worker_was_stopped_and_is_a_new_process(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before["units"], rehearsed.record.after["units"]
    for name in rehearsed.ran:
        assert after[name]["InvocationID"] != before[name]["InvocationID"], name


@only(lambda rehearsed: rehearsed.last)
@requirement("CHOM-7.2-16")
def test_each_worker_does_a_job_with_the_target_s_code(rehearsed: Rehearsed, host: Host) -> None:
    queues = [name.removeprefix("chom-queue-").removesuffix(".service") for name in rehearsed.ran]
    last = rehearsed.machine.rows("SELECT MAX(id) FROM processed_jobs")[0][0]
    add = "; ".join(f"php {APPLICATION}/artisan chom:enqueue 1 --queue={queue}" for queue in queues)
    host.check_output("runuser -u www-data -- sh -c %s", add)
    done: dict[str, str] = {}
    for _attempt in range(60):
        done = dict(rehearsed.machine.rows(f"SELECT queue, version FROM processed_jobs WHERE id > {last} AND kind = 'task'"))
        if set(done) >= set(queues):
            break
        time.sleep(0.25)
    assert done == dict.fromkeys(queues, VERSION)


# From outside


@requirement("CHOM-7.1-02", "CHOM-7.1-03", "CHOM-7.1-04", "CHOM-7.2-01", "CHOM-7.2-02", "CHOM-7.2-04", "CHOM-7.2-08", "CHOM-7.2-09")
@requirement("CHOM-7.2-10", "CHOM-CL-16")
def test_every_page_answers_right_after_the_command_has_ended(rehearsed: Rehearsed) -> None:
    for path in PAGES:
        seen = rehearsed.record.outside[path]
        assert seen["status"] == 200, seen
        assert seen["version"] == (None if path.startswith("/css/") else VERSION), seen


@only(lambda rehearsed: rehearsed.last)
def test_no_process_answers_with_other_code_later_on(rehearsed: Rehearsed, site: Site) -> None:
    answers = [site.ask("/")[0] for _number in range(20)]
    assert {(answer.status, answer.version) for answer in answers} == {(200, VERSION)}


@requirement("CHOM-4.1-16", "CHOM-5.2-16", "CHOM-5.3-16", "CHOM-5.3-17", "CHOM-CL-14", "CHOM-CL-20")
def test_users_get_good_answers_from_the_reopening_on(rehearsed: Rehearsed) -> None:
    users = rehearsed.users(version=VERSION)
    assert users.first_lasting_good is not None, users
    assert users.first_lasting_good < rehearsed.record.ended + 0.5, "the command said so before it was true"
    assert rehearsed.record.after["maintenance"] is False


@requirement("CHOM-5.2-01", "CHOM-5.3-05", "CHOM-CL-08")
def test_users_are_kept_out_by_the_maintenance_page_alone(rehearsed: Rehearsed) -> None:
    """From the first maintenance page on nobody gets an error, an answer of the bad release, or a mixture of both."""
    pages = [answer for answer in sorted(rehearsed.record.users, key=lambda answer: answer.t) if answer.path == "/"]
    closed = [answer for answer in pages if answer.status == 503]
    assert closed, "the site was never closed"
    assert {answer.retry_after for answer in closed} == {"60"}
    answered = [answer for answer in pages if answer.error != "TimeoutError"]  # on a busy machine an answer may come too late
    inside = [answer for answer in answered if closed[0].ended < answer.t]
    assert {(answer.status, answer.version) for answer in inside} <= {(503, None), (503, VERSION), (503, "1.2.4"), (200, VERSION)}


@only(lambda rehearsed: rehearsed.case.bad == "none" and rehearsed.run.name == "rollback")
def test_a_healthy_site_never_answers_with_an_error(rehearsed: Rehearsed) -> None:
    answered = {answer.status for answer in rehearsed.record.users if answer.path == "/" and answer.error != "TimeoutError"}
    assert answered == {200, 503}


# What stays behind


@only(lambda rehearsed: rehearsed.standard)
@requirement("CHOM-5.2-03", "CHOM-5.3-07", "CHOM-CL-10")
def test_a_backup_was_made_before_the_switch(rehearsed: Rehearsed) -> None:
    backup = rehearsed.record.report["json"]["backup"]
    assert backup, "the report names no backup"
    name = backup["path"].rpartition("/")[2]
    assert rehearsed.record.after["backups"][name] == backup["bytes"]
    assert backup["tables"]["organizations"] == 1000
    assert backup["tables"]["sites"] == 20000
    assert any(other.startswith(name.split(".")[0]) and other.endswith(".json") for other in rehearsed.record.after["backups"])


@requirement("CHOM-8.1-05", "CHOM-8.1-06", "CHOM-8.1-07", "CHOM-8.1-08", "CHOM-8.1-09", "CHOM-8.1-10", "CHOM-8.1-11", "CHOM-8.1-12")
@requirement("CHOM-8.1-13", "CHOM-8.1-14", "CHOM-8.1-22", "CHOM-CL-23")
def test_the_report_tells_what_was_done(rehearsed: Rehearsed) -> None:
    report = rehearsed.record.report["json"]
    assert report["outcome"] == "rolled_back"
    assert report["type"] == ("standard" if rehearsed.standard else "emergency")
    assert report["executed_by"]
    assert report["began"] < report["ended"]
    assert 0 < report["duration_seconds"] <= rehearsed.record.ended - rehearsed.record.began
    assert report["reason"]
    assert report["next_steps"]
    assert report["target"] == TARGET
    assert report["target_commit"] == rehearsed.record.after["checkout"]["head"]
    actions = [phase["phase"] for phase in report["phases"]]
    order = ["lock", "quiesce writers", "close traffic", "switch code", "rebuild caches", "start services", "gate", "reopen"]
    assert [action for action in actions if action in order] == order
    for words in ("Outcome", "Duration", "Closed to users", "Executed by", "## Reason", "## Actions taken", "## Next steps", TARGET):
        assert words in rehearsed.record.report["markdown"]


@only(lambda rehearsed: rehearsed.run.name == "rollback" and rehearsed.case.bad != "slow")  # there, answers come seconds after the question
@requirement("CHOM-8.1-10")
def test_the_downtime_in_the_report_is_what_users_measured(rehearsed: Rehearsed) -> None:
    pages = [answer.t for answer in rehearsed.record.users if answer.path == "/" and answer.status == 503]
    assert rehearsed.record.report["json"]["closed_seconds"] == pytest.approx(max(pages) - min(pages), abs=0.5)


@requirement("CHOM-5.1-02", "CHOM-5.1-03", "CHOM-5.1-04", "CHOM-5.3-02", "CHOM-5.3-03", "CHOM-CL-05", "CHOM-CL-06")
def test_what_was_found_is_kept_on_the_host(rehearsed: Rehearsed) -> None:
    last = rehearsed.record.after["durable"]["last_run.json"]
    assert last["outcome"] == "rolled_back"
    assert last["from_commit"] == rehearsed.record.before["checkout"]["head"]
    assert last["from_version"] in rehearsed.record.before["checkout"]["tags"]
    assert f"runs/{last['run']}/evidence/application.log" in rehearsed.record.after["durable"]["files"]
    assert rehearsed.record.after["durable"]["lock"] is None


@only(told)
@requirement("CHOM-1.4-02", "CHOM-4.1-17", "CHOM-5.1-01", "CHOM-5.3-01", "CHOM-5.3-20", "CHOM-CL-03", "CHOM-CL-21")
def test_the_team_is_told_at_the_beginning_and_at_the_end(rehearsed: Rehearsed) -> None:
    texts = [text for message in rehearsed.record.webhook if " REFUSED: " not in (text := message["body"]["text"])]
    kind = "STANDARD" if rehearsed.standard else "EMERGENCY"
    assert len(texts) == 2, texts
    assert f"{kind} ROLLBACK STARTED" in texts[0]
    assert f"{kind} ROLLBACK ROLLED BACK" in texts[1]
    assert all(TARGET in text for text in texts)
    assert all(message["body"]["channel"] == "#incidents" for message in rehearsed.record.webhook)
    assert all(message["type"] == "application/json" for message in rehearsed.record.webhook)


@only(lambda rehearsed: rehearsed.run.webhook == "unreachable")
@requirement("CHOM-4.1-06")
def test_a_message_that_does_not_arrive_is_recorded_and_stops_nothing(rehearsed: Rehearsed) -> None:
    told = rehearsed.record.report["json"]["notifications"]
    assert [entry["event"] for entry in told] == ["finished", "started"]
    assert not any(entry["delivered"] for entry in told)


def test_no_secret_is_said_or_sent(rehearsed: Rehearsed) -> None:
    said = json.dumps([rehearsed.record.output, rehearsed.record.report, [message["body"] for message in rehearsed.record.webhook]])
    for secret in [*rehearsed.record.after["secrets"], SECRET_PATH]:
        assert secret not in said


# Special circumstances


@only(lambda rehearsed: rehearsed.run.together > 1)
def test_of_two_at_once_one_wins_and_the_other_changes_nothing(rehearsed: Rehearsed) -> None:
    (other,) = rehearsed.record.others
    words = " ".join(other["output"].split())
    assert other["rc"] != 0
    assert sum(" REFUSED: " in message["body"]["text"] for message in rehearsed.record.webhook) == 1
    assert "Another rollback holds the lock" in words
    assert rehearsed.record.after["durable"]["last_run.json"]["run"] in words
    assert "This run changed nothing" in words or "Nothing was changed" in words


@only(lambda rehearsed: rehearsed.name == "local_changes")
def test_local_changes_are_kept_as_a_patch(rehearsed: Rehearsed, host: Host) -> None:
    folder = f"/var/lib/lastgood/chom/runs/{rehearsed.record.after['durable']['last_run.json']['run']}"
    assert "+# by hand" in host.check_output(f"cat {folder}/local-changes-*.patch")
    assert "by hand" not in host.file(f"{APPLICATION}/public/robots.txt").content_string


@only(lambda rehearsed: rehearsed.run.name == "told_to_go_down")
@requirement("CHOM-5.2-08", "CHOM-5.3-10", "CHOM-9.1-01", "CHOM-9.1-02", "CHOM-9.1-03")
def test_the_migration_went_down_with_the_code_that_knows_it(rehearsed: Rehearsed) -> None:
    name = "2026_01_02_000000_rename_users_name"
    assert name in rehearsed.record.before["migrations"]
    assert name not in rehearsed.record.after["migrations"]
    assert rehearsed.record.report["json"]["migrations_taken_down"] == [name]


@only(lambda rehearsed: rehearsed.run.extra.get("watch_seconds", 0) > 0)
def test_the_application_is_watched_after_the_reopening(rehearsed: Rehearsed) -> None:
    report = rehearsed.record.report["json"]
    assert report["watch"]["passed"] is True
    assert report["watch"]["rounds"] >= 1
    assert [phase["phase"] for phase in report["phases"]].index("reopen") < [phase["phase"] for phase in report["phases"]].index("watch")


@only(lambda rehearsed: rehearsed.run.name == "taken_over")
def test_a_takeover_says_from_whom_and_why(rehearsed: Rehearsed) -> None:
    taken = rehearsed.record.after["durable"]["last_run.json"]["taken_over"]
    assert taken["reason"] == "the first one was killed"
    assert taken["from"]["run"] == rehearsed.record.before["durable"]["lock"]["run"]
