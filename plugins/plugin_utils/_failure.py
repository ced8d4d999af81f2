# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass

Step = t.Mapping[str, t.Any]

# What a step that failed says when it failed before it changed anything.
_UNCHANGED = ("schema_unchanged", "code_unchanged", "database_unchanged")


@dataclass(frozen=True)
class Verdict:
    """What a failed run leaves behind, and what has to be done to leave it safely."""

    outcome: str
    state: str
    start_workers: bool = False
    reopen: bool = False
    undo: bool = False
    close: bool = False
    stop_workers: bool = False
    goes_along: bool = False  # nothing is wrong here, but it can go back with the hosts that do


# What another run or the dead-man timer made of the application is not for this one to say, let alone to change.
LOST = Verdict("failed", "This run lost the lock and did nothing after that. What has become of the application: see status.yml.")


def attempted(step: Step) -> bool:
    return bool(step) and not step.get("skipped", False)


def succeeded(step: Step) -> bool:
    return attempted(step) and not step.get("failed", False)


def with_journal(steps: t.Mapping[str, Step], journal: t.Mapping[str, Step]) -> dict[str, Step]:
    """A step whose answer was lost on its way came to what the journal on the host says: a result without a beginning is no module's."""
    lost = {name for name, step in steps.items() if attempted(step) and step.get("failed") and "started" not in step}
    ended = {name for name in lost if succeeded(journal.get(name, {}))}
    return {name: journal[name] if name in ended else step for name, step in steps.items()}


def on_top(origin: t.Mapping[str, t.Any], steps: t.Mapping[str, Step]) -> dict[str, Step]:
    """What a run did on top of what the runs did that it was to finish: what one of them touched stays touched.

    Whether the application was closed before is what the first of them found; a later one finds what that one left.
    """
    earlier = origin.get("phases", {})
    both = {name: _over(earlier.get(name, {}), step) for name, step in steps.items()}
    both["lock"] = steps["lock"]
    if "gate" in steps:  # what was proven earlier is not what runs now
        both["gate"] = steps["gate"]
    if attempted(steps["close traffic"]):  # whatever was opened before is closed again since
        both["reopen"] = steps["reopen"]
    stopping = ("close traffic", "quiesce writers", "gate")  # before a gate is asked, they are stopped or renewed
    if any(attempted(steps.get(name, {})) for name in stopping):  # and whoever was started is stopped again
        both["start workers"] = steps["start workers"]
    if attempted(both["close traffic"]):
        both["close traffic"] = {**both["close traffic"], "was_down": origin["was_down"]}
    return both


def _over(earlier: Step, step: Step) -> Step:
    if not attempted(step):
        return earlier
    if not attempted(earlier) or _untouched(earlier):
        return step
    return {name: value for name, value in step.items() if name not in _UNCHANGED}


def judge(steps: t.Mapping[str, Step], target: str, before: str, *, undo: bool = False, was_down: bool = False) -> Verdict:
    """The safe state that can be reached from where the run failed.

    As long as neither the schema nor the code was touched everything goes back to how it was. After that traffic stays closed;
    with undo, a target that was reached whole and is not good is left again, if users had something before. was_down is how the run found it.
    """
    if not succeeded(steps["lock"]):
        return Verdict("refused", "Nothing was changed by this run.")
    before = steps["switch code"].get("runs", before)
    if succeeded(steps["reopen"]):
        return _open_and_proven(steps, target, before, undo=undo)
    stopped = attempted(steps["quiesce writers"])
    closed = steps["close traffic"]
    if not attempted(closed) and not _code_untouched(steps):
        return _switched_while_open(steps, target, before, undo=undo)
    if not attempted(closed) and was_down:
        state = f"The application still runs {before}. It was in maintenance mode before this run and still is."
        return Verdict("held", state, start_workers=bool(steps["quiesce writers"].get("changed")))
    if not attempted(closed):
        return Verdict("failed", f"The application still runs {before} and was never closed.", start_workers=stopped)
    if _code_untouched(steps):
        if closed.get("was_down"):
            state = f"The application still runs {before}. It was in maintenance mode before and is again."
            # What an earlier run stopped waits for a version that is proven; only what this run stopped ran behind maintenance mode.
            return Verdict("held", state, start_workers=bool(steps["quiesce writers"].get("changed")))
        state = f"The application still runs {before}, open to users as before."
        return Verdict("failed", state, start_workers=stopped, reopen=True)
    seen = "users get the maintenance page"
    if attempted(steps["reopen"]):  # it may be off already: the proof that users are served is what failed
        seen = "opening it failed, and users get the maintenance page or no good answer"
    state = f"The application is HELD IN MAINTENANCE: {seen}. {_where(steps, target, before)}"
    return Verdict("held", state, undo=undo and succeeded(steps["switch code"]) and not closed.get("was_down"))


def _switched_while_open(steps: t.Mapping[str, Step], target: str, before: str, *, undo: bool) -> Verdict:
    """A link was switched with users on the site: what they get now is proven, or they may not have it."""
    if succeeded(steps.get("gate", {})):
        return _open_and_proven(steps, target, before, undo=undo)
    if undo and succeeded(steps["switch code"]):
        return Verdict("held", f"The application is open and runs {target}, which is not proven.", undo=True)
    state = f"The application is HELD IN MAINTENANCE: users get the maintenance page. {_where(steps, target, before)}"
    return Verdict("held", state, close=True, stop_workers=True)


