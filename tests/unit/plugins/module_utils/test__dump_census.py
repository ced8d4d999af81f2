# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.lastgood.rollback.plugins.module_utils._dump_census import Census

DUMP = b"""-- MariaDB dump
--
-- Dumping data for table `odd``name`
--
LOCK TABLES `odd``name` WRITE;
INSERT INTO `odd``name` VALUES
(1,'(not a row)'),
(2,'\\n(nor this)');
INSERT INTO `odd``name` VALUES
(3,'x');
UNLOCK TABLES;
DELIMITER ;;
CREATE TRIGGER x BEGIN SET @a = '
(looks like a row)
--
-- Dumping data for table `fake`
--
'; END ;;
DELIMITER ;
--
-- Dumping data for table `empty`
--
UNLOCK TABLES;
--
-- Dumping data for table `one_line`
--
INSERT INTO `one_line` VALUES (1),(2);
UNLOCK TABLES;
(4)
-- Dump completed on 2026-11-22  2:19:56
"""


def census(dump: bytes, size: int) -> Census:
    made = Census()
    for start in range(0, len(dump), size):
        made.feed(dump[start : start + size])
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 100, 10_000])
def test_rows_are_counted_wherever_the_stream_is_cut(size: int) -> None:
    found = census(DUMP, size)
    assert found.rows == {"odd`name": 3, "empty": 0, "one_line": None}
    assert found.size == len(DUMP)
    assert found.complete


@pytest.mark.requirement("D-006")
@pytest.mark.parametrize("cut", [1, 20, 45, 200])
def test_a_dump_is_complete_only_with_its_last_line(cut: int) -> None:
    assert not census(DUMP[:-cut].rstrip(b"\n") + b"\n-- Something else\n", 64).complete


def test_an_empty_stream_is_no_dump() -> None:
    assert not Census().complete
    assert not census(b"\n", 1).complete
