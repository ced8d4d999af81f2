# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of Alembic and of other tools; Alembic itself is real in the integration test."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from local_runner import Local

requirement = pytest.mark.requirement

FILE = """
from alembic import op
import sqlalchemy as sa
revision: str = {name!r}
down_revision: "str | None" = {parent!r}

def upgrade() -> None:
    {up}

def downgrade() -> None:
    {down}
"""
UPS = {
    "aaa": 'op.create_table("users", sa.Column("id", sa.Integer()))',
    "bbb": 'op.add_column("users", sa.Column("nick", sa.String(9)))\n    op.add_column("users", sa.Column("age", sa.Integer()))',
    "ccc": 'with op.batch_alter_table("users") as batch:\n        batch.add_column(sa.Column("zip", sa.Integer()))',
    "ddd": 'op.create_table("later", sa.Column("id", sa.Integer()))',
}
DOWNS = {
    "aaa": 'op.drop_table("users")',
    "bbb": 'op.drop_column("users", "nick")\n    op.drop_column("users", "age")',
    "ccc": 'op.execute("ALTER TABLE users DROP COLUMN zip")',
    "ddd": 'op.drop_index("by_name")',
}


class Project:
    """Four revisions one after the other, the last of which is not applied; an Alembic that moves the version, and a database."""

    def __init__(self, local: Local, path: pathlib.Path) -> None:
        self.path = path
        self.heads = ["ccc"]
        self.columns = ["users.id", "users.nick", "users.age", "users.zip"]
        self.downgrades: list[str] = []
        self.effect: t.Callable[[str], tuple[int, str, str]] = self.succeed
        self.texts = {name: FILE.format(name=name, parent=parent, up=UPS[name], down=DOWNS[name]) for name, parent in self.parents.items()}
        path.joinpath(".env").write_text("DATABASE_URL=mysql+pymysql://chom:secret@db/chom\n")
        local.present |= {"mariadb", "alembic"}
        local.when("mariadb *", self._query)
        local.when(f"env --chdir={path} alembic -c alembic.ini history --verbose", self._history)
        local.when(f"env --chdir={path} alembic -c alembic.ini downgrade *", lambda argv, _stdin: self.effect(argv[-1]))

    parents: t.ClassVar[dict[str, str | None]] = {"aaa": None, "bbb": "aaa", "ccc": "bbb", "ddd": "ccc"}

    def _query(self, _argv: tuple[str, ...], sql: str | None) -> tuple[int, str, str]:
        if "information_schema" in (sql or ""):
            return 0, "".join(f"{name.replace('.', chr(9))}\tint\n" for name in self.columns), ""
        assert sql == "SELECT version_num FROM `alembic_version`"
        return 0, "".join(f"{name}\n" for name in self.heads), ""

    def _history(self, _argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        told = []
        for name, text in self.texts.items():
            file = self.path / f"{name}_x.py"
            file.write_text(text)
            told.append(f"Rev: {name} (head)\nParent: <base>\nPath: {file}\n\n    message\n    \n    Revision ID: {name}\n")
        return 0, "\n".join(told), ""

    def succeed(self, to: str) -> tuple[int, str, str]:
        self.downgrades.append(to)
        gone = {"bbb": {"users.zip"}, "aaa": {"users.nick", "users.age"}, "base": {"users.id"}}[to]
        self.columns = [name for name in self.columns if name not in gone]
        self.heads = [] if to == "base" else [to]
        return 0, "", "INFO Running downgrade"


@pytest.fixture
def project(local: Local, tmp_path: pathlib.Path) -> Project:
    return Project(local, tmp_path)


Migrate = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def migrate(run_module: t.Any, tmp_path: pathlib.Path) -> Migrate:
    def call(check: bool = False, framework: str = "alembic", **options: t.Any) -> dict[str, t.Any]:
        args = {"path": str(tmp_path), "framework": framework, **options}
        return t.cast("dict[str, t.Any]", run_module("db_migration", args, check=check, diff=True))

    return call


def test_goes_down_to_the_target_one_at_a_time(project: Project, migrate: Migrate) -> None:
    forecast = migrate(target="aaa", check=True)
    assert (forecast["changed"], forecast["down"], project.downgrades) == (True, ["ccc", "bbb"], [])
    assert forecast["delta"] == [
        {"name": "ccc", "reversible": True, "destructive": True},
        {"name": "bbb", "reversible": True, "destructive": True},
    ]
    result = migrate(target="aaa")
    assert (result["changed"], result["down"]) == (True, ["ccc", "bbb"])
    assert project.downgrades == ["bbb", "aaa"]
    assert result["diff"] == {"before": "ccc\nbbb\naaa\n", "after": "aaa\n"}
    assert not migrate(target="aaa")["changed"]
    assert migrate(target="base")["down"] == ["aaa"]
    assert not migrate(names=["bbb"])["changed"]


def test_a_revision_below_one_that_stays_is_refused(project: Project, migrate: Migrate) -> None:
    result = migrate(names=["bbb"])
    assert result["failed"]
    assert "bbb cannot go down alone: ccc would go down with it" in result["msg"]
    assert result["schema_unchanged"]
    assert project.downgrades == []


@pytest.mark.parametrize(
    "down", ["pass", '"""Nothing."""', "raise NotImplementedError", "return", "pass\n    return None", "..."], ids=lambda text: text[:8]
)
def test_a_downgrade_that_does_nothing_is_none(project: Project, migrate: Migrate, down: str) -> None:
    project.texts["ccc"] = FILE.format(name="ccc", parent="bbb", up="op.execute('x')", down=down)
    result = migrate(target="bbb")
    assert result["failed"]
    assert "ccc cannot go down: its downgrade does nothing" in result["msg"]
    assert result["delta"] == [{"name": "ccc", "reversible": False, "destructive": False}]


def test_the_code_has_to_know_what_is_applied(project: Project, migrate: Migrate) -> None:
    project.heads = ["zzz"]
    result = migrate(target="aaa")
    assert "The code does not know the revision zzz" in result["msg"]
    assert "that of the version that applied it" in result["next_command"]


def test_success_is_what_the_version_table_says(project: Project, migrate: Migrate) -> None:
    project.effect = lambda _to: (0, "", "")
    assert "still recorded as applied" in migrate(target="bbb")["msg"]
    project.effect = lambda _to: project.succeed("aaa")
    assert "the record of others changed with it: bbb" in migrate(target="bbb")["msg"]


def stop_in_the_middle(project: Project) -> tuple[int, str, str]:
    project.columns.remove("users.nick")
    return 1, "", "Can't DROP COLUMN `age`"


def test_a_downgrade_that_stops_in_the_middle_is_named_with_the_ways_on(project: Project, migrate: Migrate) -> None:
    project.succeed("bbb")
    project.effect = lambda _to: stop_in_the_middle(project)
    result = migrate(target="aaa")
    assert result["partial"] == {"name": "bbb", "changed": ["gone: users.nick"]}
    assert all(way in result["next_command"] for way in ("complete it", "reverse it", "restore"))
    again = migrate(target="aaa")  # what was left is recognised when it is looked at again
    assert again["partial"] == {"name": "bbb", "recorded": True, "done": ["users.age"], "not_done": ["users.nick"]}
    assert again["schema_unchanged"]


def test_an_upgrade_that_stopped_in_the_middle_is_recognised(project: Project, migrate: Migrate) -> None:
    project.texts["ddd"] = FILE.format(
        name="ddd", parent="ccc", up=UPS["ddd"] + '\n    op.drop_column("users", "nick")', down='op.drop_table("later")'
    )
    project.columns.append("later.id")
    result = migrate(target="bbb")
    assert "The migration ddd is there in part, and not recorded as applied. Done: later. Not done: users.nick." in result["msg"]
    assert all(way in result["next_command"] for way in ("complete it", "reverse it", "restore"))
    assert project.downgrades == []


def test_several_that_come_together_are_not_taken_apart(project: Project, migrate: Migrate) -> None:
    project.texts["ddd"] = FILE.format(name="ddd", parent=("bbb", "ccc"), up="pass", down="op.execute('x')")
    project.heads = ["ddd"]
    assert "which Alembic does not take apart" in migrate(names=["ddd"])["msg"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "--sql"}, "is not the name of a migration"),
        ({}, "Neither names nor target"),
        ({"names": ["aaa"], "state": "up"}, "can only be taken down"),
        ({"names": ["aaa"], "target": "bbb"}, "mutually exclusive"),
        ({"target": "nobody"}, "The code does not know the revision nobody"),
        ({"framework": "laravel"}, "names"),
        ({"framework": "command", "names": ["x"]}, "commands"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_unclear_is_refused(project: Project, migrate: Migrate, options: dict[str, t.Any], expected: str) -> None:
    result = migrate(**options)
    assert result["failed"]
    assert expected in result["msg"]
    assert project.downgrades == []


def test_a_file_that_is_no_python_and_sqlite_are_named(project: Project, migrate: Migrate, tmp_path: pathlib.Path) -> None:
    project.texts["bbb"] = "def broken("
    assert "The file of the revision bbb is no valid Python" in migrate(target="aaa")["msg"]
    tmp_path.joinpath(".env").write_text("DB_CONNECTION=sqlite\nDB_DATABASE=/srv/x\n")
    assert "SQLite" in migrate(target="aaa")["msg"]


# Another tool


class Other:
    def __init__(self, local: Local, project: Project) -> None:
        self.applied = ["one", "two", "three"]
        self.said: list[str] = []
        self.problems = ""
        local.present |= {"tool"}
        prefix = f"env --chdir={project.path} tool"
        local.when(f"{prefix} status", lambda _argv, _stdin: (0, "\n".join(self.applied) + "\n", ""))
        local.when(f"{prefix} audit", lambda _argv, _stdin: (0, self.problems, ""))
        local.when(f"{prefix} down *", self._down)
        self.options = {"status": ["tool", "status"], "down": ["tool", "down", "{to}", "{name}"], "audit": ["tool", "audit"]}

    def _down(self, argv: tuple[str, ...], _stdin: str | None) -> tuple[int, str, str]:
        self.said.append(" ".join(argv[-2:]))
        self.applied.remove(argv[-1])
        return 0, "", ""


@pytest.fixture
def other(local: Local, project: Project) -> Other:
    return Other(local, project)


def test_other_tools_are_told_where_to_go(other: Other, migrate: Migrate) -> None:
    assert migrate(framework="command", commands=other.options, target="one", check=True)["down"] == ["three", "two"]
    result = migrate(framework="command", commands=other.options, target="one")
    assert result["delta"][0] == {"name": "three", "reversible": None, "destructive": None}
    assert other.said == ["two three", "one two"]
    assert migrate(framework="command", commands=other.options, names=["one"])["down"] == ["one"]
    assert other.said[-1] == "base one"


def test_other_tools_refuse_gaps_problems_and_unknown_targets(other: Other, migrate: Migrate) -> None:
    assert "two cannot go down alone: three" in migrate(framework="command", commands=other.options, names=["two"])["msg"]
    assert "The migration nine is not applied" in migrate(framework="command", commands=other.options, target="nine")["msg"]
    other.problems = "users.nick is missing\n"
    assert (
        "The audit of the schema found: users.nick is missing" in migrate(framework="command", commands=other.options, target="one")["msg"]
    )
    assert other.said == []
