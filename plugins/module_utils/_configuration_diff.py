# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# What is different between two states of a configuration, said without saying a secret.

from __future__ import annotations

import difflib
import os
import re
import typing as t

from ._contents import hashed
from ._dotenv import parse
from ._errors import RollbackError

_SECRET = r"[\w.\[\]-]*(?:passw|passphrase|pwd|secret|token|_key|api_?key|credential|auth|dsn)[\w.\[\]-]*"
_SECRET_NAME = re.compile(rf"(?i){_SECRET}")
_ASSIGNED = re.compile(rf"(?i)({_SECRET}[\"']?\s*(?:=|:|\s)\s*)(\S.*)")
_IN_ADDRESS = re.compile(r"(://[^/\s:@]+:)([^/\s@]+)(@)")
_SHORTEST = 6  # a value that is shorter would be found everywhere

Texts = t.Mapping[str, t.Optional[str]]


class Differences:
    """Two states of some files; values are compared by hashes that mean nothing to anybody else."""

    def __init__(self, before: Texts, after: Texts, environment_file: str) -> None:
        self._before, self._after = before, after
        self._changed = [path for path in after if before.get(path) != after[path]]
        self._environment_file = environment_file
        self._salt = os.urandom(16)
        self._secrets = sorted(self._known_secrets(), key=len, reverse=True)

    def _known_secrets(self) -> set[str]:
        both = [_settings(texts.get(self._environment_file)) for texts in (self._before, self._after)]
        return {value for known in both for name, value in known.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}

    def settings(self) -> dict[str, dict[str, str | None]]:
        """The settings of the .env that differ, each with hashes of its values."""
        old, new = (_settings(texts.get(self._environment_file)) for texts in (self._before, self._after))
        return {
            name: {"before": hashed(old.get(name), self._salt), "after": hashed(new.get(name), self._salt)}
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        }

    def hide(self, text: str) -> str:
        """A text with a mark for each secret in it."""
        for secret in self._secrets:
            text = text.replace(secret, self._mark(secret))
        text = _ASSIGNED.sub(lambda found: found.group(1) + self._mark(found.group(2)), text)
        return _IN_ADDRESS.sub(lambda found: found.group(1) + self._mark(found.group(2)) + found.group(3), text)

    def _mark(self, secret: str) -> str:
        return secret if secret.startswith("(hidden ") else f"(hidden {hashed(secret, self._salt)})"

    def of(self, path: str) -> tuple[str, str]:
        """A file before and after, in a form that may be shown."""
        if path != self._environment_file:
            return self.hide(self._before.get(path) or ""), self.hide(self._after.get(path) or "")
        rows = self.settings().items()
        before, after = (
            "".join(f"{name}=(hash {found[side]})\n" for name, found in rows if found[side] is not None) for side in ("before", "after")
        )
        return before, after

    def as_diff(self) -> list[dict[str, str]]:
        found = []
        for path in self._changed:
            before, after = self.of(path)
            found.append({"before_header": path, "after_header": path, "before": before, "after": after})
        return found

    def in_words(self) -> t.Iterator[str]:
        """What would be different, for whoever has to decide."""
        for path in self._changed:
            if path == self._environment_file:
                continue
            old, new = ((texts.get(path) or "").splitlines() for texts in (self._before, self._after))
            lines = [
                line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:1] in "+-" and line[:3] not in ("+++", "---")
            ]
            what = "is made again" if self._before.get(path) is None else "goes away" if self._after.get(path) is None else "changes"
            yield f"  {path} {what}: {sum(line[0] == '-' for line in lines)} lines go, {sum(line[0] == '+' for line in lines)} come"
        for name, found in self.settings().items():
            yield f"  {self._environment_file} {name}: {found['before'] or 'not set'} -> {found['after'] or 'not set'} (hashes)"


def _settings(text: str | None) -> dict[str, str]:
    """What can be read of a .env; one that cannot be read has no settings that could be compared."""
    try:
        return parse(text or "")
    except RollbackError:
        return {}
