# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# What a database of PostgreSQL holds, and what of it no dump of a database has: its own settings and the roles that it needs.

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ._database_postgresql import quoted_name

Query = t.Callable[[str], "list[list[str]]"]

_OURS = """n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = {catalog}::regclass AND e.objid = {alias}.oid)"""
CLASSES = _OURS.format(catalog="'pg_class'", alias="c")
_SURVEY = f"""
SELECT 'server', current_setting('server_version'), current_setting('server_version_num'), pg_database_size(current_database());
SELECT 'database', to_jsonb(d), pg_get_userbyid(datdba), pg_encoding_to_char(encoding), shobj_description(d.oid, 'pg_database'),
  (SELECT spcname FROM pg_tablespace s WHERE s.oid = d.dattablespace)
  FROM pg_database d WHERE datname = current_database();
SELECT 'grant', COALESCE(r.rolname, ''), a.privilege, a.grantable FROM pg_database d
  CROSS JOIN LATERAL aclexplode(datacl) WITH ORDINALITY AS a (grantor, grantee, privilege, grantable, place)
  LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE datname = current_database() ORDER BY a.place;
SELECT 'setting', COALESCE(r.rolname, ''), u.setting FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles r ON r.oid = s.setrole CROSS JOIN LATERAL unnest(setconfig) WITH ORDINALITY AS u(setting, place)
  WHERE datname = current_database() ORDER BY 2, place;
SELECT 'role', r.rolname FROM pg_roles r WHERE r.oid IN (
  SELECT refobjid FROM pg_shdepend s JOIN pg_database d ON datname = current_database()
    WHERE refclassid = 'pg_authid'::regclass AND (s.dbid = d.oid OR s.dbid = 0 AND s.objid = d.oid AND s.classid = 'pg_database'::regclass)
  UNION SELECT relowner FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE {CLASSES}
  UNION SELECT datdba FROM pg_database WHERE datname = current_database()
  UNION SELECT setrole FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database())
  ORDER BY 2;
SELECT 'extension', extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 2;
SELECT 'table', nspname, relname, pg_table_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND relpersistence <> 't' AND {CLASSES} ORDER BY 2, 3;
SELECT CASE relkind WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized_views' WHEN 'S' THEN 'sequences' WHEN 'p' THEN 'partitioned_tables'
    WHEN 'i' THEN 'indexes' ELSE 'foreign_tables' END, COUNT(*)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
  WHERE relkind IN ('v', 'm', 'S', 'p', 'i', 'f') AND relpersistence <> 't' AND COALESCE(indisvalid, true) AND {CLASSES}
  GROUP BY relkind;
SELECT 'triggers', COUNT(*) FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0;
SELECT 'routines', COUNT(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
  WHERE {_OURS.format(catalog="'pg_proc'", alias="p")};
SELECT 'constraints', COUNT(*) FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace
  WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND {_OURS.format(catalog="'pg_constraint'", alias="o")};
SELECT 'policies', COUNT(*) FROM pg_policy;
SELECT 'large_objects', COUNT(*) FROM pg_largeobject_metadata;
SELECT 'not_valid', format('%s on %s', conname, conrelid::regclass) FROM pg_constraint WHERE NOT convalidated
  UNION ALL SELECT 'not_valid', format('index %s', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid ORDER BY 2;
"""
_KINDS = (
    "views",
    "materialized_views",
    "partitioned_tables",
    "foreign_tables",
    "sequences",
    "indexes",
    "constraints",
    "triggers",
    "routines",
    "policies",
    "large_objects",
)
_OWN_TABLESPACE = "pg_default"  # where a database is without being asked; to name it takes a right that who makes databases lacks
_LISTS = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+?))\s*(?:,|$)')


@dataclass
class Survey:
    """What the server tells about a database."""

    server_version: str = ""
    server_number: int = 0
    database: dict[str, t.Any] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    extensions: dict[str, str] = field(default_factory=dict)
    tables: dict[str, tuple[str, str]] = field(default_factory=dict)
    data_bytes: int = 0  # without indexes, which are not dumped
    database_bytes: int = 0
    objects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KINDS, 0))
    not_valid: list[str] = field(default_factory=list)

    def counting(self) -> str:
        """One statement that counts the rows of every table, in this order."""
        return " UNION ALL ".join(
            f"SELECT {place}, COUNT(*) FROM ONLY {quoted_name(schema)}.{quoted_name(name)}"
            for place, (schema, name) in enumerate(self.tables.values())
        )

    def counted(self, rows: list[list[str]]) -> dict[str, int]:
        numbers = {int(place): int(number) for place, number in rows}
        return {table: numbers[place] for place, table in enumerate(self.tables)}


