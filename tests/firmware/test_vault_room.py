"""What a vault reads where memory is short."""

import pytest
from keyring_kit import STORE, chip  # noqa: F401


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
