# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print, as JSON, everything about a CHOM test host that a rollback could change or lose.

Runs on the host as root, fed to python3 on standard input. The argument is the state printed before, or nothing: rows that
were added since then are left out of the tables' checksums, so that the two can be compared. A second argument names another database:
then only its tables are printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import socket
import subprocess
import sys
import typing as t

PLACE = "/var/www/chom"
APPLICATION = f"{PLACE}/current" if os.path.islink(f"{PLACE}/current") else PLACE
RELEASES = os.listdir(f"{PLACE}/releases") if os.path.isdir(f"{PLACE}/releases") else []
STATE = "/var/lib/lastgood/chom"
BACKUPS = "/var/backups/chom"
WORKERS = [f"chom-queue-{name}.service" for name in ("worker", "default", "emails", "notifications", "reports")]
CONFIGURATION = [
    "/etc/nginx/sites-available/chom",
    "/etc/php/8.4/fpm/pool.d/www.conf",
    *(f"/etc/systemd/system/{name}" for name in WORKERS),
    *([f"{PLACE}/shared/.env"] if RELEASES else []),  # what their .env is a link to
]
SERVERS = ["mariadb.service", "postgresql@17-main.service", "redis-server.service"]
UNITS = [*WORKERS, "chom-scheduler.timer", "nginx.service", "php8.4-fpm.service", *SERVERS]
PROPERTIES = "Id,ActiveState,MainPID,InvocationID"
CLIENTS = {
    "mysql": ["mariadb", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"],
    "pgsql": ["runuser", "-u", "postgres", "--", "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\t"],
    "sqlite": ["runuser", "-u", "www-data", "--", "sqlite3", "-batch", "-tabs"],
}
FILE = "/var/lib/chom/chom.sqlite"
LIVING = re.compile(r"^(\.git|storage/logs|storage/app/heartbeat\.json)(/|$)")  # what a running application writes, and git's own


def out(*argv: str, data: str = "") -> str:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, check=True)
    return done.stdout


def as_application(*argv: str) -> str:
    return out("runuser", "-u", "www-data", "--", "env", "GIT_OPTIONAL_LOCKS=0", *argv)


def checkout() -> dict[str, t.Any]:
    if APPLICATION != PLACE:
        with open(f"{APPLICATION}/REVISION", encoding="ascii") as file:
            head = file.read().strip()
        return {
            "head": head,
            "tags": as_application("git", "--git-dir=/srv/git/chom.git", "tag", "--points-at", head).split(),
            "changed": [],
        }
    git = ["git", "-C", APPLICATION]
    return {
        "head": as_application(*git, "rev-parse", "HEAD").strip(),
        "tags": as_application(*git, "tag", "--points-at", "HEAD").split(),
        "changed": as_application(*git, "status", "--porcelain").splitlines(),
    }


def files(root: str) -> dict[str, str]:
    """Every file below a folder with its owner, mode and what is in it."""
    found = {}
    for folder, names, files_here in os.walk(root):
        here = os.path.relpath(folder, root)
        names[:] = sorted(name for name in names if not LIVING.match(os.path.normpath(f"{here}/{name}")))
        for name in files_here:
            path = os.path.normpath(f"{here}/{name}")
            if not LIVING.match(path):
                found[path] = describe(os.path.join(root, path))
        if not names and not files_here:
            found[f"{here}/"] = "empty"
    return found


def describe(path: str) -> str:
    status = os.lstat(path)
    if os.path.islink(path):
        return f"link to {os.readlink(path)}"
    with open(path, "rb") as file:
        content = hashlib.sha256(file.read()).hexdigest()[:16]
    return f"{pwd.getpwuid(status.st_uid).pw_name} {status.st_mode & 0o7777:o} {content}"


