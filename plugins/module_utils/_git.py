# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import CommandError, RollbackError
from ._versions import looks_like_commit

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

LOCK_FILES = ("composer.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "requirements.txt")

_AT_ONCE = 500
_FRESH_SECONDS = 2


@dataclass(frozen=True)
class WorkTree:
    """What is checked out: the commit, and which tracked files differ from it."""

    commit: str
    branch: str | None
    changed_files: tuple[str, ...]
    unmerged_files: tuple[str, ...] = ()
    release: str | None = None  # its folder, where versions lie in folders
    missing: bool = False  # a release that was deleted although it runs


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    mode: str
    blob: str


_NOTHING = Entry("", "")


@dataclass(frozen=True)
class Difference:
    """Files that the target has and the running commit has not, and so on, seen from the running commit."""

    added: tuple[str, ...]
    deleted: tuple[str, ...]
    modified: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted({*self.added, *self.deleted, *self.modified}))

    @property
    def lock_files(self) -> tuple[str, ...]:
        return tuple(name for name in self.files if name.rsplit("/", 1)[-1] in LOCK_FILES)


class Repository:
    """A checkout, asked and changed as its owner, with the repository's hooks switched off."""

    def __init__(self, runner: Runner, path: str, user: str) -> None:
        self._runner = runner
        self._tags: dict[str, str] | None = None
        self.path = self.home = path
        self.user = user

    def git(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        index: str | None = None,
        timeout: float = 120,
    ) -> Completed:
        environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        if index is not None:
            environment["GIT_INDEX_FILE"] = index
        return self._runner.run(
            ["git", "-C", self.path, "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false", *arguments],
            user=self.user,
            stdin=stdin,
            environment=environment,
            timeout=timeout,
            check=check,
        )

    def git_directory(self) -> str:
        try:
            return self.git("rev-parse", "--absolute-git-dir").stdout.strip()
        except CommandError as error:
            raise RollbackError(f"{self.path} is not a git checkout that {self.user} can read: {error.stderr.strip()}.") from error

    def work_tree(self) -> WorkTree:
        try:
            done = self.git("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--no-renames", "-z")
        except CommandError as error:
            raise RollbackError(f"{self.path} is not a git checkout that {self.user} can read: {error.stderr.strip()}.") from error
        commit, branch, changed, unmerged = "", None, [], []
        for line in done.stdout.split("\0"):
            if line.startswith("# branch.oid "):
                commit = line.split(" ", 2)[2]
            elif line.startswith("# branch.head "):
                head = line.split(" ", 2)[2]
                branch = None if head == "(detached)" else head
            elif line.startswith("1 "):
                changed.append(line.split(" ", 8)[8])
            elif line.startswith("u "):
                unmerged.append(line.split(" ", 10)[10])
        if commit == "(initial)":
            raise RollbackError(f"{self.path} has no commit checked out.")
        return WorkTree(commit, branch, (*changed, *unmerged), tuple(unmerged))

    def tags(self, *, merged_into: str | None = None) -> dict[str, str]:
        """Tag names and the commits they point at; optionally only those that a commit contains."""
        if merged_into is None and self._tags is not None:
            return self._tags
        selection = ["--merged", merged_into] if merged_into else []
        fields = "%(objectname) %(objecttype) %(*objectname) %(*objecttype) %(refname:strip=2)"
        done = self.git("for-each-ref", *selection, f"--format={fields}", "refs/tags")
        found = {}
        for line in done.stdout.splitlines():
            own, own_type, peeled, peeled_type, name = line.split(" ", 4)
            commit = self._commit(f"refs/tags/{name}") if peeled_type == "tag" else peeled or own
            if commit is not None and (peeled_type or own_type) in ("commit", "tag"):
                found[name] = commit
        if merged_into is None:
            self._tags = found
        return found

    def resolve(self, name: str) -> str | None:
        """The commit that an already checked name means: a tag first, then a commit; never a branch, which moves."""
        tagged = self._commit(f"refs/tags/{name}")
        if tagged is not None or not looks_like_commit(name):
            return tagged
        found = self._commit(name)
        return found if found is not None and found.startswith(name) else None

    def _commit(self, name: str) -> str | None:
        done = self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
        return done.stdout.strip() if done.rc == 0 else None

    def fetch(self, remote: str) -> None:
        quietly = ("--quiet", "--tags", "--no-prune", "--no-recurse-submodules", "--no-auto-maintenance")
        self._tags = None
        self.git("fetch", *quietly, "--", remote, timeout=60)

    def tree(self, commit: str) -> dict[str, Entry]:
        entries = {}
        for line in self.git("ls-tree", "-r", "-z", "--full-tree", commit).stdout.split("\0"):
            if line:
                meta, name = line.split("\t", 1)
                mode, _kind, blob = meta.split(" ", 2)
                entries[name] = Entry(mode, blob)
        return entries

    def missing_objects(self, entries: t.Mapping[str, Entry]) -> list[str]:
        """Files whose content the repository does not hold (a damaged or partial clone)."""
        names = {entry.blob: name for name, entry in entries.items()}
        done = self.git("cat-file", "--batch-check=%(objecttype)", "--buffer", stdin="".join(f"{blob}\n" for blob in names))
        return [names[line.split(" ", 1)[0]] for line in done.stdout.splitlines() if line.endswith(" missing")]

    def contents(self, expressions: t.Sequence[str]) -> dict[str, str]:
        """The text of several COMMIT:FILE at once; what does not exist is left out."""
        found = {}
        for expression in expressions:
            done = self.git("cat-file", "blob", expression, check=False)
            if done.rc == 0:
                found[expression] = done.stdout
        return found

    def difference(self, running: str, target: str) -> Difference:
        fields = self.git("diff", "--name-status", "--no-renames", "-z", running, target).stdout.split("\0")
        by_status: dict[str, list[str]] = {"A": [], "D": [], "M": []}
        for status, name in zip(fields[0::2], fields[1::2]):
            by_status["M" if status in ("T", "U") else status].append(name)
        return Difference(tuple(by_status["A"]), tuple(by_status["D"]), tuple(by_status["M"]))

    def commits_between(self, target: str, running: str, limit: int = 50) -> list[str]:
        done = self.git("log", f"--max-count={limit}", "--format=%h %s", f"{target}..{running}")
        return done.stdout.splitlines()

    def in_the_way(self, difference: Difference, target: str) -> list[str]:
        """Files on disk that git does not track now and that the target would write otherwise, or that lie where it needs a folder."""
        added = set(difference.added)
        folders = {parent for name in added for parent in _parents(name)}
        found = self.untracked(sorted(added | folders))
        blocking = [name for name in found if name in folders or not added.isdisjoint((name, *_parents(name)))]
        return self._unlike(target, blocking) if blocking else []

    def _unlike(self, target: str, names: t.Sequence[str]) -> list[str]:
        """Those that are not just what the target would write: a switch that was interrupted leaves such files."""
        entries = self.tree(target)
        plain = [name for name in names if name.isprintable() and entries.get(name, _NOTHING).mode.startswith("100")]
        paths = "".join(f"{name}\n" for name in plain)
        done = self.git("hash-object", "--stdin-paths", stdin=paths, check=False)
        same = {name for name, blob in zip(plain, done.stdout.split()) if blob == entries[name].blob} if done.rc == 0 else set()
        return [name for name in names if name not in same]

    def untracked(self, names: t.Sequence[str]) -> list[str]:
        """The files with these names, and in folders with these names, that git does not track now, ignored or not."""
        found: dict[str, None] = {}
        for start in range(0, len(names), _AT_ONCE):
            wanted = (f":(top,literal){name}" for name in names[start : start + _AT_ONCE])
            listed = self.git("ls-files", "--others", "-z", "--", *wanted).stdout.split("\0")
            found.update((name.rstrip("/"), None) for name in listed if name)
        return list(found)

    def exists(self, path: str) -> bool:
        return self._runner.run(["test", "-e", path], user=self.user, check=False).rc == 0

    def held_by(self) -> str | None:
        """The lock of a git process that is at work in the checkout; one that a process left that was killed is none."""
        locks = self._locks()
        if not locks:
            return None
        alive = self._runner.run(["pgrep", "-x", "git"], user=self.user, check=False).rc != 1
        fresh = self._runner.run(["find", *locks, "-newermt", f"{_FRESH_SECONDS} seconds ago"], user=self.user, check=False)
        return locks[0] if alive or fresh.rc != 0 or fresh.stdout.strip() else None

    def _only_leftovers(self, commit: str) -> bool:
        """Whether nothing would be lost if the switch overwrote all that it finds."""
        now = self.work_tree()
        difference = self.difference(now.commit, commit)
        return bool(self.untracked(difference.added)) and not now.changed_files and not self.in_the_way(difference, commit)

    def _move(self, *arguments: str) -> None:
        """Move files; what a git process left that was killed does not stop this one."""
        try:
            self.git(*arguments)
        except CommandError as error:
            if ".lock" not in error.stderr or self.held_by() or not (locks := self._locks()):
                raise
            self._runner.run(["rm", "-f", "--", *locks], user=self.user)
            self.git(*arguments)

    def _locks(self) -> list[str]:
        """The locks that moving the checkout needs and that exist."""
        directory = self.git_directory()
        return [path for name in ("index.lock", "HEAD.lock") if self.exists(path := f"{directory}/{name}")]

    def discard_changes(self) -> None:
        """Give tracked files the content that they have in the commit that is checked out; others are left alone."""
        self._move("reset", "--quiet", "--hard", "--no-recurse-submodules")

    def checkout(self, commit: str, *, force: bool = False) -> None:
        """Detach HEAD at commit and prove that it is there: git ends well even when it could not write some of the files."""
        how = ("checkout", "--quiet", "--detach", "--no-recurse-submodules")
        try:
            self._move(*how, "--force" if force else "--no-overwrite-ignore", commit)
        except CommandError:
            if force or not self._only_leftovers(commit):
                raise
            self._move(*how, "--force", commit)
        now = self.work_tree()
        if now.commit != commit or now.changed_files:
            missing = f", and {len(now.changed_files)} of its files are not as they should be" if now.changed_files else ""
            raise RollbackError(
                f"After the switch to {commit[:12]} {self.path} is at {now.commit[:12]}{missing}.",
                state="The checkout is not at the target.",
                next_command=f"sudo -u {self.user} git -C {self.path} status",
            )

    def export(self, commit: str, directory: str, index: str) -> None:
        """Write a commit's files into a directory without touching the checkout or its index."""
        self.git("read-tree", commit, index=index)
        self.git("checkout-index", "--all", "--force", f"--prefix={directory}/", index=index)

    def save_changes(self) -> str:
        """The local changes of tracked files as a patch that git apply takes, whatever the user's settings are."""
        plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/")
        return self.git("diff", "--binary", *plain, "HEAD").stdout

    def apply_changes(self, patch: str) -> None:
        self.git("apply", "--whitespace=nowarn", "-", stdin=patch)


def _parents(name: str) -> list[str]:
    """The folders that a file is in."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
