"""Who must not get far: a board that may not write, one that is revoked midway, a relay that edits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow_cli.demo.board_log import log_of
from hedgerow_cli.demo.identities import RELAY, Identities
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.demo.options import MESH, DemoOptions
from hedgerow_cli.logfile.deliver import deliver

#: Whose log the relay edits: one that may write, and that nobody revokes.
_VICTIM = 0
_REVOKED_AT = 3  # after one in three of its readings


@dataclass
class Trial:
    """What was tried: `last` is up to which operation the revoked board's count; `edited` whether one was."""

    last: int | None = None
    edited: bool = False
    notes: dict[int, str] = field(default_factory=dict)


class Intruders:
    """Does it while the demo runs. `held` says up to which operation the Big Peer holds an author (hex)."""

    def __init__(
        self,
        options: DemoOptions,
        identities: Identities,
        ledgers: Sequence[BoardLedger],
        url: str,
        held: Callable[[str], int],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._identities = identities
        self._ledgers = ledgers
        self._url = url
        self._held = held
        self._say = say
        self.trial = Trial()
        if options.barred is not None:
            self.trial.notes[options.barred] = "may not write readings"

    def revoke(self, until: Callable[[Callable[[], bool]], bool]) -> None:
        """Revoke a board's credential once a third of its readings is receipted; `until` waits for that."""
        revoked = self._options.revoked
        if revoked is None:
            return
        ledger = self._ledgers[revoked]
        n = max(1, self._options.readings_of(revoked) // _REVOKED_AT)

        def is_receipted() -> bool:
            reading = ledger.acknowledged.get(n)
            return reading is not None and ledger.receipted_op >= reading.op

        if not until(is_receipted):
            return
        last = ledger.acknowledged[n].op
        self._identities.revoke(ledger.board.name, last)
        self.trial.last = last
        self.trial.notes[revoked] = f"revoked, after reading {n}"
        self._say(f"{ledger.board.name} is revoked: what it records after reading {n} counts no more")

    def edit(self, until: Callable[[Callable[[], bool]], bool]) -> None:
        """Bring the Big Peer a board's log with one reading edited, as a member of the mesh.

        The uplink is down; `until` waits for a seal over what is not there yet.
        """
        ledger = self._ledgers[_VICTIM]
        identity = self._identities.identity(RELAY, self._url)

        def is_sealed() -> bool:
            return bool(log_of(ledger.board).sealed(_author(ledger)) > self._held(ledger.author))

        if not until(is_sealed):
            return
        log = log_of(ledger.board)
        number = log.sealed(log.author)
        self._say(f"a relay brings the log of {ledger.board.name}, and has edited operation {number}")
        try:
            deliver(EditedLog(log, number), self._url, MESH, 0.0, identity)
        except HedgerowError as error:
            self._say(f"the Big Peer does not take it: {error}")
        self.trial.edited = True

    @property
    def tampered_found(self) -> int:
        """How often the relay is named in the audit log for what it brought."""
        return self._identities.named(RELAY, "SEAL_INVALID") if self.trial.edited else 0


def _author(ledger: BoardLedger) -> bytes:
    return bytes.fromhex(ledger.author)


class EditedLog:
    """A log in which the last digit of one own operation is another."""

    def __init__(self, log: Any, number: int) -> None:
        self.__dict__["log"] = log
        self.__dict__["number"] = number
        self.__dict__["owner"] = bytes(log.author)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.log, name, value)

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list[Any]:
        """See hedgerow.log.Log."""
        return [self._edited(author, entry) for entry in self.log.read(author, held, sealed, max_bytes)]

    def _edited(self, author: bytes, entry: tuple[int, int, int, bytes]) -> tuple[int, int, int, bytes]:
        kind, first, last, body = entry
        if kind == ENTRY_OP and first == self.number and author == self.owner:
            body = bytes(body[:-1]) + bytes((body[-1] ^ 1,))
        return kind, first, last, body
