"""Whose credentials a board has verified; loaded when somebody asks (SPEC 5.18, 6.15.11)."""

from .. import limits
from ..errors import HedgerowError
from ..log import STATE_VOUCHED

# Names of 8 bytes, by place, zeros for a free one; with the number of a place behind it: the credential.
_NAMES = b"v"
_PLACE = b"p"
_SIZE = limits.const(8)
# In a credential, before the cti of the delegation under which it was given: a claim and 8 bytes.
_UNDER = b"\x3a\x00\x01\x00\x06\x48"


class Vouched:
    """For whom a board carries more than the share of strangers, by its `keys`.

    It needs of them the `log`, the own credential (`value`), the author that it names (`named`) and
    `delegation()`, under which it was given. They keep `parts` of credentials that are put together
    (crypto.vouchers), `refused`, the beginnings of the names of those that failed, and `believed`, the
    authors that were verified when there was no room to keep that; `vouching` verifies one.
    """

    strange_room = (limits.MAX_STRANGE_BYTES, limits.MAX_STRANGE_AUTHORS)

    def __init__(self, keys: object):
        self._keys = keys
        self._names = keys.log.get(STATE_VOUCHED, _NAMES) or b""

    def _find(self, name: bytes) -> int:
        """Return the place of a name, or of what begins with it; -1 for none."""
        for at in range(0, len(self._names), _SIZE):
            if self._names[at : at + len(name)] == name:
                return at // _SIZE
        return -1

    def _value(self, place: int) -> bytes | None:
        return self._keys.log.get(STATE_VOUCHED, _PLACE + bytes((place,)))

    def vouches(self, author: bytes) -> bool:
        """Say whether an author's credential was verified."""
        return self._find(author) >= 0 or author in self._keys.believed

    def vouch(self, name: bytes, value: bytes) -> None:
        """Keep a credential that was verified, of an author or, by its cti, a delegation."""
        if self._find(name) >= 0:
            return
        keys = self._keys
        place = self._free()
        try:
            if place >= 0:
                keys.log.put(STATE_VOUCHED, _PLACE + bytes((place,)), value)
                self._put(place, name)
                return
        except HedgerowError:
            # A full log: it is known until the next boot, or until others were verified.
            pass
        keys.believed = keys.believed[1 - limits.MAX_BELIEVED :] + [name]

    def _free(self) -> int:
        """Return a free place, or that of an author of whom the log has nothing; -1 for none."""
        found = self._find(bytes(_SIZE))
        if found < 0 and len(self._names) < _SIZE * limits.MAX_VOUCHED:
            return len(self._names) // _SIZE
        for at in range(0, len(self._names) if found < 0 else 0, _SIZE):
            if not self._keys.log.held(self._names[at : at + _SIZE]):
                return at // _SIZE
        return found

    def _put(self, place: int, name: bytes) -> None:
        names = self._names[: _SIZE * place] + name + self._names[_SIZE * (place + 1) :]
        self._keys.log.put(STATE_VOUCHED, _NAMES, names)
        self._keys.log.commit()
        self._names = names

    def shun(self, name: bytes) -> None:
        """Go by a credential no more."""
        keys = self._keys
        keys.believed = [one for one in keys.believed if one != name]
        place = self._find(name)
        if place >= 0:
            try:
                self._put(place, bytes(_SIZE))
            except HedgerowError:
                # What it may carry for others is no more than for anybody once there is room to note it.
                pass

    def under(self, cti: bytes) -> bytes | None:
        """Return the delegation of this cti, None if it is not known."""
        keys = self._keys
        at = keys.value.find(_UNDER + cti)
        if at >= 0:
            return keys.delegation()
        place = self._find(cti)
        return self._value(place) if place >= 0 else None

    def credential_part(self, short: bytes, index: int) -> bytes:
        """Return a part of a credential for a letter, b"" if it is not here."""
        keys = self._keys
        value = None
        if keys.named[:3] == short:
            value = keys.value
        elif _UNDER + short in keys.value:
            value = keys.delegation()
        else:
            place = self._find(short)
            value = self._value(place) if place >= 0 else None
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
        if own or content[4:8] in keys.refused or self._find(short) >= 0:
            return True
        if keys.vouching is not None:
            return False
        from .vouchers import take

        return take(keys.parts, content, now)
