"""Each merge rule is broken in the source in turn, and the test named beside it must then fail."""

import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import document_kit
import merge_kit
import pytest
import test_counter
import test_document
import test_merge

import hedgerow

SHARED = Path(hedgerow.__file__).parent
TESTS = {**vars(test_document), **vars(test_counter), **vars(test_merge)}


class Mutant(NamedTuple):
    """One piece of a module's source, what stands there instead, and the test that sees it."""

    rule: str
    module: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "totals count whatever their base",
        "counter",
        "counters[path].values() if record[0] >= base]",
        "counters[path].values()]",
        "test_a_plain_write_starts_a_counter_anew",
    ),
    Mutant(
        "a base that is not held here does not count",
        "counter",
        "counters[path].values() if record[0] >= base]",
        "counters[path].values() if record[0] == base]",
        "test_a_delete_ends_counts_and_an_insert_does_not",
    ),
    Mutant(
        "totals are summed twice",
        "counter",
        "result[path] = totals",
        "result[path] = totals + totals",
        "test_a_counter_adds_up_over_authors",
    ),
    Mutant(
        "a delete does not end counts",
        "counter",
        "    base = delete\n",
        '    base = b""\n',
        "test_a_delete_ends_counts_and_an_insert_does_not",
    ),
    Mutant(
        "a default restarts a counter",
        "counter",
        " and write[0][:8] != hlc.ZERO",
        "",
        "test_defaults_never_restart_a_counter",
    ),
    Mutant(
        "a plain value above does not restart a counter",
        "counter",
        "range(1, len(path) + 1)",
        "range(len(path), len(path) + 1)",
        "test_a_restart_above_a_counter_restarts_it",
    ),
    Mutant(
        "a base that nobody can have seen counts",
        "counter",
        "if values[name][0] < key",
        "if True",
        "test_the_newest_base_of_an_author_counts",
    ),
    Mutant(
        "a sum that no number holds is cut off",
        "counter",
        "return None\n    return Decimal",
        "total = 0\n    return Decimal",
        "test_sums_are_exact_or_null",
    ),
    Mutant(
        "an author's first record stays",
        "document",
        "if record > authors.get(author, ()):",
        "if author not in authors:",
        "test_a_counter_adds_up_over_authors",
    ),
    Mutant(
        "an author's record of an older base beats a newer one",
        "document",
        "if record > authors.get(author, ()):",
        "if record[1:] > authors.get(author, ())[1:]:",
        "test_the_newest_base_of_an_author_counts",
    ),
    Mutant(
        "a counter beats a map in its place",
        "document",
        "if path in above or self._maps.get(path, _NONE)[0] > top:",
        "if path not in counts and (path in above or self._maps.get(path, _NONE)[0] > top):",
        "test_counters_beside_maps",
    ),
    Mutant(
        "a counter makes no map above it",
        "document",
        "if path in above or self",
        "if self",
        "test_a_counter_adds_up_over_authors",
    ),
    Mutant(
        "a counter shows without the value it started from",
        "document",
        "([cbor.decode(plain[1])] if shown else [])",
        "[]",
        "test_a_plain_write_starts_a_counter_anew",
    ),
    Mutant(
        "a default wins over writes",
        "document",
        "return hlc.ZERO + hashlib",
        'return b"\\xff" * 8 + hashlib',
        "test_defaults_yield_to_everything_and_never_resurrect",
    ),
    Mutant(
        "each board's default is its own",
        "document",
        "[schema.hash, change[2], change[3]]",
        "[author, change[2], change[3]]",
        "test_the_same_default_on_a_thousand_boards_is_one",
    ),
    Mutant(
        "equal keys are settled by arrival",
        "document",
        "if write > writes.get(path, _NONE):",
        "if write[0] > writes.get(path, _NONE)[0]:",
        "test_one_operation_that_writes_a_field_twice_has_one_outcome",
    ),
    Mutant(
        "equal stamps are settled by arrival",
        "document",
        "return stamp + author",
        "return stamp + bytes(8)",
        "test_equal_stamps_are_settled_by_author",
    ),
    Mutant(
        "a merge stamp is not looked at",
        "document",
        "if operation.MERGE_STAMP in options:",
        "if False:",
        "test_merge_stamp_lets_a_slow_clock_change_what_it_has_read",
    ),
    Mutant(
        "a counter's stamp calls for no merge stamp",
        "document",
        "latest = max(latest, record[1])",
        "pass",
        "test_the_stamp_of_a_document_is_the_greatest_in_it",
    ),
    Mutant(
        "unset is ignored under maps",
        "document",
        "        writes.append(((path,) if isinstance(path, str) else tuple(path), _UNSET))",
        "        writes += [((path,), _UNSET)] if isinstance(path, str) else []",
        "test_unset_hides_what_is_older",
    ),
    Mutant(
        "a map that was removed does not come back",
        "document",
        "self._maps.get(path, _NONE)[0] > top:",
        "(self._maps.get(path, _NONE)[0] > top and not plain[0]):",
        "test_a_value_in_the_place_of_a_map_hides_older_children_only",
    ),
    Mutant(
        "a plain value does not hide what is older below it",
        "document",
        "top = max(floor, plain[0])",
        "top = floor",
        "test_a_value_in_the_place_of_a_map_hides_older_children_only",
    ),
    Mutant(
        "a child does not make a map above it",
        "document",
        "writes.append((path[:size], None))",
        "pass",
        "test_maps_merge_by_child",
    ),
    Mutant(
        "an insert stands against an equal delete",
        "document",
        "return self._insert > self._delete",
        "return self._insert >= self._delete",
        "test_delete_wins_over_an_insert_with_the_same_stamp_and_author",
    ),
    Mutant(
        "a new insert shows what was deleted",
        "document",
        "inside = {(): (root, self._delete)}",
        'inside = {(): (root, b"")}',
        "test_delete_hides_and_a_later_insert_shows_only_what_is_newer",
    ),
    Mutant(
        "an update makes a document",
        "document",
        "if kind != operation.UPDATE:\n            changed",
        "if True:\n            changed",
        "test_an_update_alone_makes_no_document",
    ),
    Mutant(
        "the insert is superseded with its fields",
        "document",
        "if key > self._delete and key >= self._insert:",
        "if False:",
        "test_what_is_superseded",
    ),
    Mutant(
        "nothing is superseded by a delete",
        "document",
        "floor = self._delete\n            for",
        'floor = b""\n            for',
        "test_what_is_superseded",
    ),
    Mutant(
        "a delete is superseded by an insert",
        "document",
        "return self._delete if key < self._delete else None",
        "return max(self._insert, self._delete) if key < max(self._insert, self._delete) else None",
        "test_what_is_superseded",
    ),
    Mutant(
        "a map without children is superseded",
        "document",
        "needed = key > winner and key >= self._maps.get(path, _NONE)[0]",
        "needed = False",
        "test_documents_are_what_the_model_says",
    ),
    Mutant(
        "an unset is superseded once nothing shows of it",
        "document",
        "needed = key > floor and (key, raw) >= plain",
        "needed = key > floor and (key, raw) >= plain and raw != _UNSET",
        "test_unset_hides_what_is_older",
    ),
    Mutant(
        "an older total of an author is needed",
        "counter",
        "if record >= kept and record[0] >= base:",
        "if record[0] >= base:",
        "test_superseded_counts",
    ),
    Mutant(
        "a stored state has no counters",
        "document",
        "cbor.encode_into(buffer, [path, author, base, key, raw])",
        "pass",
        "test_a_counter_adds_up_over_authors",
    ),
]


def _mutated(mutant: Mutant) -> ModuleType:
    path = SHARED / f"{mutant.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, f"{mutant.old!r} stands {source.count(mutant.old)} times in {path}"
    module = ModuleType(f"hedgerow.{mutant.module}")
    module.__package__ = "hedgerow"
    exec(compile(source.replace(mutant.old, mutant.new), path, "exec"), vars(module))
    return module


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_a_broken_rule_is_seen(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    check = TESTS[mutant.test]
    check()
    module = _mutated(mutant)
    if mutant.module == "counter":
        monkeypatch.setitem(sys.modules, "hedgerow.counter", module)
        monkeypatch.setattr(hedgerow, "counter", module)
    else:
        for user in (document_kit, test_counter, test_document, merge_kit):
            monkeypatch.setattr(user, "Document", module.Document)
    with pytest.raises(AssertionError):
        check()


def test_the_rules_are_many_and_their_tests_too() -> None:
    assert len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.test.startswith("test_") and mutant.test in TESTS for mutant in MUTANTS)
