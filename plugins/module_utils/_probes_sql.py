# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import typing as t

from . import _database
from ._probes import ProbeError
from ._probes_limits import Limits

if t.TYPE_CHECKING:
    from ._command import Runner
    from ._database_credentials import Credentials


class SqlProbe:
    """Asks the application's database with the application's login, in a session that cannot write."""

    def __init__(self, runner: Runner, login: Credentials, query: str, limits: Limits) -> None:
        self._runner = runner
        self._login = login
        self._query = query
        self._limits = limits

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        rows = _database.ask(self._runner, self._login, self._query, timeout=seconds)
        if not rows:
            raise ProbeError("the query gave no row, so there is no data")
        value = rows[0][0]
        values = {"value": value, "rows": len(rows)}
        problem = self._limits.fault(value)
        if problem:
            raise ProbeError(f"the query gave {problem}", values)
        return values
