"""The document index in the log's SQLite file: which operations touch the documents of a key."""

from collections.abc import Callable

from . import limits
from .database import Database


class SqliteIndex:
    """A DocumentIndex (hedgerow.index) beside the log; it becomes durable with the log's commit().

    `row_of` and `author_of` turn authors into rows of the table of authors and back. What the log forgets,
    this forgets too.
    """

    def __init__(
        self, database: Database, row_of: Callable[[bytes], int], author_of: Callable[[int], bytes]
    ) -> None:
        self._database = database
        self._row_of = row_of
        self._author_of = author_of
        self._position: int = database.rows("SELECT indexed FROM store", ())[0][0]
        self._live = False

    @property
    def position(self) -> int:
        """The log's position up to which all operations have been entered."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        self._live = True
        self._store(position)

    def follow(self, position: int) -> None:
        """Note now and then that somebody has entered all that arrived up to `position`.

        Not each time: it would write one page more in each commit, and catching up with a few hundred
        operations is quick.
        """
        if self._live and position - self._position >= limits.INDEX_BEHIND:
            self._store(position)

    def _store(self, position: int) -> None:
        if position != self._position:
            self._change("UPDATE store SET indexed = ?", (position,))
            self._position = position

    def get(self, key: int) -> list[tuple[bytes, int]]:
        """Return [(author, number)] of the operations under a key, in any order."""
        rows = self._database.rows("SELECT author, number FROM touched WHERE key = ?", (key,))
        return [(self._author_of(author), number) for author, number in rows]

    def add(self, key: int, author: bytes, number: int) -> None:
        """Put an operation under a key; again changes nothing."""
        with self._database.guard():
            self._database.begin()
            row = self._row_of(author)
        self._change("INSERT OR IGNORE INTO touched VALUES (?, ?, ?)", (key, row, number))

    def remove(self, key: int, author: bytes, number: int) -> None:
        """Take an operation away from under a key, if it is there."""
        self._change(
            "DELETE FROM touched WHERE key = ? AND number = ?"
            " AND author = (SELECT id FROM author WHERE author.author = ?)",
            (key, number, author),
        )

    def noted(self) -> None:
        """Nothing: the log tells this index where it is."""

    def clear(self) -> None:
        """Forget everything, to be filled anew from the start of the log."""
        self._change("DELETE FROM touched", ())
        self._live = False
        self._store(0)

    def _change(self, statement: str, values: tuple[int | bytes, ...]) -> None:
        with self._database.guard():
            self._database.begin()
            self._database.sql.execute(statement, values)
