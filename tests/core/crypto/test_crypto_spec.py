"""Section 11 of SPEC.md: its byte examples rebuilt from the code, its figures, and that its codes exist."""

import re
from pathlib import Path

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec.schema import CONFIDENTIAL, STREAM, Schema
from hedgerow.crypto import claims, cose, handshake, resume
from hedgerow.crypto.confidential import CollectionKeys, author_key
from hedgerow.crypto.proofs import tag
from hedgerow.crypto.records import RecordKeys
from hedgerow.crypto.resume import Answerer, Beginner, Resumable
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import CODES
from hedgerow.operation import INSERT, decode_body, encode_body

TEXT = (Path(__file__).parents[3] / "SPEC.md").read_text(encoding="utf-8").split("\n## 11 ")[1]
SECRET = bytes(range(32))
AUTHOR = bytes.fromhex("0123456789abcdef")


def example(number: str) -> list[str]:
    line = re.search(rf"^Example {re.escape(number)} .*$", TEXT, re.MULTILINE)
    assert line
    return re.findall(r"`([0-9a-f]{10,})`", line[0])


def contact() -> list[str]:
    nonces = [bytes(range(8)), bytes(range(8, 16))]
    entries = [Resumable(SECRET, bytes(8), bytes(8), bytes(8), 0, began) for began in (True, False)]
    one = Beginner(entries[0], lambda _: nonces[0])
    two = Answerer(entries[1], one.first, lambda _: nonces[1])
    return [one.first.hex(), two.second.hex(), one.answer(two.second).hex()]


def concealed() -> bytes:
    schema = Schema("readings", STREAM | CONFIDENTIAL, (("humidity", -1), ("temperature", -1)))
    keys = CollectionKeys(AUTHOR, [["readings", 1, author_key(SECRET, AUTHOR)]])
    change = [INSERT, schema.name, None, [512, 394]]
    stamp = hlc.pack(837_000_000_000)
    body = encode_body(stamp, keys.conceal(AUTHOR, 7, stamp, [change], [schema]))
    assert bytes(decode_body(body)[1][0][3][0]) in body
    return body


def test_examples() -> None:
    sealed = cose.encrypt0(SECRET[:16], SECRET[:13], b"hi")
    assert example("11.4") == [sealed.hex()]
    assert example("11.8") == contact()
    assert example("11.10") == [RecordKeys(SECRET).seal(0, b"hi").hex()]
    receipt = Receipt(b"keeper-1", 2, bytes.fromhex("0123456789abcdef"), 40)
    assert example("11.14") == [tag(SECRET, receipt).hex()]
    assert example("11.17a") == [author_key(SECRET, AUTHOR).hex()]
    assert example("11.17b") == [concealed().hex()]
    assert len(re.findall(r"^Example ", TEXT, re.MULTILINE)) == 6


def test_codes_exist() -> None:
    codes = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT))
    assert len(codes) > 12 and codes <= CODES.keys()


def test_claims_and_labels_are_those_in_the_tables() -> None:
    numbers = {int(number) for number in re.findall(r"^\| (-\d+) \|", TEXT, re.MULTILINE)}
    private = {value for name, value in vars(claims).items() if name.isupper() and isinstance(value, int)}
    assert numbers == {value for value in private if value < 0}
    labels = {int(number) for number in re.findall(r"^\| (3\d{4}) \|", TEXT, re.MULTILINE)}
    assert labels == set(handshake.KNOWN)


def test_figures_of_limits() -> None:
    plain = " ".join(TEXT.replace(",", "").split())
    for part in (
        f"at most {limits.MAX_CREDENTIAL} bytes",
        f"of 1 to {limits.MAX_SUBJECT} characters",
        f"at most {limits.MAX_SCOPE} of [collection",
        f"at most {limits.MAX_METADATA} bytes encoded",
        f"one of the last {limits.MAX_ADMITTED} tags again",
        f"more than {limits.RESUME_GRACE_S // 86400} days ago",
        f"after {limits.RESUME_CONTACTS} contacts",
        f"Of {limits.MAX_RESUMABLES} peers",
        f"gives a connection {limits.FIRST_MESSAGE_MS // 1000} seconds",
        f"and {limits.HANDSHAKE_MS // 1000} seconds and {limits.MAX_UNPROVEN} bytes",
        f"newest {limits.MAX_WORDS} revocations and {limits.MAX_ISSUERS} issuers by their times",
        f"after each {limits.REKEY_RECORDS} records",
    ):
        assert part in plain, part
    assert limits.MAX_ATTEMPTS == 3 and "three handshakes are the most" in plain
    assert (resume.FIRST, resume.SECOND, resume.TAG) == (14, 16, 8)
