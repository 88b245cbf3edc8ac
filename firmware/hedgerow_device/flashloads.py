"""What a FlashLog leaves to modules that are loaded when there is need."""

from hedgerow import limits

from .flashindex import AuthorIndex


class Loads:
    """Needs the rest of a FlashLog. `damaged` counts the places, `_audited` is what damage() has told of,
    `_lost` what it has still to tell of sectors that are gone."""

    damaged = 0
    _audited = 0
    _lost = ()
    more: object = None
    keeps: object = None
    # Set while `keeps` is asked: whoever answers programs nothing.
    collecting = False
    # What flashplaces has found: when nobody can go, and which sectors have nothing that lives on.
    no_place: object = None
    plain: object = None
    _index: object = None

    # ---- places

    def place(self, probe: bool = False) -> int:
        """Return the slot that the next author gets; AUTHORS_FULL if there is none (SPEC 5.19).

        A `probe` changes nothing.
        """
        slots = self.slots
        if b"" in slots:
            return slots.index(b"")
        if len(slots) < limits.MAX_AUTHORS:
            return len(slots)
        # Loaded where it is needed alone: a session may be under way.
        from .flashplaces import leaving

        return leaving(self, probe)

    def settle(self, slot: int, author: bytes) -> AuthorIndex:
        """Return the index of an author, who gets the slot when it comes: whoever had it has gone then."""
        index = self.indexes.get(author)
        if index and index.slot == slot:
            return index
        slots = self.slots
        if index:
            # Where it was known before is damaged.
            slots[index.slot] = b""
        while len(slots) <= slot:
            slots.append(b"")
        before = slots[slot]
        index = self.indexes[author] = AuthorIndex(slot)
        slots[slot] = author
        if before:
            from .flashplaces import let_go

            let_go(self, before)
        return index

    def wants(self, reader: object, body: bytes, tight: bool = False) -> bool:
        """Ask `keeps` whether a receipted operation is to stay, or where room is `tight`."""
        more = (True,) if tight else ()
        self.collecting = True
        try:
            return self.keeps(reader.author, reader.last, body, *more)
        finally:
            self.collecting = False

    # ---- beside the run; MemoryLog says what these do

    def beside(self) -> object:
        """Return the tables of what lies beside the runs (flashbeside.Beside)."""
        if self.more is None:
            from .flashbeside import Beside

            self.more = Beside(self)
        return self.more

    def has_beside(self) -> bool:
        return self.more is not None

    def fill(self, author: bytes, number: int, body: bytes) -> None:
        from . import flashchange

        self.again(flashchange.fill, self, bytes(author), number, body)

    def fetch(self, author: bytes, number: int) -> bytes | None:
        from .flashscan import fetch

        return fetch(self, author, number)

    def newest(self, author: bytes) -> bytes | None:
        """Return the newest operation of one of the log's own authors, also if it was dropped."""
        from .flashscan import newest

        return newest(self, author)

    def drop(self, author: bytes, first: int, last: int) -> None:
        from . import flashchange

        self.again(flashchange.drop, self, bytes(author), first, last)

    def replace(self, author: bytes, first: int, last: int, body: bytes) -> None:
        from . import flashchange

        self.again(flashchange.replace, self, bytes(author), first, last, body)

    def seen(self, author: bytes) -> int:
        return self.beside().seen(author) if self.has_beside() else self.held(author)

    def placed(self) -> list:
        """Return the authors that have a slot, if of some there is nothing any more."""
        return [author for author in self.slots if author]

    def cut(self, author: bytes, held: int) -> None:
        from . import flashchange

        self.again(flashchange.cut, self, bytes(author), held)

    def missing(self, author: bytes) -> list:
        from .flashmissing import missing

        return missing(self, author)

    def position(self) -> int:
        return self.arrived

    def since(self, position: int, max_bytes: int, gone: bool = False) -> list:
        from .flashscan import since

        return since(self, position, max_bytes, gone)

    # ---- documents

    @property
    def index(self) -> object:
        """The document index, loaded when somebody asks for it."""
        if self._index is None:
            from .flashkeys import FlashIndex

            self._index = FlashIndex(self)
        return self._index

    def drop_index(self) -> None:
        """Forget the document index in RAM; opening it again is cheap."""
        index = self._index
        if index is not None:
            # It goes even if it cannot be written down: what lies on the flash is brought up to date later.
            self._index = None
            index.flush()

    def storage(self) -> dict:
        from .flashstorage import storage

        return storage(self)

    def close(self) -> None:
        """End with a clean frame, if there is room: then the next mount need not doubt the last one."""
        from . import flashsummary

        self.drop_index()
        flashsummary.end(self)

    # ---- damage

    def renew(self) -> None:
        from .flashrepair import renew

        renew(self)

    def untold(self) -> bool:
        """Say whether damage was met of which damage() has not told yet."""
        return self.damaged > 0 and self.damaged != self._audited

    def look_now(self) -> None:
        """Find out what is lost, for damage() to tell, before a sector goes that shows it."""
        if self.untold():
            self._lost = self.damage()

    def damage(self) -> list:
        lost = list(self._lost)
        self._lost = ()
        if self.damaged == self._audited:
            return lost
        from .flashrepair import audit

        lost.extend(audit(self))
        # What the look itself has met is in its answer.
        self._audited = self.damaged
        return lost

    def meet(self, reader: object) -> bool:
        """Make ready for a frame behind damage; say whether its author is known."""
        from .flashrepair import meet

        return meet(self, reader)

    def look_again(self) -> None:
        """Let damage() tell once more what it has told: nothing could be done about it."""
        self._audited = -1

    def _survey(self, reader: object) -> tuple:
        from .flashrepair import survey

        return survey(self, reader)
