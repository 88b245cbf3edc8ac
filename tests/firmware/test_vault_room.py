"""What a vault reads where memory is short, and a group key for which it has no room."""

import sys
from pathlib import Path

import pytest
from keyring_kit import NVS, STORE, chip, made, ring  # noqa: F401

from hedgerow.crypto.credentials import Credential as Granted
from hedgerow.crypto.rotation import epoch
from hedgerow.memory import MemoryLog, MemoryStore

HERE = Path(__file__).parents[1] / "core"
sys.path[:0] = [str(HERE / "crypto" / "portable"), str(HERE / "portable")]

from crypto_kit import MODE, Issuer  # noqa: E402
from test_crypto_group import word  # noqa: E402


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


def test_a_group_key_that_finds_no_room_is_not_used_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC 11.16.1, 11.16.3."""
    from hedgerow_device import vault

    root, own = Issuer(1), made()
    named = {"SEALING_KEY": own.sealing, "AUTHOR": own.author, "MODE": MODE}
    vault.write(vault.CREDENTIAL, own.author + Granted(root.credential(own.agreement, **named)).value)
    vault.write(vault.ISSUERS, root.public)
    store = MemoryStore()
    store.author = own.author
    first, second = (word(number, issuer=root) for number in (1, 2))
    keys = ring()
    keys.log = MemoryLog(store)
    keys.take_word(first)
    with monkeypatch.context() as short:
        short.setattr(NVS, "full", True)
        keys.take_word(second)
        assert (epoch(keys.group)[0], keys.group.key, keys.words.all()) == (1, bytes((1,)) * 32, [first])
        # Nor do starts end its time of grace that cannot be counted: it goes on.
        for _ in range(9):
            keys = ring()
            assert keys.group.key == bytes((1,)) * 32 and keys.group.before == bytes(32)
    keys.log = MemoryLog(store)
    keys.take_word(second)
    kept = ring().group
    assert (epoch(kept)[0], kept.key, kept.before) == (2, bytes((2,)) * 32, bytes((1,)) * 32)
