# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Plans that are kept on the host, and the rule that a run bound to one does exactly that or nothing.

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ._clock import utc
from ._errors import RollbackError
from ._plan_digest import differences, digest_of
from ._run import Folder, read_json, write_json

if t.TYPE_CHECKING:
    from ._plan import Request

_DIGEST = re.compile(r"[0-9a-f]{12,64}")
_KEPT = 10
_SUFFIX = ".json"

Plan = dict[str, t.Any]


def keep(folder: Folder, plan: t.Mapping[str, t.Any]) -> str:
    """Write a plan where whoever applies it finds it, whichever controller that is; only the newest ones stay."""
    folder.create()
    try:
        os.makedirs(folder.plans, mode=0o700, exist_ok=True)
        path = os.path.join(folder.plans, f"{plan['digest']}{_SUFFIX}")
        said = {name: plan[name] for name in ("digest", "covers", "from_version", "reason")}
        write_json(path, {**said, "made": utc()})
        for old in _names(folder)[_KEPT:]:
            os.unlink(os.path.join(folder.plans, old))
    except OSError as error:
        raise RollbackError(f"{folder.plans} cannot be written: {error.strerror}.") from error
    return path


def _names(folder: Folder) -> list[str]:
    """Files of kept plans, the newest first."""
    try:
        entries = [entry for entry in os.scandir(folder.plans) if entry.name.endswith(_SUFFIX)]
        return [entry.name for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime_ns, reverse=True)]
    except FileNotFoundError:
        return []


def find(folder: Folder, wanted: str) -> Plan:
    """The kept plan with a digest, or with one that begins so; it must still be what its digest says."""
    if not _DIGEST.fullmatch(wanted):
        raise RollbackError(
            f"{wanted!r} is not the digest of a plan: at least its first 12 characters of 0-9 and a-f are needed.",
            next_command="ansible-playbook playbooks/plan.yml   # makes a plan and prints its digest",
        )
    names = _names(folder)
    fitting = [name for name in names if name.startswith(wanted)]
    if len(fitting) != 1:
        raise _not_one(folder, wanted, names, fitting)
    path = os.path.join(folder.plans, fitting[0])
    plan = read_json(path) or {}
    if digest_of(plan.get("covers") or {}) != fitting[0][: -len(_SUFFIX)]:
        raise RollbackError(
            f"The plan {path} was changed after it was made: it is not what its digest says.",
            next_command="ansible-playbook playbooks/plan.yml   # makes a new one",
        )
    return plan


def _not_one(folder: Folder, wanted: str, names: t.Sequence[str], fitting: t.Sequence[str]) -> RollbackError:
    kept = ", ".join(_titled(folder, name) for name in fitting or names) or "none"
    why = f"{len(fitting)} plans begin with {wanted}" if fitting else f"No plan {wanted} is kept on this host"
    return RollbackError(
        f"{why} (in {folder.plans}, the newest {_KEPT}: {kept}).",
        next_command="ansible-playbook playbooks/plan.yml   # makes a plan and prints its digest",
    )


def _titled(folder: Folder, name: str) -> str:
    try:
        plan = read_json(os.path.join(folder.plans, name)) or {}
    except RollbackError:
        plan = {}
    target = (plan.get("covers") or {}).get("target")
    return f"{name[:12]} {plan.get('from_version')} -> {target} of {plan.get('made')}"


def bound(request: Request, kept: t.Mapping[str, t.Any]) -> Request:
    """The request that the plan was made for; what the operator says besides must not contradict it."""
    covers = kept["covers"]
    planned: dict[str, t.Any] = {
        "severity": covers["severity"],
        "target": covers["target"],
        "migrations": covers["migrations"]["decision"],
        "local_changes": covers["local_changes"]["decision"],
    }
    _refuse_other_playbook(request, kept)
    if covers.get("database"):
        planned["database"] = _database(request, kept)
    unsaid: dict[str, t.Any] = {"target": None, "migrations": "stop", "local_changes": "refuse"}
    for name, silence in unsaid.items():
        said = getattr(request, name)
        if said not in (silence, planned[name]):
            raise RollbackError(
                f"{name}={said} contradicts the plan {kept['digest'][:12]}, which says {name}={planned[name]}.",
                next_command=f"leave out -e {name}, or make another plan: {_again(covers)}",
            )
    return dataclasses.replace(request, **planned)


