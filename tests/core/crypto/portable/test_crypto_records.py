"""Records under AES-CCM: numbers, new keys, altered bytes."""

from kit import raises

from hedgerow import limits
from hedgerow.crypto.kdf import expand
from hedgerow.crypto.port import seal
from hedgerow.crypto.records import RecordKeys, record_nonce

SECRET = bytes(range(32))


def test_record_nonces_differ_over_forty_bits() -> None:
    iv = bytes(range(13))
    assert record_nonce(iv, 0) == iv
    assert record_nonce(iv, 0x0102030405) == iv[:8] + bytes([8 ^ 1, 9 ^ 2, 10 ^ 3, 11 ^ 4, 12 ^ 5])
    assert len({record_nonce(iv, 1 << bit) for bit in range(40)}) == 40


def test_the_form_of_a_record() -> None:
    """As SPEC 7.3 has it, with another kind: 13 bytes around the payload."""
    record = RecordKeys(SECRET).seal(0, b"payload")
    assert len(record) == 13 + 7 and record[:5] == b"\x00\x12\x11\x00\x00"
    keys = expand(SECRET, b"hedgerow record", 61)
    assert record[5:] == seal(keys[:16], keys[16:29], record[:5], b"payload")
    iv = bytearray(keys[16:29])
    iv[12] ^= 3
    record = RecordKeys(SECRET).seal(3, b"")
    assert record == b"\x00\x0b\x11\x00\x03" + seal(keys[:16], bytes(iv), record[:5], b"")


def test_records_in_their_order() -> None:
    one, two = RecordKeys(SECRET), RecordKeys(SECRET)
    seen = set()
    for number in range(40):
        record = one.seal(number, b"same")
        assert two.unseal(record, number) == b"same"
        seen.add(record[5:])
    assert len(seen) == 40


def test_new_keys_as_it_goes_on() -> None:
    """Both sides come to them by the number alone; the number in the record wraps, the nonce does not."""
    one, two = RecordKeys(SECRET), RecordKeys(SECRET)
    seen = set()
    every = limits.REKEY_RECORDS
    numbers = [0, every - 1, every, 2 * every, 65535, 65536, 65536 + every, 10 * every]
    for number in numbers:
        record = one.seal(number, b"same")
        assert two.unseal(record, number) == b"same"
        seen.add(record[5:])
    assert len(seen) == len(numbers)
    # Nobody comes back to a key that is gone, nor to its numbers.
    raises("RECORD_SEQUENCE", one.seal, 9 * every, b"")
    raises("RECORD_SEQUENCE", two.unseal, RecordKeys(SECRET).seal(0, b""), 0)


def test_records_refused() -> None:
    record = RecordKeys(SECRET).seal(7, b"payload")
    keys = RecordKeys(SECRET)
    for at in range(5, len(record)):
        wrong = bytearray(record)
        wrong[at] ^= 1
        raises("RECORD_TAG", keys.unseal, bytes(wrong), 7)
    for wrong in (b"", record[:12], record[:-1], record + b"\0", b"\0\x13" + record[2:]):
        raises("RECORD_VERSION", keys.unseal, wrong, 7)
    raises("RECORD_VERSION", keys.unseal, record[:2] + b"\x10" + record[3:], 7)
    raises("RECORD_SEQUENCE", keys.unseal, record, 8)
    raises("RECORD_SEQUENCE", keys.unseal, record[:4] + b"\x08" + record[5:], 7)
    # The right number in the head does not help a record of another one, also 2^16 later.
    raises("RECORD_TAG", keys.unseal, record[:4] + b"\x08" + record[5:], 8)
    assert keys.unseal(record, 7) == b"payload"
    raises("RECORD_TAG", keys.unseal, record, 65536 + 7)
    raises("RECORD_TAG", RecordKeys(bytes(32)).unseal, record, 7)
