"""The side that begins an EDHOC handshake."""

from ..codec import cbor
from . import edhoc
from .handshake import ADMISSION, BY_VALUE, ISSUER, KNOWN, Gate, Handshake, Own


class Initiator(Handshake):
    """See Handshake. `whole` sends the own credential and not its name, `ask` asks for the other's so.

    `confirm` waits for message 4, where no record follows that shows that the other side is done.
    """

    def __init__(
        self,
        ephemerals: object,
        own: Own,
        peers: object,
        c: bytes,
        gate: Gate | None = None,
        whole: bool = False,
        ask: bool = False,
        confirm: bool = False,
        suites: tuple = (edhoc.SUITE,),
    ):
        super().__init__(ephemerals, own, peers, c, gate)
        self._whole = whole
        self._ask = ask
        self._confirm = confirm
        self._suites = suites
        self._next = self._message_2
        self._work = self._start()

    def _start(self) -> object:
        self._private, g_x = yield from self._ephemerals.take()
        message = edhoc.message_1(self._suites, g_x, self._c)
        ead = [] if self._gate is None else [(ADMISSION, self._gate.tag(message))]
        if self._ask:
            ead.append((BY_VALUE, None))
        self._message_1 = message + edhoc.write_ead(ead)
        return self._message_1

    def _message_2(self, message: bytes) -> object:
        g_y, ciphertext = edhoc.read_message_2(message)
        shared = yield from self._p256.agree(self._private, g_y)
        keys = self._keys = edhoc.Transcript(self._message_1, g_y, shared)
        plaintext = keys.stream(ciphertext)
        c_r, at = cbor.decode_at(plaintext, 0)
        head = edhoc.identifier(edhoc.read_identifier(c_r))
        label, value, mac, at = edhoc.read_plaintext(plaintext, at)
        ead = edhoc.read_ead(plaintext, at, KNOWN)
        found = self._find(label, value)
        keys.responder((yield from self._p256.agree(self._private, found.agreement)))
        id_cred = edhoc.id_cred(label, value)
        self._check(mac, keys.mac(2, head, id_cred, found.value, plaintext[at:]))
        yield from self._peers.accept(found, ead.get(ISSUER))
        self.remote = found
        keys.follow(plaintext, found.value)
        return (yield from self._message_3(keys, g_y))

    def _message_3(self, keys: edhoc.Transcript, g_y: bytes) -> object:
        own = self._own
        label, value = own.named(self._whole)
        ead = own.ead(self._whole)
        cipher = keys.cipher(3)
        keys.initiator((yield from self._p256.agree(own.private, g_y)))
        mac = keys.mac(6, b"", edhoc.id_cred(label, value), own.value, ead)
        plaintext = edhoc.id_cred_sent(label, value) + cbor.encode(mac) + ead
        message = edhoc.seal(cipher, plaintext)
        keys.follow(plaintext, own.value)
        self._finish()
        if self._confirm:
            self._next = self._message_4
        else:
            self.done = True
        return message

    def _message_4(self, message: bytes) -> object:
        edhoc.read_ead(edhoc.unseal(self._keys.cipher(8), message), 0, KNOWN)
        self._next = self._nothing
        self.done = True
        return b""
        yield
