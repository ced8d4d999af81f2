# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a migration's own text says about its way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lastgood.rollback.plugins.module_utils import _migrations
from ansible_collections.lastgood.rollback.plugins.module_utils._errors import RollbackError
from ansible_collections.lastgood.rollback.plugins.module_utils._migrations import Applied

UP = "public function up(): void { Schema::drop('old'); }"


def migration(down: str, before: str = UP, after: str = "") -> str:
    return f"<?php\nreturn new class extends Migration {{\n{before}\n{down}\n{after}\n}};\n"


REVERSIBLE = {
    "a column goes": ("function down() { Schema::table('u', function ($t) { $t->dropColumn('x'); }); }", True),
    "several columns go": ("function down() { Schema::table('u', fn ($t) => $t->dropColumns(['x', 'y'])); }", True),
    "a table goes": ("public function down(): void\n{\n    Schema::dropIfExists('u');\n}", True),
    "a drop with a space": ("function down() { Schema::drop ('u'); }", True),
    "time stamps go": ("function down() { Schema::table('u', fn ($t) => $t->dropTimestamps()); }", True),
    "soft deletes go": ("function down() { Schema::table('u', fn ($t) => $t->dropSoftDeletes()); }", True),
    "a foreign column goes": ("function down() { Schema::table('u', fn ($t) => $t->dropConstrainedForeignId('x')); }", True),
    "rows go": ("function down() { DB::table('u')->where('x', 1)->delete(); }", True),
    "rows go by SQL": ("function down() { DB::statement('delete from u'); }", True),
    "a table is emptied": ("function down() { DB::table('u')->truncate(); }", True),
    "SQL in a heredoc": ("function down() { DB::statement(<<<SQL\n  ALTER TABLE u DROP COLUMN it's\nSQL); }", True),
    "a column is renamed": ("function down() { Schema::table('u', fn ($t) => $t->renameColumn('a', 'b')); }", False),
    "an index goes": ("function down() { Schema::table('u', fn ($t) => $t->dropIndex('x')); }", False),
    "an index goes by SQL": ("function down() { DB::statement('ALTER TABLE u DROP INDEX x'); }", False),
    "a foreign key goes": ("function down() { Schema::table('u', fn ($t) => $t->dropForeign(['x'])); }", False),
    "a key is made": ("function down() { Schema::table('u', fn ($t) => $t->foreign('x')->onDelete('cascade')); }", False),
    "nested braces": ("function down() { if (true) { foreach ([1] as $x) { a(); } } b(); }", False),
    "braces in texts": ("function down() { a('}'); b(\"{ $x }\"); }", False),
    "a comment sign in a text": ("function down() { a('http://x#y'); }", False),
    "an early way out inside": ("function down() { if (x()) { return; } y(); }", False),
    "a drop only in a comment": ("function down() { // Schema::drop('u');\n a(); /* dropColumn( */ }", False),
    "a value is returned": ("function down() { return $this->restore(); }", False),
    "capitals": ("FUNCTION DOWN() { a(); }", False),
}
IRREVERSIBLE = {
    "nothing": "",
    "an empty body": "function down() {}",
    "an empty body over lines": "public function down(): void\n{\n\n}",
    "only a comment": "function down() { // nothing to do\n }",
    "only a hash comment": "function down() { # nothing } \n }",
    "only a block comment": "function down() { /* Schema::drop('x'); } */ }",
    "only a documented body": "function down()\n{\n    /** Not possible. */\n}",
    "it throws": "function down() { throw new RuntimeException('This cannot be undone.'); }",
    "it returns": "function down() { return; }",
    "another function": "function downgrade() { Schema::drop('x'); }",
    "in a comment": "// function down() { Schema::drop('x'); }",
    "in a text": "const HELP = 'function down() { Schema::drop(1); }';",
}


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize(("down", "destructive"), REVERSIBLE.values(), ids=REVERSIBLE)
@pytest.mark.parametrize("place", ["last", "first"])
def test_a_way_back_is_seen_and_whether_it_loses_data(down: str, destructive: bool, place: str) -> None:
    text = migration(down) if place == "last" else migration(down, before="", after=UP)
    assert _migrations._judge("m", text) == _migrations.Unknown("m", reversible=True, destructive=destructive)


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize("down", IRREVERSIBLE.values(), ids=IRREVERSIBLE)
@pytest.mark.parametrize("place", ["last", "first"])
def test_no_way_back_is_seen(down: str, place: str) -> None:
    text = migration(down) if place == "last" else migration(down, before="", after=UP)
    assert _migrations._judge("m", text) == _migrations.Unknown("m", reversible=False, destructive=False)


def test_a_lost_file_has_no_way_back() -> None:
    assert not _migrations._judge("m", None).reversible


@given(st.text(alphabet="{}()'\"/*#\\ \n<ab", max_size=60))
def test_any_text_can_be_judged(text: str) -> None:
    _migrations._judge("m", migration(f"function down() {{ {text}"))


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)


@given(names, st.data())
def test_only_the_ones_on_top_may_go(held: list[str], data: st.DataObject) -> None:
    applied = [Applied(name, 1) for name in held]
    wanted = data.draw(st.lists(st.sampled_from(held), unique=True))
    on_top = set(held[: len(wanted)]) == set(wanted)
    assert _migrations.in_order(wanted, applied) == [name for name in held if name in wanted]
    if on_top:
        _migrations.refuse_gaps(applied, wanted)
    else:
        with pytest.raises(RollbackError, match="was applied after them"):
            _migrations.refuse_gaps(applied, wanted)


@pytest.mark.requirement("G-08")
def test_the_difference_to_the_target_goes_both_ways() -> None:
    held = [Applied("c", 2), Applied("b", 2), Applied("a", 1)]
    assert _migrations.unknown_to({"a", "d"}, held) == ["c", "b"]
    assert _migrations.not_applied({"a", "d"}, held) == ["d"]
