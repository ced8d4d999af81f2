# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import time
import typing as t

from ._clock import utc
from ._command import Runner
from ._errors import RollbackError
from ._journal import append, this_process
from ._run import begin_step

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Work = t.Callable[["AnsibleModule", Runner], dict[str, t.Any]]


# The option of modules that record what they do.
JOURNAL: dict[str, t.Any] = {"journal": {"type": "path"}}

# What of a result is worth recording: what a later run needs to go on, or to go back.
_RECORDED = (
    "switch",
    "dependencies",
    "patch",
    "down",
    "was_down",
    "at",
    "ran",
    "remembered",
    "works_in",
    "path",
    "salvage",
    "passed",
    "code_unchanged",
    "runs",
    "schema_unchanged",
    "database_unchanged",
    "side",
    "kept",
)


def conclude(module: AnsibleModule, work: Work) -> t.NoReturn:
    """Run a module's work and turn its value, or its RollbackError, into the module's result."""
    started = time.time()
    journal = module.params.pop("journal", None)
    if module.check_mode:
        journal = None
    begun = None
    try:
        if journal:
            watches = {"only_reads": True} if module.params.get("mode") == "watch" else {}
            begin_step(journal, {"event": "intent", "step": _step(module), "at": utc(), "process": this_process(), **watches})
        begun = journal
        runner = Runner(module)
        runner.run_folder = journal
        result = work(module, runner)
    except RollbackError as error:
        failure = error.as_result()
        _record(module, begun, started, {"failed": True, "message": error.message}, failure)
        module.fail_json(**_timing(started), **_readable(failure))
    _record(module, journal, started, {"failed": False, "changed": bool(result.get("changed"))}, result)
    module.exit_json(**_timing(started), **_readable(result))


def _step(module: AnsibleModule) -> str:
    """What the module does, in words: its name, and the state that it brings about."""
    return " ".join(str(word) for word in (module._name.rpartition(".")[2], module.params.get("state")) if word)


def _record(module: AnsibleModule, journal: str | None, started: float, outcome: dict[str, t.Any], result: t.Mapping[str, t.Any]) -> None:
    """What is done is done: that it could not be recorded is said, it does not make the step fail."""
    if not journal:
        return
    facts = {name: result[name] for name in _RECORDED if result.get(name) is not None}
    entry = {"event": "result", "step": _step(module), "at": utc(), "seconds": round(time.time() - started, 3), **outcome, "facts": facts}
    try:
        append(journal, t.cast("dict[str, t.Any]", _readable(entry)))
    except RollbackError as error:
        module.warn(error.message)


def _readable(value: t.Any) -> t.Any:
    """The same with a mark for each byte that is no UTF-8: Ansible refuses results that hold such bytes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_readable(key): _readable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(entry) for entry in value]
    return value


def _timing(started: float) -> dict[str, t.Any]:
    ended = time.time()
    return {"started": utc(started), "ended": utc(ended), "seconds": round(ended - started, 3)}
