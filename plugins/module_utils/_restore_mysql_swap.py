# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# All tables change places in one statement. What cannot be renamed is written down first, and made again around it.
# Each step looks at what is there and does what is missing, so that the whole can be repeated from any point.

from __future__ import annotations

import contextlib
import functools
import re
import typing as t
from dataclasses import dataclass, field

from . import _restore_mysql_objects as objects
from ._database_mysql import query, quoted_name, quoted_text
from ._database_survey import global_privileges
from ._errors import RollbackError
from ._restore_mysql_objects import Definition

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials
    from ._restore_record import Record

_WAIT_FOR_LOCKS = 10
_SETTINGS = f"SET SESSION lock_wait_timeout = {_WAIT_FOR_LOCKS}, foreign_key_checks = 0, sql_mode = '';\n"
_SHOWS_NOTHING = re.compile(r"ERROR (1146|1054|1356|1305|1347)\b")  # a table, column or function that a view names does not exist
MAY_NAME_DEFINERS = {"SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER", "ALL PRIVILEGES"}


@dataclass
class Swap:
    """One exchange of databases, or of some of their tables, as the restore's record has it."""

    runner: Runner
    credentials: Credentials
    record: Record
    unmade: list[Definition] = field(default_factory=list)

    def run(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str]) -> None:
        plan = self._notes().get("swap")
        if plan is None or (plan["live"], plan["incoming"], plan["outgoing"]) != (live, incoming, outgoing):
            plan = self._plan(live, incoming, outgoing, tables)
            self._note(swap=plan)
        self._create(live, incoming, outgoing)
        self._rename(plan)
        self._make_triggers(plan)
        if not plan["tables"]:
            self._make_programs(plan)
            self._drop_empty(incoming)
        self._note(swap=None, **self._left_over(plan))

    def _plan(self, live: str, incoming: str, outgoing: str, tables: t.Sequence[str]) -> dict[str, t.Any]:
        """All that must be known to finish the swap, whatever is gone by then."""
        try:
            unmade = self._notes().get("unmade", {}).get(incoming, [])
            enabled = self._notes().get("enabled", {}).get(incoming, [])
            found = [*objects.definitions(self.runner, self.credentials, incoming), *unmade]
            plan = {
                "live": live,
                "incoming": incoming,
                "outgoing": outgoing,
                "tables": list(tables),
                "leaves": list(tables) or self.tables(live),
                "comes": list(tables) or self.tables(incoming),
                "old": objects.definitions(self.runner, self.credentials, live) if self._there(live) else [],
                "new": [objects.with_status(one, b"ENABLE") if one["name"] in enabled else one for one in found],
                "foreign_keys": self._foreign_keys(live, incoming, tables) if tables else self._without_parents(live, incoming),
                "grants": self._grants(live),
            }
            self._require_definers(plan)
        except RollbackError as error:
            error.facts["untouched"] = True
            raise
        return plan

    def _require_definers(self, plan: dict[str, t.Any]) -> None:
        rows = self._ask("SELECT CURRENT_USER();\nSHOW GRANTS;")
        me = rows[0][0]
        others = objects.definers([*plan["old"], *plan["new"]]) - {me}
        if others and not global_privileges(row[0] for row in rows[1:]) & MAY_NAME_DEFINERS:
            raise RollbackError(
                f"Views, triggers or programs run with the rights of {', '.join(sorted(others))}, and {me} may not make such:"
                " it lacks the privilege SET USER (or SUPER).",
                next_command=f"GRANT SET USER ON *.* TO {me}, or use login_user",
            )

    def tables(self, database: str) -> list[str]:
        sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {quoted_text(database)} AND table_type <> 'VIEW'"
        return sorted(name for (name,) in self._ask(sql))

    def _create(self, live: str, incoming: str, outgoing: str) -> None:
        """The database for what goes away; and live itself, should it have been lost."""
        names = ", ".join(quoted_text(name) for name in (live, incoming))
        sql = (
            "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
            f" WHERE schema_name IN ({names})"
        )
        found = {name: f"CHARACTER SET {charset} COLLATE {collation}" for name, charset, collation in self._ask(sql)}
        like = found.get(live) or found[incoming]
        self._do("".join(f"CREATE DATABASE IF NOT EXISTS {quoted_name(name)} {like};\n" for name in (live, outgoing)))

    def _rename(self, plan: dict[str, t.Any]) -> None:
        """The swap itself: before this statement live is the old database, after it the new one."""
        live, incoming, outgoing = (plan[name] for name in ("live", "incoming", "outgoing"))
        if self._renamed(plan):
            return
        here = set(self.tables(live))
        leaves = set(plan["leaves"]) & here if plan["tables"] else here  # what was made since the plan belongs to the old database too
        moves = [_move(table, live, outgoing) for table in sorted(leaves)] + [_move(table, incoming, live) for table in plan["comes"]]
        if not moves:
            return
        try:
            self._do(self._cleared(plan) + f"RENAME TABLE {', '.join(moves)};")
        except RollbackError as error:
            self._put_back(plan, error)
            raise

    def _renamed(self, plan: dict[str, t.Any]) -> bool:
        """Whether the one statement came about. Only one side can tell: an empty backup brings no table, and a live database without any loses none."""
        if plan["comes"]:
            return not set(plan["comes"]) & set(self.tables(plan["incoming"]))
        return bool(set(plan["leaves"]) & set(self.tables(plan["outgoing"])))

    def _cleared(self, plan: dict[str, t.Any]) -> str:
        """Statements that take away what stands in the way of the rename."""
        names = ("live", "old"), ("incoming", "new")
        sql = [objects.dropped(one, plan[where]) for where, what in names for one in _triggers(plan, what)]
        sql += [
            f"ALTER TABLE {quoted_name(plan[where])}.{quoted_name(table)} DROP FOREIGN KEY IF EXISTS {quoted_name(name)};\n"
            for where in ("live", "incoming")
            for table, name, *_more in plan["foreign_keys"].get(f"{where}_drops", [])
        ]
        return "".join(sql)

    def _put_back(self, plan: dict[str, t.Any], error: RollbackError) -> None:
        """When the rename did not come about, give the old database its triggers back; the failure then touched nothing."""
        with contextlib.suppress(RollbackError):
            if not self._renamed(plan) and set(plan["leaves"]) <= set(self.tables(plan["live"])):
                for where, what in (("live", "old"), ("incoming", "new")):
                    self._make(plan[where], _triggers(plan, what))
                    self._add_foreign_keys(plan[where], plan["foreign_keys"].get(f"{where}_drops", []))
                self._drop_empty(plan["outgoing"])
                self._note(swap=None)
                error.facts["untouched"] = True

    def _make_triggers(self, plan: dict[str, t.Any]) -> None:
        self._make(plan["live"], _triggers(plan, "new"))
        self._make(plan["outgoing"], _triggers(plan, "old"))
        self._add_foreign_keys(plan["live"], plan["foreign_keys"].get("live_adds", []))
        self._add_foreign_keys(plan["outgoing"], plan["foreign_keys"].get("outgoing_adds", []))

    def _make_programs(self, plan: dict[str, t.Any]) -> None:
        """Views, routines and events: those that are the same in both databases stay as they are."""
        old, new = (_programs(plan[name]) for name in ("old", "new"))
        known = {(one["kind"], one["name"]): one for one in old}
        wanted = {(one["kind"], one["name"]) for one in new}
        self._do("".join(objects.dropped(one, plan["live"]) for one in old if (one["kind"], one["name"]) not in wanted))
        self._make(plan["live"], [one for one in new if not objects.same(one, known.get((one["kind"], one["name"])))])
        self.unmade = self._make(plan["outgoing"], [objects.with_status(one, b"DISABLE") for one in old])
        for kind, name, *whom in [*plan.get("grants", []), *self._notes().get("grants", {}).get(plan["incoming"], [])]:
            if (kind, name) in wanted:
                with contextlib.suppress(RollbackError):  # an account may be gone, and to stop in the middle of a swap would be worse
                    self._do(_granted(plan["live"], kind, name, *whom))

    def _grants(self, database: str) -> list[list[str]]:
        """Who may call which routine, where this login may see that: these privileges end when a routine is dropped."""
        with contextlib.suppress(RollbackError):
            return self._ask(
                f"SELECT routine_type, routine_name, user, host, proc_priv FROM mysql.procs_priv WHERE db = {quoted_text(database)}"
            )
        return []

    def _make(self, database: str, wanted: t.Sequence[Definition]) -> list[Definition]:
        """Make objects, views after what they show; returns views that showed nothing valid before and cannot be made."""
        rest = [one for one in wanted if one["kind"] == "VIEW"]
        self._do(self._scripts([one for one in wanted if one["kind"] != "VIEW"]), database)
        while rest:
            failed: list[tuple[Definition, RollbackError]] = []
            for one in rest:
                try:
                    self._do(self._scripts([one]), database)
                except RollbackError as problem:
                    failed.append((one, problem))
            if len(failed) == len(rest):
                serious = [reason for _one, reason in failed if not _SHOWS_NOTHING.search(reason.message)]
                if serious:
                    raise serious[0]
                break
            rest = [one for one, _reason in failed]
        return rest

    def _scripts(self, wanted: t.Iterable[Definition]) -> str:
        return "".join(objects.script(one, replaces=self._mariadb) for one in wanted)

    @functools.cached_property
    def _mariadb(self) -> bool:
        return "MariaDB" in self._ask("SELECT VERSION()")[0][0]

    def _left_over(self, plan: dict[str, t.Any]) -> dict[str, t.Any]:
        """What a later swap must know about the database that is not live any more."""
        outgoing = plan["outgoing"]
        return {
            "enabled": {outgoing: [one["name"] for one in plan["old"] if objects.enabled(one)]},
            "unmade": {outgoing: self.unmade},
            "foreign_keys": {outgoing: plan["foreign_keys"].get("leaving", [])},
            "grants": {outgoing: plan.get("grants", [])},
        }

    def _foreign_keys(self, live: str, incoming: str, tables: t.Sequence[str]) -> dict[str, list[t.Any]]:
        """The foreign keys between tables that are swapped and those that stay: they would follow the tables that go away."""
        chosen = set(tables)
        here, there = (objects.foreign_keys(self.runner, self.credentials, name) for name in (live, incoming))
        stay = [key for key in here if key.table not in chosen and key.parent in chosen]
        leaving = [key for key in here if key.table in chosen and key.parent not in chosen]
        coming = [key for key in there if key.table in chosen and key.parent not in chosen]
        cut = [key for key in there if key.table not in chosen and key.parent in chosen]
        kept = self._notes().get("foreign_keys", {}).get(incoming, [])
        return {"live_drops": stay + leaving, "incoming_drops": coming + cut, "live_adds": [*stay, *coming, *kept], "leaving": leaving}

    def _without_parents(self, live: str, incoming: str) -> dict[str, list[t.Any]]:
        """The foreign keys that refer to a table which is not there: they would take the other database's for it, and follow that ever after."""
        lost: dict[str, list[t.Any]] = {live: [], incoming: []}
        for name in self._with_lost_parents(live, incoming):
            here = set(self.tables(name))
            lost[name] = [key for key in objects.foreign_keys(self.runner, self.credentials, name) if key.parent not in here]
        return {"live_drops": lost[live], "incoming_drops": lost[incoming], "live_adds": lost[incoming], "outgoing_adds": lost[live]}

    def _with_lost_parents(self, *databases: str) -> set[str]:
        """Of these databases those that have such keys; one question, since hardly any has and users wait."""
        names = ", ".join(quoted_text(name) for name in databases)
        rows = self._ask(
            f"SELECT 'table', table_schema, table_name FROM information_schema.tables WHERE table_schema IN ({names}) AND table_type <> 'VIEW';\n"
            "SELECT DISTINCT 'parent', table_schema, referenced_table_name FROM information_schema.key_column_usage"
            f" WHERE table_schema IN ({names}) AND referenced_table_schema = table_schema;"
        )
        tables = {(database, name) for kind, database, name in rows if kind == "table"}
        return {database for kind, database, name in rows if kind == "parent" and (database, name) not in tables}

    def _add_foreign_keys(self, database: str, keys: t.Iterable[t.Sequence[str]]) -> None:
        known = [objects.ForeignKey(*key) for key in keys]
        sql = ""
        for key in known:
            table = quoted_name(key.table)
            sql += f"ALTER TABLE {table} DROP FOREIGN KEY IF EXISTS {quoted_name(key.name)};\nALTER TABLE {table} ADD {key.declared};\n"
        self._do(sql, database)
        texts = {key.table: key.text for key in known}
        now = objects.created(self.runner, self.credentials, database, sorted(texts))
        changes = [
            (quoted_name(table), *names) for table, text in sorted(now.items()) for names in objects.renamed_keys(texts[table], text)
        ]
        self._do("".join(f"ALTER TABLE {table} RENAME KEY {new} TO {old};\n" for table, new, old in changes), database)

    def _drop_empty(self, database: str) -> None:
        """Remove what is left of a database whose tables have all moved away."""
        if self._there(database) and not self.tables(database):
            self._do(f"DROP DATABASE {quoted_name(database)};")

    def _there(self, database: str) -> bool:
        return self._ask(f"SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = {quoted_text(database)}") == [["1"]]

    def _ask(self, sql: str) -> list[list[str]]:
        return query(self.runner, self.credentials.with_database(""), sql)

    def _do(self, sql: str, database: str = "") -> None:
        if sql:
            query(self.runner, self.credentials.with_database(database), _SETTINGS + sql, timeout=600, exactly=True)

    def _notes(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.record.facts.get("notes") or {})

    def _note(self, **facts: t.Any) -> None:
        self.record.write(notes={**self._notes(), **facts})


def _move(table: str, source: str, target: str) -> str:
    return f"{quoted_name(source)}.{quoted_name(table)} TO {quoted_name(target)}.{quoted_name(table)}"


def _granted(database: str, kind: str, name: str, user: str, host: str, privileges: str) -> str:
    """The statement that gives an account its privileges on a routine again; a role has no host."""
    given = [privilege for privilege in privileges.split(",") if privilege != "Grant"]
    account = f"{quoted_name(user)}@{quoted_name(host)}" if host else quoted_name(user)
    option = " WITH GRANT OPTION" if "Grant" in privileges.split(",") else ""
    return f"GRANT {', '.join(given) or 'USAGE'} ON {kind} {quoted_name(database)}.{quoted_name(name)} TO {account}{option};\n"


def _triggers(plan: dict[str, t.Any], what: str) -> list[Definition]:
    chosen = plan["tables"]
    return [one for one in plan[what] if one["kind"] == "TRIGGER" and (not chosen or one["table"] in chosen)]


def _programs(found: t.Iterable[Definition]) -> list[Definition]:
    return [one for one in found if one["kind"] != "TRIGGER"]
