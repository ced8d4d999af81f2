# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true however a run was disturbed, judged from what was seen from outside. Knows the collection by its documents only."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import re
import typing as t

Seen = t.Mapping[str, t.Any]  # what observe.py printed
FINISHED = ("rolled_back", "undone", "aborted", "refused", "nothing_to_do")
BAD_VERSION, TARGET_VERSION = "1.2.4", "1.2.3"
MAINTENANCE = 503


def chain_problem(text: str, *, torn_allowed: bool = True) -> str | None:
    """Why a journal cannot be trusted, computed anew from its text; None when it can."""
    *lines, rest = text.split("\n")
    previous = "0" * 64
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            claimed = entry.pop("hash")
        except (ValueError, KeyError, AttributeError, TypeError):
            return f"line {number} is no entry"
        if (entry.get("number"), entry.get("previous")) != (number, previous):
            return f"line {number} does not follow line {number - 1}"
        if hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest() != claimed:
            return f"line {number} does not match its hash"
        previous = claimed
    return "its last line is torn" if rest and not torn_allowed else None


def _entries(text: str) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in text.split("\n")[:-1]]


def last_run(seen: Seen) -> dict[str, t.Any]:
    """What the host claims about the last run; empty when it claims nothing."""
    found = json.loads(seen["last_run"]) if seen["last_run"] else {}
    return t.cast("dict[str, t.Any]", found)


def unfinished(seen: Seen) -> bool:
    """Whether a run was begun and has not been brought to an end: by the lock, and by the journals."""
    if seen["lock"] is not None:
        return True
    texts = list(seen["journals"].values())
    if not texts:
        return False
    closing = [entry for entry in _entries(texts[-1]) if entry["event"] == "closed"]
    return not closing or closing[-1]["outcome"] not in FINISHED


def status_lies(said: str, seen: Seen, afterwards: Seen) -> list[str]:
    """Every point in which the text of status.yml differs from what was the case right before it; units that come or go are left out."""
    words = " ".join(said.split())
    tags = sorted(tag for tag in seen["tags"] if re.fullmatch(r"v[0-9.]+", tag))
    expected = {
        f"runs {tags[-1] if tags else ''} ({seen['head'][:12]}": "the version",
        "CLOSED to users" if seen["down"] else "open to users": "open or closed",
    }
    if seen["lock"] is None:
        expected["lock: free"] = "the lock"
    else:
        held = json.loads(seen["lock"] or "{}")
        expected[f"(run {held.get('run')})" if held else "lock: held"] = "the lock"
    lies = [f"{what}: {text!r} is not said" for text, what in expected.items() if text not in words]
    if ("playbooks/abort.yml" in words) != unfinished(seen):
        lies.append(f"it is {'un' if unfinished(seen) else ''}finished, which is not said")
    for name, state in seen["units"].items():
        settled = state == afterwards["units"][name] and state in ("active", "inactive", "failed")
        if settled and (f"{name} {state}" in words) != (state != "active"):
            lies.append(f"{name} is {state}, which is not said")
    return lies


@dataclasses.dataclass(frozen=True)
class Site:
    """How pages answered within a moment: their status and the version that they name."""

    pages: tuple[tuple[str, int, str | None], ...]

    def healthy(self, version: str) -> bool:
        return bool(self.pages) and all((status, seen) == (200, version) for _path, status, seen in self.pages)

    def closed(self) -> bool:
        return bool(self.pages) and all(status == MAINTENANCE for _path, status, _seen in self.pages)


def version_of(seen: Seen) -> str:
    """The version whose code is checked out."""
    tags = sorted(tag for tag in seen["tags"] if re.fullmatch(r"v[0-9.]+", tag))
    return tags[-1].removeprefix("v") if tags else ""


def never_half(site: Site, seen: Seen) -> bool:
    """Everybody gets the maintenance page, or everybody gets the version that is checked out."""
    return site.closed() if seen["down"] else site.healthy(version_of(seen))


def closing_told(seen: Seen, reports: t.Mapping[str, t.Mapping[str, t.Any]]) -> bool:
    """Where a journal says that its run closed the site and opened it again, the report of that run says for how long."""
    for run, text in seen["journals"].items():
        done = [entry["step"] for entry in _entries(text) if entry["event"] == "result" and entry.get("changed") and not entry["failed"]]
        if run in reports and {"laravel_maintenance down", "laravel_maintenance up"} <= set(done) and not reports[run]["closed_seconds"]:
            return False
    return True


def as_claimed(seen: Seen) -> bool:
    """Whether what is checked out is what the record of the last run says."""
    last = last_run(seen)
    outcome = last.get("outcome")
    if not last:  # no run came as far as to be recorded
        return version_of(seen) == BAD_VERSION
    if outcome in ("rolled_back", "undone"):
        return bool(seen["head"] == last["to_commit"])
    if outcome == "aborted" or (outcome == "failed" and "still runs" in last.get("state", "")):
        return bool(seen["head"] == last["from_commit"])
    return seen["head"] in (last.get("to_commit"), last.get("from_commit"))


def workers_exact(seen: Seen, off: t.Collection[str] = ()) -> bool:
    """All run that ran before the run, and no other."""
    return all((state == "active") == (name not in off) for name, state in seen["units"].items())


def rows_kept(before: Seen, after: Seen, acknowledged: t.Iterable[int], found: t.Iterable[int]) -> bool:
    """Each row from before is as it was, and each sign-up that was acknowledged is there: as often as its number was given out."""
    missing = collections.Counter(acknowledged) - collections.Counter(found)
    return not missing and same_rows(before["tables"], after["tables"])


def same_rows(before: Seen, after: Seen) -> bool:
    """The same tables with the same rows in them."""
    return before.keys() == after.keys() and all(
        (rows["rows"], rows["checksum"]) == (after[name]["rows"], after[name]["checksum"])
        for name, rows in before.items()
        if name != "migrations"
    )


def jobs_kept(before: Seen, after: Seen) -> bool:
    """Jobs and sessions that were waiting are as they were."""
    waiting = all(before["queues"].get(name) == after["queues"].get(name) for name in ("parked", "default:delayed"))
    return waiting and all(after["sessions"].get(key) == value for key, value in before["sessions"].items())


def visitors_spared(answers: t.Sequence[tuple[int, str | None]]) -> bool:
    """From the first maintenance page on nobody gets anything but that page or a whole one; answers in the order of the questions."""
    statuses = [status for status, _version in answers]
    if MAINTENANCE not in statuses:
        return True
    return set(statuses[statuses.index(MAINTENANCE) :]) <= {200, MAINTENANCE}


def outcome_of(rc: int | None, seen: Seen) -> str:
    """How the disturbed run ended, in a word."""
    if rc is None:
        return "hung"
    if unfinished(seen) and seen["lock"] is not None:
        return "interrupted"
    return str(last_run(seen).get("outcome", "left no trace"))


def exit_status_true(rc: int | None, seen: Seen) -> bool:
    """A run that ends with 0 has done what it should; one that did not do it ends with something else."""
    return rc is not None and (rc != 0 or (seen["lock"] is None and last_run(seen).get("outcome") in ("rolled_back", "undone")))
