# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal costs: the same rollback with and without it, in turns."""

from __future__ import annotations

import time
import typing as t

from host import Host, fresh_connections, run_silently
from results import Comparison

STANDARD = ("-e", "target=v1.2.3", "-e", "watch_seconds=0")
# Modules write to the journal of the folder that opening the run returned. Laid over that result, this leaves them without one.
WITHOUT_JOURNAL = ("-e", '{"rollback_opened": {"changed": true, "folder": ""}}')


def recording_overhead(host: Host, runs: int, note: t.Callable[[str], None]) -> list[Comparison]:
    """Seconds that a whole standard rollback takes."""
    found = Comparison("recording_overhead", "s", 1.05)
    for number in range(runs):
        for side, options in (
            ((found.theirs, WITHOUT_JOURNAL), (found.ours, ())) if number % 2 else ((found.ours, ()), (found.theirs, WITHOUT_JOURNAL))
        ):
            host.prepare("none")
            side.append(_seconds(host, options))
            host.expect_good()
        note(f"recording_overhead {number + 1}: with the journal {found.ours[-1]:.2f} s, without {found.theirs[-1]:.2f} s")
    return [found]


def _seconds(host: Host, options: t.Sequence[str]) -> float:
    with fresh_connections() as environment:
        began = time.monotonic()
        run_silently(host.playbook("standard_rollback", *STANDARD, *options), "standard_rollback", environment)
        return time.monotonic() - began
