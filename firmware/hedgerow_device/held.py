"""A board's keys of confidential collections, at rest: what encrypts is loaded while it does (SPEC 11.17)."""

from .modules import is_tight


class Held:
    """See crypto.confidential.CollectionKeys; `keys` is the board's Keyring."""

    def __init__(self, keys: object, owner: bytes, entries: list):
        self._keys = keys
        self.owner = owner
        self.entries = entries

    def newest(self, collection: str) -> int:
        """Return the newest epoch of a collection's key, 0 where there is none."""
        return max([0] + [epoch for name, epoch, _ in self.entries if name == collection])

    def conceal(self, *about: object) -> list:
        """See CollectionKeys."""
        try:
            return self._loaded().conceal(*about)
        finally:
            if is_tight():
                self._keys.settle()

    def reveal(self, *about: object) -> list | None:
        """See CollectionKeys; who has asked for documents gives back what it takes."""
        return self._loaded().reveal(*about)

    def _loaded(self) -> object:
        from hedgerow.crypto.confidential import CollectionKeys

        return CollectionKeys(self.owner, self.entries)
