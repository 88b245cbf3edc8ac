"""What a FlashLog has to do with damage; what that takes is loaded when there is some (flashrepair)."""


class Mending:
    """Needs the rest of a FlashLog. `damaged` counts the places, `_audited` is what damage() has told of."""

    damaged = 0
    _audited = 0

    def renew(self) -> None:
        from .flashrepair import renew

        renew(self)

    def damage(self) -> list:
        if self.damaged == self._audited:
            return []
        from .flashrepair import audit

        lost = audit(self)
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
