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
_OPENS_QUOTE = re.compile(r'=[^\S\r\n]*"')


def parse(text: str) -> dict[str, str]:
    """The settings of a .env text; a name given twice keeps its first value, as Laravel does.

    A name without "=" is left out. Messages name the setting, never its value.
    """
    settings: dict[str, str] = {}
    for entry in _entries(text):
        name, separator, raw = entry.partition("=")
        name = _clean_name(name)
        if not separator or name in settings:
            continue
        settings[name] = _value(name, raw.strip(), settings)
    return settings


def plain(value: str) -> str:
    """A value as Laravel's env() hands it on when text is wanted: the words for null and empty become nothing."""
    return "" if value.lower() in ("null", "(null)", "empty", "(empty)") else value


def _entries(text: str) -> t.Iterator[str]:
    """The lines that hold settings; a double-quoted value may go over several lines."""
    pending = ""
    for line in re.split(r"\r\n|\n|\r", text.lstrip("\ufeff")):
        if pending:
            pending = f"{pending}\n{line}"
            if _closed(line, started=False):
                yield pending.strip()
                pending = ""
        elif line.strip() and not line.lstrip().startswith("#"):
            if _OPENS_QUOTE.search(line) and not _closed(line, started=True):
                pending = line
            else:
                yield line.strip()
    if pending:
        yield pending.strip()


def _closed(line: str, *, started: bool) -> bool:
    """Whether the double quote that is open on this line is also closed on it."""
    quotes = len(re.findall(r'(?<!\\)"', line.replace("\\\\", "")))
    return quotes > 1 if started else quotes >= 1


def _clean_name(raw: str) -> str:
    name = raw.strip()
    if name.startswith("export") and name[6:7].isspace():
        name = name[6:].strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
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
