# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
# A dump is compressed and then, where recipients are named, encrypted to them; and the way back. All of it in streams.

from __future__ import annotations

import base64
import hashlib
import os
import re
import typing as t
from dataclasses import dataclass, replace

from ._errors import CommandError, RollbackError

if t.TYPE_CHECKING:
    from ._command import Runner

TOOLS = ("age", "gpg")
_PUBLIC = {
    "age": re.compile(r"age1[0-9a-z]{20,}|(?:ssh-ed25519|ssh-rsa) [A-Za-z0-9+/]{40,}={0,2}(?: .*)?"),
    "gpg": re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?"),
}
_KINDS = {
    "age": "a public key of age (age1..., ssh-ed25519 ... or ssh-rsa ...)",
    "gpg": "the fingerprint of a key, 40 digits of 0-9 and A-F",
}
_GPG = ("gpg", "--batch", "--no-tty", "--quiet")
_PATIENCE = 60
_PROGRAMS = ("dd", "zstd", "age", "gpg")
_UNZSTD = ("zstd", "--decompress", "--stdout", "--quiet")

Stages = list[list[str]]


@dataclass(frozen=True)
class Encryption:
    """Who will be able to read a backup: public keys, so that making one takes no secret."""

    tool: str
    recipients: tuple[str, ...]
    gpg_home: str | None = None

    @property
    def argv(self) -> list[str]:
        named = [word for recipient in self.recipients for word in ("--recipient", recipient)]
        if self.tool == "age":
            return ["age", "--encrypt", *named]
        return [*_gpg(self.gpg_home), "--trust-model=always", "--compress-algo=none", "--encrypt", *named]

    @property
    def facts(self) -> dict[str, t.Any]:
        return {"encryption": {"tool": self.tool, "recipients": [_fingerprint(recipient) for recipient in self.recipients]}}


@dataclass(frozen=True)
class Packing:
    """How a backup is written."""

    zstd: tuple[str, ...]
    encryption: Encryption | None = None

    @property
    def stages(self) -> Stages:
        return [list(self.zstd), *([self.encryption.argv] if self.encryption else [])]

    @property
    def suffix(self) -> str:
        return f".{self.encryption.tool}" if self.encryption else ""

    @property
    def facts(self) -> dict[str, t.Any]:
        return self.encryption.facts if self.encryption else {}

    def on_one_core(self) -> Packing:
        return replace(self, zstd=(*(argument for argument in self.zstd if not argument.startswith("-T")), "-T1"))


def encryption(runner: Runner, tool: str | None, recipients: t.Sequence[str], gpg_home: str | None) -> Encryption | None:
    """The encryption that was asked for, proven to work; what is no public key is not even repeated, since it may be a secret one."""
    if not tool:
        return None
    tidy = [recipient.strip() if tool == "age" else recipient.replace(" ", "").upper().removeprefix("0X") for recipient in recipients]
    for number, recipient in enumerate(tidy, 1):
        if not _PUBLIC[tool].fullmatch(recipient):
            raise RollbackError(f"Recipient number {number} is not {_KINDS[tool]}.")
    if not tidy:
        raise RollbackError("encryption needs recipients: without any, nobody could read the backup.")
    wanted = Encryption(tool, tuple(dict.fromkeys(tidy)), gpg_home)
    done = runner.run(wanted.argv, stdin="", timeout=_PATIENCE, check=False)
    if done.rc != 0:
        raise RollbackError(f"Nothing can be encrypted to these recipients: {_reason(done.stderr)}.")
    return wanted


@dataclass(frozen=True)
class Keys:
    """What reads encrypted backups: files on the host, which only the programs that decrypt look into."""

    identity_file: str | None = None
    gpg_home: str | None = None

    def argv(self, backup: t.Mapping[str, t.Any]) -> list[str]:
        """The program that decrypts a backup; refuses where it cannot."""
        about = backup["encryption"]
        if about["tool"] == "gpg":
            return [*_gpg(self.gpg_home), "--pinentry-mode=error", "--decrypt"]
        needs = f"The backup {backup['id']} is encrypted to {', '.join(about['recipients'])}"
        if not self.identity_file:
            raise RollbackError(
                f"{needs}.", next_command="run again with identity_file, the path on this host of a secret key of one of them"
            )
        if not os.access(self.identity_file, os.R_OK):
            raise RollbackError(f"{needs}; the identity file {self.identity_file} is not there, or not readable for this user.")
        return ["age", "--decrypt", "--identity", self.identity_file]

    def check(self, runner: Runner, backup: t.Mapping[str, t.Any]) -> None:
        """Refuse an encrypted backup that these keys do not open, before all of it is read."""
        if not backup.get("encryption"):
            return
        part = dict((backup.get("parts") or [{"offset": 0, "bytes": backup["bytes"]}])[0])
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            runner.path(self.argv(backup)[0])
            runner.pipeline(unpacking(backup, self, part)[:-1], output=nowhere, watch=_opened, watched=1, timeout=_PATIENCE)
        except _Opened:
            pass
        except CommandError as error:
            raise RollbackError(f"The backup {backup['id']} cannot be decrypted: {_reason(error.stderr)}.") from None
        finally:
            os.close(nowhere)


class _Opened(Exception):
    """The first decrypted bytes came."""


def _opened(_chunk: bytes) -> None:
    raise _Opened


def unpacking(backup: t.Mapping[str, t.Any], keys: Keys, part: t.Mapping[str, t.Any] | None = None) -> Stages:
    """The programs that read a backup, or a part of it; the last one writes what was dumped."""
    if part is None and not backup.get("encryption"):
        return [[*_UNZSTD, "--", backup["path"]]]
    place = {"offset": 0, "bytes": backup["bytes"], **(part or {})}
    decrypt = [keys.argv(backup)] if backup.get("encryption") else []
    return [_region(backup["path"], place), *decrypt, list(_UNZSTD)]


def pieces(backup: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any] | None]:
    """What must be unpacked one after the other to have all of it: encrypted parts are no single stream."""
    return list(backup["parts"]) if backup.get("encryption") and backup.get("parts") else [None]


def _region(path: str, part: t.Mapping[str, t.Any]) -> list[str]:
    """The command that reads a part of a file."""
    place = [f"skip={part['offset']}", f"count={part['bytes']}"]
    return ["dd", f"if={path}", "iflag=skip_bytes,count_bytes,fullblock", "bs=1M", "status=none", *place]


def failed(error: CommandError) -> RollbackError | None:
    """What a failure of packing was; None when it was another program that failed."""
    if re.search("no space left on device", error.stderr, re.IGNORECASE):
        return RollbackError("The disk of the backup directory became full.")
    return of_packing(error)


def of_packing(error: CommandError) -> RollbackError | None:
    """The error, when a program that packs or unpacks failed by itself: not what it reads from or writes to, and not for lack of time."""
    return error if error.program in _PROGRAMS and error.rc > 0 and not error.timed_out else None


def _gpg(home: str | None) -> list[str]:
    return [*_GPG, *([f"--homedir={home}"] if home else [])]


def _fingerprint(recipient: str) -> str:
    """What a manifest calls a recipient: the key itself where it is short, the usual fingerprint of an ssh key."""
    kind, _space, key = recipient.partition(" ")
    if not kind.startswith("ssh-"):
        return recipient
    digest = hashlib.sha256(base64.b64decode(key.split()[0])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _reason(said: str) -> str:
    """What age or GnuPG complained about, without the lines that every failure of them has."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "report unexpected" not in line]
    return "; ".join(lines)[-300:].rstrip(".") or "no reason given"
