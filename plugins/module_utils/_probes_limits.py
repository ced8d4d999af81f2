# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Comparisons that several kinds of probes offer.

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a measured value must be."""

    expected: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    def fault(self, value: str) -> str | None:
        """What is wrong with a value, or None."""
        if self.expected is not None and not _equal(value, self.expected):
            return f"{value[:80]!r}, expected {self.expected!r}"
        if self.minimum is None and self.maximum is None:
            return None
        number = _number(value)
        if number is None:
            return f"{value[:80]!r}, which is not a number"
        if self.minimum is not None and not number >= self.minimum:
            return f"{number:g}, expected at least {self.minimum:g}"
        if self.maximum is not None and not number <= self.maximum:
            return f"{number:g}, expected at most {self.maximum:g}"
        return None


def limits_from(options: t.Mapping[str, t.Any]) -> Limits:
    expected = options.get("expected")
    return Limits(None if expected is None else str(expected), options.get("minimum"), options.get("maximum"))


def _equal(value: str, expected: str) -> bool:
    """Equal as text or as numbers: 1, 1.0 and 1e0 are the same."""
    left, right = _number(value), _number(expected)
    return value == expected or (left is not None and left == right)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
