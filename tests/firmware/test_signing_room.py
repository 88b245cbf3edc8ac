"""A signature that finds no room."""

import pytest
from keyring_kit import chip, made, ring  # noqa: F401


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
