# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What begins and ends a run on its host: the lock, the record, the dead-man timer, the freeze, the evidence.

from __future__ import annotations

import os
import typing as t

from ._clock import utc
from ._dead_man import Arming, forget
from ._deploy_lock import lay, remove
from ._errors import RollbackError
from ._evidence import keep_evidence, kept
from ._freeze import freeze, frozen, lift
from ._journal import text_of
from ._ledger import conclude_run, left_a_version
from ._run import (
    Folder,
    acquire,
    amended,
    closed,
    closing,
    give_back,
    holder,
    left_over,
    locked,
    opened,
    read_json,
    release,
    timer_at_work,
)
from ._watch import disarm

# What tells whether releases on two hosts are the same one: a folder's name does not, as where it is a time.
SUREST_FIRST = ("commit", "version", "content")

if t.TYPE_CHECKING:
    from ._command import Runner


def unfreeze(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Allow deployments again, with the reason on record."""
    reason = str(options["facts"].get("reason") or "").strip()
    if not reason:
        raise RollbackError("Why deployments are to be allowed again was not said.", next_command="-e reason=...")
    found = frozen(folder)
    if not check_mode:
        lift(folder, actor=str(options["facts"].get("actor", "somebody")), reason=reason)
        if holder(folder) is None:
            remove(runner, options)
    return {"changed": found is not None, "freeze": found}


def release_run(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Give back the lock of a run that was cut off before it began, or after it was closed."""
    run = options["run"]
    if check_mode or (holder(folder) or {}).get("run") != run:
        return {"changed": left_over(folder) == run}
    record = read_json(folder.record(run)) or {}
    if os.path.isdir(folder.run(run)) and "closed" not in record:
        closed(folder, run, "aborted", {"state": "It was cut off before it began."})
    changed = give_back(folder, run)
    forget(folder, run)
    if options["deploy_path"] and frozen(folder) is None:
        remove(runner, options)
    return {"changed": changed}


def close_run(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Record how a run ended and give the lock back."""
    run = options["run"]
    record, differs = closing(folder, run, options["outcome"], options["facts"])
    mine = (holder(folder) or {}).get("run") == run and not timer_at_work(folder, run)
    changed = differs or mine
    result: dict[str, t.Any] = {"changed": changed, "folder": folder.run(run)}
    if check_mode:
        return result
    if changed:
        record = closed(folder, run, options["outcome"], options["facts"])
        result.update(_leave(runner, folder, record, options) if mine else {})
        forget(folder, run)
        release(folder, run)
    return {**result, "record": record, "journal": text_of(folder.run(run))}


def _leave(runner: Runner, folder: Folder, record: dict[str, t.Any], options: dict[str, t.Any]) -> dict[str, t.Any]:
    """What is to be done before the lock is given back; what fails of it is said, it does not keep the lock."""
    left: dict[str, t.Any] = {}
    problems = []
    steps: list[t.Callable[[], t.Any]] = [lambda: left.update(_frozen(folder, record, options)), lambda: conclude_run(folder.root, record)]
    if record.get("dead_man") and record.get("watched", True):
        steps.append(lambda: disarm(runner, options["application"]))
    if options["deploy_path"]:
        steps.append(lambda: None if frozen(folder) is not None else remove(runner, options))
    for step in steps:
        try:
            step()
        except RollbackError as error:
            problems.append(error.message)
    return {**left, "problems": problems} if problems else left


def _frozen(folder: Folder, record: dict[str, t.Any], options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Before the lock is given back, so that no deployment slips in between."""
    if left_a_version(record) and options["freeze_hours"] > 0:
        return {"freeze": freeze(folder, record, options["freeze_hours"])}
    if options["outcome"] == "undone":
        lift(folder, actor=str(record.get("actor")), reason=f"undone by {record['run']}", run=record.get("follows"))
    return {}


def open_run(runner: Runner, folder: Folder, options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Take the lock, begin the journal, arm the dead-man timer, keep evidence; what this run opened already stays as it is."""
    run = options["run"]
    _refuse_different(options["targets"])
    held = holder(folder)
    mine = held is not None and held.get("run") == run
    if check_mode:
        if held is not None and not mine and not options["take_over"]:
            raise locked(folder, held)
        return {"changed": not mine, "folder": folder.run(run), "evidence": {}}
    record = read_json(folder.record(run)) if mine else None
    if record is not None:
        return {"changed": False, "folder": folder.run(run), "evidence": kept(folder.evidence(run)), "record": record}
    folder.create()
    return _begin(runner, folder, options)


def _begin(runner: Runner, folder: Folder, options: dict[str, t.Any]) -> dict[str, t.Any]:
    run, orders = options["run"], options["dead_man"]
    facts = {**options["facts"], "run": run}
    owner = {**{name: facts.get(name) for name in ("run", "actor", "controller", "target")}, "since": utc()}
    if orders:
        owner["lease"], facts["dead_man"] = orders["seconds"], {name: orders[name] for name in ("seconds", "action")}
    previous = acquire(folder, owner, take_over=options["take_over"], take_over_from=options["take_over_from"])
    if previous is not None:
        forget(folder, previous.get("run"))
        facts["taken_over"] = {"from": previous, "reason": options["take_over"]}
    try:
        deploying = lay(runner, options, actor=str(facts.get("actor")))
        if deploying:
            facts["deploying"] = deploying
        arming = Arming(runner, folder, options["application"]) if orders else None  # collected when the evidence is kept
        record = opened(folder, facts)
        if arming is not None:
            arming.prepare(run, {**orders, "deploy_path": options["deploy_path"]})
    except BaseException:
        release(folder, run)
        raise
    evidence = keep_evidence(runner, folder.evidence(run), options)
    result = {"changed": True, "folder": folder.run(run), "evidence": evidence, "record": record}
    result.update({"taken_over": previous} if previous is not None else {})
    if arming is not None:
        result.update(arming.result())
        if result["watched"] is False:
            result["record"] = amended(folder, run, {name: result[name] for name in ("watched", "unwatched_because", "to_be_watched")})
    return result


def _refuse_different(targets: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    """All hosts of an application go to the same version, or none goes anywhere: judged by the surest name that all of them know it by."""
    if len(targets) < 2:
        return
    known = next((name for name in SUREST_FIRST if all(target.get(name) for target in targets.values())), None)
    if known and len({target[known] for target in targets.values()}) == 1:
        return
    raise RollbackError(
        f"The hosts do not agree on the target: {', '.join(f'{host} would go to {_called(targets[host])}' for host in sorted(targets))}.",
        state="Nothing was changed on any of them.",
        next_command="run again with an explicit target: -e target=<tag or commit>",
    )


def _called(target: t.Mapping[str, t.Any]) -> str:
    found = [str(target[name])[:12] if name != "version" else target[name] for name in ("version", "commit", "content") if target.get(name)]
    return f"{found[0]} ({' '.join(found[1:])})" if len(found) > 1 else "".join(found) or "what nobody knows"