def units() -> dict[str, dict[str, str]]:
    shown = out("systemctl", "show", f"--property={PROPERTIES}", "--", *UNITS)
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    for block in blocks:
        if block["Id"] in WORKERS and block["MainPID"] != "0":  # asked as who it runs as: root may not, in a container
            asked = ["runuser", "-u", "www-data", "--", "readlink", f"/proc/{block['MainPID']}/cwd"]
            block["works_in"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {block.pop("Id"): block for block in blocks}


def settings() -> dict[str, str]:
    with open(f"{APPLICATION}/.env", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("=", 1) for line in file if "=" in line]
    return {key: value.strip('"') for key, value in pairs}


class Redis:
    """As much of the protocol as is needed to read."""

    def __init__(self, database: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", 6379))
        self._file = self._socket.makefile("rb")
        with open("/etc/redis/redis.conf", encoding="utf-8") as file:
            password = next(line.split()[1] for line in file if line.startswith("requirepass "))
        self("AUTH", password)
        self("SELECT", str(database))

    def __call__(self, *words: str | bytes) -> t.Any:
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self._answer()

    def _answer(self) -> t.Any:
        line = self._file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind in b"+:":
            return rest
        if int(rest) < 0:
            return None
        if kind == b"*":
            return [self._answer() for _number in range(int(rest))]
        return self._file.read(int(rest) + 2)[:-2]


def digest(value: t.Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def redis() -> dict[str, t.Any]:
    ask = Redis(0)
    queues: dict[str, list[str]] = {}
    sessions: dict[str, str] = {}
    for key in sorted(ask("KEYS", "*")):
        name = key.decode()
        if "queues:" in name:
            sort = ask("TYPE", key)
            members = ask("LRANGE", key, "0", "-1") if sort == b"list" else ask("ZRANGE", key, "0", "-1", "WITHSCORES")
            queues[name.partition("queues:")[2]] = [digest(member) for member in members]
        else:
            sessions[name] = digest(ask("GET", key))
    return {"queues": queues, "sessions": sessions}


def listed(form: str, names: list[str]) -> str:
    return ", ".join(form.format(name) for name in names)


OF_SCHEMA = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = {} ORDER BY table_name, ordinal_position"
COLUMNS = {
    "mysql": OF_SCHEMA.format("DATABASE()"),
    "pgsql": OF_SCHEMA.format("'public'"),
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
}
CHECKSUMS: dict[str, t.Callable[[str, list[str], str], str]] = {
    "mysql": lambda _table, names, _where: f"COALESCE(SUM(CRC32(CONCAT_WS(CHAR(31), {listed('QUOTE(`{}`)', names)}))), 0)",
    "pgsql": lambda _table, names, _where: f"COALESCE(SUM(HASHTEXT(CONCAT_WS(CHR(31), {listed('QUOTE_NULLABLE({})', names)}))), 0)",
    "sqlite": lambda table, names, where: (
        f"HEX(SHA3((SELECT GROUP_CONCAT(q) FROM (SELECT {listed('QUOTE({})', names).replace(', ', ' || ')} q FROM {table} {where} ORDER BY id))))"
    ),
}


def sql(statement: str, database: str = "chom") -> list[list[str]]:
    printed = out(*CLIENTS[engine()], name_of(database, engine()), data=statement)
    return [line.split("\t") for line in printed.splitlines()]


def name_of(database: str, kind: str) -> str:
    """What the client calls the live database, or one that lies beside it."""
    return database.replace("chom", FILE, 1) if kind == "sqlite" else database


def engine() -> str:
    return settings()["DB_CONNECTION"]


def tables(before: dict[str, t.Any], database: str = "chom") -> dict[str, dict[str, t.Any]]:
    """Rows and a checksum of each table, up to the last row of the state before."""
    columns: dict[str, list[str]] = {}
    for table, column in sql(COLUMNS[engine()], database):
        columns.setdefault(table, []).append(column)
    statements = []
    for table, names in columns.items():
        last = before.get(table, {}).get("last")
        where = f"WHERE id <= {last}" if last is not None else ""
        checksum = CHECKSUMS[engine()](table, names, where)
        statements.append(f"SELECT '{table}', COUNT(*), COALESCE(MAX(id), 0), {checksum} FROM {table} {where};")
    rows = sql("\n".join(statements), database)
    return {table: {"rows": int(count), "last": int(last), "checksum": checksum} for table, count, last, checksum in rows}


def durable() -> dict[str, t.Any]:
    """What the collection keeps on the host."""
    found: dict[str, t.Any] = dict.fromkeys(("lock", "last_run.json", "workers.json"))
    for name in found:
        if os.path.exists(f"{STATE}/{name}"):
            with open(f"{STATE}/{name}", encoding="utf-8") as file:
                found[name] = json.load(file)
    return {**found, "files": sorted(files(STATE)) if os.path.isdir(STATE) else []}


def state(before: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "checkout": checkout(),
        "files": files(APPLICATION),
        "configuration": {path: describe(path) for path in CONFIGURATION},
        "release": os.path.realpath(APPLICATION),
        "marked": sorted(name for name in RELEASES if os.path.exists(f"{PLACE}/releases/{name}/BAD_RELEASE")),
        "beside": sorted(os.listdir("/var/www")),
        "maintenance": os.path.exists(f"{APPLICATION}/storage/framework/down"),
        "units": units(),
        **redis(),
        "tables": tables(before.get("tables", {})),
        "migrations": [row[0] for row in sql("SELECT migration FROM migrations ORDER BY id")],
        "durable": durable(),
        "small": sorted(os.listdir("/mnt/small")),
        "backups": {name: os.path.getsize(os.path.join(BACKUPS, name)) for name in sorted(os.listdir(BACKUPS))},
        "secrets": [value for key, value in settings().items() if key in ("DB_PASSWORD", "REDIS_PASSWORD", "APP_KEY") and value],
    }


if __name__ == "__main__":
    known = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    print(json.dumps(tables(known.get("tables", {}), sys.argv[2]) if len(sys.argv) > 2 else state(known)))
