"""What a FlashLog has to do with damage; what that takes is loaded when there is some (flashrepair)."""


class Mending:
    """Needs the rest of a FlashLog. `damaged` counts the places, `_audited` is what damage() has told of,
    `_lost` what it has still to tell of sectors that are gone."""

    damaged = 0
    _audited = 0
    _lost = ()

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
