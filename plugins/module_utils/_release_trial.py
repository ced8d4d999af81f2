# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# A release is asked through PHP-FPM before users get it.

from __future__ import annotations

import collections
import os
import typing as t
import urllib.parse
from dataclasses import replace

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._clock import Countdown
from ._errors import RollbackError
from ._fastcgi import Entry, exchange_with
from ._probes import Answer, Outcome, answer, until_good
from ._probes_options import Surroundings, build, check, writes
from ._probes_spec import PROBE

if t.TYPE_CHECKING:
    from ._clock import Clock
    from ._command import Runner
    from ._probes import Probe

Options = t.Mapping[str, t.Any]


def run(runner: Runner, options: Options, clock: Clock) -> tuple[Outcome | None, list[str]]:
    """What the release answered, and the names of the probes that cannot be asked this way; no outcome where none is left."""
    public = os.path.normpath(os.path.join(options["path"], options["public"]))
    probes = _checked(options["probes"])
    asked = _askable(runner, probes, public, options["user"])
    names = {probe["name"] for probe in asked}
    others = [probe["name"] for probe in probes if probe["name"] not in names]
    if not any(probe["required"] for probe in asked):
        return None, others
    around = Surroundings(
        runner,
        clock,
        base_url=options["base_url"],
        timeout=options["timeout"],
        entry=Entry(exchange_with(runner, options["address"], options["user"]), public),
    )
    limits = {name: options[name] for name in ("deadline", "interval")}
    return until_good(build(asked, around), **limits, clock=clock, together=_InTurn(clock)), others


def _checked(probes: t.Sequence[Options]) -> list[Options]:
    """The probes with their defaults; a mistake in one of them is named."""
    found = ArgumentSpecValidator({"probes": {"type": "list", "elements": "dict", **PROBE}}).validate({"probes": list(probes)})
    if found.error_messages:
        raise RollbackError(f"The probes are not valid: {'; '.join(found.error_messages)}.")
    check(found.validated_parameters["probes"])
    return t.cast("list[Options]", found.validated_parameters["probes"])


def _askable(runner: Runner, probes: t.Sequence[Options], public: str, user: str | None) -> list[Options]:
    """Pages of the application that are only read; what lies in the public folder is served without PHP."""
    pages = [probe for probe in probes if probe["type"] == "http" and probe.get("path") and not probe.get("url") and not writes(probe)]
    places = {probe["name"]: f"{public}{urllib.parse.urlsplit(probe['path']).path}" for probe in pages}
    files = (
        runner.run(["find", *places.values(), "-maxdepth", "0", "-type", "f"], user=user, check=False).stdout.splitlines() if places else []
    )
    return [_once(probe) for probe in pages if places[probe["name"]] not in files]


def _once(probe: Options) -> Options:
    """Once is enough, however long it takes: a running release that is slow lets questions to another one wait for a free process."""
    return {**probe, "successes": None, "samples": None, "maximum_seconds": None}


class _InTurn:
    """One question after the other: the first has PHP compile the release, and users are to be served meanwhile.

    Where one got no answer at all the others would get none, too. What was answered badly again and again stays bad.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bad: collections.Counter[str] = collections.Counter()

    def __call__(self, probes: t.Sequence[Probe], seconds: float) -> list[Answer]:
        left = Countdown(self._clock, seconds)
        answers: list[Answer] = []
        for probe in probes:
            if answers and "status" not in answers[-1].values:
                answers.append(_NOT_ASKED)
            else:
                answers.append(self._ask(probe, left.remaining) if left.remaining or not answers else _TOO_LATE)
        return answers

    def _ask(self, probe: Probe, seconds: float) -> Answer:
        found = answer(probe, seconds)
        if found.error is None or "status" not in found.values:
            return found
        self._bad[probe.name] += 1
        return replace(found, final=self._bad[probe.name] == _CHANCES)


_CHANCES = 3
_NOT_ASKED = Answer("not asked, since there was no answer before")
_TOO_LATE = Answer("not asked, since the answers before took all the time")


def judge(outcome: Outcome | None, options: Options) -> str | None:
    """What to say when the release could not be asked and that is to be accepted; raises for one that is not good."""
    if outcome is not None and outcome.passed:
        return None
    if outcome is None:
        raise RollbackError("None of the probes can be asked through PHP-FPM, and nothing can be learned from asking nothing.")
    answered = any("status" in tally.values for tally in outcome.culprits)
    why = "; ".join(f"{tally.probe.name}: {tally.blame}" for tally in outcome.culprits)
    if not answered and options["unanswered"] == "accepted":
        return f"PHP-FPM said nothing about {options['path']} ({why})."
    as_user = f"sudo -u {options['user']} " if options["user"] else ""
    said = f"is not good ({why})" if answered else f"could not be asked ({why})"
    raise RollbackError(
        f"The release in {options['path']} was asked through PHP-FPM before users get it, and {said}.",
        state="Nothing was switched.",
        next_command=f"{as_user}ls {os.path.dirname(options['path'])}, then run again with another release: -e target=<release>; or with "
        "-e trial=false, to have it judged when users have got it",
        facts={"answered": answered, "probes": [tally.as_result() for tally in outcome.tallies]},
    )
