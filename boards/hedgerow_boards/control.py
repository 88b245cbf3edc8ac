"""The host's side of the memory that a board's VM and its supervisor share (vm/control_layout.py)."""

import mmap
import struct
from pathlib import Path

from hedgerow_boards.vm import control_layout as layout

_WORD = struct.Struct("<q")


class ControlPage:
    """The control file of a board, mapped; its words by name, kept from one power-on to the next."""

    def __init__(self, path: Path, flash_bytes: int) -> None:
        size = layout.control_bytes(flash_bytes)
        if not path.exists():
            path.write_bytes(bytes(layout.BLANK) + b"\xff" * layout.SECTOR + bytes(size - layout.WEAR))
        with path.open("r+b") as file:
            if path.stat().st_size < size:  # of a former version
                file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        self._sectors = flash_bytes // layout.SECTOR

    def get(self, field: str) -> int:
        value: int = _WORD.unpack_from(self._map, 8 * layout.FIELDS.index(field))[0]
        return value

    def set(self, **values: int) -> None:
        """Set words, in the order given."""
        for field, value in values.items():
            _WORD.pack_into(self._map, 8 * layout.FIELDS.index(field), value)

    def clear(self, offset: int, length: int) -> None:
        self._map[offset : offset + length] = bytes(length)

    def erase_counts(self) -> list[int]:
        """Erases of each sector of the chip since the image was made."""
        return list(struct.unpack_from(f"<{self._sectors}I", self._map, layout.WEAR))

    def set_worn(self, sector: int, how: int) -> None:
        """Say how a sector is worn: bits of the layout."""
        self._map[layout.worn_at(self._sectors * layout.SECTOR) + sector] = how

    def pin(self, gpio: int) -> int:
        return self._map[layout.PINS + gpio]

    def set_pin(self, gpio: int, level: int) -> None:
        self._map[layout.PINS + gpio] = level

    def set_analog(self, gpio: int, value: int) -> None:
        struct.pack_into("<H", self._map, layout.ANALOG + 2 * gpio, value)

    def close(self) -> None:
        self._map.close()
