"""The beginning of a connection, sans IO: from its first message to the keys of its records (SPEC 11.9).

Messages and the time go in; messages, keys and the next moment come out. Who has met before resumes; who
cannot, or is told so, makes a handshake on the same connection.
"""

from .. import limits
from ..codec import cbor
from ..errors import HedgerowError
from ..limits import const
from . import resume
from .records import SECRET, RecordKeys

# Labels of EDHOC_Exporter: for record keys, and for what outlives the connection.
RECORDS = const(32768)
RESUMPTION = const(32769)

# What answers a first message of resumption that names nobody who is known.
UNKNOWN = b"\0"


class Member:
    """What all connections of a peer share.

    `own` (handshake.Own), `ephemerals`, `trust`, `gate` (None: strangers may try), `resumables`, `random`.
    `mesh` is what keys are bound to: mode and id of the mesh. `busy` is the channel whose handshake goes on.
    """

    def __init__(
        self, own: object, ephemerals: object, trust: object, gate: object, random: object, mesh: list
    ):
        self.own = own
        self.ephemerals = ephemerals
        self.trust = trust
        self.gate = gate
        self.random = random
        self.mesh = cbor.encode(mesh)
        self.resumables = resume.Resumables()
        self.busy: object = None

    def identifier(self) -> bytes:
        """Return a connection identifier that takes one byte."""
        return bytes((self.random(1)[0] & 15,))


class Channel:
    """One side of one connection.

    `done` says that `sending` and `hearing` (RecordKeys) are there; `remote` is the name of the other side's
    credential, `claims` what that says, `resumed` how it came to that. `error` says why it failed: then the
    connection is to be closed once outgoing() is empty.
    """

    def __init__(self, member: Member, now: int):
        self.done = False
        self.resumed = False
        self.error: HedgerowError | None = None
        self.remote: bytes | None = None
        self.claims: object = None
        self.sending: RecordKeys | None = None
        self.hearing: RecordKeys | None = None
        self._member = member
        self._started = now
        self._first = True
        self._heard = 0
        self._attempts = 0
        self._side: object = None
        self._handshake: object = None
        self._remote: object = None
        self._out: list = []

    # ---- what the connection says

    def receive(self, message: bytes, now: int) -> None:
        """Take a whole message of the other side."""
        if self.done or self.error:
            return
        self._first = False
        self._heard += len(message)
        if self._heard > limits.MAX_UNPROVEN:
            self._fail(HedgerowError("HANDSHAKE_INVALID", "%d bytes before any key" % self._heard))
        else:
            self._try(self._take, message)
            self._try(self._look)

    def work(self, now: int) -> bool:
        """Do a slice of what takes long; False when there is nothing to do."""
        if now >= self.due() and not self.done:
            self._fail(HedgerowError("HANDSHAKE_TIMEOUT", "%d ms" % (now - self._started)))
        handshake = self._handshake
        if handshake is None:
            return False
        more = handshake.work()
        self._try(self._look)
        # One that failed may have made room for another.
        return more or self._handshake not in (None, handshake)

    def outgoing(self) -> bytes:
        """Return the next message for the other side, b"" for none."""
        return self._out.pop(0) if self._out else b""

    def due(self) -> int:
        """Return when it must be over, and work() be called: soon while nothing was heard by who answers."""
        return self._started + (limits.FIRST_MESSAGE_MS if self._first else limits.HANDSHAKE_MS)

    def close(self) -> None:
        """The connection is gone."""
        self._fail(HedgerowError("HANDSHAKE_INVALID", "closed"))

    # ---- what both roles do

    def _try(self, step: object, *args: object) -> None:
        try:
            step(*args)
        except HedgerowError as error:
            self._fail(error)

    def _look(self) -> None:
        """See what has become of the handshake."""
        handshake = self._handshake
        if handshake is None:
            return
        message = handshake.outgoing()
        if message:
            self._out.append(message)
        if handshake.error:
            self._failed(handshake)
        elif handshake.done:
            self._agreed(handshake)

    def _fail(self, error: HedgerowError) -> None:
        if not self.done and self.error is None:
            self.error = error
        self._leave()

    def _leave(self) -> None:
        self._handshake = self._side = None
        if self._member.busy is self:
            self._member.busy = None

    def _begin(self, handshake: object) -> None:
        """Go on with a handshake of EDHOC."""
        self._attempts += 1
        if self._attempts > limits.MAX_ATTEMPTS:
            raise HedgerowError("HANDSHAKE_INVALID", "too many attempts")
        if self._member.busy not in (None, self):
            raise HedgerowError("HANDSHAKE_BUSY", "another connection")
        self._member.busy = self
        self._handshake = handshake

    def _agreed(self, handshake: object) -> None:
        """Derive what the handshake was for."""
        member = self._member
        remote = handshake.remote
        secrets = handshake.export(RECORDS, member.mesh, 2 * SECRET)
        secret = handshake.export(RESUMPTION, member.mesh, 32)
        began = self._began
        claims = remote.claims
        member.resumables.add(
            resume.Resumable(secret, remote.name, claims.cti, member.own.name, claims.expires, began)
        )
        first, second = secrets[:SECRET], secrets[SECRET:]
        self._open(remote, (first, second) if began else (second, first))

    def _usable(self, entry: object) -> object:
        """Return the credential of who may be met by what is kept of it (None for nothing), or None."""
        member = self._member
        if entry is None or not member.resumables.usable(entry, member.own.name, member.trust):
            return None
        found = member.trust.known(entry.remote)
        return found if found is not None and member.trust.stands(found.claims) else None

    def _met(self, side: object) -> None:
        self.resumed = True
        self._open(self._remote, side.secrets)

    def _open(self, remote: object, secrets: tuple) -> None:
        self.remote = remote.name
        self.claims = remote.claims
        self.sending = RecordKeys(secrets[0])
        self.hearing = RecordKeys(secrets[1])
        self.done = True
        self._leave()


