"""The side that answers an EDHOC handshake."""

from ..codec import cbor
from . import edhoc
from .handshake import ADMISSION, BY_VALUE, ISSUER, KNOWN, Gate, Handshake, Own


class Responder(Handshake):
    """See Handshake. With a `gate` it computes nothing for strangers; `confirm` sends message 4."""

    def __init__(
        self,
        ephemerals: object,
        own: Own,
        peers: object,
        c: bytes,
        gate: Gate | None = None,
        confirm: bool = False,
    ):
        super().__init__(ephemerals, own, peers, c, gate)
        self._confirm = confirm
        self._next = self._message_2

    def _message_2(self, message: bytes) -> object:
        g_x, _, at = edhoc.read_message_1(message)
        ead = edhoc.read_ead(message, at, KNOWN)
        if self._gate is not None:
            self._gate.admit(message[:at], ead.get(ADMISSION))
        self._message_1 = message
        own = self._own
        self._private, g_y = yield from self._ephemerals.take()
        shared = yield from self._p256.agree(self._private, g_x)
        keys = self._keys = edhoc.Transcript(message, g_y, shared)
        keys.responder((yield from self._p256.agree(own.private, g_x)))
        whole = BY_VALUE in ead
        label, value = own.named(whole)
        answer = own.ead(whole)
        head = edhoc.identifier(self._c)
        mac = keys.mac(2, head, edhoc.id_cred(label, value), own.value, answer)
        plaintext = head + edhoc.id_cred_sent(label, value) + cbor.encode(mac) + answer
        keys.follow(plaintext, own.value)
        self._next = self._message_3
        return edhoc.message_2(g_y, keys.stream(plaintext))

    def _message_3(self, message: bytes) -> object:
        keys = self._keys
        plaintext = edhoc.unseal(keys.cipher(3), message)
        label, value, mac, at = edhoc.read_plaintext(plaintext, 0)
        ead = edhoc.read_ead(plaintext, at, KNOWN)
        found = self._find(label, value)
        keys.initiator((yield from self._p256.agree(self._private, found.agreement)))
        self._check(mac, keys.mac(6, b"", edhoc.id_cred(label, value), found.value, plaintext[at:]))
        yield from self._peers.accept(found, ead.get(ISSUER))
        self.remote = found
        keys.follow(plaintext, found.value)
        self._finish()
        self.done = True
        return edhoc.seal(keys.cipher(8), b"") if self._confirm else b""
