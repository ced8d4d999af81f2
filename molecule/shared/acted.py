# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An act on several hosts that was played, as the tests look at it."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.lastgood.rollback.molecule.shared.cluster import Cluster
from ansible_collections.lastgood.rollback.tests.faults.invariants import chain_problem

TOLD = ("last_run", "journals", "locked")  # what a run that is refused writes down about itself


class Acted:
    """What was recorded of one act; of what both web servers have, the one with the workers comes first."""

    def __init__(self, scenario: str, act: str) -> None:
        self.cluster = Cluster(scenario)
        self.record: dict[str, t.Any] = json.loads((self.cluster.folder / f"{act}.json").read_text())
        self.rc: int = self.record["rc"]
        self.output: str = self.record["output"]
        self.words = " ".join(self.output.split())
        self.reports: list[dict[str, t.Any]] = self.record["reports"]
        self.names = [machine.name for machine in self.cluster.web]

    def before(self, fact: str) -> list[t.Any]:
        return [self.record["before"]["hosts"][name][fact] for name in self.names]

    def after(self, fact: str) -> list[t.Any]:
        return [self.record["after"]["hosts"][name][fact] for name in self.names]

    def data(self, fact: str) -> tuple[t.Any, t.Any]:
        """Of the one database, before and after."""
        return self.record["before"]["data"][fact], self.record["after"]["data"][fact]

    @property
    def last_lines(self) -> list[str]:
        """How it ended on each host, in the order of their names."""
        lines = [line for line in self.output.splitlines() if line.strip()][-2:]
        return [line for name, line in zip(self.names, lines, strict=True) if name in line]

    @property
    def endings(self) -> list[str]:
        return [line.partition(":")[0] for line in self.last_lines]

    @property
    def outcomes(self) -> list[list[str]]:
        """How each report says it ended, host by host; the first one is that of the run."""
        return [[entry["outcome"] for entry in report["each_host"]] for report in self.reports]

    @property
    def failed_questions(self) -> list[int]:
        """How many questions of users got no answer or another than 200, on each host; a slow one tells of the machine under three of them."""
        users = [self.record["users"][name] for name in self.names]
        return [each["asked"] - each["statuses"].get("200", 0) for each in users]

    @property
    def untouched(self) -> bool:
        return bool(self.record["before"] == self.record["after"])

    @property
    def hosts_untouched(self) -> bool:
        """But for what a run that was refused writes down about itself."""
        each = [
            [{fact: value for fact, value in host.items() if fact not in TOLD} for host in self.record[when]["hosts"].values()]
            for when in ("before", "after")
        ]
        return each[0] == each[1]

    @property
    def journals_whole(self) -> bool:
        """Whether every journal on both hosts is there and was not changed."""
        texts = [text for journals in self.after("journals") for text in journals.values()]
        return bool(texts) and all(chain_problem(text, torn_allowed=False) is None for text in texts)


@functools.cache
def acted(scenario: str, act: str) -> Acted:
    return Acted(scenario, act)