def _database(request: Request, kept: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The backup and the tables of the plan, which the operator may only repeat."""
    chosen, said = kept["covers"]["database"], dict(request.database or {})
    planned = {"backup": chosen["backup"], "tables": chosen["tables"]}
    other = [name for name in ("backup", "before", "version", "label", "tables") if said.get(name) and said[name] != planned.get(name)]
    if other:
        raise RollbackError(
            f"{', '.join(other)} contradicts the plan {kept['digest'][:12]}, which goes back to the backup {chosen['backup']}"
            + (f" with the tables {', '.join(chosen['tables'])}." if chosen["tables"] else "."),
            next_command=f"leave out -e {' and -e '.join(other)}, or make another plan",
        )
    return {**said, **planned}


def _refuse_other_playbook(request: Request, kept: t.Mapping[str, t.Any]) -> None:
    severity, application = kept["covers"]["severity"], kept["covers"]["application"]
    if application != request.application["name"]:
        raise RollbackError(f"The plan {kept['digest'][:12]} is for {application}, not for {request.application['name']}.")
    if severity != request.severity:
        raise RollbackError(
            f"The plan {kept['digest'][:12]} is for a rollback of the kind {severity}, not {request.severity}.",
            next_command=f"ansible-playbook playbooks/{severity}_rollback.yml -e plan={kept['digest']}",
        )


def exactly(request: Request, wanted: str, compute: t.Callable[[Request], Plan]) -> Plan:
    """The kept plan as it would be made now, when that is the same; otherwise a refusal that says what differs."""
    application = request.application
    kept = find(Folder.of(application["state_directory"], application["name"]), wanted)
    covers = kept["covers"]
    same = bound(request, kept)
    try:
        plan = compute(same)
    except RollbackError as error:
        error.message = f"The plan {kept['digest'][:12]} of {kept['made']} cannot be applied: {error.message}"
        error.next_command = error.next_command or _again(covers)
        raise
    if plan["digest"] == kept["digest"]:
        return {**plan, "reason": f"{kept['reason']} (planned at {kept['made']})"}
    if plan["from_commit"] == covers["to_commit"] != covers["from_commit"]:
        raise RollbackError(
            f"The plan {kept['digest'][:12]} of {kept['made']} was for leaving {kept['from_version']}, "
            f"but its target {covers['target']} runs already.",
            next_command="ansible-playbook playbooks/status.yml",
            facts={"differences": differences(covers, plan["covers"], (kept["from_version"], plan["from_version"]))},
        )
    raise _moved(kept, plan)


def _moved(kept: t.Mapping[str, t.Any], plan: t.Mapping[str, t.Any]) -> RollbackError:
    found = differences(kept["covers"], plan["covers"], (kept["from_version"], plan["from_version"]))
    return RollbackError(
        f"The plan {kept['digest'][:12]} of {kept['made']} does not fit any more: {'; '.join(found)}.",
        next_command=_again(kept["covers"]),
        facts={"differences": found},
    )


def _again(covers: t.Mapping[str, t.Any]) -> str:
    """How to make the same plan from what is now."""
    said = {
        "severity": covers["severity"],
        "target": covers["target"],
        "migrations": covers["migrations"]["decision"],
        "local_changes": covers["local_changes"]["decision"],
    }
    if covers.get("database"):
        said.update(backup=covers["database"]["backup"], tables=",".join(covers["database"]["tables"]))
    if covers["severity"] == "database":
        said.pop("target")  # what runs stays
    usual = {"migrations": "stop", "local_changes": "refuse", "tables": ""}
    return "ansible-playbook playbooks/plan.yml" + "".join(
        f" -e {name}={value}" for name, value in said.items() if usual.get(name) != value
    )
