"""Several statements as one operation (SPEC 3.5)."""

from .errors import HedgerowError


class Transaction:
    """Use it in a `with` block: `execute` as the peer's, written when the block ends without an error.

    Statements see what those before them wrote. After an error nothing is written. `number` is that of the
    operation, 0 if there was nothing to write; `mutated` the ids of its documents.
    """

    def __init__(self, peer: object):
        self._peer = peer
        self._batch: object = None
        self.number = 0
        self.mutated: list = []

    def __enter__(self) -> "Transaction":
        if self._peer.in_transaction:
            raise HedgerowError("TRANSACTION_CONFLICT", "another transaction is open")
        self._batch = self._peer.begin()
        self._peer.in_transaction = True
        return self

    def execute(self, text: str, **parameters: object) -> object:
        """Run a statement within the transaction; an EVICT is refused there."""
        if self._batch is None:
            raise HedgerowError("TRANSACTION_ENDED", "its block has ended")
        return self._peer.run_in(self._batch, text, parameters)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        batch, self._batch = self._batch, None
        self._peer.in_transaction = False
        if error is None:
            self.number = batch.commit()
            self.mutated = batch.mutated
            self._peer.dispatch()
        return False
