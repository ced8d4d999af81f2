# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Reads and edits an application's .env text by the rules of the library Laravel reads it with (phpdotenv 5).

from __future__ import annotations

import re
import typing as t

from ._errors import RollbackError

_NAME = re.compile(r"[\w.]+")
_LINE_END = r"\r\n|\n|\r"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "$": "$"}


def parse(text: str) -> dict[str, str]:
    """The settings of a .env text; of a name given twice the last value counts, as for Laravel.

    A name without "=" unsets it. Messages name the setting, never its value.
    """
    settings: dict[str, str] = {}
    for _first, _end, entry in _entries(re.split(_LINE_END, text)):
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


def edited(text: str, changes: t.Mapping[str, str | None]) -> str:
    """The text with other values, or without the settings whose value is to be None; all other lines stay as they are."""
    rows = re.findall(f"[^\\r\\n]*(?:{_LINE_END})|[^\\r\\n]+", text)
    end = (_line_end(rows[0]) if rows else "") or "\n"
    for name, value in changes.items():
        if not _NAME.fullmatch(name):
            raise RollbackError(f"{name!r} cannot be the name of a setting.")
        places = [place for place in _entries([row.rstrip("\r\n") for row in rows]) if _name_in(place[2]) == name]
        if value is None:
            for first, after, _entry in reversed(places):
                del rows[first:after]
        elif places:
            first, after, entry = places[-1]  # of a name given twice the last value counts
            rows[first:after] = [f"{entry.partition('=')[0]}={_written(name, value)}{_line_end(rows[after - 1])}"]
        else:
            if rows and not _line_end(rows[-1]):
                rows[-1] += end
            rows.append(f"{name}={_written(name, value)}{end}")
    result = "".join(rows)
    found = parse(result)
    for name, value in changes.items():
        if found.get(name) != value:
            raise RollbackError(
                f"The environment file is written in a way in which {name} cannot be changed.", next_command="edit it by hand"
            )
    return result


def _line_end(row: str) -> str:
    return row[len(row.rstrip("\r\n")) :]


def _name_in(entry: str) -> str:
    name, separator, _raw = entry.partition("=")
    return _clean_name(name.strip() if separator else name)


def _written(name: str, value: str) -> str:
    """A value as it has to be written so that exactly that is read."""
    if _PLAIN.fullmatch(value):
        return value
    letters = {letter: f"\\{escape}" for escape, letter in _ESCAPES.items()}
    quoted = "".join(letters.get(letter, letter) for letter in value)
    if not quoted.isprintable():
        raise RollbackError(f"The new value of {name} has a character that cannot be written into an environment file.")
    return f'"{quoted}"'


def _entries(lines: t.Sequence[str]) -> t.Iterator[tuple[int, int, str]]:
    """The settings, each with its first line and the one after its last.

    A double-quoted value may go over several lines; one that never ends is dropped.
    """
    pending: list[str] = []
    for number, line in enumerate(lines):
        starts = not pending and '="' in line and _quotes(line) <= 1 and line != '"'
        if starts or pending:
            pending.append(line)
            if starts or _quotes(line) == 0:
                continue
        entry = "\n".join(pending) or line
        first = number + 1 - max(len(pending), 1)
        pending = []
        if entry.strip() and not entry.strip().startswith("#"):
            yield first, number + 1, entry


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
