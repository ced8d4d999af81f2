# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark found, as a table for people and as JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import statistics
import typing as t


@dataclasses.dataclass
class Comparison:
    """The same thing measured on both sides, several times; smaller is better."""

    name: str
    unit: str
    limit: float | None
    ours: list[float] = dataclasses.field(default_factory=list)
    theirs: list[float] = dataclasses.field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Of nothing at all to nothing at all it is 0, since there is no less."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        return ours / theirs if theirs else float(ours and 999)

    def as_json(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "ours": round(statistics.median(self.ours), 3),
            "theirs": round(statistics.median(self.theirs), 3),
            "ratio": round(self.ratio, 3),
            "unit": self.unit,
            "runs": min(len(self.ours), len(self.theirs)),
        }

    def as_row(self) -> tuple[str, ...]:
        found = self.as_json()
        limit = "" if self.limit is None else f"{self.limit:g}"
        verdict = "" if self.limit is None else "ok" if self.ratio <= self.limit else "ABOVE"
        return (
            self.name,
            f"{found['ours']:.2f}",
            f"{found['theirs']:.2f}",
            f"{self.ratio:.2f}",
            limit,
            verdict,
            self.unit,
            str(found["runs"]),
            f"{min(self.ours):.2f}-{max(self.ours):.2f}",
            f"{min(self.theirs):.2f}-{max(self.theirs):.2f}",
        )


_HEADER = ("name", "ours", "theirs", "ratio", "limit", "", "unit", "runs", "ours min-max", "theirs min-max")


def table(comparisons: t.Sequence[Comparison]) -> str:
    rows = [_HEADER, *(comparison.as_row() for comparison in comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def write(path: pathlib.Path, comparisons: t.Sequence[Comparison]) -> None:
    """Only what was measured now changes; other benchmarks keep their last numbers."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    mine = [comparison.as_json() for comparison in comparisons]
    names = {entry["name"] for entry in mine}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*(entry for entry in earlier if entry["name"] not in names), *mine], indent=2) + "\n", encoding="utf-8")
