# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server and its programs that play back a transcript; the files are real."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.lastgood.rollback.plugins.module_utils import _command
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from scripted import Scripted

ENVIRONMENT = "DB_CONNECTION=pgsql\nDB_DATABASE=shop\nDB_USERNAME=shop\nDB_PASSWORD=pa:ss\n"
DATABASE = {"datcollate": "C.UTF-8", "datctype": "C.UTF-8", "datlocprovider": "c", "datconnlimit": -1, "datacl": ["x"]}
SURVEY = (
    "server,17.2,170002,5000\n"
    f'database,"{json.dumps(DATABASE).replace(chr(34), chr(34) * 2)}",shop,UTF8,NULL,pg_default\n'
    'grant,"",CONNECT,f\ngrant,reader,CREATE,t\n'
    'setting,,"search_path=public, ""Odd, one"""\nsetting,reader,statement_timeout=5s\n'
    "role,reader\nrole,shop\nextension,hstore,1.8\n"
    "table,public,users,3000\ntable,public,migrations,600\ntable,audit,a.b,0\n"
    "views,2\ntriggers,1\nroutines,0\nlarge_objects,0\nnot_valid,old on users\n"
)
SERVER = (
    "server,170002,t,t\nrole,shop,t\nrole,reader,t\nextension,hstore\ntablespace,pg_default,\n"
    "database,shop,t\ndatabase,postgres,t\ndirectory,/nowhere\n"
)
CONTENTS = (
    ";\n; Archive created\n;\n12; 1259 16390 TABLE public users shop\n3340; 0 16390 TABLE DATA public users shop\n"
    "3341; 0 16391 TABLE DATA public migrations shop\n3342; 0 16392 TABLE DATA audit a.b shop\n"
    "3350; 0 0 SEQUENCE SET public users_id_seq shop\n3360; 2606 16400 CONSTRAINT public users users_pkey shop\n"
)
COUNTS = "0,2\n1,1\n2,0\n"


@dataclass
class Server(Scripted):
    """Answers what is asked by psql, at once or in a session, and hands on a given archive."""

    survey: str = SURVEY
    server: str = SERVER
    databases: list[str] = field(default_factory=lambda: ["postgres", "shop"])
    complaint: str = ""
    failures: dict[str, Completed] = field(default_factory=dict)
    pipelines: list[list[list[str]]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    contents: str = CONTENTS
    lists: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.on("cat -- *.env", ENVIRONMENT)
        self.on("pg_dump --version", "pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)\n")
        self.on("pg_restore --version", "pg_restore (PostgreSQL) 17.2\n")
        self.on("psql *", lambda: self.answer(self.calls[-1].stdin or ""))  # type: ignore[arg-type] # on() takes callables too

    def answer(self, sql: str) -> str:
        self.said.append(sql)
        if "pg_export_snapshot" in sql:
            return "00000003-1\n"
        if "to_jsonb" in sql:
            return self.survey
        if "COUNT(*) FROM ONLY" in sql:
            return COUNTS
        if "SELECT migration" in sql:
            return "2026_01_01_create_users\n"
        if "pg_has_role" in sql:
            return self.server
        for known, rows in self.rows.items():
            if known in sql:
                return rows
        return "".join(f"{name}\n" for name in self.databases) if sql == "SELECT datname FROM pg_database" else ""

    def converse(self, argv: t.Sequence[str]) -> Talk:
        return Talk(self)

    def pipeline(
        self, stages: t.Sequence[t.Sequence[str]], *, output: int, watch=None, watched=0, source=None, timeout=None, satisfied=False
    ) -> None:
        self.pipelines.append([list(stage) for stage in stages])
        self.lists += [pathlib.Path(word[11:]).read_text() for word in stages[-1] if word.startswith("--use-list=")]
        for stage in stages:
            for word in stage:
                if "passfile=" in word:
                    with open(word.partition("passfile='")[2].partition("'")[0]) as file:
                        self.logins.append(file.read())
        if watch is not None:
            watch(b"archive")
        os.write(output, self.contents.encode() if "--list" in stages[-1] else b"archive")
        for program, done in self.failures.items():
            if any(program in " ".join(stage[:3]) for stage in stages) and ("--list" in program or "--list" not in stages[-1]):
                raise _command._failure(done, None)


@dataclass
class Talk:
    """A session."""

    server: Server
    told: list[str] = field(default_factory=list)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    @property
    def complaint(self) -> str:
        return self.server.complaint

    def tell(self, text: str) -> None:
        self.told.append(text)

    def hear(self, last: str, timeout: float) -> str | None:
        text = self.told.pop(0)
        assert f"\\echo {last}\n" in text
        return None if self.server.complaint else self.server.answer(text.partition("\n;\n")[0])
