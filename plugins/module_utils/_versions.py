# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError

RELEASE_PATTERN = r"^v?(\d+)\.(\d+)\.(\d+)$"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Choice:
    """A target and why it was taken."""

    target: str
    reason: str


def check_target(target: str) -> str:
    """Refuse names that git or a shell could take for something else."""
    if not target:
        raise RollbackError("The target is empty: give a release tag or a commit, for example -e target=v1.2.3.")
    if not _NAME.fullmatch(target) or ".." in target or "//" in target or target.endswith(("/", ".", ".lock")):
        raise RollbackError(
            f"The target {target!r} is not a release tag or commit: only letters, digits and . _ + / - are allowed, "
            "and it must start with a letter or digit."
        )
    return target


def looks_like_commit(target: str) -> bool:
    return bool(_COMMIT.fullmatch(target))


def commit_of(identity: str) -> str:
    """The commit of a version; of several releases of one commit, those but the last deployed are named commit+release."""
    commit, _plus, _release = identity.partition("+")
    return commit if looks_like_commit(commit) else identity


def release_key(tag: str, pattern: str = RELEASE_PATTERN) -> tuple[int, ...] | None:
    """How a release tag sorts, by its numbers; None for every other tag, pre-releases included."""
    if not re.match(pattern, tag):
        return None
    return tuple(int(number) for number in re.findall(r"\d+", tag))


def newest_release(tags: t.Iterable[str], pattern: str = RELEASE_PATTERN) -> str | None:
    keyed = [(key, tag) for tag in tags for key in [release_key(tag, pattern)] if key is not None]
    return max(keyed)[1] if keyed else None


def name_of(commit: str, tags: t.Mapping[str, str], pattern: str = RELEASE_PATTERN) -> str:
    """What people call a commit: its newest release tag, or another tag, or its first letters."""
    names = [tag for tag, at in tags.items() if at == commit]
    return newest_release(names, pattern) or min(names, default=commit[:12])


def choose_previous(
    ancestor_tags: t.Mapping[str, str],
    running: str,
    pattern: str = RELEASE_PATTERN,
) -> Choice:
    """The newest release among the ancestors of the running commit that is not the running commit.

    ancestor_tags maps each tag that the running commit contains to its commit.
    """
    older = {tag: commit for tag, commit in ancestor_tags.items() if commit != running}
    chosen = newest_release(older, pattern)
    if chosen is None:
        raise RollbackError(
            f"No earlier release was found: no tag matching {pattern} is an ancestor of the running commit {running[:12]}.",
            next_command="run again with an explicit target: -e target=<tag or commit>",
        )
    ignored = sorted(tag for tag in older if release_key(tag, pattern) is None)
    reason = f"newest release tag among the ancestors of the running commit {running[:12]} that does not point at it"
    if ignored:
        reason += f" (ignored, not releases: {', '.join(ignored[-5:])})"
    return Choice(chosen, reason)
