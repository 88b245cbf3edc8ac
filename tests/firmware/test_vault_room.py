"""What keys do where memory is short: signatures that wait, secrets that are read in little room."""

import pytest
from test_keyring import STORE, _store, made, ring

assert _store, "each test begins with an empty store"


def test_signatures_that_find_no_room_are_counted_until_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow.crypto import port

    made()
    keys = ring()
    with monkeypatch.context() as short:
        short.setattr(port, "finish", lambda steps: (_ for _ in ()).throw(MemoryError()))
        for count in (1, 2):
            with pytest.raises(MemoryError):
                keys.sign(b"seal")
            assert keys.unsigned == count
    assert keys.sign(b"seal") and keys.unsigned == 0


def test_a_short_secret_is_read_in_little_room_and_a_long_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device import vault

    rooms: list[int] = []

    class Buffer(bytearray):
        def __init__(self, size: int) -> None:
            rooms.append(size)
            super().__init__(size)

    monkeypatch.setattr(vault, "bytearray", Buffer, raising=False)
    for size, most in ((1, 320), (316, 320), (317, 1904), (1900, 1904)):
        vault.write("keepers", bytes(size))
        assert vault.read("keepers") == bytes(size) and rooms[-1] == most
    STORE["keepers"] = STORE["keepers"][:-1] + b"x"
    assert vault.read("keepers") is None and vault.read("none") is None
