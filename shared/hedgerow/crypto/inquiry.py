"""Credentials of strangers: asked for and answered by advertisements, where room is short (SPEC 6.15.11)."""

from .. import limits
from ..mesh import pace
from ..mesh.asks import WANT_CREDENTIALS

# Strangers whose credentials are asked for at once.
_STRANGERS = limits.const(3)


def want(mesh: object, now: int) -> None:
    """Ask for that of the last stranger for whom there was no room, one at a time, and not of many.

    What was asked for lately is not asked for again, whoever else does.
    """
    peer = mesh.peer
    stranger, peer.stranger = peer.stranger, b""
    mesh.stats["crowded"] = peer.crowded
    keys = peer.members
    sought = mesh.repair.sought(WANT_CREDENTIALS)
    if stranger in sought or len(sought) >= _STRANGERS or keys.vouchers().credential_lacks(stranger) < 0:
        return
    late = [entry for entry in keys.asked if now - entry[1] < pace.VOUCH_AGAIN_MS]
    if stranger not in [name for name, _ in late]:
        keys.asked = late[1 - limits.MAX_REFUSED :] + [(stranger, now)]
        # It may sleep soon.
        mesh.repair.want(WANT_CREDENTIALS, stranger, now, 50 + mesh.random(300))


def find(peer: object, entry: tuple) -> bytes:
    """Return the letter with a part of a credential that was asked for, b"" if that is not known here."""
    vouched = peer.members.vouchers()
    content = vouched.credential_part(entry[0], entry[1])
    if not content and not entry[1]:
        # Who asks may be farther from the author than this peer is.
        for author in peer.authors():
            if author[:3] == entry[0] and not vouched.vouches(author):
                peer.stranger = author
    return content


def hear(mesh: object, letter: bytes, content: bytes, now: int) -> None:
    """Take a part of a credential that was asked for."""
    for name in mesh.repair.sought(WANT_CREDENTIALS):
        if name[:3] == content[1:4]:
            if mesh.peer.members.vouchers().hear_credential(content, now):
                # The next one is asked for soon.
                mesh.repair.want(WANT_CREDENTIALS, name, now, 300 + mesh.random(300))
            else:
                # Whoever says it again is heard.
                mesh.intake.letters.forget(letter)


def lacking(peer: object, name: bytes, want: list) -> tuple | None:
    """Return (author or delegation, part of its credential to ask for), None if there is none."""
    part = peer.members.vouchers().credential_lacks(name)
    if part < 0:
        return None
    if part != want[2]:
        # It gets on.
        want[1], want[2] = 0, part
    return name, part
