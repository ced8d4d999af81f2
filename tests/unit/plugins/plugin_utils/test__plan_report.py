# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as people read it: what may hurt first, numbers with units and their basis, and what to type."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.plugin_utils import _plan_report

requirement = pytest.mark.requirement
MIGRATION = "2026_01_02_000000_rename_users_name"


def estimate(seconds: float | None, basis: str, runs: int = 0, spread: list[float] | None = None) -> dict[str, t.Any]:
    return {"seconds": seconds, "basis": basis, "runs": runs, "spread": spread}


@pytest.fixture
def plan() -> dict[str, t.Any]:
    return {
        "application": "chom",
        "severity": "standard",
        "nothing_to_do": False,
        "from_version": "v1.2.4",
        "from_commit": "4" * 40,
        "target": "v1.2.3",
        "to_commit": "3" * 40,
        "reason": "given by the operator",
        "commits": [f"{number}{number} Change | number {number}" for number in range(8)],
        "files": 3,
        "lock_files": ["composer.lock"],
        "database": None,
        "restore_point": None,
        "dependencies_change": True,
        "migrations": {"unknown_to_target": [], "not_applied": [], "decision": "stop", "down": []},
        "config_keys": {"running": ["NEW_KEY"], "target": []},
        "pending": [],
        "local_changes": "refuse",
        "backup": True,
        "refusals": [],
        "digest": "d" * 64,
        "kept": f"/var/lib/lastgood/chom/plans/{'d' * 64}.json",
        "not_kept": "",
        "switch": {},
        "details": {
            "files": {
                "counts": {"added": 1, "removed": 0, "changed": 2},
                "names": {"added": ["a.php"], "removed": [], "changed": ["b.php", "c.php"]},
                "listed_at_most": 200,
            },
            "packages": [
                {"name": "chom/billing", "before": "1.2.1", "after": "1.2.0"},
                {"name": "chom/telemetry", "before": "1.0.0", "after": None},
                {"name": "chom/old", "before": None, "after": "0.1"},
            ],
            "missing_settings": [],
            "services": [
                {"unit": "w1.service", "role": "worker", "state": "active (running)", "action": "stopped after the job in progress"},
                {"unit": "w2.service", "role": "worker", "state": "failed (failed)", "action": "stopped after the job in progress"},
                {"unit": "fpm.service", "role": "reload", "state": "active (running)", "action": "reloaded"},
            ],
            "backup": {
                "planned": True,
                "directory": "/b",
                "bytes": 41_691_936,
                "seconds": 7.5,
                "runs": 3,
                "basis": "median of the 3 newest backups in /b",
                "newest": {"application_version": "v1.2.2", "age_seconds": 90_000},
            },
            "disk": [{"path": "/b", "what": "backup", "free_bytes": 80 * 1024**3}],
            "prediction": {
                "closed": estimate(1.5, "median of 3 earlier rollbacks on this host", 3, [1.2, 4.0]),
                "total": estimate(900, "no earlier standard rollback on this host"),
                "phases": [
                    {"phase": "gate", "budget": 10, **estimate(0.6, "median of 3 earlier runs on this host", 3)},
                    {"phase": "protect", "budget": None, **estimate(None, "no earlier run on this host did this")},
                ],
            },
            "approval": {"approvers": [], "basis": "the profile names no approvers"},
            "lock": None,
            "changed_files": [],
        },
    }


