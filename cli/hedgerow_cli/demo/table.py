"""The demo's live table, or plain lines where there is no terminal; both say what is waited for."""

import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

_PLAIN_SECONDS = 3.0


@dataclass
class Row:
    """One board at one moment; `seen` is the age of its last beacon in seconds, None for never.

    `wanted` is what it is to record, `time_wrong` how many of its readings at the Big Peer lack their time.
    """

    name: str
    wanted: int
    recorded: int
    at_gateway: int
    at_big_peer: int
    receipted: int
    beacons: int
    connections: int
    seen: float | None
    note: str
    time_wrong: int = 0

    @property
    def waits_for(self) -> str:
        """Where what is not done lies, empty if all is: to record, on the way, at the gateway, and so on."""
        places = (
            (self.wanted - self.recorded, "to record"),
            (self.recorded - self.at_gateway, "to reach the gateway"),
            (self.at_gateway - self.at_big_peer, "to reach the Big Peer"),
            (self.at_big_peer - self.receipted, "without receipt"),
            (self.time_wrong, "without the right time"),
        )
        return ", ".join(f"{count} {place}" for count, place in places if count > 0)


class Screen:
    """Shows rows as they change; use as a `with` block."""

    def __init__(self, console: Console, wanted: int) -> None:
        self._console = console
        self._wanted = wanted
        self._shown_at = 0.0
        self._shown = ""
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def event(self, text: str) -> None:
        """Say something that happened; it stays above the table."""
        self._console.print(escape(text))

    def show(self, rows: list[Row], connections: int, *, final: bool = False) -> None:
        """Show this moment; on no terminal at most every few seconds, and only if something changed.

        `connections` are all of the air's; one between two boards stands in the rows of both.
        """
        if self._console.is_terminal:
            self._live.update(self._table(rows), refresh=True)
            return
        line = self._line(rows, connections)
        if final or (line != self._shown and time.monotonic() - self._shown_at > _PLAIN_SECONDS):
            self._shown, self._shown_at = line, time.monotonic()
            self._console.print(line)

    def _line(self, rows: list[Row], connections: int) -> str:
        names = ("recorded", "at_gateway", "at_big_peer", "receipted", "beacons")
        sums = {name: sum(getattr(row, name) for row in rows) for name in names}
        line = (
            f"recorded {sums['recorded']} of {self._wanted}, gateway {sums['at_gateway']}, "
            f"Big Peer {sums['at_big_peer']}, receipted {sums['receipted']}, "
            f"beacons {sums['beacons']}, connections {connections}"
        )
        if sums["recorded"] < self._wanted:
            return line
        waited_for = [f"{row.name}: {row.waits_for}" for row in rows if row.waits_for]
        return "; ".join([line, *waited_for])

    def _table(self, rows: list[Row]) -> Table:
        table = Table(title="board -> gateway -> Big Peer, and receipts back", title_justify="left")
        table.add_column("board", no_wrap=True)
        for name in ("recorded", "gateway", "Big Peer", "receipt", "beacons", "conn.", "seen"):
            table.add_column(name, justify="right")
        table.add_column("waits for", min_width=20)
        table.add_column("", no_wrap=True)
        for row in rows:
            seen = "never" if row.seen is None else f"{row.seen:.1f} s"
            counts = (
                row.recorded,
                row.at_gateway,
                row.at_big_peer,
                row.receipted,
                row.beacons,
                row.connections,
            )
            table.add_row(escape(row.name), *map(str, counts), seen, row.waits_for, escape(row.note))
        return table
