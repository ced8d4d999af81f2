# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Reads an application's .env text by the rules of the library Laravel reads it with (phpdotenv 5).

from __future__ import annotations

import re
import typing as t

from ._errors import RollbackError

_NAME = re.compile(r"[\w.]+")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "$": "$"}


def parse(text: str) -> dict[str, str]:
    """The settings of a .env text; of a name given twice the last value counts, as for Laravel.

    A name without "=" unsets it. Messages name the setting, never its value.
    """
    settings: dict[str, str] = {}
    for entry in _entries(text):
        name, separator, raw = entry.partition("=")
        name = _clean_name(name.strip() if separator else name)
        if separator:
            settings[name] = _value(name, raw.strip(), settings)
        else:
            settings.pop(name, None)
    return settings


def plain(value: str) -> str:
    """A value as Laravel's env() hands it on when text is wanted: the words for null and empty become nothing."""
    return "" if value.lower() in ("null", "(null)", "empty", "(empty)") else value


def _entries(text: str) -> t.Iterator[str]:
    """The lines that hold settings; a double-quoted value may go over several lines. One that never ends is dropped."""
    pending: list[str] = []
    for line in re.split(r"\r\n|\n|\r", text):
        starts = not pending and '="' in line and _quotes(line) <= 1 and line != '"'
        if starts or pending:
            pending.append(line)
            if starts or _quotes(line) == 0:
                continue
        entry = "\n".join(pending) or line
        pending = []
        if entry.strip() and not entry.strip().startswith("#"):
            yield entry


def _quotes(line: str) -> int:
    """How many double quotes a line has that are not escaped; one at its very start counts only when it is alone."""
    return 1 if line == '"' else len(re.findall(r'(?=[^\\]")', line.replace("\\\\", "")))


def _clean_name(name: str) -> str:
    if len(name) > 8 and name.startswith("export") and name[6].isspace():
        name = name[6:].lstrip()
    if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1]
    if not _NAME.fullmatch(name):
        raise RollbackError("The environment file has a line whose name is not a plain word.")
    return name


def _value(name: str, raw: str, known: t.Mapping[str, str]) -> str:
    if not raw:
        return ""
    if raw[0] == "'":
        return _single_quoted(name, raw)
    if raw[0] == '"':
        return _double_quoted(name, raw, known)
    return _unquoted(name, raw, known)


def _single_quoted(name: str, raw: str) -> str:
    value, closing, rest = raw[1:].partition("'")
    if not closing:
        raise _malformed(name, "its quote is not closed")
    _only_a_comment(name, rest)
    return value


def _double_quoted(name: str, raw: str, known: t.Mapping[str, str]) -> str:
    value, position = "", 1
    while position < len(raw):
        character = raw[position]
        if character == '"':
            _only_a_comment(name, raw[position + 1 :])
            return value
        if character == "\\":
            position += 1
            escaped = _ESCAPES.get(raw[position : position + 1])
            if escaped is None:
                raise _malformed(name, "it has an unknown escape sequence")
            value += escaped
        elif character == "$":
            resolved, position = _reference(raw, position, known)
            value += resolved
            continue
        else:
            value += character
        position += 1
    raise _malformed(name, "its quote is not closed")


def _unquoted(name: str, raw: str, known: t.Mapping[str, str]) -> str:
    value, _comment, _rest = raw.partition("#")
    words = value.split(None, 1)
    if len(words) > 1:
        raise _malformed(name, "it has a space but no quotes")
    word = words[0] if words else ""
    return _REFERENCE.sub(lambda found: known.get(found.group(1), found.group(0)), word)


def _reference(raw: str, position: int, known: t.Mapping[str, str]) -> tuple[str, int]:
    found = _REFERENCE.match(raw, position)
    if not found:
        return "$", position + 1
    return known.get(found.group(1), found.group(0)), found.end()


def _only_a_comment(name: str, rest: str) -> None:
    if rest.strip() and not rest.strip().startswith("#"):
        raise _malformed(name, "text follows its closing quote")


def _malformed(name: str, why: str) -> RollbackError:
    return RollbackError(f"The value of {name} in the environment file cannot be read: {why}.")
