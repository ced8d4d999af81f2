# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a plan: the same for the same decision, another one for any other."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils._checkout import Switch
from ansible_collections.lastgood.rollback.plugins.module_utils._git import Difference, Entry, WorkTree
from ansible_collections.lastgood.rollback.plugins.module_utils._plan_digest import covered, differences, digest_of
from ansible_collections.lastgood.rollback.plugins.module_utils._units import Unit

requirement = pytest.mark.requirement

names = st.text("abcdefgh._-/", min_size=1, max_size=8)
commits = st.text("0123456789abcdef", min_size=40, max_size=40)
lists = st.lists(names, max_size=3, unique=True)
migrations = st.fixed_dictionaries(
    {
        "unknown_to_target": st.lists(
            st.fixed_dictionaries({"name": names, "reversible": st.booleans(), "destructive": st.booleans()}), max_size=3
        ),
        "not_applied": lists,
        "decision": st.sampled_from(["stop", "down", "keep"]),
        "down": lists,
    }
)
contents = st.fixed_dictionaries(
    {
        "application": names,
        "severity": st.sampled_from(["standard", "emergency"]),
        "from_commit": commits,
        "to_commit": commits,
        "target": names,
        "migrations": migrations,
        "config_keys": st.fixed_dictionaries({"running": lists, "target": lists}),
        "pending": lists,
        "lock_files": st.dictionaries(names, st.one_of(st.none(), commits), max_size=2),
        "packages": lists,
        "local_changes": st.fixed_dictionaries({"files": lists, "decision": st.sampled_from(["refuse", "save"])}),
        "backup": st.booleans(),
        "units": st.fixed_dictionaries(
            {"stopped": st.dictionaries(names, st.sampled_from(["runs", "is off"]), max_size=3), "reloaded": lists, "required": lists}
        ),
    }
)


