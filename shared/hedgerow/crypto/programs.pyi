from typing import Final

P: Final[int]
N: Final[int]
B: Final[int]
G_X: Final[int]
G_Y: Final[int]
TABLE: Final = 19
REGISTERS: Final = 67
ADD: Final[bytes]
DOUBLE: Final[bytes]
INVERT: Final[bytes]
CURVE: Final[bytes]
ROOT: Final[bytes]
