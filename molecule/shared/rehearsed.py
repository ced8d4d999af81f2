# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that was made, as the tests look at it."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.lastgood.rollback.molecule.shared.cases import WORKERS, Case, Run
from ansible_collections.lastgood.rollback.molecule.shared.rehearsal import Machine, Record, digest_in, read_record, record_path
from ansible_collections.lastgood.rollback.tests.tools.prober import Summary, summarise

Test = t.TypeVar("Test", bound=t.Callable[..., t.Any])


@dataclasses.dataclass(frozen=True)
class Rehearsed:
    """A run of a case, with what was recorded about it."""

    name: str
    case: Case
    run: Run

    def __str__(self) -> str:
        return f"{self.name}-{self.run.name}"

    @property
    def record(self) -> Record:
        return _read(self.name, self.run.name)

    @property
    def machine(self) -> Machine:
        return Machine(self.case.host, self.case.layout, self.case.database)

    @property
    def standard(self) -> bool:
        return self.run.playbook == "standard_rollback"

    @property
    def last(self) -> bool:
        """Whether the host is now as this run left it."""
        return self.run is self.case.runs[-1]

    @property
    def ran(self) -> list[str]:
        """The workers that ran before anybody touched the application."""
        return [worker for worker in WORKERS if worker not in self.case.off]

    def users(self, path: str = "/", *, version: str | None = None) -> Summary:
        """What users got from the moment on in which the command was typed."""
        return summarise(self.record.users, path=path, version=version, since=self.record.began)


@functools.cache
def _read(case: str, run: str) -> Record:
    return read_record(case, run)


def digest_planned(rehearsed: Rehearsed) -> str:
    """The digest of the plan that a run was bound to; of a run that made one, that one's."""
    return digest_in(record_path(rehearsed.name, rehearsed.run.plan_of or rehearsed.run.name))


def only(condition: t.Callable[[Rehearsed], bool]) -> t.Callable[[Test], Test]:
    """Narrow a test down to the runs that fulfil the condition."""

    def narrow(test: Test) -> Test:
        test.only = condition  # type: ignore[attr-defined]
        return test

    return narrow


def unchanged(before: dict[str, t.Any], after: dict[str, t.Any]) -> list[str]:
    """What differs between two states of a host that ought to be the same; sessions of new visitors are none of it."""
    kept = {**after, "sessions": {key: after["sessions"].get(key) for key in before["sessions"]}}
    return list(_differences({**before, "durable": None}, {**kept, "durable": None}, ""))


def _differences(before: t.Any, after: t.Any, where: str) -> t.Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), f"{where}/{key}")
    elif before != after:
        yield f"{where}: {before!r} -> {after!r}"