class Opening(Channel):
    """The side that opened the connection.

    `to` is the name of the credential that it expects there, if it knows; `gate` what the other side will
    ask of strangers (handshake.Gate with its name), None if nothing.
    """

    _began = True

    def __init__(self, member: Member, now: int, to: bytes | None = None, gate: object = None):
        super().__init__(member, now)
        self._first = False
        self._gate = gate
        self._whole = self._ask = to is None
        entry = None if to is None else member.resumables.with_peer(to)
        self._remote = self._usable(entry)
        if self._remote is not None:
            self._side = resume.Beginner(entry, member.random)
            self._out.append(self._side.first)
        else:
            self._try(self._greet)

    def _greet(self) -> None:
        from .initiator import Initiator

        member = self._member
        name = member.identifier()
        args = (member.ephemerals, member.own, member.trust, name, self._gate, self._whole, self._ask, True)
        self._begin(Initiator(*args))

    def _take(self, message: bytes) -> None:
        side = self._side
        if side is None:
            self._handshake.receive(message)
        elif message == UNKNOWN:
            # It is nobody's word: what is kept stays.
            self._side = None
            self._greet()
        else:
            self._out.append(side.answer(message))
            self._met(side)

    def _failed(self, handshake: object) -> None:
        """Begin anew, by value, where one of the two did not know the other's name."""
        whole = self._whole or handshake.unknown
        ask = self._ask or handshake.error.code == "CREDENTIAL_UNKNOWN"
        if (whole, ask) == (self._whole, self._ask):
            self._fail(handshake.error)
        else:
            self._whole, self._ask = whole, ask
            self._greet()


class Answering(Channel):
    """The side to which the connection was opened."""

    _began = False

    def _take(self, message: bytes) -> None:
        member = self._member
        if isinstance(self._side, resume.Answerer):
            self._side.finish(message)
            self._met(self._side)
        elif self._handshake is not None:
            self._handshake.receive(message)
        elif len(message) == resume.FIRST and self._side is None:
            self._resume(message)
        else:
            from .responder import Responder

            name = member.identifier()
            self._begin(Responder(member.ephemerals, member.own, member.trust, name, member.gate, True))
            self._handshake.receive(message)

    def _resume(self, message: bytes) -> None:
        member = self._member
        entry = member.resumables.called(message)
        self._remote = self._usable(entry)
        if self._remote is not None:
            self._side = resume.Answerer(entry, message, member.random)
            self._out.append(self._side.second)
        else:
            # Once on a connection.
            self._side = UNKNOWN
            self._out.append(UNKNOWN)

    def _failed(self, handshake: object) -> None:
        """Wait for another first message where a name was not known; the other side has been told."""
        if handshake.unknown or handshake.error.code == "CREDENTIAL_UNKNOWN":
            self._handshake = None
        else:
            self._fail(handshake.error)
