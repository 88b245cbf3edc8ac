from typing import Final

TAKEN: Final = 0
KNOWN: Final = 1
WAITS: Final = 2
REFUSED: Final = 3
GAP: Final = 0
AUTHOR: Final = 1
SCHEMA: Final = 2
WHOLE: Final = 3
GONE: Final = 4