def report(plan: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    identity = {"actor": "on-call", "controller": "laptop"}
    facts = {"plan": plan, "identity": identity, "host": "web1", "next": ["type this"], "loss": "", **more}
    return _plan_report.compose(facts, 1_763_781_300.0)


def shown(plan: dict[str, t.Any]) -> list[str]:
    return list(_plan_report.lines(report(plan)))


def words(plan: dict[str, t.Any]) -> str:
    """What the terminal says, without the breaks that depend on a width."""
    return " ".join(" ".join(shown(plan)).split())


def warned(plan: dict[str, t.Any]) -> str:
    return "; ".join(_plan_report.warnings(plan))


@requirement("G-09")
def test_the_terminal_says_it_all_with_units_and_basis(plan: dict[str, t.Any]) -> None:
    text = words(plan)
    for expected in (
        "PLAN of a rollback (standard): chom v1.2.4 (444444444444) -> v1.2.3 (333333333333)",
        "leaves behind: 8 commits",
        "and 3 more",
        "files: 3 differ: 1 added, 0 removed, 2 changed",
        "migrations: none: the target knows all that the database has",
        "chom/billing 1.2.1 -> 1.2.0, chom/telemetry 1.0.0 -> removed, chom/old not installed -> 0.1, built beside the live ones",
        "only the running version knows NEW_KEY",
        "workers: 2 stopped after the job in progress: w1, w2 (failed (failed))",
        "needed: none",
        "to /b before the switch, about 39.8 MiB in 7.5 s (median of the 3 newest backups in /b); the newest one is of v1.2.2, 25 h old",
        "80.0 GiB at /b (backup)",
        "closed to users: about 1.5 s (median of 3 earlier rollbacks on this host, 1.2 to 4 s)",
        "whole run: not measured yet, budget 900 s (no earlier standard rollback on this host)",
        "must approve: nobody by name (the profile names no approvers)",
        f"digest: {'d' * 64}",
    ):
        assert expected in text
    assert max(map(len, shown(plan))) <= 116


@requirement("CHOM-5.2-06")
@pytest.mark.parametrize(
    ("decision", "reversible", "destructive", "fate"),
    [
        ("down", True, True, "goes down (its down() DROPS tables, columns or rows)"),
        ("down", True, False, "goes down (its down() drops nothing)"),
        ("keep", True, False, "stays (can go down; its down() drops nothing)"),
        ("stop", False, False, "NOT DECIDED (CANNOT go down: its down() is missing or empty)"),
    ],
)
def test_each_migration_has_its_fate(plan: dict[str, t.Any], decision: str, reversible: bool, destructive: bool, fate: str) -> None:
    plan["migrations"] = {
        "unknown_to_target": [{"name": MIGRATION, "reversible": reversible, "destructive": destructive}],
        "not_applied": [],
        "decision": decision,
        "down": [MIGRATION] if decision == "down" else [],
    }
    assert f"{MIGRATION}: {fate}" in words(plan)
    assert f"| {MIGRATION} | {fate} |" in _plan_report.markdown(report(plan))


def _goes_down(plan: dict[str, t.Any], *, backup: bool, destructive: bool = True) -> None:
    plan["backup"] = backup
    unknown = [{"name": MIGRATION, "reversible": True, "destructive": destructive}]
    plan["migrations"] = {"unknown_to_target": unknown, "not_applied": [], "decision": "down", "down": [MIGRATION]}


def test_what_will_be_lost_is_a_warning(plan: dict[str, t.Any]) -> None:
    _goes_down(plan, backup=True)
    assert "what they hold will be in the backup only" in warned(plan)
    _goes_down(plan, backup=False)
    assert "what they hold WILL BE LOST: no backup is made" in warned(plan)
    _goes_down(plan, backup=False, destructive=False)
    assert "migrations go down and no backup is made before" in warned(plan)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"pending": ["run r1 ended as held"]}, "left undone: run r1 ended as held"),
        ({"lock_files": ["composer.lock", "package-lock.json"]}, "package-lock.json differ, but only the packages of composer.lock"),
        ({"details": {"lock": {"actor": "ada", "since": "3:10"}}}, "another rollback holds the lock: ada since 3:10"),
        ({"details": {"lock": {}}}, "another rollback holds the lock: somebody since an unknown time"),
        ({"details": {"missing_settings": ["A_KEY"]}}, "lacks settings that the target's example names: A_KEY"),
        ({"local_changes": "save", "details": {"changed_files": ["x.php"]}}, "taken away and kept as a patch: x.php"),
        ({"details": {"disk": [{"path": "/b", "what": "backup", "free_bytes": 50 * 1024**2}]}}, "50.0 MiB are free at /b, the backup"),
        (
            {"details": {"services": [{"unit": "w.service", "role": "worker", "state": "inactive (dead)", "action": "is off, stays off"}]}},
            "off now",
        ),
        ({"migrations": {"unknown_to_target": [], "not_applied": ["m0"], "decision": "stop", "down": []}}, "the database lacks: m0"),
        (
            {"migrations": {"unknown_to_target": [{"name": "m1", "destructive": True}], "not_applied": [], "decision": "keep", "down": []}},
            "run on a schema that it does not know: m1 stay",
        ),
    ],
)
def test_what_may_hurt_is_a_warning_and_comes_first(plan: dict[str, t.Any], change: dict[str, t.Any], warning: str) -> None:
    assert warned(plan) == ""
    changed = copy.deepcopy(plan)
    changed.update({**change, "details": {**plan["details"], **change.get("details", {})}})
    assert warning in warned(changed)
    changed["migrations"]["unknown_to_target"] = []
    if warning in warned(changed):
        assert shown(changed)[1].startswith("WARNING:")
        assert _plan_report.markdown(report(changed)).index("## Warnings") < _plan_report.markdown(report(changed)).index(
            "## What would happen"
        )


