# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it will take: from earlier runs where there are any, and always with the basis."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _journal
from ansible_collections.lastgood.rollback.plugins.module_utils._plan_prediction import predict, sample_of, samples

requirement = pytest.mark.requirement

PHASES = ["close traffic", "switch code", "gate", "reopen"]
BUDGETS = {"total": 300, "close traffic": 5, "switch code": 30, "gate": 10, "reopen": 5}


def at(seconds: float) -> str:
    return f"2026-11-22T03:{int(seconds // 60):02}:{seconds % 60:06.3f}Z"


def result(step: str, ended: float, seconds: float, **more: t.Any) -> dict[str, t.Any]:
    return {"event": "result", "step": step, "at": at(ended), "seconds": seconds, "changed": True, "failed": False, **more}


def run(
    *,
    closed: float = 2.0,
    severity: str = "emergency",
    outcome: str = "rolled_back",
    watch: float = 0,
    migrates: bool = False,
    **facts: t.Any,
) -> list[dict[str, t.Any]]:
    """The journal of a run that closed the site at second 10."""
    reopened = 10 + closed
    return [
        {"event": "opened", "at": at(9), "facts": {"severity": severity, "origin": {}, **facts}},
        {"event": "intent", "step": "laravel_maintenance down", "at": at(9.9)},
        result("laravel_maintenance down", 10, 0.1),
        *([result("db_migration down", 10.1, 0.7)] if migrates else []),
        result("git_version_switch switched", 10.2, 0.2),
        result("health_gate", reopened - 0.1, closed / 2),
        result("laravel_maintenance up", reopened, 0.1),
        *([result("health_gate", reopened + watch, watch)] if watch else []),
        {"event": "closed", "at": at(reopened + watch + 1), "outcome": outcome},
    ]


def written(folder: pathlib.Path, name: str, entries: t.Iterable[dict[str, t.Any]]) -> pathlib.Path:
    place = folder / name
    place.mkdir()
    for entry in entries:
        _journal.append(str(place), entry)
    return place


def predicted(
    *runs: list[dict[str, t.Any]], phases: t.Sequence[str] = tuple(PHASES), severity: str = "emergency", watch: int = 0
) -> dict[str, t.Any]:
    found = [sample for sample in map(sample_of, runs) if sample]
    return predict(found, {"severity": severity, "budgets": BUDGETS}, phases, watch)


@requirement("G-09")
def test_the_median_of_earlier_runs_with_its_basis() -> None:
    found = predicted(run(closed=2), run(closed=9), run(closed=3))
    assert found["closed"] == {
        "seconds": 3.0,
        "basis": "median of 3 earlier emergency rollbacks on this host",
        "runs": 3,
        "spread": [2.0, 9.0],
    }
    assert found["total"]["seconds"] == 5.0
    assert "median of 3 earlier emergency rollbacks on this host" in found["total"]["basis"]
    gate = next(entry for entry in found["phases"] if entry["phase"] == "gate")
    assert (gate["seconds"], gate["runs"], gate["budget"]) == (1.5, 3, 10)


def test_one_run_is_not_called_a_median() -> None:
    assert predicted(run())["closed"]["basis"] == "one earlier emergency rollback on this host"


@requirement("G-09")
def test_without_earlier_runs_the_budgets_are_named_as_such() -> None:
    found = predicted()
    assert found["closed"]["seconds"] == 50.0
    assert "no earlier rollback on this host; the sum of the budgets" in found["closed"]["basis"]
    assert found["total"]["seconds"] == 300.0
    assert "that of the whole run" in found["total"]["basis"]
    assert all(entry["seconds"] is None and "no earlier run" in entry["basis"] for entry in found["phases"])


def test_without_budgets_of_phases_that_of_the_whole_is_the_limit() -> None:
    found = predict([], {"severity": "standard", "budgets": {"total": 900}}, PHASES, 300)
    assert found["closed"]["seconds"] == 900.0
    assert "for lack of a smaller one" in found["closed"]["basis"]


def test_a_window_with_a_phase_that_has_no_budget_says_so() -> None:
    assert "1 of which have none" in predicted(phases=[*PHASES, "migrate down"])["closed"]["basis"]


def test_runs_that_took_migrations_down_are_compared_with_their_like() -> None:
    runs = run(closed=2), run(closed=8, migrates=True)
    assert predicted(*runs)["closed"]["seconds"] == 2.0
    assert predicted(*runs, phases=[*PHASES, "migrate down"])["closed"]["seconds"] == 8.0
    assert "comes on top" in predicted(runs[0], phases=[*PHASES, "migrate down"])["closed"]["basis"]
    assert "which this one does not" in predicted(runs[1])["closed"]["basis"]


def test_the_whole_is_compared_with_runs_of_the_same_kind_and_the_watch_is_as_long_as_told() -> None:
    runs = run(severity="standard", watch=20), run(severity="emergency", closed=9)
    found = predicted(*runs, severity="standard", watch=300)
    assert found["total"]["seconds"] == 304.0
    assert "and 300 s of watching" in found["total"]["basis"]
    assert (found["closed"]["seconds"], found["closed"]["runs"]) == (2.0, 1)


def test_how_long_it_is_closed_can_be_told_from_another_kind() -> None:
    found = predicted(run(severity="emergency", closed=3), severity="standard")
    assert (found["closed"]["seconds"], found["closed"]["basis"]) == (3.0, "one earlier rollback on this host")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        run(outcome="held"),
        run()[:-1],
        run(origin={"run": "r0"}),
        [*run()[:3], result("git_version_switch switched", 10.1, 0.1, failed=True), *run()[5:]],
        [run()[0], run()[-1]],
    ],
    ids=["empty", "held", "interrupted", "continued another", "failed on the way", "never closed"],
)
def test_runs_that_are_no_measure_are_left_out(entries: list[dict[str, t.Any]]) -> None:
    assert sample_of(entries) is None


def test_only_whole_journals_of_the_newest_runs_count(tmp_path: pathlib.Path) -> None:
    for number in range(22):
        written(tmp_path, f"2026{number:04}", run(closed=1 + number))
    damaged = written(tmp_path, "20269998", run(closed=50)) / _journal.NAME
    damaged.write_text(damaged.read_text().replace("rolled_back", "rolled-back"))
    with (written(tmp_path, "20269999", run(closed=50)) / _journal.NAME).open("a") as file:
        file.write('{"cut o')
    (tmp_path / "nothing in it").mkdir()
    assert [sample.closed for sample in samples(str(tmp_path))] == [float(1 + number) for number in range(21, 1, -1)]


def test_a_host_without_runs_has_no_samples(tmp_path: pathlib.Path) -> None:
    assert samples(str(tmp_path / "nowhere")) == []
