# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What of a plan matters for the decision, its digest, and what differs between two plans.

from __future__ import annotations

import fnmatch
import hashlib
import json
import typing as t

from ._probes_units import full_name

if t.TYPE_CHECKING:
    from ._checkout import Switch
    from ._units import Unit

Covers = t.Mapping[str, t.Any]

_SHORT = 12
_PLAIN = ("application", "severity", "from_commit", "to_commit", "target", "migrations", "config_keys", "pending")


def digest_of(covers: Covers) -> str:
    """The same for the same content, however its keys are ordered."""
    text = json.dumps(covers, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def covered(
    plan: t.Mapping[str, t.Any], switch: Switch, application: t.Mapping[str, t.Any], units: t.Mapping[str, Unit]
) -> dict[str, t.Any]:
    """What somebody who agrees to the plan agrees to; nothing that changes by itself, such as free disk or the time."""
    services = application["services"]
    stopped = [*services["workers"], *services["schedulers"]]
    return {
        **{name: plan[name] for name in _PLAIN},
        "lock_files": {name: switch.entries[name].blob if name in switch.entries else None for name in switch.difference.lock_files},
        "packages": sorted({*switch.unmet_packages, *switch.vanished}),
        "local_changes": {"files": sorted(switch.running.changed_files), "decision": plan["local_changes"]},
        "backup": bool(plan["backup"]),
        "units": {
            "stopped": {name: "runs" if unit.wanted else "is off" for name, unit in units.items() if _means(stopped, name)},
            "reloaded": sorted(services["reload"]),
            "required": sorted(services["required"]),
        },
    }


def _means(patterns: t.Iterable[str], unit: str) -> bool:
    return any(fnmatch.fnmatchcase(unit, full_name(pattern)) for pattern in patterns)


def differences(planned: Covers, now: Covers, versions: tuple[str, str]) -> list[str]:
    """What is not as it was when the plan was made, in words; empty only for the same content. Versions are the running one's names."""
    found = []
    for name in sorted({*planned, *now}, key=lambda name: (name != "from_commit", name)):
        was, is_now = planned.get(name), now.get(name)
        if was == is_now:
            continue
        if name == "from_commit":
            found.append(f"the plan was made from {versions[0]} ({_short(was)}), now {versions[1]} ({_short(is_now)}) runs")
        elif name == "to_commit":
            found.append(f"the target was {_short(was)}, now it is {_short(is_now)}: its tag was moved")
        else:
            found += _below(name.replace("_", " "), was, is_now)
    return found


def _below(where: str, was: t.Any, is_now: t.Any) -> t.Iterator[str]:
    """Down to the entries that differ, as long as both sides have entries."""
    if isinstance(was, dict) and isinstance(is_now, dict):
        for name in sorted({*was, *is_now}):
            if was.get(name) != is_now.get(name) or (name in was) != (name in is_now):
                yield from _below(
                    name if where == "units stopped" else f"{where} {name.replace('_', ' ')}", was.get(name), is_now.get(name)
                )
        return
    before, after = _many(was), _many(is_now)
    gone = [_said(entry) for entry in before if entry not in after]
    new = [_said(entry) for entry in after if entry not in before]
    if gone or new:
        yield f"{where}: {', '.join(gone) or 'nothing more'} in the plan, {', '.join(new) or 'nothing more'} now"
    else:
        yield f"{where}: in another order now"


def _many(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [value]


def _said(value: t.Any) -> str:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, dict):
        return str(value["name"]) if "name" in value else json.dumps(value, sort_keys=True)
    return str(value)


def _short(commit: t.Any) -> str:
    return str(commit)[:_SHORT]
