# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Finds the entries that an application wrote to its log, from text; pure functions.

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass

LARAVEL = r"^\[(?P<time>\d{4}-\d\d-\d\d[ T][^\]]+)\] [\w.-]+\.(?P<level>[A-Z]+): (?P<message>.*)"
LEVELS = ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_ASSIGNED = re.compile(r"(?i)((?:passw(?:or)?d|secret|token|key|authorization)[\"']?\s*(?:=>?|:)\s*[\"']?)(?:bearer )?[^\s\"',;)}]+")
_TOKEN = re.compile(r"\b(?=[A-Za-z_+/-]*\d)[A-Za-z0-9_+/-]{24,}={0,2}")


@dataclass(frozen=True)
class Format:
    """How a line that begins an entry looks, which entries count, and in which time zone times are written."""

    pattern: re.Pattern[str]
    levels: frozenset[str]
    ignored: t.Sequence[re.Pattern[str]] = ()
    zone: datetime.tzinfo = datetime.timezone.utc


@dataclass(frozen=True)
class Entry:
    """One entry: its first line, the level and the time if the pattern finds them."""

    line: str
    level: str | None
    when: datetime.datetime | None


def format_of(pattern: str | None, levels: t.Sequence[str] | None, ignored: t.Sequence[str] | None, zone: str | None) -> Format:
    """A format from options; raises ValueError for what cannot be understood."""
    try:
        return Format(
            re.compile(pattern or LARAVEL),
            frozenset(level.upper() for level in levels or LEVELS),
            [re.compile(expression) for expression in ignored or ()],
            time_zone(zone or "UTC"),
        )
    except re.error as error:
        raise ValueError(f"{error.pattern!r} is not a regular expression: {error}") from None


def time_zone(name: str) -> datetime.tzinfo:
    """UTC, local, an offset such as +02:00, or a name such as Europe/Berlin."""
    if name == "local":
        found = datetime.datetime.now().astimezone().tzinfo
        return found or datetime.timezone.utc
    if name.upper() in ("UTC", "Z"):
        return datetime.timezone.utc
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if offset:
        minutes = int(offset.group(2)) * 60 + int(offset.group(3))
        return datetime.timezone(datetime.timedelta(minutes=-minutes if offset.group(1) == "-" else minutes))
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"the time zone {name!r} is not known on this host") from None


def moment(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    """A time in ISO 8601, in the zone unless it names its own; raises ValueError."""
    written = re.sub(r"[Zz]$", "+00:00", text.strip())
    written = re.sub(r"(\.\d{6})\d+", r"\1", written)
    when = datetime.datetime.fromisoformat(written)
    return when if when.tzinfo else when.replace(tzinfo=zone)


def entries(text: str, layout: Format) -> t.Iterator[Entry]:
    """The entries that count; lines in between, such as stack traces, belong to the entry before."""
    for line in text.splitlines():
        found = layout.pattern.search(line)
        if found is None:
            continue
        groups = found.groupdict()
        level = (groups.get("level") or "").upper()
        if level and level not in layout.levels:
            continue
        if any(pattern.search(line) for pattern in layout.ignored):
            continue
        yield Entry(line, level or None, _written(groups.get("time"), layout.zone))


def first_moment(text: str, layout: Format) -> datetime.datetime | None:
    """The time of the first entry of any level."""
    for line in text.splitlines():
        found = layout.pattern.search(line)
        when = _written(found.groupdict().get("time"), layout.zone) if found else None
        if when is not None:
            return when
    return None


def _written(text: str | None, zone: datetime.tzinfo) -> datetime.datetime | None:
    try:
        return moment(text, zone) if text else None
    except ValueError:
        return None


def masked(line: str, limit: int = 160) -> str:
    """The beginning of a line for messages, without addresses, passwords and tokens."""
    text = _ADDRESS.sub("<address>", line)
    text = _ASSIGNED.sub(r"\1<hidden>", text)
    text = _TOKEN.sub("<token>", text)
    return " ".join(text.split())[:limit]
