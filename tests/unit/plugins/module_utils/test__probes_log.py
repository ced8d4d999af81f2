# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils import _probes_log
from ansible_collections.lastgood.rollback.plugins.module_utils._clock import Clock
from ansible_collections.lastgood.rollback.plugins.module_utils._command import Completed
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes import ProbeError
from ansible_collections.lastgood.rollback.plugins.module_utils._probes_log import LogProbe, log_from
from scripted import Scripted

ERROR = "[2026-11-22 02:20:{:02d}] production.ERROR: mail to a@b.example failed\n#0 trace\n"
INFO = "[2026-11-22 02:20:{:02d}] production.INFO: fine\n"


class Real:
    """Runs find and tail for real; remembers them."""

    me = "deploy"

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, argv: t.Sequence[str], *, check: bool = True, **_more: t.Any) -> Completed:
        self.ran.append(argv[0])
        done = subprocess.run(argv, capture_output=True, text=True, check=check, env={**os.environ, "LC_ALL": "C"})
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


class Log:
    """A log in a temporary folder and a probe on it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "laravel.log"
        self.runner = Real()
        self.now = 1000.0

    def write(self, text: str, name: str = "laravel.log") -> None:
        with (self.path.parent / name).open("a") as file:
            file.write(text)

    def probe(self, **options: t.Any) -> LogProbe:
        options.setdefault("file", str(self.path))
        return LogProbe(self.runner, log_from(options), Clock(wall=lambda: self.now))


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Log:
    return Log(tmp_path)


@pytest.mark.requirement("D-086", "CHOM-4.3-08")
def test_counts_only_what_was_written_since_the_start(log: Log) -> None:
    log.write(ERROR.format(1) * 3)
    probe = log.probe()
    assert probe(5)["entries"] == 0
    log.write(INFO.format(2))
    assert probe(5)["entries"] == 0
    log.write(ERROR.format(3))
    with pytest.raises(ProbeError, match=r"1 ERROR in .*laravel\.log, expected at most 0; the last: .*<address>") as caught:
        probe(5)
    assert caught.value.values["levels"] == {"ERROR": 1}
    with pytest.raises(ProbeError):
        probe(5)


@pytest.mark.requirement("D-085")
def test_reads_nothing_when_nothing_was_written(log: Log) -> None:
    log.write(ERROR.format(1) * 1000)
    probe = log.probe()
    probe(5)
    assert log.runner.ran == ["find", "find"]


def test_becomes_good_again_when_only_new_entries_count(log: Log) -> None:
    log.write(INFO.format(1))
    probe = log.probe(since="attempt")
    log.write(ERROR.format(2))
    with pytest.raises(ProbeError):
        probe(5)
    assert probe(5)["entries"] == 0


def test_a_position_of_an_earlier_run_is_where_counting_starts(log: Log) -> None:
    log.write(ERROR.format(1))
    position = log.probe()(5)["position"]
    log.write(ERROR.format(2) * 2)
    with pytest.raises(ProbeError, match="2 ERROR"):
        log.probe(position=position)(5)


def test_an_unfinished_line_waits_for_its_end(log: Log) -> None:
    log.write(INFO.format(1))
    probe = log.probe()
    log.write("[2026-11-22 02:20:02] production.ERR")
    assert probe(5)["entries"] == 0
    log.write("OR: now complete\n")
    with pytest.raises(ProbeError, match="1 ERROR"):
        probe(5)


def test_bytes_that_are_no_text_do_not_shift_the_position(log: Log) -> None:
    log.write(INFO.format(1))
    probe = log.probe()
    log.write("äöü: production.ERROR: not an entry\n")
    probe(5)
    log.write(ERROR.format(2))
    with pytest.raises(ProbeError, match="1 ERROR"):
        probe(5)


@pytest.mark.parametrize("emptied", [False, True], ids=["renamed", "emptied in place"])
def test_a_rotated_log_is_followed(log: Log, emptied: bool) -> None:
    log.write(ERROR.format(1) * 5)
    probe = log.probe(file=f"{log.path}*", maximum=10)
    log.write(ERROR.format(2))
    if emptied:
        assert probe(5)["entries"] == 1
        log.path.write_text("")
    else:
        log.path.rename(f"{log.path}.1")
    log.write(ERROR.format(3))
    assert probe(5)["entries"] == 2


def test_a_log_of_a_new_day_counts_from_its_beginning(log: Log) -> None:
    log.write(ERROR.format(1), "laravel-2026-11-21.log")
    probe = log.probe(file=str(log.path.parent / "laravel-*.log"))
    assert probe(5)["entries"] == 0
    log.write(ERROR.format(2), "laravel-2026-11-22.log")
    with pytest.raises(ProbeError, match="1 ERROR"):
        probe(5)


def test_counts_from_a_moment(log: Log) -> None:
    log.write("".join(ERROR.format(second) for second in range(1, 6)))
    with pytest.raises(ProbeError, match="2 ERROR"):
        log.probe(since="2026-11-22T02:20:04.500Z")(5)
    with pytest.raises(ProbeError, match="2 ERROR"):
        log.probe(since="2026-11-22T00:20:04Z", timezone="+02:00")(5)
    assert log.probe(since="2026-11-22T02:20:06Z")(5)["entries"] == 0


def test_a_log_that_does_not_exist_is_no_data(log: Log) -> None:
    with pytest.raises(ProbeError, match="does not exist, so there is no data"):
        log.probe()(5)
    probe = log.probe(missing="empty")
    assert probe(5)["entries"] == 0
    log.write(ERROR.format(1))
    with pytest.raises(ProbeError, match="1 ERROR"):
        probe(5)


def test_a_folder_that_does_not_exist_is_no_data_either(log: Log) -> None:
    with pytest.raises(ProbeError, match="does not exist"):
        log.probe(file="/nowhere/at/all/x.log")(5)


def test_a_folder_that_cannot_be_read_is_said() -> None:
    runner = Scripted().on("find *", rc=1, stderr="find: '/var/www': Permission denied")
    with pytest.raises(RollbackError, match=r"/var/www cannot be read as www-data: .*Permission denied"):
        LogProbe(runner, log_from({"file": "/var/www/x.log", "user": "www-data"}), Clock())


def test_growth_that_cannot_be_judged_is_a_failure(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probes_log, "MOST_BYTES", 100)
    log.write(INFO.format(1))
    probe = log.probe()
    log.write(INFO.format(2) * 10)
    with pytest.raises(ProbeError, match="grew by 440 bytes, more than can be judged"):
        probe(5)


def test_only_the_end_of_a_large_log_is_read_for_a_moment(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probes_log, "MOST_BYTES", 200)
    log.write("".join(INFO.format(second) for second in range(50)))
    assert log.probe(since="2026-11-22T02:20:48Z")(5)["entries"] == 0
    with pytest.raises(ProbeError, match="do not reach back to the moment asked for"):
        log.probe(since="2026-11-22T02:20:10Z")(5)


def test_a_rate_can_be_the_limit(log: Log) -> None:
    log.write(INFO.format(1))
    probe = log.probe(maximum_per_minute=2)
    log.write(ERROR.format(2) * 3)
    with pytest.raises(ProbeError, match=r"3 entries a minute \(3 ERROR\)"):
        probe(5)
    log.now += 120
    assert probe(5)["per_minute"] == 1.5


@pytest.mark.parametrize("file", ["laravel.log", "/var/*/laravel.log"])
def test_refuses_paths_that_are_not_full(file: str) -> None:
    with pytest.raises(ValueError, match="is not the full path of a file"):
        log_from({"file": file})
