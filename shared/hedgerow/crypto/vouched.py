"""Whose credentials a board has verified; loaded when somebody asks (SPEC 5.18, 6.15.11)."""

from .. import limits
from ..errors import HedgerowError
from ..log import STATE_CONFIG

# Authors, and ctis of delegations, one after the other; with one of them behind it: the credential.
_KEPT = b"v"
_SIZE = limits.const(8)
# In a credential, before the cti of the delegation under which it was given: a claim and 8 bytes.
_UNDER = b"\x3a\x00\x01\x00\x06\x48"


class Vouched:
    """For whom a board carries more than the share of strangers, by its `keys`.

    It needs of them the `log`, the own credential (`value`), the author that it names (`named`) and
    `delegation()`, under which it was given. They keep `parts` of credentials that are put together
    (crypto.vouchers), and `refused`, the beginnings of the names of those that failed; `vouching` verifies
    one.
    """

    strange_room = (limits.MAX_STRANGE_BYTES, limits.MAX_STRANGE_AUTHORS)

    def __init__(self, keys: object):
        self._keys = keys
        kept = keys.log.get(STATE_CONFIG, _KEPT) or b""
        self._names = {kept[at : at + _SIZE] for at in range(0, len(kept), _SIZE)}

    def vouches(self, author: bytes) -> bool:
        """Say whether an author's credential was verified."""
        return author in self._names

    def vouch(self, name: bytes, value: bytes) -> None:
        """Keep a credential that was verified, of an author or, by its cti, a delegation."""
        names = self._names
        if name in names:
            return
        if len(names) >= limits.MAX_AUTHORS:
            for other in [other for other in names if not self._keys.log.held(other)]:
                self.shun(other)
        if len(names) < limits.MAX_AUTHORS:
            names.add(name)
            self._keep(name, value)

    def shun(self, name: bytes) -> None:
        """Go by a credential no more."""
        if name in self._names:
            self._names.discard(name)
            self._keep(name, b"")

    def _keep(self, name: bytes, value: bytes) -> None:
        log = self._keys.log
        try:
            log.put(STATE_CONFIG, _KEPT + name, value)
            log.put(STATE_CONFIG, _KEPT, b"".join(sorted(self._names)))
            log.commit()
        except HedgerowError:
            # A session or a letter will bring it again.
            pass

    def under(self, cti: bytes) -> bytes | None:
        """Return the delegation of this cti, None if it is not known."""
        keys = self._keys
        at = keys.value.find(_UNDER + cti)
        return keys.delegation() if at >= 0 else keys.log.get(STATE_CONFIG, _KEPT + cti) or None

    def credential_part(self, short: bytes, index: int) -> bytes:
        """Return a part of a credential for a letter, b"" if it is not here."""
        keys = self._keys
        value = None
        if keys.named[:3] == short:
            value = keys.value
        elif _UNDER + short in keys.value:
            value = keys.delegation()
        else:
            for name in self._names:
                if name[:3] == short:
                    value = keys.log.get(STATE_CONFIG, _KEPT + name)
        if not value:
            return b""
        from .vouchers import part

        return part(value, short, index)

    def credential_lacks(self, name: bytes) -> int:
        """Return the number of the next part to ask for, -1 for none."""
        if self.vouches(name):
            return -1
        from .vouchers import lacks

        return lacks(self._keys.parts, name)

    def hear_credential(self, content: bytes, now: int) -> bool:
        """Take a part from a letter; False if it is to come again later."""
        keys = self._keys
        short = bytes(content[1:4])
        own = short == keys.named[:3] or _UNDER + short in keys.value
        if own or content[4:8] in keys.refused or [1 for name in self._names if name[:3] == short]:
            return True
        if keys.vouching is not None:
            return False
        from .vouchers import take

        return take(keys.parts, content, now)
