# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The sites of nginx that serve the release that runs, and how they hand requests to PHP-FPM.

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from ._command import Runner

_FOLDERS = ("/etc/nginx/sites-enabled", "/etc/nginx/conf.d")
_PUBLIC = "public"
_PASS = re.compile(r"\bfastcgi_pass\s+([^;\s]+)\s*;")


class Unclear(Exception):
    """Why nobody knows how PHP-FPM can be asked; a sentence without its full stop."""


@dataclass(frozen=True)
class Site:
    """A file of nginx's configuration, without comments."""

    path: str
    text: str


def sites_of(runner: Runner, link: str) -> list[Site]:
    """Those that name the link to the release that runs."""
    listed = runner.run(["grep", "-RlsF", "--", link, *_FOLDERS], check=False, timeout=10).stdout.splitlines()
    paths = dict.fromkeys(os.path.realpath(name) for name in listed)
    return [Site(path, re.sub(r"#.*", "", runner.run(["cat", "--", path], check=False, timeout=10).stdout)) for path in paths]


def concerns(sites: t.Iterable[Site]) -> t.Iterator[str]:
    """Sites that name the link to PHP-FPM and not where it leads: FPM then goes on with the code that it knows by that name."""
    for site in sites:
        if "fastcgi_pass" in site.text and "$realpath_root" not in site.text:
            yield (
                f"{site.path} gives PHP-FPM $document_root: after a switch old code goes on until FPM is reloaded, which this run does right "
                "after it. With $realpath_root in SCRIPT_FILENAME and DOCUMENT_ROOT no request gets a mixture"
            )


def entry_of(runner: Runner, sites: t.Sequence[Site], link: str, application: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Where PHP-FPM listens for these sites, below which folder of a release its script lies, and who may ask it."""
    address = application["releases"]["fastcgi"] or _address(sites)
    address = address[len("unix:") :] if address.startswith("unix:") else address
    if not address.startswith("/") and not re.fullmatch(r".+:\d{1,5}", address):
        raise Unclear(f"{address} is no address of PHP-FPM that can be asked")
    user = _who_may(runner, address, application["user"]) if address.startswith("/") else None
    return {"address": address, "public": _public(sites, link), "user": user}


def _address(sites: t.Sequence[Site]) -> str:
    found = dict.fromkeys(_resolved(name, site.text) for site in sites for name in _PASS.findall(site.text))
    if len(found) != 1:
        where = ", ".join(site.path for site in sites) or f"no site of {' or '.join(_FOLDERS)}"
        raise Unclear(
            f"{where} names {'several places' if found else 'no place'} where PHP-FPM listens; releases.fastcgi in the profile can"
        )
    return next(iter(found))


def _resolved(name: str, text: str) -> str:
    """An upstream stands for the first of its servers."""
    upstream = re.search(rf"\bupstream\s+{re.escape(name)}\s*\{{[^}}]*?\bserver\s+([^;\s]+)", text)
    return upstream.group(1) if upstream else name


def _public(sites: t.Iterable[Site], link: str) -> str:
    for site in sites:
        root = re.search(rf"\broot\s+[\"']?{re.escape(link)}(?:/([^;\"'\s]*))?[\"']?\s*;", site.text)
        if root:
            return (root.group(1) or "").strip("/")
    return _PUBLIC


def _who_may(runner: Runner, address: str, user: str) -> str | None:
    """Somebody who may open the socket: whoever is connected, the application's user, or the socket's owner."""
    if os.access(address, os.R_OK | os.W_OK):
        return None
    if runner.run(["test", "-w", address], user=user, check=False, timeout=10).rc == 0:
        return user
    raise Unclear(f"{user} may not write to {address}, where PHP-FPM listens")
