# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Step = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Verdict:
    """What a failed run leaves behind, and what has to be done to leave it safely."""

    outcome: str
    state: str
    start_workers: bool = False
    reopen: bool = False


# What another run or the dead-man timer made of the application is not for this one to say, let alone to change.
LOST = Verdict("failed", "This run lost the lock and did nothing after that. What has become of the application: see status.yml.")


def attempted(step: Step) -> bool:
    return bool(step) and not step.get("skipped", False)


def succeeded(step: Step) -> bool:
    return attempted(step) and not step.get("failed", False)


def judge(steps: t.Mapping[str, Step], target: str, before: str) -> Verdict:
    """The safe state that can be reached from where the run failed.

    As long as neither the schema nor the code was touched everything goes back to how it was. After that traffic stays closed.
    """
    if not succeeded(steps["lock"]):
        return Verdict("refused", "Nothing was changed.")
    if succeeded(steps["reopen"]):
        if not succeeded(steps["start workers"]):
            return Verdict("failed", f"The application runs {target} and is open, but not all of its workers run.")
        return Verdict("failed", f"The application runs {target} and is open, but it did not stay healthy.")
    stopped = attempted(steps["quiesce writers"])
    closed = steps["close traffic"]
    if not attempted(closed):
        return Verdict("failed", f"The application still runs {before} and was never closed.", start_workers=stopped)
    if _code_untouched(steps):
        if closed.get("was_down"):
            state = f"The application still runs {before}. It was in maintenance mode before and is again."
            return Verdict("held", state, start_workers=stopped)
        state = f"The application still runs {before}, open to users as before."
        return Verdict("failed", state, start_workers=stopped, reopen=True)
    state = f"The application is HELD IN MAINTENANCE: users get the maintenance page. {_where(steps, target, before)}"
    return Verdict("held", state)


def _code_untouched(steps: t.Mapping[str, Step]) -> bool:
    migrated = steps["migrate down"]
    if attempted(migrated) and not (migrated.get("failed") and migrated.get("schema_unchanged")):
        return False
    switched = steps["switch code"]
    return not attempted(switched) or bool(switched.get("failed") and switched.get("code_unchanged"))


def _where(steps: t.Mapping[str, Step], target: str, before: str) -> str:
    if succeeded(steps["switch code"]):
        return f"The code is {target}."
    if attempted(steps["switch code"]) and not steps["switch code"].get("code_unchanged"):
        return f"The switch from {before} to {target} did not finish."
    how = "are down" if succeeded(steps["migrate down"]) else "were being taken down"
    return f"The code is still {before}; its migrations {how}."


def next_commands(verdict: Verdict, playbook: str, target: str, before: str) -> list[str]:
    """What to type now."""
    again = f"ansible-playbook playbooks/{playbook}.yml -e target={target}"
    if verdict.outcome == "held":
        return [
            f"{again}   # try again from here, after the cause is gone",
            f"ansible-playbook playbooks/{playbook}.yml -e target={before}   # go back to where this run began",
        ]
    if verdict.outcome == "failed":
        return ["ansible-playbook playbooks/verify.yml   # see how it is now", f"{again}   # try again"]
    return []
