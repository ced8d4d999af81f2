# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a run made of the data, the rest is as it has to be."""

from __future__ import annotations

from ansible_collections.lastgood.rollback.molecule.shared.rehearsed import Rehearsed

EXPECTED = {"restored", "swapped_back", "tables_restored", "replayed"}


def test_nothing_is_left_to_do_and_the_lock_is_free(rehearsed: Rehearsed) -> None:
    durable = rehearsed.record.after["durable"]
    assert (durable["lock"], durable["workers.json"]) == (None, None)
    assert durable["last_run.json"]["outcome"] == ("undone" if rehearsed.run.expected == "swapped_back" else "rolled_back")


def test_jobs_and_sessions_stay(rehearsed: Rehearsed) -> None:
    before, after = rehearsed.record.before, rehearsed.record.after
    assert after["queues"]["parked"] == before["queues"]["parked"]
    assert after["queues"]["default:delayed"] == before["queues"]["default:delayed"]
    assert {key: after["sessions"].get(key) for key in before["sessions"]} == before["sessions"]


def test_no_secret_is_said(rehearsed: Rehearsed) -> None:
    for secret in rehearsed.record.after["secrets"]:
        assert secret not in rehearsed.record.output
        assert secret not in rehearsed.record.report.get("markdown", "")
