"""A board's clock: milliseconds since it was started, counted by a crystal that is a little off."""


class Clock:
    """`ppm` parts per million too fast; it starts at the moment `booted_us` of the world."""

    def __init__(self, ppm: int, booted_us: int):
        self.ppm = ppm
        self.booted_us = booted_us
        self.rate = 1_000_000 + ppm

    def ms(self, world_us: int) -> int:
        """The board's time at a moment of the world."""
        return (world_us - self.booted_us) * self.rate // 1_000_000_000

    def us(self, board_ms: int) -> int:
        """The first moment of the world at which the board's time is at least `board_ms`."""
        return self.booted_us - (-board_ms * 1_000_000_000 // self.rate)
