"""The document index in the log's SQLite file: which operations touch the documents of a key."""

from collections.abc import Callable

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
        self._complete = bool(database.rows("SELECT indexed FROM store", ())[0][0])

    @property
    def complete(self) -> bool:
        """Whether it is known to cover the whole log."""
        return self._complete

    @complete.setter
    def complete(self, complete: bool) -> None:
        if complete != self._complete:
            self._change("UPDATE store SET indexed = ?", (int(complete),))
            self._complete = complete

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

    def clear(self) -> None:
        """Forget everything; it is not complete from then on."""
        self._change("DELETE FROM touched", ())
        self.complete = False

    def _change(self, statement: str, values: tuple[int | bytes, ...]) -> None:
        with self._database.guard():
            self._database.begin()
            self._database.sql.execute(statement, values)
