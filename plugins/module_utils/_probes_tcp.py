# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import socket
import typing as t

from ._probes import ProbeError, reason


class PortProbe:
    """Opens a TCP connection and closes it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    def __call__(self, seconds: float) -> dict[str, t.Any]:
        try:
            socket.create_connection(self._address, timeout=seconds).close()
        except OSError as error:
            raise ProbeError(f"{self._address[0]}:{self._address[1]}: {reason(error, seconds)}") from error
        return {"host": self._address[0], "port": self._address[1]}
