"""Credentials in letters: in parts, each a letter of its own, until all of them are here (SPEC 6.15.11)."""

from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from ..mesh import pace
from ..mesh.letters import CREDENTIAL

# Bytes of a part; where its data begin, behind kind, whose it is, and the beginning of its name.
_PART = limits.const(119)
_DATA = limits.const(9)
# How many are put together at a time: one, and the delegation under which it was given.
_OPEN = limits.const(2)


def part(value: bytes, name: bytes, index: int) -> bytes:
    """Return the content of the letter with a part of a credential, which is an author's, or under which
    others were given (its cti); b"" for one that it does not have, or does not go in letters.
    """
    total = (len(value) + _PART - 1) // _PART
    if index >= total or total > limits.MAX_PARTS:
        return b""
    head = bytes((CREDENTIAL,)) + name[:3] + sha256(value).digest()[:4] + bytes((index << 4 | total,))
    return head + value[index * _PART : (index + 1) * _PART]


def take(parts: dict, content: bytes, now: int) -> bool:
    """Take a part in; False where there is no room for it now.

    `parts` has by the first bytes of their letters [moment of the last part, how many there are, those that
    are here by number]; the first that comes counts, as what they come to has to be what its name says.
    """
    head, at = bytes(content[1 : _DATA - 1]), content[_DATA - 1] if len(content) > _DATA else 0
    if not at >> 4 < at & 15 <= limits.MAX_PARTS or len(content) > _DATA + _PART:
        return True
    for known in list(parts):
        if now - parts[known][0] >= pace.VOUCH_OPEN_MS:
            del parts[known]
    if head not in parts:
        if len(parts) >= _OPEN:
            return False
        parts[head] = [now, at & 15, {}]
    entry = parts[head]
    if entry[1] == at & 15 and at >> 4 not in entry[2]:
        entry[0] = now
        entry[2][at >> 4] = bytes(content[_DATA:])
    return True


def lacks(parts: dict, name: bytes) -> int:
    """Return the number of the next part to ask for of an author's, or a delegation; -1 if all are here."""
    missing = 0
    for head in parts:
        if head[:3] == name[:3]:
            lacking = [at for at in range(parts[head][1]) if at not in parts[head][2]]
            if lacking:
                return lacking[0]
            missing = -1
    return missing


def whole(keys: object, now: int) -> list:
    """Return [(key in `keys.parts`, credential)] of those that are whole.

    What is not what it says goes, and what has waited too long for its other parts, or for the delegation
    under which it was given.
    """
    parts = keys.parts
    found = []
    for head in list(parts):
        moment, total, here = parts[head]
        late = now - moment >= pace.VOUCH_OPEN_MS
        if len(here) < total:
            if late:
                del parts[head]
            continue
        value = b"".join([here[at] for at in range(total)])
        if late or sha256(value).digest()[:4] != head[3:]:
            refuse(keys, head)
        else:
            found.append((head, value))
    return found


class Later:
    """Stands for the curve while all else of a credential is judged: `jobs` has what is to be verified."""

    def __init__(self):
        self.jobs: list = []

    def verify(self, *job: object) -> object:
        """Put it off: a generator of slices, as that of the curve."""
        self.jobs.append(job)
        return True
        yield


def judge(peer: object, keys: object, trust: object, entries: list) -> tuple | None:
    """Return (key in `parts`, author or cti, credential) of the first that is good if its signature is, which
    `trust` leaves for Later. What is not goes; of those whose delegation is not here one waits, and that is
    asked for.
    """
    from .credentials import Credential
    from .port import finish

    waits = False
    for head, value in entries:
        try:
            found = Credential(value)
            name = _name(found.claims, head[:3])
            under = found.claims.under
            given = keys.vouchers().under(under) if under else None
            if under and given is None:
                # Who has the one has the other; of two that wait there would be no room for it.
                peer.stranger = under
                if waits:
                    keys.parts.pop(head)
                waits = True
                continue
            if given:
                # It was verified when it came.
                trust.keep(Credential(given))
            finish(trust.accept(found))
            return head, name, value
        except HedgerowError:
            refuse(keys, head)
    return None


def refuse(keys: object, head: bytes) -> None:
    """Drop one, and remember that."""
    keys.refused = keys.refused[1 - limits.MAX_REFUSED :] + [head[3:]]
    keys.parts.pop(head, None)


def verify(keys: object, p256: object, jobs: list, found: tuple) -> object:
    """Verify what judge() gave, on the curve: a generator of slices; `keys` go by it if it is good."""
    head, name, value = found
    good = True
    try:
        for job in jobs:
            good = good and (yield from p256.verify(*job))
    except HedgerowError:
        good = False
    keys.checks += p256.multiplications
    if good:
        keys.vouchers().vouch(name, value)
        keys.parts.pop(head, None)
    else:
        refuse(keys, head)


def _name(claims: object, short: bytes) -> bytes:
    """Return whose it is, of a delegation its cti. CREDENTIAL_INVALID for what goes by another name."""
    for name in (claims.author, claims.cti if claims.delegation else None):
        if name and name[:3] == short:
            return name
    raise HedgerowError("CREDENTIAL_INVALID", "of another")
