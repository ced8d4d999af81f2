# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted backups with the real programs, where this machine has them; the integration targets always have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import typing as t
from dataclasses import dataclass

import local_runner
import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _database_sqlite
from conftest import RunModule

NOT_MADE = "The database was only read. No backup was made."
UNTOUCHED = "The live database was not touched."
MARK = "a row that must not be readable " * 50


@dataclass
class Keyring:
    """Two owners of keys: one who may read the backup, and another."""

    tool: str
    recipient: str
    reads: dict[str, str]
    other: dict[str, str]


def _run(*argv: str, **more: t.Any) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def _age(folder: pathlib.Path) -> Keyring:
    for name in ("reads", "other"):
        _run("age-keygen", "-o", str(folder / name))
    return Keyring(
        "age", _run("age-keygen", "-y", str(folder / "reads")).strip(), *({"identity_file": str(folder / n)} for n in ("reads", "other"))
    )


def _gpg(folder: pathlib.Path) -> Keyring:
    for name in ("reads", "other"):
        home = folder / name
        home.mkdir(mode=0o700)
        words = ["--batch", "--passphrase", "", "--quick-generate-key", f"{name}@backup.invalid", "default", "default", "never"]
        _run("gpg", f"--homedir={home}", "--quiet", *words)
    listed = _run("gpg", f"--homedir={folder / 'reads'}", "--list-keys", "--with-colons")
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    return Keyring("gpg", fingerprint, {"gpg_home": str(folder / "reads")}, {"gpg_home": str(folder / "other")})


@pytest.fixture(scope="module", params=["age", "gpg"])
def keys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Keyring]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp("k")
    yield {"age": _age, "gpg": _gpg}[request.param](folder)
    if request.param == "gpg":
        for name in ("reads", "other"):
            subprocess.run(["gpgconf", f"--homedir={folder / name}", "--kill", "all"], check=True)


@dataclass
class Bench:
    folder: pathlib.Path
    run_module: RunModule
    keys: Keyring

    @property
    def live(self) -> pathlib.Path:
        return self.folder / "data.sqlite"

    @property
    def backups(self) -> pathlib.Path:
        return self.folder / "backups"

    def change(self, sql: str) -> None:
        with contextlib.closing(sqlite3.connect(self.live)) as base:
            base.executescript(sql)

    @property
    def content(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.live)) as base:
            return list(base.iterdump())

    def back_up(self, **more: t.Any) -> dict[str, t.Any]:
        login = {"engine": "sqlite", "database": str(self.live), "directory": str(self.backups), "minimum_free": "0"}
        home = {name: value for name, value in self.keys.reads.items() if name == "gpg_home"}
        wanted = {"encryption": self.keys.tool, "recipients": [self.keys.recipient], **home}
        return self.run_module("db_backup", {**login, **wanted, **more})

    def restore(self, **more: t.Any) -> dict[str, t.Any]:
        (manifest,) = self.backups.glob("*.manifest.json")
        login = {"engine": "sqlite", "database": str(self.live), "record": str(self.folder / "state/db_restore.json"), "minimum_free": "0"}
        return self.run_module("db_restore", {**login, "backup": str(manifest), **more})

    def verify(self, **more: t.Any) -> dict[str, t.Any]:
        return self.run_module("db_backup_info", {"directory": str(self.backups), "verify": True, **more})