def test_a_refusal_is_the_first_thing_said(plan: dict[str, t.Any]) -> None:
    plan.update(
        refusals=[{"reason": "The disk is full.", "next_command": "df"}], pending=["something"], kept=None, not_kept="it would be refused"
    )
    first, second, third, *_rest = shown(plan)
    assert first.startswith("WOULD BE REFUSED: standard rollback of chom")
    assert (second, third[:8]) == ("REFUSED BECAUSE: The disk is full.", "WARNING:")
    text = _plan_report.markdown(report(plan))
    assert text.startswith("# WOULD BE REFUSED")
    assert "1. The disk is full." in text
    assert "cannot be applied by its digest: it would be refused" in " ".join(_plan_report.ending(report(plan), "/r/plan.md"))


def test_an_unknown_schema_is_not_called_a_known_one(plan: dict[str, t.Any]) -> None:
    plan["migrations"] = None
    assert "migrations: NOT KNOWN: the database could not be read" in words(plan)
    assert "Not known: the database could not be read." in _plan_report.markdown(report(plan))


def test_nothing_to_do_is_one_line(plan: dict[str, t.Any]) -> None:
    plan.update(nothing_to_do=True, kept=None, not_kept="there is nothing to do")
    assert shown(plan) == ["NOTHING TO DO: chom runs v1.2.3 already (given by the operator)"]
    assert "## Time" not in _plan_report.markdown(report(plan))


def test_it_ends_with_where_it_is_and_what_to_type(plan: dict[str, t.Any]) -> None:
    assert list(_plan_report.ending(report(plan), "/r/plan.md")) == [
        "Nothing of the application was changed. The plan is kept on web1 in /var/lib/lastgood/chom/plans.",
        "NEXT: type this",
        "NEXT: less /r/plan.md   # the whole plan",
    ]


def test_the_page_has_everything_and_no_table_is_broken(plan: dict[str, t.Any]) -> None:
    plan["details"]["services"][0]["state"] = "a|b"
    text = _plan_report.markdown(report(plan))
    assert "Made 2025-11-22T03:15:00Z for web1 by on-call on laptop." in text
    assert "| gate | 0.6 s | 10 s | median of 3 earlier runs on this host |" in text
    assert "| protect | not known | none | no earlier run on this host did this |" in text
    assert "| chom/old | not installed | 0.1 |" in text
    assert "- added: `a.php`" in text
    assert "- 77 Change | number 7" in text
    assert "a\\|b" in text
    assert f"| Digest | `{'d' * 64}` |" in text
    assert "```console\ntype this\n```" in text


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (150 * 1024**2, "150 MiB"), (5 * 1024**4, "5.0 TiB"), (3000 * 1024**4, "3000 TiB")],
)
def test_sizes_have_units(count: int, said: str) -> None:
    assert _plan_report.size(count) == said


@pytest.mark.parametrize(("seconds", "said"), [(59, "59 s"), (130, "2 min"), (7200, "2 h"), (200_000, "2 d")])
def test_ages_have_units(seconds: int, said: str) -> None:
    assert _plan_report.age(seconds) == said


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ({}, "ansible-playbook playbooks/standard_rollback.yml"),
        ({"args": ["/opt/plan/plan.yml"]}, "ansible-playbook /opt/plan/standard_rollback.yml"),
        (
            {"args": ["lastgood.rollback.plan"], "inventory": ["hosts.yml"]},
            "ansible-playbook -i hosts.yml lastgood.rollback.standard_rollback",
        ),
        ({"args": ["plan.yml"], "inventory": ["a,", "b"], "subset": "web1"}, "ansible-playbook -i a, -i b -l web1 standard_rollback.yml"),
    ],
)
def test_the_next_command_is_for_the_same_hosts(arguments: dict[str, t.Any], command: str) -> None:
    assert _plan_report.other_playbook(arguments, "standard_rollback") == command


