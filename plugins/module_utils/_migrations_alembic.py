# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# Alembic: which revisions the code knows, what they do, and how one goes down.

from __future__ import annotations

import ast
import re
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner

_REVISION = re.compile(r"^Rev: (?P<name>\S+).*?^Path: (?P<path>[^\n]+)$", re.MULTILINE | re.DOTALL)
_DESTRUCTIVE = re.compile(r"\bdrop_(?:table|column)\b|\bDROP\s+(?:TABLE|COLUMN|SCHEMA|TYPE|VIEW|SEQUENCE)\b|\b(?:TRUNCATE|DELETE)\b", re.I)
_LONGEST = 900


@dataclass(frozen=True)
class Revision:
    """A migration of Alembic: what it comes after, whether it can go down, and what going up makes and takes away."""

    name: str
    parents: tuple[str, ...]
    reversible: bool
    destructive: bool
    made: tuple[str, ...]
    taken: tuple[str, ...]

    def as_dict(self) -> dict[str, t.Any]:
        return {"name": self.name, "reversible": self.reversible, "destructive": self.destructive}


@dataclass
class Alembic:
    """The tool, run by the application's user in its directory."""

    runner: Runner
    program: str
    path: str
    configuration: str
    user: str

    def run(self, *words: str) -> str:
        argv = ["env", f"--chdir={self.path}", self.program, "-c", self.configuration, *words]
        return self.runner.run(argv, user=self.user, timeout=_LONGEST).stdout

    def revisions(self) -> dict[str, Revision]:
        """What the code knows; read from the files that Alembic names."""
        paths = {found["name"]: found["path"] for found in _REVISION.finditer(self.run("history", "--verbose"))}
        known = {}
        for name, path in paths.items():
            known[name] = described(name, self.runner.run(["cat", "--", path], user=self.user, timeout=20).stdout)
        return known


def described(name: str, text: str) -> Revision:
    """A revision by its file, which is read and not run."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise RollbackError(f"The file of the revision {name} is no valid Python: {error.msg} in line {error.lineno}.") from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    down, up = functions.get("downgrade"), functions.get("upgrade")
    made, taken = _changes(up) if up else ([], [])
    return Revision(
        name,
        parents=(*_named(tree, "down_revision"), *_named(tree, "depends_on")),
        reversible=down is not None and _does_something(down),
        destructive=down is not None and any(_DESTRUCTIVE.search(word) for word in _words(down)),
        made=tuple(made),
        taken=tuple(taken),
    )


def closure(known: t.Mapping[str, Revision], names: t.Iterable[str]) -> set[str]:
    """The revisions and all that they come after."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise RollbackError(
                f"The code does not know the revision {name}.",
                next_command="go on with the code that knows it: that of the version that applied it",
            )
        if name not in found:
            found.add(name)
            waiting += known[name].parents
    return found


def youngest_first(known: t.Mapping[str, Revision], names: t.Collection[str]) -> list[str]:
    """In an order in which they can go down: none before what comes after it."""
    left, ordered = set(names), []
    while left:
        free = sorted(name for name in left if not any(name in known[other].parents for other in left))
        ordered += free
        left -= set(free)
    return ordered


def half_done(known: t.Mapping[str, Revision], applied: t.Collection[str], schema: t.Collection[str]) -> list[dict[str, t.Any]]:
    """Revisions at the edge of what is applied, of whose work a part is there and a part is not."""
    found = []
    for revision in known.values():
        pending = revision.name not in applied and all(parent in applied for parent in revision.parents)
        last = revision.name in applied and not any(revision.name in known[name].parents for name in applied)
        done = [one for one in revision.made if one in schema] + [f"without {one}" for one in revision.taken if one not in schema]
        open_ = [one for one in revision.made if one not in schema] + [one for one in revision.taken if one in schema]
        if (pending and done) or (last and open_):
            found.append({"name": revision.name, "recorded": revision.name in applied, "done": done, "not_done": open_})
    return found


def _named(tree: ast.Module, variable: str) -> list[str]:
    """The texts that a variable of the file is given: one, several or none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            return [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant) and isinstance(one.value, str)]  # type: ignore[attr-defined]
    return []


def _does_something(function: ast.FunctionDef) -> bool:
    """Whether its first statement is more than nothing, a return or a refusal."""
    for node in function.body:
        if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        return not isinstance(node, (ast.Raise, ast.Return))
    return False


def _words(function: ast.FunctionDef) -> t.Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _changes(up: ast.FunctionDef) -> tuple[list[str], list[str]]:
    """The tables and columns that a function says, in plain words, to make and to take away."""
    made: list[str] = []
    taken: list[str] = []
    if {"rename_table", "new_column_name"} & {getattr(node, "attr", getattr(node, "arg", None)) for node in ast.walk(up)}:
        return made, taken
    batches = _batches(up)
    for node in ast.walk(up):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)):
            continue
        table = batches.get(node.func.value.id)
        words = ([table] if table else []) + [_text(argument) for argument in node.args]
        target = {"create_table": made, "add_column": made, "drop_table": taken, "drop_column": taken}.get(node.func.attr)
        wanted = 2 if node.func.attr.endswith("column") else 1
        if target is not None and len(words) >= wanted and all(words[:wanted]):
            target.append(".".join(t.cast("list[str]", words[:wanted])))
    return [one for one in made if one not in taken], [one for one in taken if one not in made]


def _batches(function: ast.FunctionDef) -> dict[str, str | None]:
    """The names under which batch_alter_table gives tables to a block."""
    found = {}
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With) else []:
            call, name = item.context_expr, item.optional_vars
            if isinstance(call, ast.Call) and isinstance(name, ast.Name) and call.args:
                found[name.id] = _text(call.args[0])
    return found


def _text(node: ast.expr) -> str | None:
    """A text, or the name of a column that is being described."""
    if isinstance(node, ast.Call) and node.args:
        return _text(node.args[0])
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
