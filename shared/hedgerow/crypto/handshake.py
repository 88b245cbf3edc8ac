"""One side of an EDHOC handshake, sans IO: messages in, messages and keys out (SPEC 11.6)."""

from .. import limits
from ..errors import HedgerowError
from ..limits import const
from . import edhoc
from .kdf import hmac, same

# External data of ours: private use (RFC 9528, 10.5).
ADMISSION = const(32768)
BY_VALUE = const(32769)
ISSUER = const(32770)
KNOWN = (ADMISSION, BY_VALUE, ISSUER)

_TAG = const(8)


class Gate:
    """Who may make a peer compute: those that have the group key.

    The first of the keys is the one that goes into tags; others are still good. `to` is what both sides
    know of the one that answers.
    """

    def __init__(self, keys: list, to: bytes = b""):
        self.keys = keys
        self._to = to
        self._recent: list = []

    def tag(self, message: bytes) -> bytes:
        """Return the admission tag for a message 1 without external data."""
        return self._tag(self.keys[0], message)

    def _tag(self, key: bytes, message: bytes) -> bytes:
        return hmac(key, b"hedgerow admission" + bytes((len(self._to),)) + self._to + message)[:_TAG]

    def admit(self, message: bytes, tag: bytes | None) -> None:
        """Refuse (HANDSHAKE_STRANGER) a tag that is none, or that came before."""
        good = False
        for key in self.keys if tag else ():
            good = same(tag, self._tag(key, message)) or good
        if not good or tag in self._recent:
            raise HedgerowError("HANDSHAKE_STRANGER", "no member" if not good else "said again")
        self._recent = self._recent[1 - limits.MAX_ADMITTED :] + [tag]


class Own:
    """A peer's own part: its private agreement key, its credential (CRED_x), the name and header of that.

    `issuer` is the credential of who issued it, where that is no key that all have.
    """

    def __init__(
        self, private: bytes, value: bytes, name: bytes, label: int = edhoc.KCWT, issuer: bytes | None = None
    ):
        self.private = private
        self.value = value
        self.name = name
        self.label = label
        self.issuer = issuer

    def named(self, whole: bool) -> tuple:
        """Return (header label, name or credential)."""
        return (self.label, self.value) if whole else (edhoc.KID, self.name)

    def ead(self, whole: bool) -> bytes:
        return edhoc.write_ead([(ISSUER, self.issuer)]) if whole and self.issuer else b""


class Handshake:
    """What both roles share.

    `peers.find(label, value)` gives who is meant by a name or credential, with `value` (CRED_x) and
    `agreement` (the key), or None; `peers.accept(found, issuer)` is a generator that refuses whom it does
    not trust. `remote` is who the other side is, once it has shown its key; `done` says that `export` has
    keys; `error` why it failed. `unknown` says that the other side does not know our credential by its
    name.
    """

    def __init__(self, ephemerals: object, own: Own, peers: object, c: bytes, gate: Gate | None):
        self.done = False
        self.error: HedgerowError | None = None
        self.unknown = False
        self.remote: object = None
        self._p256 = ephemerals.p256
        self._ephemerals = ephemerals
        self._own = own
        self._peers = peers
        self._c = c
        self._gate = gate
        self._out = b""
        self._work: object = None
        self._prk = b""
        self._keys: edhoc.Transcript | None = None
        self._message_1 = b""
        self._private = b""

    def receive(self, message: bytes) -> None:
        """Take the other side's next message; what follows from it is done by work()."""
        try:
            if self._work is not None or self.error or len(message) > limits.MAX_HANDSHAKE:
                raise HedgerowError("HANDSHAKE_INVALID", "%d bytes" % len(message))
            if message == self._message_1:
                # It begins as an error message does, and is nobody's refusal.
                raise HedgerowError("HANDSHAKE_INVALID", "the first message again")
            code = edhoc.read_error(message) if self._message_1 else None
            if code is not None:
                self.unknown = code == edhoc.ERROR_CREDENTIAL
                raise HedgerowError("HANDSHAKE_REFUSED", str(code))
            self._work = self._next(message)
        except HedgerowError as error:
            self._fail(error)

    def work(self) -> bool:
        """Do one slice; False when there is nothing to do."""
        if self._work is None:
            return False
        try:
            next(self._work)
        except StopIteration as end:
            self._work = None
            self._out = end.value
        except HedgerowError as error:
            self._fail(error)
        return self._work is not None

    def outgoing(self) -> bytes:
        """Return the next message, b"" for none."""
        message = self._out
        self._out = b""
        return message

    def export(self, label: int, context: bytes, length: int) -> bytes:
        """Return keys for what comes after (RFC 9528, 4.2.1); 32768 to 65535 are labels of ours."""
        if not self.done:
            raise HedgerowError("HANDSHAKE_INVALID", "no keys yet")
        return edhoc.export(self._prk, label, context, length)

    def update(self, context: bytes) -> None:
        """Go on to other keys (RFC 9528, appendix H)."""
        self._prk = edhoc.update(self._prk, context)

    def _fail(self, error: HedgerowError) -> None:
        if self.error is None:
            self.error = error
            self._out = self._say(error.code)
        self.done = False
        self._work = self._keys = None
        self._prk = self._private = b""

    def _say(self, code: str) -> bytes:
        """What the other side is told: a stranger nothing, nor one that has told us."""
        if code in ("HANDSHAKE_STRANGER", "HANDSHAKE_REFUSED"):
            return b""
        codes = {"HANDSHAKE_SUITE": edhoc.ERROR_SUITE, "CREDENTIAL_UNKNOWN": edhoc.ERROR_CREDENTIAL}
        return edhoc.error(codes.get(code, edhoc.ERROR_OTHER))

    def _find(self, label: int, value: bytes) -> object:
        found = self._peers.find(label, value)
        if found is None:
            raise HedgerowError("CREDENTIAL_UNKNOWN", "by name" if label == edhoc.KID else "of no use")
        if found.value == self._own.value:
            raise HedgerowError("HANDSHAKE_REFLECTED", "our own credential")
        return found

    def _check(self, mac: bytes, expected: bytes) -> None:
        if not same(mac, expected):
            raise HedgerowError("HANDSHAKE_MAC", "another key, or another transcript")

    def _finish(self) -> None:
        self._prk = self._keys.out()
        self._private = b""
        self._next = self._nothing

    def _nothing(self, message: bytes) -> object:
        raise HedgerowError("HANDSHAKE_INVALID", "a message too many")
