"""Every limit has a check that goes to it, and one over it; SPEC 1.10 has those that a stranger must know."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import limit_behaviour as behaviour
import limit_crypto as crypto
import limit_custody as custody
import limit_formats as formats
import limit_mesh as mesh
import limit_sessions as sessions
import limit_strangers as strangers
import limit_times as times
import limit_wishes as wishes
import pytest
from limit_formats import of_hello

from hedgerow import limits

SPEC = (Path(__file__).parents[2] / "SPEC.md").read_text(encoding="utf-8")

#: Constant -> (its check, the codes with which it refuses, given to the check). There are none where a table
#: makes room, or of a time.
LIMITS: dict[str, tuple[Any, ...]] = {
    "MAX_DEPTH": (formats.depth, "CBOR_DEPTH", "QUERY_DOCUMENT"),
    "MAX_ARRAY": (formats.array, "CBOR_TOO_LONG"),
    "MAX_MAP": (formats.pairs, "CBOR_TOO_LONG"),
    "MAX_TEXT": (formats.text, "CBOR_TOO_LONG", "QUERY_TOO_LONG"),
    "MAX_EXPONENT": (formats.exponent, "DECIMAL_RANGE", "SCHEMA_INVALID"),
    "MAX_NUMBER": (
        formats.number,
        "RECEIPT_INVALID",
        "SKIP_INVALID",
        "SEAL_INVALID",
        "VECTOR_INVALID",
        "SEGMENT_INVALID",
        "FRONTIER_INVALID",
        "HELLO_INVALID",
        "INTEREST_INVALID",
        "LOG_OUT_OF_ORDER",
    ),
    "MAX_OPERATION": (formats.operation, "OPERATION_TOO_LARGE"),
    "MAX_CHANGES": (formats.changes, "OPERATION_CHANGES"),
    "MAX_FIELDS": (formats.fields, "DOCUMENT_FIELDS", "CHANGE_FIELDS"),
    "MAX_NAME": (formats.name, "SCHEMA_INVALID"),
    "MAX_PATH": (formats.path, "SCHEMA_INVALID"),
    "MAX_UNSET_PATHS": (formats.unset, "CHANGE_INVALID"),
    "MAX_VALUE_DEPTH": (formats.value_depth, "CBOR_DEPTH"),
    "MAX_ID": (formats.document_id, "DOCUMENT_ID"),
    "MAX_SEGMENT_OPERATIONS": (formats.segment_operations, "SEGMENT_TOO_LONG"),
    "MAX_SEGMENT_BYTES": (formats.segment_bytes, "SEGMENT_TOO_LONG"),
    "MAX_SEAL_OPERATIONS": (formats.seal_operations, "SEAL_INVALID"),
    "MAX_AUTHORS": (behaviour.authors, "VECTOR_INVALID", "AUTHORS_FULL"),
    "MAX_SCHEMAS": (behaviour.schemas, "SCHEMAS_FULL", "HELLO_INVALID", "FRAME_INVALID"),
    "MAX_LEARNT_SCHEMAS": (behaviour.learnt_schemas, "SCHEMAS_FULL"),
    "MAX_STRANGE_SCHEMAS": (behaviour.strange_schemas, "SCHEMAS_FULL"),
    "MAX_STRANGE_BYTES": (strangers.room, "QUOTA_FULL"),
    "MAX_STRANGE_AUTHORS": (strangers.authors, "QUOTA_FULL"),
    "HOST_SHARES": (strangers.host,),
    "MAX_KEEPERS": (
        of_hello({"keepers": [b"keeper-1"] * 3}, {"keepers": [b"keeper-1"] * 4}),
        "HELLO_INVALID",
    ),
    "MAX_KNOWN_KEEPERS": (behaviour.known_keepers, "KEEPERS_FULL"),
    "MAX_RECEIPTS": (behaviour.receipts,),
    "MAX_FRONTIER": (formats.frontier, "FRONTIER_INVALID"),
    "MAX_TAKERS": (behaviour.takers,),
    "MAX_RECORD": (sessions.records, "RECORD_LENGTH"),
    "MIN_RECORD": (of_hello({"max_record": 128}, {"max_record": 127}), "HELLO_INVALID"),
    "FIRST_RECORD": (sessions.first_record,),
    "MAX_FRAME": (sessions.frame_size, "FRAME_INVALID"),
    "MIN_CREDIT": (of_hello({"credit": 512}, {"credit": 511}), "HELLO_INVALID"),
    "MAX_CREDIT": (of_hello({"credit": 0xFFFFFF}, {"credit": 0x1000000}), "HELLO_INVALID"),
    "MAX_FREE_FRAMES": (sessions.free_frames, "SESSION_QUEUE"),
    "MAX_PEER_NAME": (of_hello({"name": "ä" * 32}, {"name": "x" * 33}), "HELLO_INVALID"),
    "MAX_CODE": (sessions.code_length, "FRAME_INVALID", "SKIP_INVALID"),
    "MAX_BUCKETS_LOG2": (mesh.buckets, "BEACON_INVALID"),
    "MAX_FRAGMENTS": (mesh.fragments, "BEACON_INVALID", "LETTER_TOO_LONG"),
    "MAX_LETTER": (mesh.content, "LETTER_TOO_LONG", "LETTER_INVALID"),
    "MAX_LETTERS": (mesh.open_letters,),
    "MAX_NAMES": (mesh.names,),
    "CHANNEL_EVENTS": (mesh.channel,),
    "MAX_INTERESTS": (formats.interests, "INTEREST_INVALID", "INTERESTS_FULL"),
    "MAX_INTEREST": (formats.interest, "INTEREST_INVALID"),
    "MAX_CONDITION": (formats.condition, "INTEREST_INVALID", "QUERY_TOO_LONG"),
    "MAX_PARAMETERS": (formats.parameters, "INTEREST_INVALID", "QUERY_TOO_LONG"),
    "MAX_INTEREST_HOPS": (sessions.hops, "INTEREST_INVALID", "SUBSCRIPTION_INVALID"),
    "SUBSCRIPTION_HOPS": (sessions.subscription_hops,),
    "MAX_WANTS": (formats.wants, "INTEREST_INVALID"),
    "MAX_WANT_NUMBERS": (formats.want_numbers, "INTEREST_INVALID"),
    "MAX_MARKS": (behaviour.marks,),
    "INTEREST_EXPIRY_MS": (sessions.interest_expiry,),
    "MARK_EVERY_MS": (sessions.mark_every,),
    "MAX_NEIGHBOURS": (mesh.neighbours,),
    "NEIGHBOUR_FRESH_MS": (mesh.neighbour_fresh,),
    "MAX_BACKOFF_DOUBLINGS": (mesh.backoff,),
    "DISTANCE_EXPIRY_MS": (sessions.distance_expiry,),
    "KEPT_CHANGES": (sessions.kept_changes,),
    "FLOOD_AUTHORS": (sessions.flood_authors,),
    "FLOOD_AGAIN_AUTHORS": (sessions.flood_again,),
    "HELLO_TIMEOUT_MS": (sessions.hello_timeout, "SESSION_HELLO_TIMEOUT"),
    "IDLE_TIMEOUT_MS": (sessions.idle_timeout, "SESSION_IDLE_TIMEOUT"),
    "KEEPALIVE_MS": (sessions.keepalive,),
    "MAX_EXCHANGE_MS": (sessions.exchange_time,),
    "SEAL_EVERY": (behaviour.seal_every,),
    "SEAL_DELAY_MS": (behaviour.seal_delay,),
    "MAX_OWN_AUTHORS": (behaviour.own_authors, "SYNC_OWN_AUTHOR"),
    "MAX_CLOSED_GAP": (behaviour.closed_gap, "SYNC_OWN_AUTHOR"),
    "CLOSING_DELAY_MS": (behaviour.closing_delay,),
    "DOUBT_MS": (behaviour.doubt_time,),
    "GOOD_TIME_MS": (behaviour.good_time,),
    "ASK_AGAIN_MS": (sessions.ask_again,),
    "DRIFT_PPM": (behaviour.drift,),
    "STABLE_AGE_MS": (behaviour.stable_age,),
    "AHEAD_MS": (behaviour.ahead,),
    "MAX_WAITING": (behaviour.waiting,),
    "SLICE_DOCUMENTS": (behaviour.slices,),
    "MAX_OBSERVERS": (behaviour.observers, "OBSERVERS_FULL"),
    "KEPT_STATEMENTS": (behaviour.kept_statements,),
    "MAX_STATEMENT": (formats.statement, "QUERY_TOO_LONG"),
    "MAX_STATEMENT_DEPTH": (formats.statement_depth, "QUERY_DEPTH"),
    "MAX_LISTED": (formats.listed, "QUERY_TOO_LONG"),
    "MAX_ANSWER_ROWS": (formats.answer_rows, "QUERY_ROWS"),
    "MAX_RESULT_ROWS": (formats.result_rows, "QUERY_ROWS"),
    "MAX_SAYINGS": (custody.sayings,),
    "MAX_CUSTODY": (custody.places,),
    "MESH_WINDOW": (custody.own_window,),
    "MESH_SHARE": (custody.share,),
    "MESH_SPARE": (custody.spare,),
    "MESH_SEEN": (custody.seen,),
    "MESH_DONE": (custody.done,),
    "MESH_LETTERS": (custody.whole_letters,),
    "MESH_ROUTE": (custody.route,),
    "MESH_LATELY": (custody.lately,),
    "MESH_PENDING": (custody.pending,),
    "MESH_WAITING": (custody.waiting,),
    "MESH_WANTS": (custody.wants,),
    "MESH_ADDRESSES": (custody.addresses,),
    "MESH_SAID_LETTERS": (custody.said_letters,),
    "MAX_LEAVES": (custody.leaves,),
    "MESH_ASKERS": (times.askers,),
    "MESH_WISHES": (wishes.wishes_at_once,),
    "MESH_MARKS": (wishes.marks,),
    "MESH_ANSWERS": (wishes.answers,),
    "MAX_EPHEMERALS": (crypto.ephemerals,),
    "MAX_HANDSHAKE": (crypto.handshake, "HANDSHAKE_INVALID"),
    "MAX_IDENTIFIER": (crypto.identifier, "HANDSHAKE_INVALID"),
    "MAX_ADMITTED": (crypto.admitted, "HANDSHAKE_STRANGER"),
    "MAX_CREDENTIAL": (crypto.credential, "CREDENTIAL_INVALID"),
    "MAX_SUBJECT": (crypto.subject, "CREDENTIAL_INVALID"),
    "MAX_SCOPE": (crypto.scope, "CREDENTIAL_INVALID"),
    "MAX_METADATA": (crypto.metadata, "CREDENTIAL_INVALID"),
    "MAX_CREDENTIALS": (crypto.credentials,),
    "MAX_COLLECTION_KEYS": (crypto.collection_keys, "KEYS_INVALID"),
    "MAX_WORDS": (crypto.words,),
    "WORDS_MS": (crypto.words_time,),
    "MAX_ISSUERS": (crypto.issuers,),
    "MAX_FRESH": (crypto.fresh,),
    "MAX_BATCH": (crypto.batch, "RECEIPT_INVALID"),
    "MAX_BATCHES": (crypto.batches,),
    "MAX_FOLDED": (crypto.folded,),
    "BATCH_APART_S": (crypto.batch_apart,),
    "MAX_PARTS": (strangers.parts,),
    "MAX_REFUSED": (strangers.refused,),
    "MAX_VOUCHED": (strangers.vouched,),
    "MAX_BELIEVED": (strangers.vouched,),
    "REKEY_RECORDS": (crypto.rekey,),
    "MAX_RESUMABLES": (crypto.resumables,),
    "RESUME_CONTACTS": (crypto.contacts,),
    "RESUME_GRACE_S": (crypto.grace,),
    "MAX_UNPROVEN": (crypto.unproven, "HANDSHAKE_INVALID"),
    "MAX_ATTEMPTS": (crypto.attempts, "HANDSHAKE_INVALID"),
    "FIRST_MESSAGE_MS": (crypto.first_message, "HANDSHAKE_TIMEOUT"),
    "HANDSHAKE_MS": (crypto.handshake_time, "HANDSHAKE_TIMEOUT"),
}
#: What follows from several limits, or bounds a table that one of them names too.
MORE: list[Callable[[], None]] = [
    sessions.adopted,
    sessions.wanted,
    sessions.lost_ranges,
    behaviour.to_come,
    behaviour.documents_of_a_statement,
    behaviour.changed_documents,
    behaviour.index_authors,
    behaviour.frontier_stands,
    custody.gateway_waiting,
    custody.acknowledgements,
    custody.pushes_noted,
    wishes.waiting,
]
#: Codes of limits that an application meets, and no stranger.
OWN_CODES = {
    "OBSERVERS_FULL",
    "QUERY_DOCUMENT",
    "QUERY_ROWS",
    "SUBSCRIPTION_INVALID",
    "INTERESTS_FULL",
    "LOG_OUT_OF_ORDER",
}


def constants() -> dict[str, int]:
    return {name: value for name, value in vars(limits).items() if name.isupper()}


def test_every_limit_has_a_check() -> None:
    assert LIMITS.keys() == constants().keys()


@pytest.mark.parametrize("name", LIMITS)
def test_to_the_limit_and_one_over_it(name: str) -> None:
    check, *codes = LIMITS[name]
    check(*codes)


@pytest.mark.parametrize("check", MORE, ids=lambda check: check.__name__)
def test_tables_are_bounded(check: Callable[[], None]) -> None:
    check()


def rows() -> list[tuple[set[int], set[str]]]:
    """(numbers, codes) of each row of the table in SPEC 1.10."""
    table = SPEC.split("1.10 Limits.")[1].split("\n1.11")[0]
    found = []
    for line in table.splitlines():
        cells = line.split("|")
        if len(cells) == 4 and re.search(r"\d", cells[2]):
            codes = set(re.findall(r"`([A-Z_]+)`", cells[2]))
            text = re.sub(r"`[^`]*`", "", cells[2]).replace(",", "")
            found.append(({eval_power(text) for text in re.findall(r"\d+(?:\^\d+ - 1)?", text)}, codes))
    return found


def eval_power(text: str) -> int:
    base, power, rest = text.partition("^")
    return int(base) ** int(rest.split()[0]) - 1 if power else int(base)


def test_the_specification_names_each_with_its_codes() -> None:
    table = rows()
    assert len(table) > 20
    stated = {(number, code) for numbers, codes in table for number in numbers for code in codes}
    values = constants()
    missing = []
    for name, (_, *codes) in LIMITS.items():
        number = values[name] // 1000 if name.endswith("_MS") else values[name]
        number = 1 << number if name.endswith("_LOG2") else number
        missing += [(name, code) for code in codes if code not in OWN_CODES and (number, code) not in stated]
    assert not missing


def test_the_specification_names_no_other_code() -> None:
    raised = {code for _, *codes in LIMITS.values() for code in codes}
    assert not {code for _, codes in rows() for code in codes} - raised
