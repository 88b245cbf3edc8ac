"""Whom a board names that it has refused."""

from types import SimpleNamespace

from hedgerow_device.accuse import note


def test_each_address_is_told_once_out_of_turn_and_six_at_most() -> None:
    peer = SimpleNamespace(suspects=None, accused=False)
    note(peer, "HANDSHAKE_BUSY", bytes(7))
    assert peer.suspects is None
    for at in range(8):
        peer.accused = True
        note(peer, "HANDSHAKE_INVALID", bytes([1, 0, 0, 0, 0, 0, at]))
        assert peer.accused == (at >= 6)
    peer.accused = True
    note(peer, "HANDSHAKE_INVALID", bytes([1, 0, 0, 0, 0, 0, 2]))
    assert peer.accused and len(peer.suspects) == 6
    assert peer.suspects["HANDSHAKE_INVALID", bytes([1, 0, 0, 0, 0, 0, 2])] == 2
