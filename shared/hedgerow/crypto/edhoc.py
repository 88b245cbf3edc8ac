"""EDHOC (RFC 9528), method 3 with cipher suite 2: its messages as bytes, and its keys.

handshake.py puts them in order. Names in capitals are the RFC's.
"""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError
from ..limits import const
from . import port
from .kdf import expand, extract

METHOD = const(3)
SUITE = const(2)
MAC = const(8)

# How a credential is named: by a name of it, or whole as a CWT or as a set of claims without signature.
KID = const(4)
KCWT = const(13)
KCCS = const(14)

ERROR_OTHER = const(1)
ERROR_SUITE = const(2)
ERROR_CREDENTIAL = const(3)

_PADDING = const(0)


def _bytes(data: bytes) -> bytes:
    return cbor.encode(data)


def kdf(key: bytes, label: int, context: bytes, length: int) -> bytes:
    """EDHOC_KDF."""
    return expand(key, cbor.encode(label) + _bytes(context) + cbor.encode(length), length)


class Transcript:
    """The keys of one run, in the order in which they become known: TH and the PRK that goes with it."""

    def __init__(self, message_1: bytes, g_y: bytes, g_xy: bytes):
        self.th = sha256(_bytes(g_y) + _bytes(sha256(message_1).digest())).digest()
        self._prk = self._prk_2e = extract(self.th, g_xy)
        self._th_2 = self.th

    def stream(self, data: bytes) -> bytes:
        """Encrypt or decrypt PLAINTEXT_2."""
        size = len(data)
        stream = int.from_bytes(kdf(self._prk_2e, 0, self._th_2, size), "big")
        return (int.from_bytes(data, "big") ^ stream).to_bytes(size, "big")

    def responder(self, g_rx: bytes) -> None:
        """Go on to PRK_3e2m."""
        self._prk = extract(kdf(self._prk, 1, self.th, 32), g_rx)

    def initiator(self, g_iy: bytes) -> None:
        """Go on to PRK_4e3m."""
        self._prk = extract(kdf(self._prk, 5, self.th, 32), g_iy)

    def mac(self, label: int, head: bytes, id_cred: bytes, cred: bytes, ead: bytes) -> bytes:
        """MAC_2 (label 2, C_R as `head`) or MAC_3 (label 6)."""
        return kdf(self._prk, label, head + id_cred + _bytes(self.th) + cred + ead, MAC)

    def follow(self, plaintext: bytes, cred: bytes) -> None:
        """Go on to TH_3 or TH_4."""
        self.th = sha256(_bytes(self.th) + plaintext + cred).digest()

    def cipher(self, label: int) -> tuple:
        """(key, nonce, associated data) of message 3 (label 3) or 4 (label 8)."""
        key = kdf(self._prk, label, self.th, 16)
        return key, kdf(self._prk, label + 1, self.th, 13), cbor.encode(["Encrypt0", b"", self.th])

    def out(self) -> bytes:
        """PRK_out."""
        return kdf(self._prk, 7, self.th, 32)


def export(prk_out: bytes, label: int, context: bytes, length: int) -> bytes:
    """EDHOC_Exporter."""
    return kdf(kdf(prk_out, 10, b"", 32), label, context, length)


def update(prk_out: bytes, context: bytes) -> bytes:
    """EDHOC_KeyUpdate: the PRK_out that follows."""
    return kdf(prk_out, 11, context, 32)


# ---- items


def sequence(data: bytes) -> list:
    """Return the items of a CBOR sequence."""
    items = []
    at = 0
    while at < len(data):
        item, at = cbor.decode_at(data, at)
        items.append(item)
    return items


def identifier(name: bytes) -> bytes:
    """Encode a connection identifier or kid: one byte that is itself a small integer stands for itself."""
    if len(name) == 1 and (name[0] < 0x18 or 0x20 <= name[0] < 0x38):
        return name
    return _bytes(name)


def read_identifier(item: object) -> bytes:
    if is_integer(item) and -24 <= item < 24:
        return cbor.encode(item)
    if not isinstance(item, bytes) or len(item) > limits.MAX_IDENTIFIER or identifier(item) == item:
        raise HedgerowError("HANDSHAKE_INVALID", "identifier")
    return item


def id_cred(label: int, value: bytes) -> bytes:
    """ID_CRED_x: a map of one header; `value` is a name for KID, else the encoded credential."""
    return b"\xa1" + cbor.encode(label) + (_bytes(value) if label == KID else value)


def id_cred_sent(label: int, value: bytes) -> bytes:
    """ID_CRED_x as it stands in a plaintext."""
    return identifier(value) if label == KID else id_cred(label, value)


