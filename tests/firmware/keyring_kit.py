"""NVS and radio of a board as modules, for its vault and keyring under CPython."""

import gc
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256

STORE: dict[str, bytes] = {}


class NVS:
    """The calls that the vault makes; `full` refuses what is new."""

    full = False

    def __init__(self, space: str) -> None:
        self._new: dict[str, bytes] = {}

    def get_blob(self, name: str, buffer: bytearray) -> int:
        if name not in STORE:
            raise OSError(-0x1102)
        if len(STORE[name]) > len(buffer):
            raise OSError(-0x110C)
        buffer[: len(STORE[name])] = STORE[name]
        return len(STORE[name])

    def set_blob(self, name: str, value: bytes) -> None:
        if self.full:
            raise OSError(28)
        self._new[name] = bytes(value)

    def commit(self) -> None:
        STORE.update(self._new)


class Radio:
    """bluetooth.BLE"""

    def active(self, on: bool) -> None:
        pass


@pytest.fixture(autouse=True)
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    STORE.clear()
    monkeypatch.setattr(gc, "mem_free", lambda: 1 << 20, raising=False)
    names = ("vault", "keyring", "met", "enrolling", "unlock", "confiding", "batching", "vouching", "tending")
    for module, content in (("esp32", {"NVS": NVS}), ("bluetooth", {"BLE": Radio})):
        fake = types.ModuleType(module)
        fake.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module, fake)
    yield
    for name in names:
        sys.modules.pop(f"hedgerow_device.{name}", None)


def made() -> Identity:
    from hedgerow_device import vault

    own = Identity.make(P256(os.urandom))
    vault.write(vault.KEYS, own.keys + own.author + b"\0")
    return own


def ring() -> Any:
    from hedgerow_device.keyring import Keyring

    return Keyring(bytes(32))
