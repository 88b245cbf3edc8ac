"""`esp32.NVS`: named integers and blobs in the flash's nvs partition.

The partition holds two snapshots, each in half of its sectors: header {magic, sequence, length,
CRC-32}, then entries {namespace length, key length, type, value length, namespace, key, value}. The
one with the valid CRC and the higher sequence counts; commit() writes the other, its header last,
so that a power cut leaves the old one. What is set and not committed is lost with the power.
"""

import struct
from binascii import crc32

from esp32 import Partition

_MAGIC = b"HNV1"
_HEADER = 16
_I32 = 1
_BLOB = 2
_ENOENT = 2
_ENOSPC = 28
_NOT_FOUND = -0x1102
_NAME_LIMIT = 15
_pending = {}


def _device():
    found = Partition.find(Partition.TYPE_DATA, 2)
    if not found:
        raise OSError(_ENOENT)
    return found[0]


def _half(device):
    return device.info()[3] // 8192


def _newest(device):
    """(sequence, first sector, length) of the valid snapshot; (0, half, 0) if there is none."""
    best = (0, _half(device), 0)
    header = bytearray(_HEADER)
    piece = bytearray(64)
    for sector in (0, _half(device)):
        device.readblocks(sector, header)
        magic, sequence, length, crc = struct.unpack("<4sIII", header)
        if magic != _MAGIC or length > _half(device) * 4096 - _HEADER or sequence <= best[0]:
            continue
        value = 0
        for at in range(0, length, 64):
            part = memoryview(piece)[: min(64, length - at)]
            device.readblocks(sector, part, _HEADER + at)
            value = crc32(part, value)
        if value == crc:
            best = (sequence, sector, length)
    return best


def _stored(device):
    """Entries of the valid snapshot: ((namespace, key), type, value)."""
    _, sector, length = _newest(device)
    at = _HEADER
    head = bytearray(5)
    while at < _HEADER + length:
        device.readblocks(sector, head, at)
        space, key, kind, size = struct.unpack("<BBBH", head)
        body = bytearray(space + key + size)
        device.readblocks(sector, body, at + 5)
        at += 5 + len(body)
        names = str(body[:space], "utf8"), str(body[space : space + key], "utf8")
        yield names, kind, bytes(body[space + key :])


def _commit():
    if not _pending:
        return
    device = _device()
    sequence, sector, _ = _newest(device)
    target = _half(device) if sector == 0 else 0
    for i in range(_half(device)):
        device.ioctl(6, target + i)
    at = _HEADER
    crc = 0
    entries = [entry for entry in _stored(device) if entry[0] not in _pending]
    entries += [(names, kind, value) for names, (kind, value) in _pending.items() if value is not None]
    for (space, key), kind, value in entries:
        space, key = space.encode(), key.encode()
        data = struct.pack("<BBBH", len(space), len(key), kind, len(value)) + space + key + value
        if at + len(data) > _half(device) * 4096:
            raise OSError(_ENOSPC)
        device.writeblocks(target, data, at)
        crc = crc32(data, crc)
        at += len(data)
    device.writeblocks(target, struct.pack("<4sIII", _MAGIC, sequence + 1, at - _HEADER, crc), 0)
    _pending.clear()


class NVS:
    """A namespace of the non-volatile store; names and keys up to 15 characters."""

    def __init__(self, namespace):
        _device()
        self._namespace = _name(namespace)

    def set_i32(self, key, value):
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("value must fit 32 bits")
        _pending[self._namespace, _name(key)] = (_I32, struct.pack("<i", value))

    def get_i32(self, key):
        return struct.unpack("<i", self._get(key, _I32))[0]

    def set_blob(self, key, value):
        _pending[self._namespace, _name(key)] = (_BLOB, bytes(value))

    def get_blob(self, key, buffer):
        """Copy the blob into `buffer` and return its length."""
        value = self._get(key, _BLOB)
        if len(value) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        self._find(key)
        _pending[self._namespace, _name(key)] = (0, None)

    def commit(self):
        _commit()

    def _get(self, key, kind):
        found, value = self._find(key)
        if found != kind:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return value

    def _find(self, key):
        names = (self._namespace, key)
        if names in _pending:
            kind, value = _pending[names]
            if value is not None:
                return kind, value
        else:
            for stored, kind, value in _stored(_device()):
                if stored == names:
                    return kind, value
        raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")


def _name(text):
    if not 1 <= len(text.encode()) <= _NAME_LIMIT:
        raise OSError(-0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
    return text
