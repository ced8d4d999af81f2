# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Where it all began, for a run that goes on from one that never got to its end.

from __future__ import annotations

import typing as t

from ._journal import phases, read

if t.TYPE_CHECKING:
    from ._run import Folder

Last = t.Mapping[str, t.Any]


def origin(folder: Folder, last: Last, *, in_maintenance: bool) -> dict[str, t.Any]:
    """The beginning of an unfinished run, with what it did: who undoes the one that goes on from it goes back there."""
    journal = read(folder.run(last["run"])) if last.get("run") else None
    own = phases(journal.entries) if journal else {}
    began = last.get("undoes") or last.get("origin") or _beginning(last, own, in_maintenance=in_maintenance)
    done = {**began.get("phases", {}), **own}
    if in_maintenance:  # what one run opened a later one may have closed again
        done.pop("reopen", None)
    down = [*began["down"], *(last.get("down") or [] if "migrate down" in done else [])]
    return {**began, "down": list(dict.fromkeys(down)), "phases": done}


def _beginning(last: Last, own: t.Mapping[str, Last], *, in_maintenance: bool) -> dict[str, t.Any]:
    closed_before = own.get("close traffic", {}).get("was_down")
    return {
        "run": last["run"],
        "from_version": last.get("from_version", ""),
        "from_commit": last.get("from_commit", ""),
        "was_down": last.get("was_down", in_maintenance) if closed_before is None else closed_before,
        "down": [],
    }