def survey(query: Query) -> Survey:
    found = Survey()
    for kind, *values in query(_SURVEY):
        if kind == "server":
            found.server_version, found.server_number, found.database_bytes = values[0], int(values[1]), int(values[2])
        elif kind == "database":
            found.database = _database(*values)
        elif kind == "grant":
            found.database["grants"] += [{"role": values[0], "privilege": values[1], "grantable": values[2] == "t"}]
        elif kind == "setting":
            name, _equals, value = values[1].partition("=")
            found.database["settings"] += [{"role": values[0], "name": name, "value": value}]
        elif kind == "role":
            found.roles.append(values[0])
        elif kind == "extension":
            found.extensions[values[0]] = values[1]
        elif kind == "table":
            found.tables[table_name(values[0], values[1])] = (values[0], values[1])
            found.data_bytes += int(values[2])
        elif kind == "not_valid":
            found.not_valid.append(values[0])
        else:
            found.objects[kind] = int(values[0])
    return found


def table_name(schema: str, name: str) -> str:
    """How a table is called in manifests: with its schema unless that is public, and with quotes where dots would mislead."""
    parts = [name] if schema == "public" else [schema, name]
    return ".".join(quoted_name(part) if "." in part or '"' in part else part for part in parts)


def _database(row: str, owner: str, encoding: str, comment: str, tablespace: str) -> dict[str, t.Any]:
    known = json.loads(row)
    return {
        "owner": owner,
        "encoding": encoding,
        "collate": known["datcollate"],
        "ctype": known["datctype"],
        "provider": {"i": "icu", "b": "builtin"}.get(known.get("datlocprovider"), "libc"),
        "locale": known.get("datlocale") or known.get("daticulocale"),
        "rules": known.get("daticurules"),
        "tablespace": tablespace,
        "connection_limit": known["datconnlimit"],
        "comment": None if comment == "NULL" else comment,
        "grants_changed": known["datacl"] is not None,
        "grants": [],
        "settings": [],
    }


def creation(name: str, about: t.Mapping[str, t.Any], server_number: int) -> str:
    """The statement that makes an empty database like the one described."""
    options = {
        "TEMPLATE": "template0",
        "OWNER": quoted_name(about["owner"]),
        "ENCODING": _text(about["encoding"]),
        "LC_COLLATE": _text(about["collate"]),
        "LC_CTYPE": _text(about["ctype"]),
        "CONNECTION LIMIT": str(about["connection_limit"]),
    }
    if about["tablespace"] != _OWN_TABLESPACE:
        options["TABLESPACE"] = quoted_name(about["tablespace"])
    if server_number >= 150000:
        options["LOCALE_PROVIDER"] = about["provider"]
    if about["provider"] != "libc":
        options["ICU_LOCALE" if about["provider"] == "icu" else "BUILTIN_LOCALE"] = _text(about["locale"])
    if about["rules"]:
        options["ICU_RULES"] = _text(about["rules"])
    return f"CREATE DATABASE {quoted_name(name)} " + " ".join(f"{option} = {value}" for option, value in options.items())


def properties(name: str, about: t.Mapping[str, t.Any]) -> list[str]:
    """The statements that give a database the comment, the privileges and the settings described."""
    database = f"DATABASE {quoted_name(name)}"
    statements = [f"COMMENT ON {database} IS {_text(about['comment'])}"] if about["comment"] is not None else []
    if about["grants_changed"]:
        statements += [f"REVOKE ALL ON {database} FROM PUBLIC", f"REVOKE ALL ON {database} FROM {quoted_name(about['owner'])}"]
    for grant in about["grants"]:
        role = quoted_name(grant["role"]) if grant["role"] else "PUBLIC"
        option = " WITH GRANT OPTION" if grant["grantable"] else ""
        statements.append(f"GRANT {grant['privilege']} ON {database} TO {role}{option}")
    for setting in about["settings"]:
        who = f"ROLE {quoted_name(setting['role'])} IN {database}" if setting["role"] else database
        statements.append(f"ALTER {who} SET {_setting(setting['name'])} TO {_value(setting['name'], setting['value'])}")
    return statements


def _setting(name: str) -> str:
    return ".".join(quoted_name(part) for part in name.split("."))


def _value(name: str, value: str) -> str:
    """A setting's value as SQL; lists of names are stored with quotes of their own."""
    if name.lower() not in _LISTS or not value:
        return _text(value)
    return ", ".join(_text(quoted.replace('""', '"') if quoted else plain) for quoted, plain in _ELEMENT.findall(value) if quoted or plain)


def _text(text: str) -> str:
    """A text as a literal that every statement takes: unlike expressions, options take no other form."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"