def _open_and_proven(steps: t.Mapping[str, Step], target: str, before: str, *, undo: bool) -> Verdict:
    """Users have what was proven; the workers may not run yet, or may still run what was before."""
    back = undo and succeeded(steps["switch code"]) and not steps["close traffic"].get("was_down")
    if succeeded(steps["start workers"]):
        return Verdict("failed", f"The application runs {target} and is open, but it did not stay healthy.", goes_along=back)
    if attempted(steps["start workers"]):
        return Verdict("failed", f"The application runs {target} and is open, but not all of its workers run.", goes_along=back)
    stop = steps["quiesce writers"]
    if attempted(stop) and not succeeded(stop):
        state = f"The application runs {target} and is open, but its workers were not renewed: those that run still run {before}."
        return Verdict("failed", state, start_workers=True, goes_along=back)
    state = f"The application runs {target} and is open, and the workers that ran run again."
    return Verdict("failed", state, start_workers=True, stop_workers=not attempted(stop), goes_along=back)


def together(own: Verdict, staying: Verdict, others: t.Mapping[str, Verdict]) -> Verdict:
    """What a host does when it is one of several, so that users never have two versions for good; staying is what it does when it may not go back.

    As long as none was touched each goes back by itself; after that all stay closed, but for what users have, proven, all the while.
    Where all that are held go back to where they began, one that has the target goes along, and one that was not touched opens as it was.
    """
    held = {host: verdict for host, verdict in others.items() if verdict.outcome == "held"}
    touched = [*held.values(), *([own] if own.outcome == "held" else [])]
    if not touched:
        return own
    names = ", ".join(sorted(held))
    if all(verdict.undo for verdict in touched):
        if not own.goes_along:
            return own
        state = f"{own.state.partition(',')[0].rstrip('.')}, but {names} cannot keep that version."
        return Verdict("held", state, undo=True)
    if own.outcome == "held":
        return staying
    if not own.reopen:
        return dataclasses.replace(own, state=f"{own.state} It is not so on {names}.")
    why = f"{names} cannot go back by {'itself' if len(held) == 1 else 'themselves'}"
    state = f"The application is HELD IN MAINTENANCE: users get the maintenance page, since {why}. {own.state.partition(',')[0]}."
    return Verdict("held", state)


def _code_untouched(steps: t.Mapping[str, Step]) -> bool:
    touching = (steps.get(name, {}) for name in ("swap database", "return database", "migrate down", "switch code", "migrate up"))
    return not any(attempted(step) and not _untouched(step) for step in touching)


def _untouched(step: Step) -> bool:
    """Whether a step failed before it changed anything."""
    return bool(step.get("failed") and (any(step.get(name) for name in _UNCHANGED)))


def _where(steps: t.Mapping[str, Step], target: str, before: str) -> str:
    return f"{_code(steps, target, before)}{_database(steps)}"


def _database(steps: t.Mapping[str, Step]) -> str:
    """Which database is the live one; nothing is said where it was never to change."""
    swap, back = steps.get("swap database", {}), steps.get("return database", {})
    if attempted(back):
        return (
            " The database is the one from before again."
            if succeeded(back)
            else " The way back to the database from before did not finish."
        )
    if not attempted(swap) or _untouched(swap):
        return ""
    return " The database is the restored one; the other is kept." if succeeded(swap) else " The swap of the database did not finish."


def _code(steps: t.Mapping[str, Step], target: str, before: str) -> str:
    if succeeded(steps["switch code"]):
        up = steps.get("migrate up", {})
        missing = " Its migrations are not all applied again." if attempted(up) and not succeeded(up) else ""
        return f"The code is {target}.{missing}"
    if attempted(steps["switch code"]) and not steps["switch code"].get("code_unchanged"):
        return f"The switch from {before} to {target} did not finish."
    if not attempted(steps["migrate down"]):
        return f"The code is still {before}."
    how = "are down" if succeeded(steps["migrate down"]) else "were being taken down"
    return f"The code is still {before}; its migrations {how}."


def next_commands(
    verdict: Verdict, playbook: str, target: str, before: str, decisions: t.Mapping[str, str], command: str = ""
) -> list[str]:
    """What to type now; decisions are variables that differ from what the playbook does by itself, command is what was typed."""
    if verdict.outcome == "refused":
        return []
    if playbook == "undo":
        resume = f"ansible-playbook playbooks/resume.yml   # try again to reach {target}"
        return ["ansible-playbook playbooks/status.yml   # see how it is now", resume]
    if verdict.outcome == "held":
        return [
            "ansible-playbook playbooks/resume.yml   # go on from here, after the cause is gone",
            f"ansible-playbook playbooks/undo.yml   # go back to {before}, where this run began",
        ]
    decided = "".join(f" -e {name}={value}" for name, value in decisions.items())
    again = f"{command or f'ansible-playbook playbooks/{playbook}.yml -e target={target}{decided}'}   # try again"
    return ["ansible-playbook playbooks/verify.yml   # see how it is now", again]