def test_paths_are_shown_as_somebody_types_them_here(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    monkeypatch.chdir(tmp_path)
    found = _plan_report.other_playbook({"inventory": [f"{tmp_path}/inventories/chom", "/etc/other"]}, "emergency_rollback")
    assert found == "ansible-playbook -i inventories/chom -i /etc/other playbooks/emergency_rollback.yml"


# A database goes back


def back(plan: dict[str, t.Any], *, severity: str = "database", tables: t.Sequence[str] = (), **found: t.Any) -> dict[str, t.Any]:
    backup = {"id": "b1", "started": "2026-11-22T02:00:00Z", "bytes": 41_691_936, "application_version": "v1.2.3", "label": None}
    database = {"backup": backup, "tables": list(tables), "of_running_version": False, "taken_after_bad": None, **found}
    return {**plan, "severity": severity, "database": database, "backup": False}


def told(plan: dict[str, t.Any], loss: str = "users: 12 new.") -> str:
    return " ".join(" ".join(_plan_report.lines(report(plan, loss=loss))).split())


@requirement("G-09", "CHOM-8.1-15")
def test_a_database_that_goes_back_is_told_with_what_would_be_lost(plan: dict[str, t.Any]) -> None:
    text = told(back(plan))
    for expected in (
        "PLAN of a rollback (database): the data of chom to 2026-11-22T02:00:00Z; v1.2.4 stays",
        "database: everything goes back to 2026-11-22T02:00:00Z: backup b1, 39.8 MiB, made while v1.2.3 ran; label: none",
        "would be lost: users: 12 new. The rollback itself compares row by row before it asks for approval.",
        "is kept: the database that is replaced, until database_release.yml removes it",
        "migrations: none: the schema of the backup is that of v1.2.3",
    ):
        assert expected in text
    for absent in ("leaves behind", "packages", "files:", "before the switch"):
        assert absent not in text
    assert "would be lost: not known" in told(back(plan), "").casefold()


def test_with_the_code_the_rest_is_told_too(plan: dict[str, t.Any]) -> None:
    text = told({**back(plan, severity="full_system"), "restore_point": "r7"})
    assert "PLAN of a rollback (full_system): chom v1.2.4 (444444444444) -> v1.2.3 (333333333333)" in text
    assert "leaves behind: 8 commits" in text
    assert "configuration: as in the restore point r7" in text


def test_single_tables_are_named(plan: dict[str, t.Any]) -> None:
    assert "database: the tables sites, users go back to" in told(back(plan, tables=["sites", "users"]))


def test_what_speaks_against_the_backup_comes_first(plan: dict[str, t.Any]) -> None:
    bad = {"version": "v1.2.4", "reason": "all pages failed"}
    text = warned(back(plan, of_running_version=True, taken_after_bad=bad))
    assert "the backup was made while v1.2.4, the version that runs now, was running already" in text
    assert "the backup was begun while v1.2.4 ran, which is marked as bad (reason: all pages failed)" in text


def test_a_schema_that_is_not_the_targets_is_a_warning(plan: dict[str, t.Any]) -> None:
    facts = {"unknown_to_target": [{"name": MIGRATION, "reversible": False, "destructive": False}], "down": [], "decision": "keep"}
    kept = {**back(plan), "migrations": {**facts, "not_applied": ["m2"], "up": []}}
    assert f"the schema will have migrations that v1.2.3 does not know: {MIGRATION}" in warned(kept)
    assert "the schema will lack migrations of v1.2.3: m2" in warned(kept)
    assert f"migrations: {MIGRATION}: stays, and v1.2.3 does not know it; m2: is lacking, and is not applied" in told(kept)
    applied = {**back(plan), "migrations": {"unknown_to_target": [], "down": [], "decision": "up", "not_applied": ["m2"], "up": ["m2"]}}
    assert "lack" not in warned(applied)
    assert "migrations: m2: is applied after the restore" in told(applied)


def test_without_a_backup_the_reason_stands_at_the_top(plan: dict[str, t.Any]) -> None:
    refused = {"reason": "No backup was named.", "next_command": "name one"}
    text = told({**plan, "severity": "database", "migrations": None, "refusals": [refused]}, "")
    assert text.startswith("WOULD BE REFUSED: database rollback of chom")
    assert "REFUSED BECAUSE: No backup was named." in text
