# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import datetime
import time
import typing as t

from ._command import Runner
from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Work = t.Callable[["AnsibleModule", Runner], dict[str, t.Any]]


def utc(moment: float | None = None) -> str:
    """A moment as UTC ISO 8601 with milliseconds."""
    when = datetime.datetime.fromtimestamp(time.time() if moment is None else moment, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def conclude(module: AnsibleModule, work: Work) -> t.NoReturn:
    """Run a module's work and turn its value, or its RollbackError, into the module's result."""
    started = time.time()
    try:
        result = work(module, Runner(module))
    except RollbackError as error:
        module.fail_json(**_timing(started), **_readable(error.as_result()))
    module.exit_json(**_timing(started), **_readable(result))


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