def write_ead(items: list) -> bytes:
    """Encode [(label, bytes or None)]."""
    out = b""
    for label, value in items:
        out += cbor.encode(label) + (b"" if value is None else _bytes(value))
    return out


def read_ead(data: bytes, at: int, known: tuple) -> dict:
    """Return {label: bytes or None} of what follows an offset; HANDSHAKE_CRITICAL for what must be known."""
    found: dict = {}
    label = None
    for item in sequence(data[at:]):
        if isinstance(item, bytes) and label is not None:
            if label != _PADDING:
                found[label] = item
            label = None
            continue
        if not is_integer(item) or abs(item) in found:
            raise HedgerowError("HANDSHAKE_INVALID", "external data")
        label = abs(item)
        if item < 0 and label not in known:
            raise HedgerowError("HANDSHAKE_CRITICAL", str(item))
        if label != _PADDING:
            found[label] = None
    return found


# ---- messages


def message_1(suites: tuple, g_x: bytes, c_i: bytes) -> bytes:
    """Message 1 without external data; the suites in order of preference, the last one selected."""
    chosen = suites[0] if len(suites) == 1 else list(suites)
    return cbor.encode(METHOD) + cbor.encode(chosen) + _bytes(g_x) + identifier(c_i)


def read_message_1(data: bytes) -> tuple:
    """Return (G_X, C_I, offset of the external data); HANDSHAKE_SUITE for one with another suite selected."""
    method, at = cbor.decode_at(data, 0)
    suites, at = cbor.decode_at(data, at)
    g_x, at = cbor.decode_at(data, at)
    c_i, at = cbor.decode_at(data, at)
    if is_integer(suites):
        suites = [suites]
    elif not isinstance(suites, list) or len(suites) < 2:
        suites = [None]
    if not is_integer(method) or method != METHOD or not all(is_integer(suite) for suite in suites):
        raise HedgerowError("HANDSHAKE_INVALID", "method")
    if suites[-1] != SUITE:
        raise HedgerowError("HANDSHAKE_SUITE", str(suites[-1]))
    if SUITE in suites[:-1] or not isinstance(g_x, bytes) or len(g_x) != 32:
        raise HedgerowError("HANDSHAKE_INVALID", "message 1")
    return g_x, read_identifier(c_i), at


def seal(cipher: tuple, plaintext: bytes) -> bytes:
    """Return message 3 or 4."""
    return _bytes(port.seal(*cipher, plaintext))


def unseal(cipher: tuple, message: bytes) -> bytes:
    """Return the plaintext of message 3 or 4; TAG_INVALID."""
    return port.unseal(*cipher, _only(message))


def message_2(g_y: bytes, ciphertext: bytes) -> bytes:
    return _bytes(g_y + ciphertext)


def read_message_2(data: bytes) -> tuple:
    """Return (G_Y, CIPHERTEXT_2)."""
    item = _only(data)
    if len(item) < 32:
        raise HedgerowError("HANDSHAKE_INVALID", "message 2")
    return item[:32], item[32:]


def _only(message: bytes) -> bytes:
    items = sequence(message)
    if len(items) != 1 or not isinstance(items[0], bytes):
        raise HedgerowError("HANDSHAKE_INVALID", "message")
    return items[0]


def read_plaintext(data: bytes, at: int) -> tuple:
    """Return (header label, name or encoded credential, MAC, offset of the external data)."""
    item, end = cbor.decode_at(data, at)
    while item is True:
        # Padding that hides the length.
        at = end
        item, end = cbor.decode_at(data, at)
    if isinstance(item, dict):
        if len(item) != 1 or data[at] != 0xA1:
            raise HedgerowError("HANDSHAKE_INVALID", "credential")
        label, start = cbor.decode_at(data, at + 1)
        if not is_integer(label) or label not in (KCWT, KCCS):
            raise HedgerowError("HANDSHAKE_INVALID", "credential")
        value = bytes(data[start:end])
    else:
        label, value = KID, read_identifier(item)
    mac, at = cbor.decode_at(data, end)
    if not isinstance(mac, bytes) or len(mac) != MAC:
        raise HedgerowError("HANDSHAKE_INVALID", "MAC")
    return label, value, mac, at


def error(code: int) -> bytes:
    """An error message: what it says of others than a suite or an unknown name is the same for all."""
    info: object = "refused"
    if code == ERROR_SUITE:
        info = SUITE
    elif code == ERROR_CREDENTIAL:
        info = True
    return cbor.encode(code) + cbor.encode(info)


def read_error(data: bytes) -> int | None:
    """Return the code of an error message, None for any other message of either side behind the first."""
    major, code, _ = cbor.read_head(data, 0)
    return code if major == 0 else None