@pytest.fixture
def bench(tmp_path: pathlib.Path, run_module: RunModule, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> Bench:
    local_runner.install(monkeypatch)
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr(_database_sqlite, "_ASIDE", str(aside))
    made = Bench(tmp_path, run_module, keys)
    made.backups.mkdir()
    made.change(f"CREATE TABLE users (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO users VALUES (1, '{MARK}'), (2, '{MARK}')")
    return made


def test_there_and_back_with_the_key(bench: Bench) -> None:
    made = bench.back_up(label="secret")
    backup, file = made["backup"], pathlib.Path(made["path"])
    assert made["path"].endswith(f"Z-secret.sqlite.zst.{bench.keys.tool}")
    assert backup["encryption"] == {"tool": bench.keys.tool, "recipients": [bench.keys.recipient]}
    assert backup["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert subprocess.run(["zstd", "-dc", file], capture_output=True, check=False).returncode != 0
    good = bench.content
    bench.change("DELETE FROM users")
    assert [found["verified"] for found in bench.verify(**bench.keys.reads)["backups"]] == [True]
    beside = bench.restore(**bench.keys.reads)
    assert beside["proof"]["census"]["tables"] == {"users": 2}
    assert bench.restore(state="swapped", **bench.keys.reads)["stage"] == "swapped"
    assert bench.content == good


def test_no_secret_is_in_the_manifest_or_the_results(bench: Bench) -> None:
    made = json.dumps(bench.back_up()) + json.dumps(bench.restore(**bench.keys.reads))
    (manifest,) = bench.backups.glob("*.manifest.json")
    secrets = re.findall(r"AGE-SECRET-KEY-\w+", pathlib.Path(bench.keys.reads.get("identity_file", os.devnull)).read_text())
    assert bool(secrets) == (bench.keys.tool == "age")
    assert not any(secret in made + manifest.read_text() for secret in [*secrets, "PRIVATE"])


def test_who_has_another_key_is_refused_before_anything_is_read(bench: Bench) -> None:
    bench.back_up()
    for refused in (bench.restore(**bench.keys.other), bench.restore(**bench.keys.other, state="swapped")):
        assert "cannot be decrypted: " in refused["msg"]
        assert re.search("no identity matched|No secret key", refused["msg"])
        assert UNTOUCHED in refused["msg"]
    (listed,) = bench.verify(**bench.keys.other)["ignored"]
    assert "cannot be decrypted" in listed["reason"]
    assert not (bench.folder / "data.sqlite__side").exists()


def test_a_listing_without_a_key_says_who_can_read_it(bench: Bench) -> None:
    bench.back_up()
    (listed,) = bench.run_module("db_backup_info", {"directory": str(bench.backups)})["backups"]
    assert listed["encrypted"] is True
    assert listed["encryption"]["recipients"] == [bench.keys.recipient]


def test_a_damaged_file_is_refused(bench: Bench) -> None:
    made = bench.back_up()
    manifest, file = pathlib.Path(made["manifest"]), pathlib.Path(made["path"])
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert re.search("its checksum differs|cannot be decrypted", bench.restore(**bench.keys.reads)["msg"])
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "sha256": hashlib.sha256(content).hexdigest()}))
    refused = bench.restore(**bench.keys.reads)
    assert re.search("cannot be decrypted( and decompressed)?", refused["msg"])
    assert UNTOUCHED in refused["msg"]
    manifest.write_text(json.dumps({**facts, "encryption": {"tool": "rot13"}}))
    assert "does not say how it is encrypted" in bench.restore(**bench.keys.reads)["msg"]


def test_a_recipient_who_does_not_exist_is_refused_before_anything_is_dumped(bench: Bench) -> None:
    unknown = {"age": bench.keys.recipient[:-1] + ("q" if bench.keys.recipient[-1] != "q" else "p"), "gpg": "0" * 40}[bench.keys.tool]
    for recipients, says in (
        ([bench.keys.recipient, unknown], "Nothing can be encrypted to these recipients: "),
        ([bench.keys.recipient, "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQ"], "Recipient number 2 is not"),
        (["--output=/tmp/x"], "Recipient number 1 is not"),
        (["someone@example.invalid"], "Recipient number 1 is not"),
        ([], "encryption needs recipients"),
    ):
        refused = bench.back_up(recipients=recipients)
        assert says in refused["msg"], recipients
        assert NOT_MADE in refused["msg"]
        assert "QQQQ" not in refused["msg"]
    assert list(bench.backups.iterdir()) == list((bench.folder / "aside").iterdir()) == []


def test_nothing_is_left_when_the_encryption_fails_half_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, calls = bench.keys.tool, bench.folder / "calls"
    program = bench.folder / tool
    program.write_text(
        f'#!/bin/sh\necho >> {calls}\n[ $(wc -l < {calls}) -gt 1 ] || exec {shutil.which(tool)} "$@"\necho "{tool}: broken" >&2; exit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.folder}:{os.environ['PATH']}")
    refused = bench.back_up()
    assert f"{bench.keys.tool}: broken" in refused["msg"]
    assert NOT_MADE in refused["msg"]
    assert list(bench.backups.iterdir()) == []


def test_an_identity_is_asked_for_by_its_option(tmp_path: pathlib.Path, run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    local_runner.install(monkeypatch)
    content = b"x"
    facts = {
        "format_version": 1,
        "id": "one",
        "file": "one.sqlite.zst.age",
        "bytes": 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "engine": "sqlite",
        "database": "/x.sqlite",
        "started": "2026-11-22T10:00:00Z",
        "finished": "2026-11-22T10:00:01Z",
        "encryption": {"tool": "age", "recipients": ["age1xyz"]},
    }
    (tmp_path / "one.sqlite.zst.age").write_bytes(content)
    (tmp_path / "one.manifest.json").write_text(json.dumps(facts))
    wanted = {
        "engine": "sqlite",
        "database": "/x.sqlite",
        "record": str(tmp_path / "r.json"),
        "backup": str(tmp_path / "one.manifest.json"),
    }
    refused = run_module("db_restore", wanted)
    assert "The backup one is encrypted to age1xyz" in refused["msg"]
    assert "Next: run again with identity_file" in refused["msg"]
    assert UNTOUCHED in refused["msg"]
    assert "/nowhere is not there" in run_module("db_restore", {**wanted, "identity_file": "/nowhere"})["msg"]