def _reordered(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {name: _reordered(value[name]) for name in reversed(value)}
    return [_reordered(entry) for entry in value] if isinstance(value, list) else value


@requirement("G-09")
@given(contents)
def test_the_order_of_keys_does_not_matter(covers: dict[str, t.Any]) -> None:
    assert digest_of(_reordered(covers)) == digest_of(covers)
    assert digest_of(json.loads(json.dumps(covers))) == digest_of(covers)
    assert differences(covers, _reordered(covers), ("v2", "v2")) == []


@requirement("G-09")
@given(contents, contents)
def test_another_digest_and_words_for_it_for_anything_that_differs(one: dict[str, t.Any], other: dict[str, t.Any]) -> None:
    for name in one:
        changed = {**one, name: other[name]}
        said = differences(one, changed, ("v1", "v2"))
        assert (digest_of(changed) == digest_of(one)) == (changed == one) == (said == [])


@given(contents, st.data())
def test_the_order_in_which_migrations_go_down_matters(covers: dict[str, t.Any], data: st.DataObject) -> None:
    down = data.draw(st.lists(names, min_size=2, max_size=4, unique=True))
    planned, now = ({**covers, "migrations": {**covers["migrations"], "down": order}} for order in (down, down[::-1]))
    assume(planned != now)
    assert digest_of(planned) != digest_of(now)
    assert differences(planned, now, ("v1", "v1")) == ["migrations down: in another order now"]


# What a plan covers


def unit(active: str, *, sub: str = "running", kind: str = "simple", since: int = 1) -> Unit:
    return Unit("", "loaded", active, sub, "success", kind, "", since, since, since, since, ())


def plan(**more: t.Any) -> dict[str, t.Any]:
    return {
        "application": "chom",
        "severity": "standard",
        "from_commit": "4" * 40,
        "to_commit": "3" * 40,
        "target": "v1.2.3",
        "migrations": {"unknown_to_target": [], "not_applied": [], "decision": "stop", "down": []},
        "config_keys": {"running": [], "target": []},
        "pending": [],
        "local_changes": "refuse",
        "backup": True,
        **more,
    }


def switch(**more: t.Any) -> Switch:
    facts: dict[str, t.Any] = {
        "running": WorkTree("4" * 40, None, ()),
        "commit": "3" * 40,
        "target": "v1.2.3",
        "difference": Difference((), (), ("composer.lock",)),
        "entries": {"composer.lock": Entry("100644", "b" * 40)},
        "unmet_packages": ("chom/billing 1.2.0",),
        "vanished": (),
    }
    return Switch(**{**facts, **more})


APPLICATION = {
    "services": {"workers": ["q-*.service", "mail"], "schedulers": ["s.timer"], "reload": ["fpm.service"], "required": ["nginx.service"]}
}
UNITS = {"q-1.service": unit("active"), "mail.service": unit("inactive"), "s.timer": unit("active"), "nginx.service": unit("active")}


def digest(plan_: dict[str, t.Any], switch_: Switch, units: dict[str, Unit]) -> str:
    return digest_of(covered(plan_, switch_, APPLICATION, units))


@requirement("G-09")
@given(
    st.dictionaries(st.sampled_from(["budgets", "checks", "version_probes", "reason", "commits", "seconds", "started"]), names),
    st.integers(2),
)
def test_what_changes_by_itself_is_not_covered(volatile: dict[str, str], since: int) -> None:
    """The wording, what was measured, when a unit was restarted, and whether it is just coming up."""
    restarted = {**UNITS, "q-1.service": unit("activating", sub="auto-restart", since=since)}
    assert digest(plan(**volatile), switch(), restarted) == digest(plan(), switch(), UNITS)


@requirement("G-09")
@pytest.mark.parametrize(
    ("plan_", "switch_", "units", "words"),
    [
        (plan(from_commit="5" * 40), {}, {}, "the plan was made from v1.2.4 (444444444444), now v1.2.5 (555555555555) runs"),
        (plan(to_commit="2" * 40), {}, {}, "the target was 333333333333, now it is 222222222222: its tag was moved"),
        (plan(backup=False), {}, {}, "backup: True in the plan, False now"),
        (plan(pending=["run r1 ended as held"]), {}, {}, "pending: nothing more in the plan, run r1 ended as held now"),
        (plan(), {"unmet_packages": ("chom/billing 1.2.0", "x 2")}, {}, "packages: nothing more in the plan, x 2 now"),
        (plan(), {"vanished": ("app/A.php",)}, {}, "packages: nothing more in the plan, app/A.php now"),
        (plan(), {"entries": {"composer.lock": Entry("100644", "c" * 40)}}, {}, "lock files composer.lock: bbbb"),
        (plan(), {"running": WorkTree("4" * 40, None, ("a.php",))}, {}, "local changes files: nothing more in the plan, a.php now"),
        (plan(), {}, {"q-1.service": unit("inactive")}, "q-1.service: runs in the plan, is off now"),
        (plan(), {}, {"q-2.service": unit("active")}, "q-2.service: none in the plan, runs now"),
        (plan(), {}, {"mail.service": unit("failed")}, "mail.service: is off in the plan, runs now"),
    ],
)
def test_what_matters_is_covered_and_said(plan_: dict[str, t.Any], switch_: dict[str, t.Any], units: dict[str, Unit], words: str) -> None:
    was = covered(plan(), switch(), APPLICATION, UNITS)
    now = covered(plan_, switch(**switch_), APPLICATION, {**UNITS, **units})
    assert digest_of(now) != digest_of(was)
    assert any(words in line for line in differences(was, now, ("v1.2.4", "v1.2.5"))), differences(was, now, ("v1.2.4", "v1.2.5"))


def test_units_that_are_only_needed_are_not_told_apart_by_their_state() -> None:
    down = {**UNITS, "nginx.service": unit("failed")}
    assert digest(plan(), switch(), down) == digest(plan(), switch(), UNITS)


def test_a_digest_is_the_one_that_sha256sum_finds() -> None:
    """Of the content without blanks, its keys in alphabetical order."""
    assert digest_of({"b": 1, "a": [True]}) == "708747538ba81fd60b5aac8c646370de5e24abf70ab1872f67458a5a4f3af05d"
