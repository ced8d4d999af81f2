# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What an HTTP answer must look like; pure functions.

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ._probes import one_line
from ._probes_http_client import Response

_PLACE = re.compile(r"\{([A-Za-z_]\w*(?:\.\w+)*)\}")
_MISSING = object()


@dataclass(frozen=True)
class Expectations:
    """Everything that an answer must fulfil."""

    status: t.Sequence[int] = (200,)
    headers: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    json: t.Mapping[str, t.Any] = field(default_factory=dict)
    contains: t.Sequence[str] = ()
    lacks: t.Sequence[str] = ()
    maximum_seconds: float | None = None


def fault(response: Response, expected: Expectations) -> str | None:
    """The first thing that is wrong with an answer, or None."""
    return (
        _status_fault(response, expected.status)
        or _header_fault(response, expected.headers)
        or _json_fault(response, expected.json)
        or _text_fault(response.text, expected)
        or _latency_fault(response.seconds, expected.maximum_seconds)
    )


def _status_fault(response: Response, accepted: t.Sequence[int]) -> str | None:
    if response.status in accepted:
        return None
    location = response.all("Location")
    towards = f" to {urllib.parse.urlsplit(location[0]).path or '/'}" if location else ""
    return f"status {response.status}{towards}, expected {_either(accepted)}"


def _header_fault(response: Response, expected: t.Mapping[str, t.Sequence[str]]) -> str | None:
    for name, accepted in expected.items():
        seen = response.all(name)
        if not seen:
            return f"header {name} is missing, expected {_either(accepted)}"
        if not set(seen) & set(accepted):
            return f"header {name} is {one_line(', '.join(seen), 80)}, expected {_either(accepted)}"
    return None


def _json_fault(response: Response, expected: t.Mapping[str, t.Any]) -> str | None:
    if not expected:
        return None
    document = document_of(response)
    if document is None:
        return f"the answer is not JSON (Content-Type {', '.join(response.all('Content-Type')) or 'unknown'})"
    for path, wanted in expected.items():
        seen = look_up(document, path)
        if seen is _MISSING:
            return f"JSON {path} is missing, expected {_shown(wanted)}"
        if not same(seen, wanted):
            return f"JSON {path} is {_shown(seen)}, expected {_shown(wanted)}"
    return None


def _text_fault(text: str, expected: Expectations) -> str | None:
    for part in expected.contains:
        if part not in text:
            return f"the answer ({len(text)} characters) does not contain {_shown(part)}"
    for part in expected.lacks:
        if part in text:
            return f"the answer contains {_shown(part)}"
    return None


def _latency_fault(seconds: float, maximum: float | None) -> str | None:
    if maximum is None or seconds < maximum:
        return None
    return f"answered after {seconds:.3f} s, expected less than {maximum:g} s"


def document_of(response: Response) -> t.Any:
    """The JSON of an answer, or None when it is not JSON."""
    try:
        return json.loads(response.text)
    except ValueError:
        return None


def look_up(document: t.Any, path: str) -> t.Any:
    """The value at a dotted path; numbers count list entries from 0."""
    here = document
    for step in path.split("."):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            return _MISSING
    return here


def same(seen: t.Any, wanted: t.Any) -> bool:
    """Equal in value and kind; only a number may also be given as text, since inventories turn numbers into text."""
    if isinstance(seen, bool) or isinstance(wanted, bool):
        return seen is wanted
    if isinstance(wanted, str) and isinstance(seen, (int, float)):
        return str(seen) == wanted
    return bool(seen == wanted)


def fill(template: t.Any, words: t.Mapping[str, str], *, quoted: bool = False) -> t.Any:
    """Replace {name} in texts, also inside of lists and mappings; names that are not known stay as they are."""
    if isinstance(template, dict):
        return {key: fill(value, words, quoted=quoted) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, words, quoted=quoted) for value in template]
    if not isinstance(template, str):
        return template

    def word(found: re.Match[str]) -> str:
        text = words.get(found.group(1))
        if text is None:
            return found.group(0)
        return urllib.parse.quote(text, safe="") if quoted else text

    return _PLACE.sub(word, template)


def places(template: t.Any) -> set[str]:
    """The names that a template has in braces."""
    if isinstance(template, dict):
        return set().union(*(places(value) for value in template.values()))
    if isinstance(template, list):
        return set().union(*(places(value) for value in template))
    return set(_PLACE.findall(template)) if isinstance(template, str) else set()


def words_from(document: t.Any, names: t.Iterable[str]) -> dict[str, str]:
    """Those of the names that a JSON document has a plain value for."""
    found = {name: look_up(document, name) for name in names}
    return {name: str(value) for name, value in found.items() if isinstance(value, (str, int, float)) and not isinstance(value, bool)}


def _either(accepted: t.Sequence[t.Any]) -> str:
    return " or ".join(str(value) for value in accepted)


def _shown(value: t.Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), 80)
