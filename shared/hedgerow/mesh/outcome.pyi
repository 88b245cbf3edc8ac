from typing import Final

TAKEN: Final = 0
KNOWN: Final = 1
WAITS: Final = 2
REFUSED: Final = 3
GAP: Final = 4
AUTHOR: Final = 5
SCHEMA: Final = 6
WHOLE: Final = 7
