"""Attribute tables and the PDUs of the Attribute Protocol (Bluetooth Core 5.4, Vol 3 Part F and G)."""

import struct
from typing import NamedTuple

from hedgerow.errors import HedgerowError
from hedgerow_boards.air.limits import ATTRIBUTES_MAX

ERROR_RSP = 0x01
MTU_REQ, MTU_RSP = 0x02, 0x03
FIND_INFO_REQ, FIND_INFO_RSP = 0x04, 0x05
FIND_VALUE_REQ, FIND_VALUE_RSP = 0x06, 0x07
READ_TYPE_REQ, READ_TYPE_RSP = 0x08, 0x09
READ_REQ, READ_RSP = 0x0A, 0x0B
READ_BLOB_REQ, READ_BLOB_RSP = 0x0C, 0x0D
READ_GROUP_REQ, READ_GROUP_RSP = 0x10, 0x11
WRITE_REQ, WRITE_RSP = 0x12, 0x13
PREPARE_REQ, PREPARE_RSP = 0x16, 0x17
EXECUTE_REQ, EXECUTE_RSP = 0x18, 0x19
NOTIFY = 0x1B
INDICATE, CONFIRM = 0x1D, 0x1E
WRITE_CMD = 0x52

INVALID_HANDLE = 0x01
READ_NOT_PERMITTED = 0x02
WRITE_NOT_PERMITTED = 0x03
INVALID_PDU = 0x04
INSUFFICIENT_AUTHENTICATION = 0x05
NOT_SUPPORTED = 0x06
INVALID_OFFSET = 0x07
INSUFFICIENT_AUTHORIZATION = 0x08
PREPARE_QUEUE_FULL = 0x09
NOT_FOUND = 0x0A
INVALID_LENGTH = 0x0D
UNLIKELY = 0x0E
UNSUPPORTED_GROUP = 0x10

PRIMARY_SERVICE = b"\x00\x28"
CHARACTERISTIC = b"\x03\x28"
CCCD = b"\x02\x29"
DEVICE_NAME = b"\x00\x2a"

PROPERTY_READ = 0x02
PROPERTY_WRITE_NO_RESPONSE = 0x04
PROPERTY_WRITE = 0x08
PROPERTY_NOTIFY = 0x10
PROPERTY_INDICATE = 0x20
# Beyond the eight bits of Core Vol 3 Part G 3.3.1.1, as NimBLE numbers them.
READ_SECURE, READ_AUTHORIZED = 0x0600, 0x0800
WRITE_SECURE, WRITE_AUTHORIZED = 0x3000, 0x4000

KIND_SERVICE, KIND_CHARACTERISTIC, KIND_DESCRIPTOR = 0, 1, 2
FIRST_FREE_HANDLE = 10  # what the GAP and GATT services below leave


class Attribute(NamedTuple):
    """One row of the table. `value` None: held by the host, not by its stack."""

    handle: int
    type: bytes
    value: bytes | None
    properties: int
    group_end: int


class AttributeTable:
    """A server's attributes in order of their handles."""

    def __init__(self, rows: list[Attribute]) -> None:
        self.rows = rows
        self.by_handle = {row.handle: row for row in rows}

    def between(self, start: int, end: int, kind: bytes | None = None) -> list[Attribute]:
        return [row for row in self.rows if start <= row.handle <= end and kind in (None, row.type)]

    def cccd_of(self, value_handle: int) -> int:
        """Handle of a characteristic's CCCD, 0 if it has none."""
        for row in self.between(value_handle + 1, 0xFFFF):
            if row.type in (CHARACTERISTIC, PRIMARY_SERVICE):
                break
            if row.type == CCCD:
                return row.handle
        return 0


class _Entry(NamedTuple):
    kind: int
    handle: int
    properties: int
    uuid: bytes


_STACK_ENTRIES = (
    _Entry(KIND_SERVICE, 1, 0, b"\x00\x18"),
    _Entry(KIND_CHARACTERISTIC, 3, PROPERTY_READ, DEVICE_NAME),
    _Entry(KIND_CHARACTERISTIC, 5, PROPERTY_READ, b"\x01\x2a"),
    _Entry(KIND_SERVICE, 6, 0, b"\x01\x18"),
    _Entry(KIND_CHARACTERISTIC, 8, PROPERTY_INDICATE, b"\x05\x2a"),
    _Entry(KIND_DESCRIPTOR, 9, PROPERTY_READ | PROPERTY_WRITE, CCCD),
)


def _parse(table: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    at, last = 0, FIRST_FREE_HANDLE - 1
    while at < len(table):
        if len(table) - at < 6:
            raise HedgerowError("AIR_TABLE", "cut entry")
        kind, handle, properties, length = struct.unpack_from("<BHHB", table, at)
        uuid = table[at + 6 : at + 6 + length]
        at += 6 + length
        first = handle - 1 if kind == KIND_CHARACTERISTIC else handle
        if kind > KIND_DESCRIPTOR or length not in (2, 4, 16) or len(uuid) != length or first <= last:
            raise HedgerowError("AIR_TABLE", f"entry with handle {handle}")
        if not entries and kind != KIND_SERVICE:
            raise HedgerowError("AIR_TABLE", "no service first")
        entries.append(_Entry(kind, handle, properties, uuid))
        last = handle
    if len(entries) > ATTRIBUTES_MAX:
        raise HedgerowError("AIR_TABLE", f"{len(entries)} attributes")
    return entries


def build_table(table: bytes) -> AttributeTable:
    """The attribute table of a `Services` message, after the stack's own GAP and GATT services.

    Raises HedgerowError AIR_TABLE for entries that are cut, unordered or of an unknown kind.
    """
    entries = [*_STACK_ENTRIES, *_parse(table)]
    rows: list[Attribute] = []
    for index, entry in enumerate(entries):
        if entry.kind == KIND_SERVICE:
            end = entry.handle
            for later in entries[index + 1 :]:
                if later.kind == KIND_SERVICE:
                    break
                end = later.handle
            rows.append(Attribute(entry.handle, PRIMARY_SERVICE, entry.uuid, PROPERTY_READ, end))
        elif entry.kind == KIND_CHARACTERISTIC:
            value = struct.pack("<BH", entry.properties & 0xFF, entry.handle) + entry.uuid
            rows.append(Attribute(entry.handle - 1, CHARACTERISTIC, value, PROPERTY_READ, 0))
            rows.append(Attribute(entry.handle, entry.uuid, None, entry.properties, 0))
        else:
            rows.append(Attribute(entry.handle, entry.uuid, None, entry.properties, 0))
    return AttributeTable(rows)
