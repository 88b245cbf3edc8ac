"""Advertising data as BlueZ presents it: parsed, and merged per device over all that was heard of it."""

import uuid
from dataclasses import dataclass, field

from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16, normalize_uuid_32

_UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_SHORT_NAME, _NAME, _TX_POWER, _MANUFACTURER = 0x08, 0x09, 0x0A, 0xFF


def uuid_text(raw: bytes) -> str:
    """2, 4 or 16 bytes, least significant first, to the 36 characters bleak uses."""
    number = int.from_bytes(raw, "little")
    if len(raw) == 2:
        return normalize_uuid_16(number)
    return normalize_uuid_32(number) if len(raw) == 4 else str(uuid.UUID(int=number))


@dataclass
class Merged:
    """What is known of one device."""

    name: str | None = None
    tx_power: int | None = None
    manufacturer: dict[int, bytes] = field(default_factory=dict)
    services: dict[str, bytes] = field(default_factory=dict)
    uuids: list[str] = field(default_factory=list)

    def add(self, payload: bytes) -> None:
        """Take in one advertising or scan response payload; what is cut or unknown in it is passed over."""
        at = 0
        while at + 1 < len(payload) and payload[at]:
            end = at + 1 + payload[at]
            if end > len(payload):
                return
            self._add_structure(payload[at + 1], payload[at + 2 : end])
            at = end

    def _add_structure(self, kind: int, data: bytes) -> None:
        if kind in _UUID_LISTS:
            size = _UUID_LISTS[kind]
            found = [uuid_text(data[at : at + size]) for at in range(0, len(data) - size + 1, size)]
            self.uuids += [text for text in found if text not in self.uuids]
        elif kind in _SERVICE_DATA and len(data) >= _SERVICE_DATA[kind]:
            size = _SERVICE_DATA[kind]
            self.services[uuid_text(data[:size])] = data[size:]
        elif kind == _MANUFACTURER and len(data) >= 2:
            self.manufacturer[int.from_bytes(data[:2], "little")] = data[2:]
        elif kind in (_SHORT_NAME, _NAME):
            self.name = data.decode("utf-8", "replace")
        elif kind == _TX_POWER and len(data) == 1:
            self.tx_power = int.from_bytes(data, "little", signed=True)

    def advertisement(self, rssi: int) -> AdvertisementData:
        return AdvertisementData(
            self.name, dict(self.manufacturer), dict(self.services), list(self.uuids), self.tx_power, rssi, ()
        )
